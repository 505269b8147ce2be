"""The options of a command, from the fields of its model: how each is typed, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from tomosoup.core.config import Options, Typed

NOTHING_SAID = Typed()


@dataclass(frozen=True)
class Option:
    """A field of a command's options, or of a set of options in it, as it is typed."""

    path: tuple[str, ...]
    """The names of the fields that lead to it."""
    name: str
    """--peaks.floor; of what is given by its place, what stands for it: PROJECT."""
    field: FieldInfo
    owner: type[Options]
    """The set of options that it is a field of."""
    section: str = ""
    """What that set is about; empty for the command's own."""

    @property
    def typed(self) -> Typed:
        """What its annotation says of how it is typed."""
        return typed_as(self.field)

    @property
    def names(self) -> tuple[str, ...]:
        """All that it may be called, today's name last."""
        return (*self.typed.aliases, self.name)

    @property
    def group(self) -> str | None:
        """Where the short help shows it; options of a set whose names have the set's in front are in the long one."""
        return None if "." in self.name else self.typed.group

    @cached_property
    def type(self) -> Any:
        """Its type, without what annotates it and without None."""
        return plain(self.field.annotation)

    @property
    def optional(self) -> bool:
        """Whether it may have no value."""
        return type(None) in get_args(self.field.annotation)

    @property
    def flag(self) -> bool:
        """Whether its name alone is enough, or no- before it."""
        return self.type is bool

    @property
    def table(self) -> bool:
        """Whether it holds values by name, as of species."""
        return get_origin(self.type) is dict

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it takes, if only some."""
        inner = plain(get_args(self.type)[0]) if get_origin(self.type) is tuple else self.type
        return get_args(inner) if get_origin(inner) is Literal else ()

    @property
    def count(self) -> int | None:
        """How many words it takes; None is any number."""
        if get_origin(self.type) is dict:
            return None
        return 0 if self.flag else words_of(self.type)

    @property
    def off(self) -> str:
        """What takes its value away, or turns it off: --no-refine, --peaks.no-refine."""
        prefix, dot, name = self.name.removeprefix("--").rpartition(".")
        return f"--{prefix}{dot}no-{name}"

    @property
    def value(self) -> str:
        """What stands for its value in help; empty for a flag."""
        if self.flag or self.typed.positional:
            return ""
        if self.choices and not self.typed.value:
            return "|".join(self.choices) + (" ..." if self.count != 1 else "")
        if self.table:
            shown = f"{self.typed.value or 'SPECIES'} {_shown(get_args(self.type)[1], of_pairs='NUMBER NUMBER')}"
        else:
            shown = self.typed.value or _shown(self.type)
        return f"{shown} ..." if self.count is None else shown


def options_of(model: type[Options], values: Options | None = None, **place: Any) -> Iterator[Option]:
    """The options of a command in the order of its fields, those of sets in it too.

    Where there is a choice of sets (of nets) they are those of the one in `values`, or of all.
    """
    path, prefix, section = place.get("path", ()), place.get("prefix", ""), place.get("section", "")
    seen: set[str] = set()
    for name, field in model.model_fields.items():
        said, value = typed_as(field), getattr(values, name, None)
        called = name.replace("_", "-") if said.name is None else said.name
        inner = sections(field.annotation)
        for kind in [kind for kind in inner if type(value) is kind] or inner:
            below = {"path": (*path, name), "prefix": f"{prefix}{called}." if called else prefix}
            for option in options_of(kind, value, **below, section=field.description):
                if option.name not in seen:
                    seen.add(option.name)
                    yield option
        if not inner and not said.hidden:
            typed = said.value if said.positional else f"--{prefix}{called}"
            yield Option((*path, name), typed, field, model, section)


def typed_as(field: FieldInfo) -> Typed:
    """What a field's annotation says of how it is typed."""
    return next((mark for mark in field.metadata if isinstance(mark, Typed)), NOTHING_SAID)


def sections(annotation: Any) -> list[type[Options]]:
    """The sets of options in the type of a field."""
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return [annotation]
    return [found for inner in get_args(annotation) for found in sections(inner)]


def plain(annotation: Any) -> Any:
    """A type without what annotates it and without None."""
    if get_origin(annotation) is Annotated:
        return plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kinds = [plain(kind) for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0]
    return annotation


def words_of(kind: Any) -> int | None:
    """How many words a value of this type takes; None is any number."""
    kind = plain(kind)
    parts = get_args(kind) if get_origin(kind) is tuple else (kind,)
    return None if Ellipsis in parts else len(parts)


def _shown(kind: Any, *, of_pairs: str = "LOW HIGH") -> str:
    kind = plain(kind)
    if get_origin(kind) is tuple:
        parts = [_shown(part) for part in get_args(kind) if part is not Ellipsis]
        return {2: of_pairs, 3: "Z Y X"}.get(len(parts), " ".join(parts))
    return {int: "N", float: "NUMBER", Path: "FILE"}.get(kind, "TEXT")


def value_at(options: Any, path: tuple[str, ...]) -> Any:
    """The value of an option in options, or in a mapping of them."""
    for name in path:
        options = options[name] if isinstance(options, Mapping) else getattr(options, name)
    return options


def command_name(model: type[Options]) -> str:
    """The name of the command whose options these are: ExportOnnxCommand is export-onnx."""
    words = model.__name__.removesuffix("Command")
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in words).removeprefix("-")
