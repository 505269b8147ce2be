"""Names that copick can keep: species, users and sessions are parts of the names of its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from copick.util.escape import sanitize_name

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.types import Species, check_name

RULE = 'leave out spaces, underscores and <>:"/\\|?*'


def copick_name(name: str) -> str:
    """The name that copick can keep in place of this one, with hyphens; the same where it can keep it.

    Empty where nothing is left of it.
    """
    try:
        return str(sanitize_name(name, suppress_warnings=True))
    except ValueError:
        return ""


def copick_names(names: Iterable[str]) -> dict[str, str]:
    """By name, the one that copick can keep. Raises `InputError` where two would be one."""
    kept = {name: copick_name(name) or name for name in names}
    if doubled := [name for name, own in kept.items() if list(kept.values()).count(own) > 1]:
        raise InputError(f"The species {' and '.join(doubled)} would both be {kept[doubled[0]]} in copick: rename one.")
    return kept


def valid_name(name: str, *, what: str) -> str:
    """`name`, if copick can keep it in a file name; else `InputError`, with the name to take."""
    kept = copick_name(name)
    if not name or kept != name:
        advice = f", for example {kept}" if kept else ""
        raise InputError(f"copick does not accept the {what.lower()} name {name[:100]!r}: {RULE}{advice}.", code="name")
    return check_name(name, what=f"a {what.lower()}")


def valid_run(name: str) -> str:
    """The name of a run, if copick finds picks in its folder; else `InputError`."""
    if set(name) & set("*?[]"):
        raise InputError(
            f"Run {name[:100]!r}: copick does not find files of a run with *, ?, [ or ] in its name: rename it.",
            code="name",
        )
    return check_name(name, what="a run")


def valid_species(species: Sequence[Species], *, where: str) -> tuple[Species, ...]:
    """The species, if copick can keep picks of all of them; else `InputError`. `where` is what lists them."""
    valid_names([s.name for s in species], where=where)
    return tuple(species)


def valid_names(names: Iterable[str], *, where: str) -> None:
    """Raises `InputError`, with the names to take, where copick cannot keep picks of species with these names."""
    bad = [name for name in names if copick_name(name) != name]
    if bad:
        instead = shortened([copick_name(name) or "another name" for name in bad])
        said = f"name{'s' if len(bad) > 1 else ''} {shortened([repr(name[:100]) for name in bad])}"
        raise InputError(
            f"{where}: copick does not accept the species {said}: {RULE}; write {instead}, also where picks name it.",
            code="name",
        )
