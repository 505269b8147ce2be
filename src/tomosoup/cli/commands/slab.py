"""`tomosoup slab`: the faces of lamellae and ice, found and written as masks."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np

from tomosoup.cli.commands.run_by_run import make_maps, say_left_out
from tomosoup.cli.options.slab import SlabCommand
from tomosoup.cli.tables import table
from tomosoup.cli.terminal import Outcome, say, shown
from tomosoup.core.errors import counted
from tomosoup.core.progress import Progress
from tomosoup.core.types import NO_PICKS, PicksBySpecies, Volume
from tomosoup.data.copick.maps import SLAB, map_store
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import Tomogram, remarks_on
from tomosoup.data.truth import read_truths
from tomosoup.inference.region.slab import Slab, find_slab, slab_of_picks


def slab_command(options: SlabCommand) -> Outcome:
    """Write the mask of each run that has none."""
    project = open_project(options.project)
    store = map_store(project, options.output, options.session)
    for text in remarks_on(project, options.data):
        say(text)
    picks: Mapping[str, PicksBySpecies] = {}
    if options.picks:
        data = AnnotatedData.of({**options.data.model_dump(), "truth": options.picks}, source="picks")
        picks = read_truths(project, data)
        say_left_out(project, options.picks)
    radii = {s.name: s.radius for s in project.species}
    slabs: dict[str, Slab] = {}

    def make(tomogram: Tomogram, progress: Progress) -> Volume:
        slabs[tomogram.run] = _slab(tomogram, options, picks.get(tomogram.run, {}), radii)
        progress("", 1, 1)
        return Volume(slabs[tomogram.run].mask()[None], tomogram.voxel_size, tomogram.origin)

    masks = make_maps(options, project, store, [SLAB], make, what="masks")
    found = {run: slabs[run] for run in masks.made}
    before = f"; {counted(len(masks.kept), 'run')} had one before" if masks.kept else ""
    named = f"{options.output}/{{run}}_{SLAB}.mrc" if options.output else f"{SLAB}:tomosoup/{options.session}"
    return Outcome(
        f"{options.output or options.project}: the slab of {counted(len(found), 'run')}{before}; pick inside with "
        f"`tomosoup pick --mask '{named}'`",
        files=[options.output] if options.output else [],
        facts={"slabs": {run: _facts(slab) for run, slab in found.items()}, "kept": masks.kept, "failed": masks.failed},
        tables=[_table(found)] if found else [],
        failed=f"{len(masks.failed)} of {counted(len(masks), 'run')} have no mask." if masks.failed else "",
    )


def _slab(tomogram: Tomogram, options: SlabCommand, picks: PicksBySpecies, radii: Mapping[str, float]) -> Slab:
    """The slab of a run, from its tomogram or from picks."""
    if not options.picks:
        return find_slab(tomogram, faces=options.faces)
    zyx = np.concatenate([NO_PICKS.zyx, *(found.zyx for found in picks.values())])
    margin = median([radii[name] for name, found in picks.items() for _ in range(len(found)) if name in radii] or [0.0])
    return slab_of_picks(zyx, tomogram, margin=margin)


def _facts(slab: Slab) -> dict[str, Any]:
    """A slab in JSON's types; lengths in Å."""
    low, high = slab.centre
    return {
        "thickness": round(slab.thickness, 1),
        "tilt": round(slab.tilt, 2),
        "lower": round(low, 1),
        "upper": round(high, 1),
        "at_boundary": list(slab.at_boundary),
    }


def _table(found: Mapping[str, Slab]) -> Any:
    """One row per run."""
    made = table("run", "thickness (Å)", "tilt (°)", "lower z (Å)", "upper z (Å)", title="Slabs, at the centre")
    for run, slab in found.items():
        low, high = (f"{z:.0f}{' (boundary)' * edge}" for z, edge in zip(slab.centre, slab.at_boundary, strict=True))
        least = "at least " * any(slab.at_boundary)
        made.add_row(shown(run), f"{least}{slab.thickness:.0f}", f"{slab.tilt:.1f}", low, high)
    return made
