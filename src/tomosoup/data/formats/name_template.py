"""Names as templates: `{run}_10.00Apx` makes another program's name of a run, and finds the run in such a name.

What programs add to a tilt series' name, for the volume: RELION 5 rec_ in front, Warp _10.00Apx and .tomostar, AreTomo
_Vol, IMOD _full_rec and _rec.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
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


@dataclass(frozen=True)
class RunNames:
    """What the project and the other program call a run: one template each."""

    project: Template
    program: Template
    given: bool
    """Whether the user gave them; if not, names are also found by what they have in common."""

    @classmethod
    def of(cls, text: str | None, *, usual: str) -> RunNames:
        """From `rec_{run}={run}`: left the project's name, right the program's. Without = the left is `{run}`.

        Without a text it is the program's `usual` name. Raises `InputError` for a side without the run in it.
        """
        left, equals, right = (text or usual).partition("=")
        templates = Template(left if equals else "{run}", "name"), Template(right if equals else left, "name")
        if not all(template.names("run") and not template.names("species") for template in templates):
            raise InputError(
                f"`name` {text}: expected {{run}} in it, on both sides of =, and no {{species}}. Left is the name in "
                "the project, right that in the other program: 'rec_{run}={run}'."
            )
        return cls(*templates, text is not None)

    def theirs(self, run: str) -> str:
        """The program's name of a run of the project. Raises `InputError` where its name does not fit."""
        found = self.project.match(run)
        if found is None:
            raise InputError(f"Run {run} does not fit {self.project.text}, the left side of `name`: correct it.")
        return self.program.fill(run=found["run"])

    def ours(self, name: str) -> str | None:
        """The project's name of a run of the program; None where the name does not fit."""
        found = self.program.match(name)
        return None if found is None else self.project.fill(run=found["run"])


ENDINGS = "mrc|mrcs|rec|map|st|ali|raw|hdf|em|tif|tiff|tomostar|star|xml|mod|cbox|coords|zarr|aln|gz|bz2"
ADDED = re.compile(rf"(\.({ENDINGS})|_\d+(\.\d+)?Apx|_Vol|_full|_rec|_bin\d+|_EVN|_ODD)$", re.IGNORECASE)


def core_name(name: str) -> str:
    """A run's name without folders, endings and what programs add: rec_TS_01_10.00Apx.mrc is TS_01."""
    core = re.split(r"[/\\]", name)[-1]
    while (shorter := ADDED.sub("", core.removeprefix("rec_"))) and shorter != core:
        core = shorter
    return core


def by_core_name(name: str, runs: Iterable[str]) -> str | None:
    """The run of the same core name; None where there is none. Raises `InputError` where there are several."""
    core = core_name(name)
    same = [run for run in runs if core_name(run) == core]
    if len(same) > 1:
        raise InputError(
            f"{name} could be {' or '.join(sorted(same)[:6])}: say which with `name='...{{run}}...={{run}}'`."
        )
    return same[0] if same else None


def numbers_of(names: Sequence[str]) -> dict[str, int] | None:
    """The number that each core name ends in; None where one has none, or two have the same.

    Numbers of more than seven digits do not count: motive lists hold them in single precision.
    """
    ends = [re.search(r"(?<![0-9])[0-9]{1,7}$", core_name(name)) for name in names]
    numbers = [int(end[0]) for end in ends if end]
    return dict(zip(names, numbers, strict=True)) if len({*numbers} - {0}) == len(names) else None


def run_numbers(names: Sequence[str]) -> dict[str, int]:
    """A number for each name: its own (`numbers_of`), or else their order, from 1."""
    return numbers_of(names) or {name: i for i, name in enumerate(names, start=1)}


def by_number(name: str, runs: Sequence[str]) -> str | None:
    """The run whose own number is `name`; None where it is no number, or not all runs have numbers of their own."""
    if not re.fullmatch("[0-9]{1,7}", name):
        return None
    return next((run for run, number in (numbers_of(runs) or {}).items() if number == int(name)), None)


def advice(names: Iterable[str], runs: Sequence[str]) -> str:
    """The `name` that fits names of a program and of a project with a core name in common; else how to give one."""
    for name in names:
        core = core_name(name)
        if core and (run := next((run for run in runs if core_name(run) == core), None)):
            left, right = (text.replace(core, "{run}", 1) for text in (run, re.split(r"[/\\]", name)[-1]))
            return f"`name='{left}={right}'`"
    return "`name='...{run}...={run}'`, the project's name left and the other program's right"


NUMBERED = ", or put the map of their numbers beside it (NAME.txt, a number and a tomogram a line)"
"""What else to do where tomograms are numbers."""


def paired(names: Sequence[str], runs: Sequence[str], called: RunNames, *, source: str) -> dict[str, str]:
    """The project's name of each of a program's names; one that no run fits keeps what its template makes of it.

    Where the user gave no template, a name is also that of the run with the same core name.

    Raises `InputError` for a name that does not fit, and where two names would be one run.
    """
    found: dict[str, str] = {}
    guessed = set()
    for name in names:
        fits = name if name in runs and not called.given else called.ours(name)
        if fits not in runs and not called.given and (same := by_core_name(name, runs) or by_number(name, runs)):
            fits = same
            guessed.add(name)
        if fits is None:
            raise InputError(
                f"{source} calls its run {name[:100]!r}, which does not fit {called.program.text}: give the names of "
                f"runs as `name`{NUMBERED if name.isdecimal() else ''}."
            )
        found[name] = fits
    for name in guessed:
        if doubled := [other for other in names if other != name and found[other] == found[name]]:
            raise InputError(
                f"{source} has the names {name} and {doubled[0]}, which both could be run {found[name]}: say which "
                "with `name`."
            )
    return found
