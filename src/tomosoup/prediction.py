"""A net over a whole volume, and picks from the heatmap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from tomosoup.checkpoints import Checkpoint
from tomosoup.errors import InputError, first_line
from tomosoup.evaluation import apply_thresholds
from tomosoup.io.picks import PickStore
from tomosoup.io.project import Project
from tomosoup.io.selection import VOXEL_SIZE_TOLERANCE, chosen_runs, select_tomogram
from tomosoup.normalisation import standardise
from tomosoup.peaks import find_peaks
from tomosoup.recipes.data import DataRecipe
from tomosoup.recipes.picking import PickingPlan, WindowPlan
from tomosoup.types import Picks, Progress, Species, Volume, quiet
from tomosoup.windows import Blend, cut, window_regions


@torch.no_grad()
def predict_heatmap(
    net: nn.Module, volume: Volume, *, plan: WindowPlan, batch_size: int = 4, progress: Progress = quiet
) -> Volume:
    """Normalised `(z, y, x)` volume of any size -> heatmap `(c, z, y, x)` on the same grid, blended from windows.

    A volume smaller than a window, or not a whole number of strides, is padded with zeros.
    """
    device = next(net.parameters()).device
    regions = window_regions(volume.shape, plan)
    blend: Blend | None = None
    for first in range(0, len(regions), batch_size):
        group = regions[first : first + batch_size]
        windows = torch.stack([cut(volume.data, region) for region in group])[:, None]
        output: Tensor = net(windows.to(device)).float().cpu()
        if blend is None:
            blend = Blend(output.shape[1], volume.shape, plan)
        for values, region in zip(output, group, strict=True):
            blend.add(values, region)
        progress("Predicting", min(first + batch_size, len(regions)), len(regions))
    assert blend is not None  # a volume has at least one window
    return replace(volume, data=blend.mean())


AS_TRAINED = PickingPlan()
"""Every checkpoint's own windows; sub-voxel peaks."""


def pick(
    volume: Volume,
    checkpoints: Checkpoint | Sequence[Checkpoint],
    *,
    plan: PickingPlan = AS_TRAINED,
    device: str = "auto",
    progress: Progress = quiet,
) -> dict[str, Picks]:
    """Particles of a raw `(z, y, x)` tomogram, by species: everything above the plan's floor, best first, in Å.

    With several checkpoints it is the peaks of `ensemble_heatmap`.
    `evaluation.apply_thresholds(picks, checkpoint.thresholds)` leaves the ones to keep. Raises `InputError` for a
    volume that is not 3D, holds NaN or is constant, and for voxel sizes that disagree.
    """
    models = [checkpoints] if isinstance(checkpoints, Checkpoint) else list(checkpoints)
    heatmap = ensemble_heatmap(volume, models, plan=plan, device=device, progress=progress)
    return find_peaks(heatmap, all_species(models), peaks=plan.peaks)


def ensemble_heatmap(
    volume: Volume,
    models: Sequence[Checkpoint],
    *,
    plan: PickingPlan = AS_TRAINED,
    device: str = "auto",
    progress: Progress = quiet,
) -> Volume:
    """Raw `(z, y, x)` tomogram -> the weighted mean `(c, z, y, x)` of the models' heatmaps, channels as `all_species`.

    Models may differ in net, window and order of species; a species that only some of them know is averaged over
    those. One net and one heatmap besides the mean are in memory at a time. Raises `InputError` as `pick`.
    """
    if volume.data.ndim != 3 or 0 in volume.data.shape:
        raise InputError(f"Expected a volume (z, y, x), got an array of shape {tuple(volume.data.shape)}.")
    shares = plan.model_weights or (1.0,) * len(models)
    if len(shares) != len(models):
        raise InputError(
            f"There are {len(models)} models and {len(shares)} weights for them: give one each (--model-weights)."
        )
    for model in models:
        check_voxel_size(volume.voxel_size, model)
    species = all_species(models)
    weight = {s: sum(w for w, m in zip(shares, models, strict=True) if s in m.species) for s in species}
    total = torch.zeros(len(species), *volume.shape)
    for i, (share, model) in enumerate(zip(shares, models, strict=True)):
        net = model.net().to(best_device(device))

        def report(what: str, done: int, windows: int, i: int = i) -> None:
            progress(what, i * windows + done, len(models) * windows)

        shown = standardise(volume, mean=model.normalisation.mean, deviation=model.normalisation.deviation)
        heatmap = predict_heatmap(net, shown, plan=plan.windows(model.windows), progress=report)
        for s, values in zip(model.species, heatmap.data, strict=True):
            total[species.index(s)] += values * (share / weight[s])
    return replace(volume, data=total)


def check_voxel_size(voxel_size: float, checkpoint: Checkpoint, *, what: str = "The tomogram") -> None:
    """Raises `InputError` where tomogram and training disagree on the size of a voxel."""
    if abs(voxel_size - checkpoint.voxel_size) > VOXEL_SIZE_TOLERANCE * checkpoint.voxel_size:
        raise InputError(
            f"{what} has voxels of {voxel_size:g} Å and the checkpoint was trained at {checkpoint.voxel_size:g} Å: "
            "resample the tomogram, choose another --voxel-spacing, or correct a wrong header with --voxel-size."
        )


def all_species(models: Sequence[Checkpoint]) -> tuple[Species, ...]:
    """The species of all checkpoints, in order of appearance. Raises `InputError` where one name has two radii."""
    species = tuple(dict.fromkeys(s for model in models for s in model.species))
    names = [s.name for s in species]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError(
            f"The checkpoints disagree on the radius or weight of {', '.join(twice)}: pick with them one by one."
        )
    return species


def all_thresholds(models: Sequence[Checkpoint]) -> dict[str, float]:
    """The mean threshold of each species over the checkpoints that have one for it."""
    names = dict.fromkeys(name for model in models for name in model.thresholds)
    return {n: sum(v := [m.thresholds[n] for m in models if n in m.thresholds]) / len(v) for n in names}


def best_device(wanted: str) -> torch.device:
    """`auto` is CUDA where there is one, then Apple's GPU, then the CPU."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=(device := torch.device(wanted)))
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"There is no device {wanted!r} here ({first_line(error)}): leave --device out for the best there is."
        ) from error
    return device


def pick_project(
    project: Project,
    checkpoints: Sequence[Checkpoint],
    *,
    store: PickStore | None = None,
    data: DataRecipe = DataRecipe(),  # noqa: B008 - immutable
    thresholds: Mapping[str, float] | None = None,
    plan: PickingPlan = AS_TRAINED,
    device: str = "auto",
    progress: Progress = quiet,
) -> dict[str, dict[str, Picks]]:
    """Pick the chosen runs of a project one by one; with a `store`, a run's picks are written before the next begins.

    Returns, by run and species, the picks that pass `thresholds` (the checkpoints' own where None). Raises `InputError`
    before the first run where a run has no tomogram or a wrong voxel size, and at the run where its voxels are bad.
    """
    limits = all_thresholds(checkpoints) if thresholds is None else thresholds
    tomograms = [select_tomogram(project, run, data) for run in chosen_runs(project, data)]
    for tomogram in tomograms:
        for checkpoint in checkpoints:
            check_voxel_size(tomogram.voxel_size, checkpoint, what=f"Run {tomogram.run}")
    kept = {}
    for i, tomogram in enumerate(tomograms):

        def report(_: str, done: int, total: int, i: int = i, run: str = tomogram.run) -> None:
            progress(f"Picking {run}", i * total + done, len(tomograms) * total)

        try:
            candidates = pick(tomogram.read(), checkpoints, plan=plan, device=device, progress=report)
        except InputError as error:
            raise InputError(f"Run {tomogram.run}: {error}") from error
        kept[tomogram.run] = apply_thresholds(candidates, limits)
        if store:
            store.write(tomogram.run, candidates, kept[tomogram.run])
    return kept
