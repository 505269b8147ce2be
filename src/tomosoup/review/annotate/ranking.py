"""Where to look next: the boxes, and the runs, whose picks a user would have to correct most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import NO_PICKS, Array, Grid, Picks, PicksBySpecies, Slices, Species
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import AS_TRAINED, view_slabs
from tomosoup.inference.readout.noise_scaling import noise_corrected
from tomosoup.inference.readout.read_out import read_out
from tomosoup.inference.readout.watershed import probabilities
from tomosoup.inference.sliding_window import as_models_expect, checked, normalised
from tomosoup.inference.tiling.symmetries import IN_PLANE
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.review.annotate.boxes import Box
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.scoring.merging import merged_positions
from tomosoup.scoring.signal_levels import searched_volume

Order = Literal["random", "corrections"]
"""How boxes are suggested: in random order, or those with the most expected corrections first."""


@dataclass(frozen=True)
class Suggestion:
    """A box to annotate."""

    box: Box
    corrections: float
    """How many picks are expected to be wrong or missing in it."""


def view_picks(
    tomogram: Slices, model: Checkpoint, view: str, *, nets: Nets, progress: Progress = no_progress
) -> dict[str, Picks]:
    """All candidates of a model in one view (`IN_PLANE`) of a raw tomogram `(z, y, x)`, by species, in Å.

    Those of the view "identity" are the candidates of `pick`.
    """
    source = as_models_expect(checked(tomogram), [model], nets=nets, progress=progress)
    shown = normalised(source, model)
    slabs = view_slabs(shown, model, IN_PLANE[view], plan=AS_TRAINED, nets=nets, progress=progress)
    maps = map(probabilities, slabs) if model.segments_voxels else slabs
    picks = read_out(maps, source, model.species, segments_voxels=model.segments_voxels, plan=AS_TRAINED)
    return noise_corrected(
        picks, model.signal_levels, volume=searched_volume(source), power=AS_TRAINED.noise_correction
    )


def with_probabilities(
    members: Sequence[PicksBySpecies], model: Checkpoint, species: Sequence[Species]
) -> dict[str, Picks]:
    """The candidates of several members (views, or models) as one set, whose scores are probabilities.

    A member says that a candidate is a particle with the probability that belongs to its score. Where the `model` has
    no probabilities for the species, it says 1 above the threshold and 0 below. A member without the candidate says 0.
    The mean over the members counts: it is near one half where a probability is, and where members disagree.
    """
    merged = {}
    for s in species:
        parts = [found.get(s.name, NO_PICKS) for found in members]
        if (calibration := model.pick_calibration.get(s.name)) is not None:
            said = [calibration.probabilities(part.score) for part in parts]
        else:
            said = [(part.score >= model.thresholds.get(s.name, np.inf)).astype(float) for part in parts]
        distance = MATCH_RADII * s.radius
        merged[s.name] = merged_positions([part.zyx for part in parts], said, distance=distance).picks
    return merged


def expected_corrections(probability: Array) -> Array:
    """`(n,)` probabilities -> that of being wrong with a pick from one half on, and with none below: at most 0.5."""
    return np.minimum(probability, 1 - probability)


def ranked(
    candidates: Mapping[str, PicksBySpecies], boxes: Iterable[Box], grids: Mapping[str, Grid]
) -> list[Suggestion]:
    """The boxes with the most expected corrections first.

    Args:
        candidates: By run and species, with probabilities as scores (`with_probabilities`).
        boxes: Those to choose from.
        grids: The tomograms of their runs.
    """
    found = [
        Suggestion(
            box,
            sum(
                float(expected_corrections(p.score).sum())
                for p in box.kept(candidates.get(box.run, {}), grids[box.run]).values()
            ),
        )
        for box in boxes
    ]
    return sorted(found, key=lambda one: (-one.corrections, _off_centre(one.box, grids[one.box.run]), one.box))


def shuffled(suggestions: Iterable[Suggestion], boxes: Sequence[Box]) -> list[Suggestion]:
    """Suggestions in a random order. It is the same at each call: `boxes` are all boxes of a session."""
    place = dict(zip(boxes, np.random.default_rng(0).permutation(len(boxes)), strict=True))
    return sorted(suggestions, key=lambda one: place[one.box])


def _off_centre(box: Box, grid: Grid) -> float:
    """How far (in voxels) a box is from the centre of its tomogram: of equals, the central one is suggested."""
    return float(np.linalg.norm(box.centre_vox - np.array(grid.shape) / 2))


def ranked_runs(suggestions: Iterable[Suggestion]) -> dict[str, float]:
    """The expected corrections of each run, over its suggested boxes; the run with the most first."""
    total: dict[str, float] = {}
    for one in suggestions:
        total[one.box.run] = total.get(one.box.run, 0.0) + one.corrections
    return dict(sorted(total.items(), key=lambda item: -item[1]))
