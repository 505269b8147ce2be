"""What all recipes share: frozen, strict about keys, readable from TOML, complaining in one sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from tomosoup.errors import InputError


class Recipe(BaseModel):
    """A set of options: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Help is wrapped to the terminal, so the line breaks of the source go."""
        for field in cls.model_fields.values():
            field.description = " ".join((field.description or "").split()) or None

    @classmethod
    def read(cls, name_or_file: str | Path) -> Self:
        """The recipe that ships under this name, or the one in this TOML file."""
        path = Path(name_or_file)
        if path.suffix == ".toml":
            if not path.is_file():
                raise InputError(f"Expected a recipe file at {path}, found none; name another.")
            try:
                text = path.read_text()
            except (OSError, ValueError) as error:
                raise InputError(f"{path} cannot be read as text ({error}); expected a recipe in TOML.") from error
        else:
            shipped = resources.files("tomosoup.recipes") / f"{name_or_file}.toml"
            if not shipped.is_file():
                raise InputError(
                    f"There is no recipe {str(name_or_file)!r}; take one of {', '.join(cls.names())}, "
                    "or a file ending in .toml."
                )
            text = shipped.read_text()
        try:
            return cls.of(tomllib.loads(text), source=str(name_or_file))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InputError(f"{path} is not valid TOML: {error}.") from error

    @classmethod
    def names(cls) -> list[str]:
        """The recipes of this kind that ship with the package."""
        files = [f.name for f in resources.files("tomosoup.recipes").iterdir() if f.name.endswith(".toml")]
        return sorted(name.removesuffix(".toml") for name in files if cls._fits(name))

    @classmethod
    def _fits(cls, file: str) -> bool:
        try:
            cls.model_validate(tomllib.loads((resources.files("tomosoup.recipes") / file).read_text()))
        except ValidationError:
            return False
        return True

    @classmethod
    def of(cls, options: Mapping[str, Any], *, source: str) -> Self:
        """Validate `options`; what is wrong is told as one sentence that names `source`."""
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            raise InputError(f"{source}: {cls.what_is_wrong(error)}") from error

    @classmethod
    def what_is_wrong(cls, error: ValidationError) -> str:
        """The first problem of a failed validation, as a sentence."""
        first = error.errors()[0]
        names: list[str] = []
        parent: Any = cls
        section: Any = cls
        for key in first["loc"]:
            kinds = {getattr(kind, "__name__", ""): kind for kind in map(_bare, get_args(section))}
            if key in kinds:  # the tag that says which of a union's recipes is meant
                section = kinds[str(key)]
                continue
            names.append(str(key))
            fields = getattr(section, "model_fields", {})
            parent, section = section, fields[key].annotation if key in fields else None
        where = ".".join(names)
        if first["type"] == "extra_forbidden":
            return f"there is no option {where!r}; expected one of {', '.join(parent.model_fields)}."
        problem = first["msg"].removeprefix("Value error, ")
        return f"{where}: {problem}, got {first['input']!r}." if where else f"{problem}."


def _bare(annotation: Any) -> Any:
    """A type without what annotates it."""
    return getattr(annotation, "__origin__", annotation)
