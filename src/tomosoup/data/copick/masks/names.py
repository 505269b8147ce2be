"""How a mask is named: a file, a file for each run, or a copick segmentation."""

from __future__ import annotations

import re
from pathlib import Path

from tomosoup.core.errors import InputError
from tomosoup.data.formats.name_template import Template

FILE = re.compile(r".*\.(mrc|rec|map|hdf|zarr)(\.gz|\.bz2)?", re.IGNORECASE | re.DOTALL)
SEGMENTATION = re.compile(r"([^:/@]+):([^:/@]+)/([^:/@]+)")


def checked_mask(mask: str) -> str:
    """A file, as a whole path, or NAME:USER/SESSION. Raises `InputError` for another text."""
    if is_file(mask):
        if Template(mask, "mask").names("species"):
            raise InputError(f"`mask` {mask}: a mask is for all species of a run: leave {{species}} out.")
        return str(Path(mask).absolute())
    if not SEGMENTATION.fullmatch(mask):
        raise InputError(
            f"`mask` {mask}: expected an MRC or OME-Zarr file, or NAME:USER/SESSION of a copick segmentation."
        )
    return mask


def is_file(mask: str) -> bool:
    """Whether a text names a file."""
    return bool(FILE.fullmatch(mask.rstrip("/")))


def file_of(mask: str, run: str) -> Path:
    """The file of a run."""
    return Path(Template(mask, "mask").fill(run=run))


def segmentation_of(mask: str) -> tuple[str, str, str]:
    """Name, user and session of a copick segmentation."""
    found = SEGMENTATION.fullmatch(mask)
    assert found  # by `checked_mask`
    name, user, session = found.groups()
    return name, user, session
