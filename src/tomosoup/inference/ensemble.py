"""The weighted mean of the maps of models and views, slab by slab; one model and one view are a mean of one map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean

from tomosoup.core.errors import InputError, counted
from tomosoup.core.progress import Progress, no_progress, part
from tomosoup.core.types import Picks, Slices, Species, Volume
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.read_out import read_out
from tomosoup.inference.readout.watershed import labels_to_heatmap, probabilities
from tomosoup.inference.sliding_window import at_voxel_size, checked, heatmap_slabs, normalised
from tomosoup.inference.tiling.slabs import Member, mean_slabs, slab, whole
from tomosoup.inference.tiling.symmetries import View, Viewed, chosen_views
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
    """Raw `(z, y, x)` tomogram -> the mean map `(c, z, y, x)` of the models, channels as `all_species`.

    It is all `ensemble_slabs` in memory, for tomograms of any voxel size: they are resampled to the models', and the
    map is on the new grid. Raises `InputError` as `pick`.
    """
    nets = nets or Nets()
    systems = by_system(models, plan)
    source = at_voxel_size(checked(volume), models, log=nets.log_once)
    return whole(ensemble_slabs(source, systems, plan=plan, nets=nets, progress=progress), source)


def picks_of(heatmap: Volume, models: Sequence[Checkpoint], *, plan: PickingPlan) -> dict[str, Picks]:
    """Picks by species, best first, in Å, from what `ensemble_heatmap` made with these models."""
    segments = all(model.segments_voxels for model in models)
    return read_out([heatmap], heatmap, all_species(models), segments_voxels=segments, plan=plan)


@dataclass(frozen=True)
class System:
    """Models whose outputs can be averaged: all predict heatmaps, or all segment voxels."""

    models: Sequence[Checkpoint]
    weights: Sequence[float]

    @property
    def segments_voxels(self) -> bool:
        """Whether the models segment voxels."""
        return self.models[0].segments_voxels

    @property
    def species(self) -> tuple[Species, ...]:
        """The species of the models, in order of appearance."""
        return all_species(self.models)

    @property
    def channels(self) -> tuple[Species | None, ...]:
        """Those of the mean of the models' outputs: the background first where they segment voxels."""
        return tuple(dict.fromkeys(c for model in self.models for c in model.channels))


def by_system(models: Sequence[Checkpoint], plan: PickingPlan) -> list[System]:
    """The models that predict heatmaps, then those that segment voxels, where there are any, with the plan's weights.

    Raises `InputError` where models do not go together: their species or weights, or those of models that segment
    voxels differ in the order of species.
    """
    all_species(models)
    pairs = list(zip(models, model_weights(models, plan), strict=True))
    if len({m.species for m in models if m.segments_voxels}) > 1:
        raise InputError(
            "Models that segment voxels are averaged only over the same species in the same order: pick with them "
            "apart."
        )
    groups = ([p for p in pairs if p[0].segments_voxels is segments] for segments in (False, True))
    return [System([m for m, _ in group], [w for _, w in group]) for group in groups if group]


def ensemble_slabs(
    source: Slices, systems: Sequence[System], *, plan: PickingPlan, nets: Nets, progress: Progress = no_progress
) -> Iterator[Volume]:
    """The weighted mean of the models' maps of a raw `(z, y, x)` source, `(c, n, y, x)`, slab by slab.

    Channels are the species, in order of appearance. Nets that predict heatmaps may differ in net, window and order of
    species; a species that only some of them know is averaged over those. Nets that segment voxels have their logits
    averaged, and give probabilities (softmax, background left out). Where there are both, the probabilities become
    heatmaps (`labels_to_heatmap`), both are brought to one scale (their `calibrations`) and their mean is taken, in
    proportion to the models' weights; a system that hit nothing of a species when it was tuned has no say in it. One
    net and a few maps are in memory at a time. Raises `InputError` as `pick`.
    """
    if len(systems) == 1:
        return system_slabs(source, systems[0], plan=plan, nets=nets, progress=progress)
    scales = [calibrations(system.models) for system in systems]
    species = all_species([model for system in systems for model in system.models])
    votes = [sum(system.weights) for system in systems]
    weight = {s.name: sum(v for v, scale in zip(votes, scales, strict=True) if s.name in scale) for s in species}
    members, first, count = [], 0, sum(len(system.models) for system in systems)
    for system, scale, vote in zip(systems, scales, votes, strict=True):
        own = part(progress, first, count, size=len(system.models))
        slabs = system_slabs(source, system, plan=plan, nets=nets, progress=own)
        known = [(c, kind) for c, kind in enumerate(system.species) if kind.name in scale]
        channels = [(c, species.index(kind), vote / weight[kind.name]) for c, kind in known]
        members.append(Member(on_one_scale(slabs, source, system, scale), channels))
        first += len(system.models)
    return mean_slabs(members, source, channels=len(species))


def system_slabs(
    source: Slices, system: System, *, plan: PickingPlan, nets: Nets, progress: Progress = no_progress
) -> Iterator[Volume]:
    """The mean, over a system's models and the plan's views, of the nets' outputs: heatmaps, or probabilities."""
    views, channels = chosen_views(plan.views), system.channels
    pairs = list(zip(system.models, system.weights, strict=True))
    weight = {c: sum(w for model, w in pairs if c in model.channels) for c in channels}
    members: list[Member] = []
    for model, share in pairs:
        shown = normalised(source, model)
        to = [(i, channels.index(c), share / weight[c] / len(views)) for i, c in enumerate(model.channels)]
        for view in views:
            own = part(progress, len(members), len(pairs) * len(views))
            slabs = view_slabs(shown, model, view, plan=plan, nets=nets, progress=own)
            members.append(Member(slabs, to, in_order=view.keeps_order))
    mean = mean_slabs(members, source, channels=len(channels))
    return map(probabilities, mean) if system.segments_voxels else mean


def view_slabs(
    shown: Slices, model: Checkpoint, view: View, *, plan: PickingPlan, nets: Nets, progress: Progress
) -> Iterator[Volume]:
    """What a model's net makes of a normalised source as seen in a view: its raw output, turned back, slab by slab."""
    seen = Viewed(shown, view)
    engine, windows = nets.ready(model, plan.windows(model.windows), seen)
    first = 0
    for given in heatmap_slabs(engine, seen, plan=windows, progress=progress):
        following = first + given.shape[0]
        start, _ = view.slices(first, following, of=shown.shape[0])
        yield slab(view.undo(given.data), start, of=shown)
        first = following


def on_one_scale(
    slabs: Iterator[Volume], source: Slices, system: System, scale: Mapping[str, Calibration]
) -> Iterator[Volume]:
    """A system's slabs as heatmaps whose values are probabilities of a particle; without `scale` they stay."""
    if system.segments_voxels:
        slabs = iter([labels_to_heatmap(whole(slabs, source), system.species)])
    for given in slabs:
        for kind, values in zip(system.species, given.data, strict=True):
            if kind.name in scale:
                values.copy_(scale[kind.name].apply(values))
        yield given


def calibrations(models: Sequence[Checkpoint]) -> dict[str, Calibration]:
    """The calibration of a system's map by species: the (geometric) mean of its models'.

    Species of which the system hit nothing when it was tuned are left out. Raises `InputError` where a model was not
    tuned.
    """
    if not all(m.calibration for m in models):
        what = "segment voxels" if models[0].segments_voxels else "predict heatmaps"
        raise InputError(
            "Models that predict heatmaps are averaged with models that segment voxels on one scale; one of those "
            f"that {what} has none: run `tomosoup tune` on each of the two kinds alone first."
        )
    found = {}
    for name in (s.name for s in all_species(models)):
        if own := [m.calibration[name] for m in models if name in m.calibration]:
            found[name] = Calibration(*(geometric_mean([getattr(c, f) for c in own]) for f in ("centre", "steepness")))
    return found


def model_weights(models: Sequence[Checkpoint], plan: PickingPlan) -> Sequence[float]:
    """The weight of each model. Raises `InputError` where they are not one each."""
    weights = plan.model_weights or (1.0,) * len(models)
    if len(weights) != len(models):
        raise InputError(
            f"Expected one weight for each model (`model_weights`), got {counted(len(weights), 'weight')} for "
            f"{counted(len(models), 'model')}."
        )
    return weights


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

    Heatmap and segmentation models together have their own, from being tuned together.
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
            "The checkpoint has no thresholds for averaging: run `tomosoup tune` with `purpose=averaging`, "
            "or give `threshold`."
        )
    return _means([model.averaging_thresholds for model in models])


def mean_model_signal_levels(models: Sequence[Checkpoint]) -> dict[str, float]:
    """The mean signal level of each species over the checkpoints that have one for it.

    Empty where one of the checkpoints has none, and for heatmap and segmentation models together: their common scale is
    another.
    """
    own = [model.signal_levels for model in models]
    return {} if mixed(models) or not all(own) else _means(own)


def mixed(models: Sequence[Checkpoint]) -> bool:
    """Whether some predict heatmaps and some segment voxels."""
    return len({model.segments_voxels for model in models}) > 1


def _means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for some in values for name in some)
    return {n: fmean(some[n] for some in values if n in some) for n in names}
