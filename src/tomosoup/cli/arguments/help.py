"""The help of a command: its main options in groups, or all by section."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any, get_args

from tomosoup.cli.arguments.fields import Option, command_name, options_of, value_at
from tomosoup.cli.arguments.layout import entry, paragraph, width
from tomosoup.cli.arguments.messages import as_options
from tomosoup.core.config import Group, Options
from tomosoup.core.errors import counted


def command_help(
    model: type[Options], shared: type[Options], *, recipe: str, values: Mapping[str, Any], all_: bool
) -> str:
    """The help of a command: its main options in groups, with an example, or with `all_` every option by section.

    `shared` are the options that all commands have; `values` is what the command's `recipe` sets.
    """
    name = command_name(model)
    chosen = model.model_construct(None, **values)
    options = [*options_of(model, chosen), *options_of(shared)]
    in_order = sorted(options, key=lambda o: (not o.typed.positional, not o.field.is_required()))
    main = {group: [o for o in in_order if o.group == group] for group in get_args(Group)}
    parts = [usage(name, options), paragraph(model.__doc__ or "")]
    parts += [section(group, found, model, chosen) for group, found in main.items() if found]
    others = [option for option in options if option.group is None]
    if all_:
        parts += [section(title, found, model, chosen) for title, found in by_section(others)]
    shown = options if all_ else [option for group in main.values() for option in group]
    if recipe and any(option.path[0] in values for option in shown):
        what = "plan" if "picking" in values else "recipe"
        another = f"For those of another: `tomosoup {name} --{what} NAME --help{'-all' if all_ else ''}`."
        parts.append(paragraph(f"Defaults come from the {what} {recipe}. {another}"))
    if example := getattr(model, "EXAMPLE", ""):
        parts.append(f"Example:\n  {example}")
    if others and not all_:
        parts.append(f"`tomosoup {name} --help-all` shows {counted(len(others), 'more option')}.")
    return "\n\n".join(parts)


def usage(name: str, options: Iterable[Option]) -> str:
    """The first line: what has to be given."""
    places = [o for o in options if o.typed.positional]
    words = [f"{o.name} ..." if o.count is None else o.name for o in places]
    words = [w if o.field.is_required() else f"[{w}]" for w, o in zip(words, places, strict=True)]
    needed = [f"{o.name} {o.value}" for o in options if o.field.is_required() and o not in places]
    return fill(" ".join(["usage: tomosoup", name, *words, *needed, "[options]"]), width(), subsequent_indent=" " * 7)


def by_section(options: Iterable[Option]) -> Iterator[tuple[str, list[Option]]]:
    """The options by the set that they belong to, with what it is about."""
    found: dict[str, list[Option]] = {}
    for option in options:
        prefix = option.name.removeprefix("--").rpartition(".")[0]
        about = option.section or (option.owner.__doc__ or "").partition(".")[0]
        title = about.rstrip(".") if len(option.path) > 1 else "Other options"
        found.setdefault(f"{title} (--{prefix}.*)" if prefix else title, []).append(option)
    yield from found.items()


def section(title: str, options: Sequence[Option], model: type[Options], values: Options) -> str:
    """A heading, and its options."""
    entries = [entry(", ".join(shown_names(o)), described(o, model, values), value=o.value) for o in options]
    return "\n".join([paragraph(f"{title}:"), *entries])


def shown_names(option: Option) -> list[str]:
    """What an option is called in help: a short name, and today's; with the one that turns it off, if it is on."""
    short = [alias for alias in option.typed.aliases if not alias.startswith("--")]
    return [*short, option.name]


def described(option: Option, model: type[Options], values: Options) -> str:
    """What an option does, and its default."""
    text = as_options(option.field.description or "", model)
    if option.choices and option.typed.value:
        text = f"{text.rstrip('.')}: {', '.join(option.choices)}."
    try:
        default = value_at(values, option.path)
    except (AttributeError, KeyError):
        default = option.field.get_default(call_default_factory=True)
    if option.field.is_required():
        return text
    if option.flag:
        return f"{text} (default; {option.off} turns it off)" if default else text
    shown = as_words(default)
    return f"{text} (default: {shown})" if shown else text


def as_words(value: Any) -> str:
    """A default as it would be typed; empty where there is none."""
    if value is None or (isinstance(value, tuple | dict) and not value):
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {as_words(inner)}" for name, inner in value.items())
    if isinstance(value, tuple):
        return " ".join(map(as_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
