"""Names as templates: `{run}_10.00Apx` makes another program's name of a run, and finds the run in such a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tomosoup.core.errors import InputError
from tomosoup.core.types import check_name

FIELDS = ("run", "species")


@dataclass(frozen=True)
class Template:
    """A text in which `{run}` and `{species}` stand for names."""

    text: str
    argument: str
    """The argument that gave it, for errors."""

    def __post_init__(self) -> None:
        strangers = set(re.findall(r"\{([^{}]*)\}", self.text)) - set(FIELDS)
        if strangers or re.sub(r"\{[^{}]*\}", "", self.text).count("{"):
            raise InputError(
                f"`{self.argument}` {self.text}: expected a text with {{run}} and {{species}}, and no other braces."
            )

    def names(self, field: str) -> bool:
        """Whether the text holds this field."""
        return f"{{{field}}}" in self.text

    def fill(self, **names: str) -> str:
        """The text with names in their places. Raises `InputError` for names that would lead out of a folder."""
        text = self.text
        for field, name in names.items():
            text = text.replace(f"{{{field}}}", check_name(name, what=f"a {field}"))
        return text

    def match(self, name: str) -> Mapping[str, str] | None:
        """The names that make `name`; None where none do. Of a path, its last part counts if the whole does not fit.

        Where several would, the run is as long as it can be.
        """
        parts = re.split(r"(\{run\}|\{species\})", self.text)
        seen: set[str] = set()
        pattern = ""
        for part in parts:
            field = part.strip("{}")
            if part not in {"{run}", "{species}"}:
                pattern += re.escape(part)
            elif field in seen:
                pattern += f"(?P={field})"
            else:
                seen.add(field)
                pattern += rf"(?P<{field}>[^/\\]+)"
        for whole in (name, re.split(r"[/\\]", name)[-1]):
            if found := re.fullmatch(pattern, whole):
                return {field: check_name(value, what=f"a {field}") for field, value in found.groupdict().items()}
        return None
