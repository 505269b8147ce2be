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
from tomosoup.labels import label_picks, probabilities
from tomosoup.normalisation import standardise
from tomosoup.peaks import find_peaks
from tomosoup.recipes.data import DataRecipe
from tomosoup.recipes.picking import PickingPlan, WindowPlan
from tomosoup.types import Picks, Progress, Species, Volume, quiet
from tomosoup.views import VIEWS, View
from tomosoup.windows import Blend, cut, cut_mirrored, window_regions


@torch.no_grad()
def predict_heatmap(
    net: nn.Module, volume: Volume, *, plan: WindowPlan, batch_size: int = 4, progress: Progress = quiet
) -> Volume:
    """Normalised `(z, y, x)` volume of any size -> heatmap `(c, z, y, x)` on the same grid, blended from windows.

    A volume smaller than a window, or not a whole number of strides, is padded with zeros.
    """
    device = next(net.parameters()).device
    regions = window_regions(volume.shape, plan)
    take = cut_mirrored if plan.border == "inside" else cut
    blend: Blend | None = None
    for first in range(0, len(regions), batch_size):
        group = regions[first : first + batch_size]
        windows = torch.stack([take(volume.data, region) for region in group])[:, None]
        output: Tensor = net(windows.to(device)).float().cpu()
        if blend is None:
            blend = Blend(output.shape[1], volume.shape, plan)
        for values, region in zip(output, group, strict=True):
            blend.add(values, region)
        progress("Predicting", min(first + batch_size, len(regions)), len(regions))
    assert blend is not None  # a volume has at least one window
    return replace(volume, data=blend.mean())


SCALES = 20.0
"""Grey values may be so many times too strong or too weak for a checkpoint with constants of its own."""
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
    return read_picks(heatmap, models, plan=plan)


def read_picks(heatmap: Volume, models: Sequence[Checkpoint], *, plan: PickingPlan) -> dict[str, Picks]:
    """Picks by species, best first, in Å, from what `ensemble_heatmap` made with these models."""
    if models[0].labels:
        return label_picks(heatmap, all_species(models), recipe=plan.labels)
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

    Averaged are the plan's views, too. Models may differ in net, window and order of species; a species that only some
    of them know is averaged over those. Nets that label voxels have their logits averaged, and give probabilities
    (softmax, background left out); they are not mixed with others. One net and one heatmap besides the mean are in
    memory at a time. Raises `InputError` as `pick`.
    """
    if volume.data.ndim != 3 or 0 in volume.data.shape:
        raise InputError(f"Expected a volume (z, y, x), got an array of shape {tuple(volume.data.shape)}.")
    shares = model_shares(models, plan)
    views = chosen_views(plan.views)
    for model in models:
        check_voxel_size(volume.voxel_size, model)
    channels: list[Species | None] = [*[None][: models[0].labels], *all_species(models)]
    weight = {c: sum(w for w, m in zip(shares, models, strict=True) if c is None or c in m.species) for c in channels}
    total = torch.zeros(len(channels), *volume.shape)
    for i, (share, model) in enumerate(zip(shares, models, strict=True)):
        net = model.net().to(best_device(device))
        shown = as_shown(volume, model)
        own = [*[None][: model.labels], *model.species]
        for j, view in enumerate(views):
            step = i * len(views) + j

            def report(what: str, done: int, windows: int, step: int = step) -> None:
                progress(what, step * windows + done, len(models) * len(views) * windows)

            seen = replace(shown, data=view.apply(shown.data))
            output = predict_heatmap(net, seen, plan=plan.windows(model.windows), progress=report)
            for channel, values in zip(own, view.undo(output.data), strict=True):
                total[channels.index(channel)] += values * (share / weight[channel] / len(views))
        del net  # before the next is built
    blended = replace(volume, data=total)
    return probabilities(blended) if models[0].labels else blended


def as_shown(volume: Volume, model: Checkpoint) -> Volume:
    """The volume with its grey values as the model's net knows them.

    Raises `InputError` where the model brings constants of its own that belong to tomograms on quite another scale.
    """
    constants = model.normalisation
    shown = standardise(volume, mean=constants.mean, deviation=constants.deviation)
    spread = float(shown.data.std())
    if constants.deviation is not None and not 1 / SCALES < spread < SCALES:
        raise InputError(
            f"The tomogram's grey values deviate by {spread * constants.deviation:.3g} and the checkpoint expects "
            f"about {constants.deviation:.3g}: pick tomograms of the kind that it was trained on, or train on these."
        )
    return shown


def model_shares(models: Sequence[Checkpoint], plan: PickingPlan) -> Sequence[float]:
    """The weight of each model. Raises `InputError` where they are not one each, or models cannot be averaged."""
    if len({(m.labels, m.species if m.labels else None) for m in models}) > 1:
        raise InputError(
            "Models that label voxels are averaged with each other only, and only over the same species in the same "
            "order: pick with the others apart."
        )
    shares = plan.model_weights or (1.0,) * len(models)
    if len(shares) != len(models):
        raise InputError(
            f"There are {len(models)} models and {len(shares)} weights for them: give one each (--model-weights)."
        )
    return shares


def chosen_views(names: Sequence[str]) -> list[View]:
    """The volume as it is, then the views of these names, or of "all". Raises `InputError` for an unknown one."""
    if unknown := [name for name in names if name not in VIEWS and name != "all"]:
        raise InputError(f"There is no view {', '.join(unknown)}; expected all, or some of {', '.join(VIEWS)}.")
    wanted = VIEWS if "all" in names else ("identity", *names)
    return [VIEWS[name] for name in dict.fromkeys(wanted)]


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
