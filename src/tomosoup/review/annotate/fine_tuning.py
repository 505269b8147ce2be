"""Train on confirmed boxes: what a user has not seen to is neither a particle nor background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import Array, PicksBySpecies, Species, Volume
from tomosoup.data.tomogram import Tomogram
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.data.volumes.resampling import resampled
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.review.annotate.boxes import Box
from tomosoup.scoring.signal_levels import SignalLevels
from tomosoup.training.options import Execution, TrainingRecipe
from tomosoup.training.run.folds import counts
from tomosoup.training.supervision.crops import Example, crop
from tomosoup.training.supervision.training_set import TrainingSet
from tomosoup.training.train import train_on

Confirmed = Mapping[Box, PicksBySpecies]
"""Boxes -> all particles in them (Å), and those known close beside them."""
EVERY = 4
"""One particle in so many is in a held-out box."""
BESIDE = 200.0
"""Å: particles no farther beside a box reach into it, in its tomogram and in the target."""


def fine_tune(
    start: Checkpoint,
    confirmed: Confirmed,
    tomograms: Mapping[str, Tomogram],
    species: tuple[Species, ...],
    *,
    folder: Path,
    recipe: TrainingRecipe | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> Checkpoint:
    """Fine-tune a checkpoint on confirmed boxes alone.

    Every crop lies in a box, where all that is not marked as a particle is background. Boxes with about a fourth of the
    particles of each species are held out, and every fourth box without particles. These boxes choose the best weights
    by their loss, as F4 says little on few particles; and the thresholds and the probabilities. Grey values are
    normalised by the whole tomogram, as they are when it is picked. Batch norms keep their statistics: those of crops
    in boxes differ from a tomogram's. The checkpoint holds no signal levels, so scores are not corrected for noise: the
    held-out boxes were chosen for their particles and are no sample of a tomogram.

    Args:
        start: The weights to start from.
        confirmed: The boxes and their particles; at least two of them hold some.
        tomograms: Those of the boxes' runs.
        species: What to pick afterwards.
        folder: Keeps the training's log and state.
        recipe: By default `finetune`. Crops are no larger than the boxes.
        execution: The device.
        progress: Called as work advances. An exception from it ends the training.

    Raises `InputError` where fewer than two boxes hold particles.
    """
    held_out = _held_out(confirmed, tomograms, species)
    recipe = (recipe or TrainingRecipe.read("finetune")).with_net(start.architecture)
    recipe = recipe.model_copy(update={"best_by": "loss", "freeze_norms": True})
    voxel_size = recipe.resample_to or start.voxel_size
    examples: dict[Box, Example] = {}
    for run in dict.fromkeys(box.run for box in confirmed):
        tomogram = tomograms[run]
        volume = _standardised(tomogram, voxel_size)
        for box in (box for box in confirmed if box.run == run):
            part = crop(volume, box.on(tomogram, volume))
            known = box.kept(confirmed[box], tomogram) if box in held_out else confirmed[box]
            examples[box] = Example(run, replace(part, data=part.data.clone()), known)
    choose = [examples.pop(box) for box in held_out]
    recipe = _with_crops_inside(recipe, start, [*examples.values()])
    trained = train_on(
        TrainingSet([*examples.values()], choose, species),
        recipe,
        folder=folder,
        start=start,
        execution=execution,
        progress=progress,
    )
    return replace(trained, signal_levels=SignalLevels())


def _held_out(confirmed: Confirmed, tomograms: Mapping[str, Tomogram], species: tuple[Species, ...]) -> list[Box]:
    """The boxes that choose weights and thresholds."""
    inside = {box: box.kept(picks, tomograms[box.run]) for box, picks in confirmed.items()}
    holding = sum(counts(picks, species) for picks in inside.values())
    if holding < 2:
        raise InputError(
            f"Particles are in {holding} of the confirmed boxes. Fine-tuning needs them in at least 2, because a box "
            "is held out to choose the thresholds: confirm another box with particles."
        )
    numbers = {box: np.array([len(picks.get(one.name, ())) for one in species]) for box, picks in inside.items()}
    chosen = _about_a_part(numbers)
    if not chosen:  # each species is in one box only
        chosen = [max(numbers, key=lambda box: (numbers[box].sum(), box))]
    return chosen + sorted(box for box, n in numbers.items() if not n.any())[EVERY - 1 :: EVERY]


def _about_a_part(numbers: Mapping[Box, Array]) -> list[Box]:
    """Boxes that hold about one in `EVERY` particles of each species, and never all of a species."""
    total = sum(numbers.values())
    left, chosen, missing = dict(numbers), list[Box](), total / EVERY
    while True:
        kept = sum(left.values())
        gains = {
            box: float((np.minimum(n, missing) / np.maximum(total, 1)).sum())
            for box, n in left.items()
            if n.any() and (kept - n)[n > 0].all()
        }
        best = max(gains, key=lambda box: (gains[box], box), default=None)
        if best is None or not gains[best]:
            return chosen
        chosen.append(best)
        missing = np.maximum(missing - left.pop(best), 0)


def _standardised(tomogram: Tomogram, voxel_size: float) -> Volume:
    """The whole tomogram `(z, y, x)` at a voxel size (Å), its grey values normalised."""
    same = same_voxel_size(tomogram.voxel_size, voxel_size)
    return standardise(tomogram.read() if same else resampled(tomogram, voxel_size))


def _with_crops_inside(recipe: TrainingRecipe, start: Checkpoint, examples: list[Example]) -> TrainingRecipe:
    """The recipe with crops that fit into all examples, as far as the net's strides allow."""
    held = [min(sizes) for sizes in zip(*(e.volume.shape for e in examples), strict=True)]
    shape = [min(c, max(m, n // m * m)) for c, n, m in zip(recipe.crop, held, start.net().multiple, strict=True)]
    return recipe.model_copy(update={"crop_shape": tuple(shape)})
