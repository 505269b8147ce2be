"""The held-out run, scored: as it would be picked, or as the authors of a recipe did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import Any

import torch
from torch import Tensor

from tomosoup.core.config import ZYX
from tomosoup.core.progress import Progress, part
from tomosoup.core.types import PicksBySpecies, Species, Volume
from tomosoup.inference.engines.torch_engine import plain_engine
from tomosoup.inference.options.picking import PeakOptions
from tomosoup.inference.readout.centres import centres_to_heatmap
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.readout.read_out import segmentation_picks
from tomosoup.inference.readout.watershed import probabilities
from tomosoup.inference.sliding_window import batches, predict_heatmap
from tomosoup.inference.tiling.windows import Region, cut
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.window_plan import WindowPlan
from tomosoup.scoring.calibration import metadata_of
from tomosoup.scoring.signal_levels import measured_levels, searched_volume
from tomosoup.scoring.thresholds import best_thresholds, calibrate, steady_thresholds
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.supervision.crops import Example, half_overlapping, target_of
from tomosoup.training.supervision.losses import training_loss

STEPS = tuple(i / 20 for i in range(1, 20))
"""Thresholds that yu4u's validation tries: 0.05 to 0.95."""
FLOOR = 0.1
"""Lowest peak of yu4u's validation."""


@dataclass(frozen=True)
class Validated:
    """What a net makes of a held-out tomogram."""

    picks: PicksBySpecies
    loss: float
    dice: float | None = None
    """Mean over the species (`soup` alone)."""


def validate(
    net: TomoNet,
    held_out: Sequence[Example],
    species: Sequence[Species],
    recipe: TrainingRecipe,
    *,
    progress: Progress,
) -> dict[str, Any]:
    """Loss, F4 and thresholds of a net on the tomograms of the held-out run, by `recipe.validation`.

    `f4` is the weighted F4 at the best threshold of each species; `thresholds` are those for new runs.
    """
    found = [
        VALIDATIONS[recipe.validation](net, one, species, recipe, part(progress, i, len(held_out)))
        for i, one in enumerate(held_out)
    ]
    pairs = [(one.picks, example.truth) for one, example in zip(found, held_out, strict=True)]
    score = best_thresholds(pairs, species, among=STEPS if recipe.validation == "yu4u" else ())[1]
    dices = [one.dice for one in found if one.dice is not None]
    return {
        "f4": score.weighted,
        "loss": sum(one.loss for one in found) / len(found),
        "dice": sum(dices) / len(dices) if dices else None,
        "f4_by_species": {name: m.f_beta() for name, m in score.species.items()},
        "thresholds": steady_thresholds(pairs, species),
        "signal_levels": measured_levels(
            [(one.picks, searched_volume(example.volume)) for one, example in zip(found, held_out, strict=True)]
        ).record(),
        "pick_calibration": metadata_of(calibrate(pairs, species)),
    }


def as_picked(
    net: TomoNet, held_out: Example, species: Sequence[Species], recipe: TrainingRecipe, progress: Progress
) -> Validated:
    """The whole tomogram, predicted and picked by the recipe's windows and peaks; the loss of the blended output."""
    output = predict_heatmap(net, held_out.volume, plan=recipe.windows, progress=progress)
    loss = tile_loss(output, held_out, species, recipe, net.cell)
    if recipe.segments_voxels:
        picks = segmentation_picks(probabilities(output), species, segmentation=recipe.segmentation, peaks=recipe.peaks)
        return Validated(picks, loss)
    heatmap = centres_to_heatmap(output, cell=net.cell) if recipe.net.predicts == "centres" else output
    return Validated(find_peaks(heatmap, species, peaks=recipe.peaks), loss)


def tile_loss(
    output: Volume, example: Example, species: Sequence[Species], recipe: TrainingRecipe, cell: ZYX = (1, 1, 1)
) -> float:
    """The mean loss of a net's output `(c, z, y, x)` for an example, over tiles that cover it; `cell` is the net's.

    A tile is a crop, cut down to the output's size.
    """
    tile = [min(w, n) for w, n in zip(recipe.crop, output.shape, strict=True)]
    regions = half_overlapping(output.shape, tile, overlap=False)
    losses = []
    for region in regions:
        target = target_of(example, region, species, recipe)[None]
        losses.append(float(training_loss(cut(output.data, region)[None], target, recipe.loss, cell=cell)))
    return sum(losses) / len(losses)


def as_yu4u(
    net: TomoNet, held_out: Example, species: Sequence[Species], recipe: TrainingRecipe, progress: Progress
) -> Validated:
    """The 4th place's validation: peaks of `half_step_blend`, the maxima of cubes of 3 voxels, of at least 0.1."""
    heatmap, loss = half_step_blend(net, held_out, species, recipe, progress)
    peaks = PeakOptions(separation=heatmap.voxel_size, apart=0.0, floor=FLOOR, refine=False)
    return Validated(find_peaks(heatmap, species, peaks=peaks), loss)


def half_step_blend(
    net: TomoNet, held_out: Example, species: Sequence[Species], recipe: TrainingRecipe, progress: Progress
) -> tuple[Volume, float]:
    """The heatmap `(c, z, y, x)` of windows at half steps over the volume padded with zeros; their mean loss.

    Sums of weights below 1 are raised to 1, so the heatmap falls to 0 at the volume's first faces.
    """
    volume, window = held_out.volume, recipe.windows.shape
    regions = half_overlapping(volume.shape, window, border="zeros")
    weight = falling_to_zero(window)
    total = torch.zeros(len(species), *(r.stop for r in regions[-1]))
    weights, losses = torch.zeros(total.shape[1:]), []
    windows = (cut(volume.data, region) for region in regions)
    for i, (region, output) in enumerate(zip(regions, outputs(net, windows, window=window), strict=True)):
        total[:, region[0], region[1], region[2]] += output * weight
        weights[region] += weight
        losses.append(float(training_loss(output, target_of(held_out, region, species, recipe), recipe.loss)))
        progress("Predicting", i + 1, len(regions))
    return replace(volume, data=total / weights.clamp(min=1)), sum(losses) / len(losses)


def as_soup(
    net: TomoNet, held_out: Example, species: Sequence[Species], recipe: TrainingRecipe, progress: Progress
) -> Validated:
    """The 8th place's validation: loss and Dice of the plain output for cubes that cover the volume.

    Cubes are as large as crops, overlap as little as they can, and are standardised one by one. The picks, which their
    validation does not need, are those of `as_picked`.
    """
    picks = as_picked(net, held_out, species, recipe, part(progress, 0, 2)).picks
    regions = least_overlapping(held_out.volume.shape, recipe.crop)
    cubes = (standardised_cube(cut(held_out.volume.data, region)) for region in regions)
    losses, dices = [], []
    for i, (region, output) in enumerate(zip(regions, outputs(net, cubes, window=recipe.crop), strict=True)):
        labels = target_of(held_out, region, species, recipe)
        losses.append(float(training_loss(output[None], labels[None], recipe.loss)))
        dices.append(dice_by_class(output, labels))
        part(progress, 1, 2)("Predicting", i + 1, len(regions))
    dice = float(torch.stack(dices).nanmean(dim=0).nanmean())
    return Validated(picks, sum(losses) / len(losses), dice)


Validation = Callable[[TomoNet, Example, Sequence[Species], TrainingRecipe, Progress], Validated]
VALIDATIONS: Mapping[str, Validation] = {"picking": as_picked, "yu4u": as_yu4u, "soup": as_soup}
"""By `TrainingRecipe.validation`."""


def outputs(net: TomoNet, windows: Iterable[Tensor], *, window: Sequence[int]) -> Iterator[Tensor]:
    """The net's plain output `(c, z, y, x)` for each window `(z, y, x)`, all of the size `window`, in order."""
    engine = plain_engine(net, WindowPlan.of({"shape": window, "stride": window}, source="The windows"))
    return chain.from_iterable(engine.each(batches((w[None] for w in windows), engine.batch_size)))


def falling_to_zero(window: Sequence[int]) -> Tensor:
    """The weight of a window's voxels in yu4u's validation, `(z, y, x)`: 1 at its centre, 0 in its outermost voxels.

    In z it is multiplied by the smaller of the weights along y and x.
    """
    z, y, x = (torch.minimum(torch.arange(n), torch.arange(n).flip(0)).float() for n in window)
    weight = z[:, None, None] * torch.minimum(y[:, None], x)
    return weight / weight.max()


def least_overlapping(shape: Sequence[int], cube: Sequence[int]) -> list[Region]:
    """As few windows as cover a volume of `shape` (z, y, x), evenly spaced from one end to the other."""
    starts = [
        [i * (n - w) // max(1, count - 1) for i in range(count)]
        for n, w, count in ((n, w, max(1, -(-n // w))) for n, w in zip(shape, cube, strict=True))
    ]
    depth, height, width = cube
    return [(slice(z, z + depth), slice(y, y + height), slice(x, x + width)) for z, y, x in product(*starts)]


def standardised_cube(cube: Tensor) -> Tensor:
    """`(z, y, x)` -> the same with mean 0 and standard deviation 1; a constant cube is 0."""
    deviation = cube.std(correction=0)
    return (cube - cube.mean()) / (deviation if deviation > 0 else 1)


def dice_by_class(output: Tensor, labels: Tensor) -> Tensor:
    """Logits `(1 + c, z, y, x)` and labels `(1, z, y, x)` -> the Dice `(c,)` of each class but the background.

    2 |A ∩ B| / (|A| + |B|) of the voxels A where the class has the highest logit and B of the labels; NaN where the
    labels hold none of it (as MONAI's `DiceMetric`, the 8th place's).
    """
    classes = torch.arange(1, len(output))[:, None, None, None]
    predicted, true = output.argmax(dim=0, keepdim=True) == classes, labels == classes
    both, each = ((m).flatten(1).sum(dim=1).double() for m in (predicted & true, predicted.int() + true.int()))
    return torch.where(true.flatten(1).any(dim=1), 2 * both / each, torch.nan)
