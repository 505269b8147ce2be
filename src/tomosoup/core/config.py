"""Options as frozen pydantic models, and recipes: sets of options in TOML files.

An option is a field, once: its docstring is the help text, its value goes into the checkpoint.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from tomosoup.core.errors import InputError, abbreviated, first_line

MOST = 10**9
"""Of anything that is counted."""
Count = Annotated[int, Ge(1), Le(MOST)]
ZYX = tuple[Count, Count, Count]
"""Voxels along (z, y, x)."""
Share = Annotated[float, Ge(0), Le(1)]
Group = Literal["Input", "Model", "Output", "Speed"]
"""Where the short help of a command shows its main options."""


@dataclass(frozen=True)
class Typed:
    """How an option is typed and shown, in its field's annotation; a field without one is called by its name."""

    group: Group | None = None
    """Where the short help shows it; None leaves it to the long help."""
    name: str | None = None
    """In place of the field's; "" for a set of options whose names stand alone, without the set's in front."""
    aliases: tuple[str, ...] = ()
    """Further names, as typed, with their hyphens."""
    positional: bool = False
    """Given by its place, without a name."""
    value: str = ""
    """What stands in help for the value; by default what its type is called."""
    file: Literal["project", "checkpoint", "input", "output"] | None = None
    """What the path names; it is looked at before anything that takes long."""
    hidden: bool = False
    """Cannot be typed."""


class Options(BaseModel):
    """A set of options: immutable; unknown keys and numbers that are not finite are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
    RENAMED: ClassVar[Mapping[str, str]] = {}
    """Old name of an option -> its name today: files that were written with the old one stay readable."""
    ARGUMENTS: ClassVar[Mapping[str, str]] = {}
    """Argument of the library -> what a command shows in its place, where no option has its name."""
    RECIPE: ClassVar[tuple[str, str] | None] = None
    """The option that names a recipe, and the field that the recipe fills."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Help is wrapped to the terminal, so the line breaks of the source go."""
        for field in cls.model_fields.values():
            field.description = " ".join((field.description or "").split()) or None

    @model_validator(mode="before")
    @classmethod
    def _by_todays_names(cls, options: Any) -> Any:
        if not isinstance(options, Mapping) or not set(cls.RENAMED) & set(options):
            return options
        return {cls.RENAMED.get(name, name): value for name, value in options.items()}

    @classmethod
    def of(cls, options: Mapping[str, Any], *, source: str) -> Self:
        """The validated options. Raises `InputError`, one sentence that names `source` and the first bad option."""
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
            members = {getattr(member, "__name__", ""): member for member in map(_bare, get_args(section))}
            if key in members:  # the tag that says which of a union's options is meant
                section = members[str(key)]
                continue
            names.append(str(key))
            fields = getattr(section, "model_fields", {})
            parent, section = section, fields[key].annotation if key in fields else None
        where = abbreviated(".".join(names))
        if first["type"] == "extra_forbidden":
            return f"there is no option {where!r}; expected one of {', '.join(parent.model_fields)}."
        return f"{where}: {problem(first)}." if where else f"{problem(first)}."


def first_problem(error: ValidationError) -> str:
    """The first error of a failed validation as words: its place, what was expected, what came."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {problem(first)}" if place else problem(first)


def problem(error: Mapping[str, Any]) -> str:
    """One error of a failed validation as words, without its place: expected, and got."""
    error_type, context = error["type"], error.get("ctx", {})
    if error_type == "value_error":
        return abbreviated(str(context["error"]))
    if error_type == "missing":
        return "is missing"
    expected = next((words for known, words in EXPECTED if error_type.startswith(known)), "")
    if error_type == "literal_error":
        expected = "one of " + context["expected"].replace("'", "")
    if not expected:  # what pydantic says; its sentences begin alike
        return abbreviated(str(error["msg"]).replace("Input should be", "expected"))
    got = context["actual_length"] if "actual_length" in context else shown_value(error["input"])
    return f"expected {expected.format(**context)}, got {got}"


EXPECTED = (
    ("int_", "a whole number"),
    ("float_", "a number"),
    ("finite_number", "a finite number"),
    ("greater_than_equal", "{ge:g} or more"),
    ("greater_than", "more than {gt:g}"),
    ("less_than_equal", "{le:g} or less"),
    ("less_than", "less than {lt:g}"),
    ("bool_", "true or false"),
    ("string_type", "text"),
    ("path_type", "a path"),
    ("tuple_type", "a list of values"),
    ("too_short", "{min_length} or more values"),
    ("too_long", "{max_length} or fewer values"),
    ("dict_type", "a table"),
    ("model_type", "a table of options"),
    ("model_attributes_type", "a table of options"),
)
"""How the types of pydantic's errors begin, and what was expected."""


def shown_value(value: object) -> str:
    """A value in a sentence: a number as it is, a text in quotation marks, none where nothing was given."""
    if value is None:
        return "none"
    if isinstance(value, int) and abs(value) > 10**30:
        return "a number of very many digits"
    try:
        return f"{float(value):g}" if isinstance(value, str) and len(value) < 30 else abbreviated(repr(value), most=100)
    except ValueError:
        return repr(value)


class Recipe(Options):
    """Options that have a name: a TOML file of the package or of the user.

    A file may begin with `extends = "NAME"`: it then holds only what differs from that recipe, which is one of the
    package or a file (.toml) beside it. Its tables are merged key by key.
    """

    FOLDER: ClassVar[tuple[str, str]]
    """The package and the folder in it where the recipes of this class are."""
    NOUN: ClassVar[str] = "recipe"
    """What users call such a file."""

    @classmethod
    def read(cls, name_or_file: str | Path) -> Self:
        """The recipe of the package that has this name, or the one in this TOML file.

        Raises `InputError` where there is none, or where it is not valid.
        """
        return cls.of(cls._options(str(name_or_file), Path(), ()), source=str(name_or_file))

    @classmethod
    def names(cls) -> list[str]:
        """The recipes of the package, sorted."""
        files = (file.name for file in cls._folder().iterdir())
        return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))

    @classmethod
    def _folder(cls) -> Traversable:
        package, folder = cls.FOLDER
        return resources.files(package) / folder

    @classmethod
    def _options(cls, name: str, beside: Path, extending: tuple[str, ...]) -> dict[str, Any]:
        """What a recipe says, with what it extends; `extending` are the recipes that extend it, outermost first."""
        path = beside / name
        source: Traversable | Path = path if path.suffix == ".toml" else cls._folder() / f"{name}.toml"
        if str(source) in extending:
            raise InputError(f"{extending[0]} extends itself, by way of {name}: remove one `extends`.")
        if not source.is_file():
            if path.suffix == ".toml":
                raise InputError(f"Expected a {cls.NOUN} file at {path}, found none; name another.")
            raise InputError(
                f"There is no {cls.NOUN} {name!r}; take one of {', '.join(cls.names())}, or a file ending in .toml."
            )
        try:
            options = tomllib.loads(source.read_text())
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InputError(f"{path} is not valid TOML: {first_line(error)}.") from error
        except (OSError, UnicodeError) as error:
            raise InputError(f"{path} cannot be read as text ({error}); expected a {cls.NOUN} in TOML.") from error
        except ValueError as error:
            raise InputError(f"{path} holds a number of thousands of digits: correct it.") from error
        base = options.pop("extends", None)
        if base is None:
            return options
        if not isinstance(base, str):
            raise InputError(f"{path}: expected `extends` to name a {cls.NOUN}, got {shown_value(base)}.")
        return merged(cls._options(base, path.parent, (*extending, str(source))), options)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, table by table."""
    tables = {
        name: merged(base[name], value)
        for name, value in changes.items()
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
    }
    return {**base, **changes, **tables}


def _bare(annotation: Any) -> Any:
    """A type without what annotates it."""
    return getattr(annotation, "__origin__", annotation)
