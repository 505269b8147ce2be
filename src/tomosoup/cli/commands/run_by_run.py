"""Maps of runs, made one by one: those that are there are kept, and a run that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tomosoup.cli.arguments.messages import as_options
from tomosoup.cli.options.maps import MapsCommand
from tomosoup.cli.options.slab import SlabCommand
from tomosoup.cli.tables import failures_table
from tomosoup.cli.terminal import Stopped, progress_bars, say, show_error
from tomosoup.core.errors import InputError, shortened
from tomosoup.core.progress import Progress, part
from tomosoup.core.types import Volume
from tomosoup.data.copick.maps import MapStore
from tomosoup.data.project import Project
from tomosoup.data.tomogram import Tomogram, chosen_runs, select_tomogram
from tomosoup.data.truth import strange_runs

Make = Callable[[Tomogram, Progress], Volume]
"""A tomogram -> its maps `(c, z, y, x)`."""


@dataclass
class MadeMaps:
    """What became of the runs."""

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Those that had their maps before."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, in a sentence for users of the command."""

    def __len__(self) -> int:
        return len(self.made) + len(self.kept) + len(self.failed)


def say_left_out(project: Project, picks: str) -> None:
    """Name the runs of a table of picks that the project does not have."""
    if unknown := strange_runs(project, picks):
        say(f"{picks} also has picks of runs that {project.path} does not have: {shortened(unknown)}.")


def make_maps(
    options: MapsCommand | SlabCommand,
    project: Project,
    store: MapStore,
    names: Sequence[str],
    make: Make,
    *,
    what: str,
) -> MadeMaps:
    """Write the maps of each chosen run that has none, and show why runs failed; `what` is the plural of the maps."""
    runs, maps = chosen_runs(project, options.data), MadeMaps()
    try:
        with progress_bars() as progress:
            for i, run in enumerate(runs):
                try:
                    tomogram = select_tomogram(project, run, options.data)
                    if store.has(tomogram, names) and not options.overwrite:
                        maps.kept.append(run)
                        continue
                    own = part(progress, i, len(runs), what=f"Making {what} ({run})")
                    store.write(tomogram, make(tomogram, own), names)
                    maps.made.append(run)
                except InputError as error:
                    maps.failed[run] = as_options(str(error), type(options))
    except KeyboardInterrupt:
        raise Stopped(f"Stopped; the same command makes the {what} that are missing.") from None
    if maps.failed:
        show_error(failures_table(maps.failed, what=f"runs without {what}"))
    return maps
