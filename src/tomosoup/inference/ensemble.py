"""Several nets, and several views of the volume, as one prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, geometric_mean

import torch

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import Picks, Slices, Species, Volume
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.readout.watershed import labels_to_heatmap, probabilities
from tomosoup.inference.sliding_window import as_shown, at_voxel_size, heatmap_slabs, read_labels, whole
from tomosoup.inference.tiling.symmetries import VIEWS, View, Viewed
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.scoring.calibration import Calibration

AS_TRAINED = PickingPlan()
"""Every checkpoint's own windows; sub-voxel peaks."""


def ensemble_heatmap(
    volume: Slices,
    models: Sequence[Checkpoint],
    *,
    plan: PickingPlan = AS_TRAINED,
    nets: Nets | None = None,
    progress: Progress = no_progress,
) -> Volume:
    """Raw `(z, y, x)` tomogram -> the weighted mean `(c, z, y, x)` of the models' maps, channels as `all_species`.

    Averaged are the plan's views, too. Nets that predict heatmaps may differ in net, window and order of species; a
    species that only some of them know is averaged over those. Nets that label voxels have their logits averaged, and
    give probabilities (softmax, background left out). Where there are both, the probabilities become heatmaps
    (`labels_to_heatmap`), both are brought to one scale (their `calibrations`) and their mean is taken, in shares of
    the models' weights; a system that hit nothing of a species when it was tuned has no say in it. One net and a few
    maps are in memory at a time. A tomogram of voxels of another size is resampled, and the map is on its new grid.
    Raises `InputError` as `picking.pick`.
    """
    nets = nets or Nets()
    check_volume(volume)
    systems = by_system(models, model_shares(models, plan))
    volume = at_voxel_size(volume, models, log=nets.log_once)
    if len(systems) == 1:
        return system_map(volume, *systems[0], plan=plan, nets=nets, progress=progress)
    scales = [calibrations(group) for group, _ in systems]
    species = all_species(models)
    votes = [(sum(shares), scale) for (_, shares), scale in zip(systems, scales, strict=True)]
    weight = {s.name: sum(share for share, scale in votes if s.name in scale) for s in species}
    total = torch.zeros(len(species), *volume.shape)
    first = 0
    for (group, shares), scale in zip(systems, scales, strict=True):

        def report(what: str, done: int, of: int, first: int = first, size: int = len(group)) -> None:
            progress(what, first * of + size * done, len(models) * of)

        mean = system_map(volume, group, shares, plan=plan, nets=nets, progress=report)
        if group[0].segments_voxels:
            mean = labels_to_heatmap(mean, all_species(group))
        for kind, values in zip(all_species(group), mean.data, strict=True):
            if calibration := scale.get(kind.name):
                total[species.index(kind)] += calibration.apply(values) * (sum(shares) / weight[kind.name])
        first += len(group)
    return Volume(total, volume.voxel_size, volume.origin)


def system_map(
    volume: Slices,
    models: Sequence[Checkpoint],
    shares: Sequence[float],
    *,
    plan: PickingPlan,
    nets: Nets | None = None,
    progress: Progress = no_progress,
) -> Volume:
    """What models of one system make of a volume: the weighted mean, over models and views, of the nets' outputs.

    That is heatmaps `(c, z, y, x)`, or probabilities from the mean of the logits, in the order of `all_species`: the
    one whole map in memory, to which the others are added slab by slab.
    """
    views, nets = chosen_views(plan.views), nets or Nets()
    if len(models) == len(views) == 1:  # no mean to take: the one map need not be in memory twice
        return whole(model_slabs(volume, models[0], plan=plan, nets=nets, progress=progress), volume)
    channels: list[Species | None] = [*[None][: models[0].segments_voxels], *all_species(models)]
    weight = {c: sum(w for w, m in zip(shares, models, strict=True) if c is None or c in m.species) for c in channels}
    total = torch.zeros(len(channels), *volume.shape)
    for i, (share, model) in enumerate(zip(shares, models, strict=True)):
        shown = as_shown(volume, model)
        own = [*[None][: model.segments_voxels], *model.species]
        for j, view in enumerate(views):
            step = i * len(views) + j

            def report(what: str, done: int, windows: int, step: int = step) -> None:
                progress(what, step * windows + done, len(models) * len(views) * windows)

            seen = Viewed(shown, view)
            first = 0
            for slab in net_slabs(seen, model, plan=plan, nets=nets, progress=report):
                following = first + slab.shape[0]
                start, stop = view.slices(first, following, of=volume.shape[0])
                for channel, values in zip(own, view.undo(slab.data), strict=True):
                    total[channels.index(channel), start:stop] += values * (share / weight[channel] / len(views))
                first = following
    mean = Volume(total, volume.voxel_size, volume.origin)
    return probabilities(mean) if models[0].segments_voxels else mean


def model_slabs(
    volume: Slices, model: Checkpoint, *, plan: PickingPlan, nets: Nets, progress: Progress = no_progress
) -> Iterator[Volume]:
    """What one model makes of a raw volume, slab by slab: heatmaps `(c, n, y, x)`, or probabilities."""
    slabs = net_slabs(as_shown(volume, model), model, plan=plan, nets=nets, progress=progress)
    return map(probabilities, slabs) if model.segments_voxels else slabs


def net_slabs(
    shown: Slices, model: Checkpoint, *, plan: PickingPlan, nets: Nets, progress: Progress = no_progress
) -> Iterator[Volume]:
    """What a model's net makes of a volume that is `as_shown`."""
    engine, windows = nets.ready(model, plan.windows(model.windows), shown)
    return heatmap_slabs(engine, shown, plan=windows, progress=progress)


def check_volume(volume: Slices) -> None:
    """Raises `InputError` unless it is `(z, y, x)`, with voxels."""
    shape = tuple(volume.data.shape) if isinstance(volume, Volume) else volume.shape
    if len(shape) != 3 or 0 in shape:
        raise InputError(f"Expected a volume (z, y, x), got an array of shape {shape}.")


def read_picks(heatmap: Volume, models: Sequence[Checkpoint], *, plan: PickingPlan) -> dict[str, Picks]:
    """Picks by species, best first, in Å, from what `ensemble_heatmap` made with these models."""
    species = all_species(models)
    if all(model.segments_voxels for model in models):
        return read_labels(heatmap, species, labels=plan.segmentation, peaks=plan.peaks)
    return find_peaks(heatmap, species, peaks=plan.peaks)


System = tuple[list[Checkpoint], list[float]]
"""Models that all predict heatmaps, or all label voxels, and their weights."""


def by_system(models: Sequence[Checkpoint], shares: Sequence[float]) -> list[System]:
    """The models that predict heatmaps, then those that label voxels, where there are any, each with their weights.

    Raises `InputError` where models that label voxels disagree on the species or their order.
    """
    pairs = list(zip(models, shares, strict=True))
    if len({m.species for m in models if m.segments_voxels}) > 1:
        raise InputError(
            "Models that label voxels are averaged only over the same species in the same order: pick with them apart."
        )
    groups = ([p for p in pairs if p[0].segments_voxels is labels] for labels in (False, True))
    return [([m for m, _ in group], [w for _, w in group]) for group in groups if group]


def calibrations(models: Sequence[Checkpoint]) -> dict[str, Calibration]:
    """The calibration of a system's map by species: the (geometric) mean of its models'.

    Species of which the system hit nothing when it was tuned are left out. Raises `InputError` where a model was not
    tuned.
    """
    if not all(m.calibration for m in models):
        what = "label voxels" if models[0].segments_voxels else "predict heatmaps"
        raise InputError(
            f"Models that predict heatmaps are averaged with models that label voxels on one scale; one of those that "
            f"{what} has none: run `tomosoup tune` on each of the two kinds alone first."
        )
    found = {}
    for name in (s.name for s in all_species(models)):
        if own := [m.calibration[name] for m in models if name in m.calibration]:
            found[name] = Calibration(*(geometric_mean([getattr(c, f) for c in own]) for f in ("centre", "steepness")))
    return found


def model_shares(models: Sequence[Checkpoint], plan: PickingPlan) -> Sequence[float]:
    """The weight of each model. Raises `InputError` where they are not one each."""
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
    """The mean threshold of each species over the checkpoints that have one for it.

    Models of both kinds together have their own, from being tuned together.
    """
    return _means([model.mixed_thresholds if mixed(models) else model.thresholds for model in models])


def averaging_thresholds(models: Sequence[Checkpoint]) -> dict[str, float]:
    """The mean F1-best threshold of each species over the checkpoints, for picks that are averaged.

    Raises `InputError` where a checkpoint has none for its species, and for models of both kinds together.
    """
    if mixed(models):
        raise InputError("Heatmap and segmentation models together have no thresholds for averaging: give `threshold`.")
    if any(set(model.averaging_thresholds) < {s.name for s in model.species} for model in models):
        raise InputError(
            "The checkpoint has no thresholds for averaging: set them with `tomosoup tune --for averaging`, or give "
            "`threshold`."
        )
    return _means([model.averaging_thresholds for model in models])


def mean_model_signal_levels(models: Sequence[Checkpoint]) -> dict[str, float]:
    """The mean signal level of each species over the checkpoints that have one for it.

    None where one of the checkpoints has none, and for models of both kinds together, whose common scale is another.
    """
    own = [model.signal_levels for model in models]
    return {} if mixed(models) or not all(own) else _means(own)


def mixed(models: Sequence[Checkpoint]) -> bool:
    """Whether some predict heatmaps and some label voxels."""
    return len({model.segments_voxels for model in models}) > 1


def _means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for some in values for name in some)
    return {n: fmean(some[n] for some in values if n in some) for n in names}
