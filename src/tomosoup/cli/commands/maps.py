"""`tomosoup maps`: heatmaps of models, or label volumes of picks, that are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from tomosoup.cli.arguments.messages import as_options
from tomosoup.cli.options.maps import MapsCommand
from tomosoup.cli.tables import failures_table
from tomosoup.cli.terminal import Outcome, Stopped, progress_bars, say, show_error
from tomosoup.core.errors import InputError, counted
from tomosoup.core.progress import Progress, part
from tomosoup.core.types import Species, Volume
from tomosoup.data.copick.maps import LABELS, map_store
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.data.tomogram import Tomogram, chosen_runs, remarks_on, select_tomogram
from tomosoup.data.truth import read_truths
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import all_species
from tomosoup.inference.jobs.maps import heatmaps_of
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import load
from tomosoup.training.supervision.targets import label_targets

Make = Callable[[Tomogram, Progress], Volume]
"""A tomogram -> its maps `(c, z, y, x)`."""


def maps_command(options: MapsCommand) -> Outcome:
    """Write the maps of each run that has none."""
    project = open_project(options.project)
    runs = chosen_runs(project, options.data)
    store = map_store(project, options.output, options.name, omezarr=options.format == "ome-zarr")
    for text in remarks_on(project, options.data):
        say(text)
    names, make = _labels(project, options) if options.picks else _heatmaps(project, options)
    made: list[str] = []
    kept: list[str] = []
    failed: dict[str, str] = {}
    try:
        with progress_bars() as progress:
            for i, run in enumerate(runs):
                try:
                    tomogram = select_tomogram(project, run, options.data)
                    if store.has(tomogram, names) and not options.overwrite:
                        kept.append(run)
                        continue
                    store.write(tomogram, make(tomogram, part(progress, i, len(runs), what=f"Maps ({run})")), names)
                    made.append(run)
                except InputError as error:
                    failed[run] = as_options(str(error), MapsCommand)
    except KeyboardInterrupt:
        raise Stopped("Stopped; the same command makes the maps that are missing.") from None
    if failed:
        show_error(failures_table(failed, what="runs without maps"))
    place = str(options.output or options.project)
    before = f"; {counted(len(kept), 'run')} had them before" if kept else ""
    return Outcome(
        f"{place}: {', '.join(names)} of {counted(len(made), 'run')}{before}",
        files=[options.output] if options.output else [],
        facts={"made": made, "kept": kept, "maps": [*names], "failed": failed},
        failed=f"{len(failed)} of {counted(len(runs), 'run')} have no maps." if failed else "",
    )


def _heatmaps(project: Project, options: MapsCommand) -> tuple[Sequence[str], Make]:
    """The species of the models, and what makes their heatmaps."""
    models, nets = named_for(project, [load(path) for path in options.model]), Nets(options.inference, log=say)

    def make(tomogram: Tomogram, progress: Progress) -> Volume:
        return heatmaps_of(tomogram, models, plan=options.picking, nets=nets, progress=progress)

    return [one.name for one in all_species(models)], make


def _labels(project: Project, options: MapsCommand) -> tuple[Sequence[str], Make]:
    """One label volume, and what makes it."""
    species, values = labelled(project)
    data = AnnotatedData.of({**options.data.model_dump(), "truth": options.picks}, source="picks")
    picks = read_truths(project, data)
    say("Labels: " + ", ".join(f"{one.name} {value}" for one, value in zip(species, values[1:].tolist(), strict=True)))

    def make(tomogram: Tomogram, _: Progress) -> Volume:
        grid = Volume(torch.zeros(1).expand(*tomogram.shape), tomogram.voxel_size, tomogram.origin)
        numbers = label_targets(picks.get(tomogram.run, {}), species, grid)
        return Volume(values[numbers.data.long()], tomogram.voxel_size, tomogram.origin)

    return [LABELS], make


def labelled(project: Project) -> tuple[tuple[Species, ...], torch.Tensor]:
    """The species of a project, and the label of each behind that of the background, 0."""
    species = project.species
    labels = {one.name: number for number, one in enumerate(species, start=1)}
    if isinstance(project, CopickProject):
        labels |= {o.name: o.label for o in project.root.pickable_objects if o.label is not None}
    values = torch.tensor([0, *(labels[one.name] for one in species)])
    return species, values.to(torch.uint8 if int(values.max()) < 256 else torch.int16)
