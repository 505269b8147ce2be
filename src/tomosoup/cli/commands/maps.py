"""`tomosoup maps`: heatmaps of models, or label volumes of picks, that are kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tomosoup.cli.commands.run_by_run import Make, make_maps, say_left_out
from tomosoup.cli.options.maps import MapsCommand
from tomosoup.cli.terminal import Outcome, say
from tomosoup.core.errors import counted
from tomosoup.core.progress import Progress
from tomosoup.core.types import Species, Volume
from tomosoup.data.copick.maps import LABELS, map_store
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.data.tomogram import Tomogram, remarks_on
from tomosoup.data.truth import read_truths
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import all_species
from tomosoup.inference.jobs.maps import heatmaps_of
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import load
from tomosoup.training.supervision.targets import label_targets


def maps_command(options: MapsCommand) -> Outcome:
    """Write the maps of each run that has none."""
    project = open_project(options.project)
    store = map_store(project, options.output, options.name, omezarr=options.format == "ome-zarr")
    for text in remarks_on(project, options.data):
        say(text)
    names, make = _labels(project, options) if options.picks else _heatmaps(project, options)
    maps = make_maps(options, project, store, names, make, what="maps")
    place = str(options.output or options.project)
    before = f"; {counted(len(maps.kept), 'run')} had them before" if maps.kept else ""
    return Outcome(
        f"{place}: {', '.join(names)} of {counted(len(maps.made), 'run')}{before}",
        files=[options.output] if options.output else [],
        facts={"made": maps.made, "kept": maps.kept, "maps": [*names], "failed": maps.failed},
        failed=f"{len(maps.failed)} of {counted(len(maps), 'run')} have no maps." if maps.failed else "",
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
    say_left_out(project, str(options.picks))
    say("Labels: " + ", ".join(f"{one.name} {value}" for one, value in zip(species, values[1:].tolist(), strict=True)))

    def make(tomogram: Tomogram, _: Progress) -> Volume:
        grid = Volume(torch.zeros(1).expand(*tomogram.shape), tomogram.voxel_size, tomogram.origin)
        found = picks.get(tomogram.run, {})
        if outside := sum(int((~tomogram.grid.inside(those.zyx)).sum()) for those in found.values()):
            say(f"{counted(outside, 'pick')} of run {tomogram.run} outside of its tomogram: check --voxel-size.")
        numbers = label_targets(found, species, grid)
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
