"""Models on the Hugging Face Hub: hf:OWNER/NAME, or hf:OWNER/NAME@REVISION."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tomosoup.core.errors import InputError, first_line

PREFIX, FILE, CARD = "hf:", "model.safetensors", "README.md"
"""How a name begins, and the files of a model: the checkpoint and its model card."""
PART = r"(?!.*(--|\.\.))[A-Za-z0-9_]([\w.-]{0,94}\w)?"
"""The Hub's names: no dot or hyphen at the ends, none twice in a row."""
LONGEST = 96
FORM = re.compile(rf"(?P<repository>{PART}/{PART})(@(?P<revision>[\w./-]+))?", re.ASCII)


@dataclass(frozen=True)
class HubModel:
    """A model on the Hub."""

    repository: str
    """OWNER/NAME."""
    revision: str | None = None
    """A branch, tag or commit; None is the main branch."""

    @classmethod
    def of(cls, name: str) -> HubModel:
        """The model that a name means, with `PREFIX` or without. Raises `InputError` for another form."""
        found = FORM.fullmatch(name.removeprefix(PREFIX))
        if found and len(found["repository"]) <= LONGEST and not found["repository"].endswith(".git"):
            return cls(found["repository"], found["revision"])
        raise InputError(f"{name} names no model on the Hugging Face Hub: expected {PREFIX}OWNER/NAME[@REVISION].")


@cache
def from_hub(name: str) -> Path:
    """The checkpoint of a model, in the Hub's cache on this machine. It is downloaded at the first use.

    Without a network the last downloaded version is used. Raises `InputError` where there is no such model, and where
    it can neither be downloaded nor found in the cache.
    """
    from huggingface_hub import hf_hub_download  # here, as no other model needs it
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of whichever library it uses
        EntryNotFoundError,
        GatedRepoError,
        HTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
        XetDownloadError,
    )

    model = HubModel.of(name)
    try:
        return Path(hf_hub_download(model.repository, FILE, revision=model.revision, library_name="tomosoup"))
    except RevisionNotFoundError as error:
        raise InputError(f"{PREFIX}{model.repository} has no revision {model.revision}: name another one.") from error
    except GatedRepoError as error:
        raise InputError(
            f"{PREFIX}{model.repository} has terms of use: accept them on its page, then log in with `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"The Hugging Face Hub has no model {model.repository}, or it is private: check the name, or log in with "
            "`hf auth login`."
        ) from error
    except LocalEntryNotFoundError as error:
        raise InputError(
            f"The Hugging Face Hub cannot be reached, and {name} is not in its cache on this machine: connect to the "
            f"network once, or download {FILE} elsewhere and give its path."
        ) from error
    except EntryNotFoundError as error:
        raise InputError(
            f"{PREFIX}{model.repository} has no file {FILE}: expected a model that `tomosoup publish` uploaded."
        ) from error
    except (HTTPError, OSError, XetDownloadError) as error:
        raise InputError(f"{name} cannot be downloaded ({first_line(error)}): try again later.") from error
