"""The weighted mean of the maps of all models and views, slab by slab. One model with one view is a mean of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tomosoup.core.errors import InputError, counted
from tomosoup.core.progress import Progress, no_progress, part
from tomosoup.core.types import Picks, Searched, Slices, Species, Volume
from tomosoup.data.volumes.normalisation import Standardised
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.centres import centres_to_heatmap
from tomosoup.inference.readout.read_out import read_out
from tomosoup.inference.readout.watershed import labels_to_heatmap, probabilities
from tomosoup.inference.sliding_window import as_models_expect, checked, heatmap_slabs, normalised
from tomosoup.inference.tiling.slabs import Member, mean_slabs, slab, whole
from tomosoup.inference.tiling.symmetries import View, Viewed, chosen_views
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.scoring.calibration import Calibration, mean_calibrations
from tomosoup.scoring.signal_levels import SignalLevels, mean_levels

AS_TRAINED = PickingPlan()
"""The windows of each checkpoint; positions between voxels."""


def ensemble_heatmap(
    volume: Slices,
    models: Sequence[Checkpoint],
    *,
    plan: PickingPlan = AS_TRAINED,
    nets: Nets | None = None,
    progress: Progress = no_progress,
) -> Volume:
    """Raw tomogram `(z, y, x)` -> the mean map `(c, z, y, x)` of the models, with the channels of `all_species`.

    The map is at the voxel size of the models, and in memory as a whole. Raises `InputError` like `pick`.
    """
    nets = nets or Nets()
    systems = by_system(models, plan)
    source = as_models_expect(checked(volume), models, nets=nets, plan=plan, progress=progress)
    return whole(ensemble_slabs(source, systems, plan=plan, nets=nets, progress=progress), source)


def picks_of(heatmap: Volume, models: Sequence[Checkpoint], *, plan: PickingPlan) -> dict[str, Picks]:
    """Picks by species, best first, in Å, from the map of `ensemble_heatmap` with these models."""
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
        """The channels of the mean output: for segmentation models the background first."""
        return tuple(dict.fromkeys(c for model in self.models for c in model.channels))


def by_system(models: Sequence[Checkpoint], plan: PickingPlan) -> list[System]:
    """The heatmap models, then the segmentation models, with the plan's weights. A group without models is left out.

    Raises `InputError` for models that cannot be combined: one species with two radii, a wrong number of weights, or
    segmentation models with another order of species.
    """
    all_species(models)
    pairs = list(zip(models, model_weights(models, plan), strict=True))
    if len({m.species for m in models if m.segments_voxels}) > 1:
        raise InputError("Segmentation models need the same species in the same order: pick with each alone.")
    groups = ([p for p in pairs if p[0].segments_voxels is segments] for segments in (False, True))
    return [System([m for m, _ in group], [w for _, w in group]) for group in groups if group]


def ensemble_slabs(
    source: Slices, systems: Sequence[System], *, plan: PickingPlan, nets: Nets, progress: Progress = no_progress
) -> Iterator[Volume]:
    """The weighted mean map of the models for a raw source `(z, y, x)`: slabs `(c, n, y, x)`.

    The channels are the species, in order of appearance. Heatmap models may differ in net, window and order of species;
    a species that only some models know is averaged over these. For segmentation models the logits are averaged, then
    converted to probabilities (softmax, without background). If both types are present, the probabilities become
    heatmaps (`labels_to_heatmap`), calibration brings both to one scale (`calibrations`), and they are averaged with
    the weights of the models; a type without a hit of a species in tuning does not count for that species. One net and
    a few maps are in memory at a time. The map of a `Searched` source is 0 far from that part. Raises like `pick`.
    """
    if len(systems) == 1:
        return system_slabs(source, systems[0], plan=plan, nets=nets, progress=progress)
    scales = [calibrations(system.models) for system in systems]
    species = all_species([model for system in systems for model in system.models])
    sums = [sum(system.weights) for system in systems]
    weight = {s.name: sum(w for w, scale in zip(sums, scales, strict=True) if s.name in scale) for s in species}
    members, first, count = [], 0, sum(len(system.models) for system in systems)
    for system, scale, total in zip(systems, scales, sums, strict=True):
        own = part(progress, first, count, size=len(system.models))
        slabs = system_slabs(source, system, plan=plan, nets=nets, progress=own)
        known = [(c, s) for c, s in enumerate(system.species) if s.name in scale]
        channels = [(c, species.index(s), total / weight[s.name]) for c, s in known]
        members.append(Member(on_one_scale(slabs, source, system, scale), channels))
        first += len(system.models)
    return mean_slabs(members, source, channels=len(species))


def system_slabs(
    source: Slices, system: System, *, plan: PickingPlan, nets: Nets, progress: Progress = no_progress
) -> Iterator[Volume]:
    """The mean output over the models of a system and the views of the plan: heatmaps, or probabilities."""
    views, channels = chosen_views(plan.views), system.channels
    pairs = list(zip(system.models, system.weights, strict=True))
    weight = {c: sum(w for model, w in pairs if c in model.channels) for c in channels}
    members: list[Member] = []
    for model, own_weight in pairs:
        shown = normalised(source, model)
        to = [(i, channels.index(c), own_weight / weight[c] / len(views)) for i, c in enumerate(model.channels)]
        for view in views:
            own = part(progress, len(members), len(pairs) * len(views))
            slabs = view_slabs(shown, model, view, plan=plan, nets=nets, progress=own)
            members.append(Member(slabs, to, in_order=view.keeps_order))
    mean = mean_slabs(members, source, channels=len(channels))
    values = map(probabilities, mean) if system.segments_voxels else mean
    return (replace(v, data=v.data.nan_to_num(0.0)) for v in values) if isinstance(source, Searched) else values


def view_slabs(
    shown: Standardised, model: Checkpoint, view: View, *, plan: PickingPlan, nets: Nets, progress: Progress
) -> Iterator[Volume]:
    """The raw output of a model for a view of a normalised source, transformed back, slab by slab.

    Predicted centres are read from the whole map and become heatmaps. Others are NaN where no window is predicted.
    """
    seen = Viewed(shown, view)
    engine, windows = nets.ready(model, plan.windows(model.windows), seen)
    centres = model.architecture.predicts == "centres"
    where = None if centres or shown.where is None else view.apply(shown.where)
    slabs = heatmap_slabs(engine, seen, plan=windows, where=where, progress=progress)
    if centres:  # before views are turned back, as displacements have directions
        slabs = iter([centres_to_heatmap(whole(slabs, seen), cell=model.cell)])
    first = 0
    for given in slabs:
        following = first + given.shape[0]
        start, _ = view.slices(first, following, of=shown.shape[0])
        yield slab(view.undo(given.data), start, of=shown)
        first = following


def on_one_scale(
    slabs: Iterator[Volume], source: Slices, system: System, scale: Mapping[str, Calibration]
) -> Iterator[Volume]:
    """The slabs of a system as heatmaps of calibrated probabilities; species without `scale` stay unchanged."""
    if system.segments_voxels:
        slabs = iter([labels_to_heatmap(whole(slabs, source), system.species)])
    for given in slabs:
        for s, values in zip(system.species, given.data, strict=True):
            if s.name in scale:
                values.copy_(scale[s.name].apply(values))
        yield given


def calibrations(models: Sequence[Checkpoint]) -> dict[str, Calibration]:
    """The calibration of a system by species: the geometric mean over its models.

    Species without a hit in tuning are left out. Raises `InputError` if a model was not tuned.
    """
    if not all(m.calibration for m in models):
        what = "segmentation" if models[0].segments_voxels else "heatmap"
        raise InputError(
            f"Heatmap and segmentation models can be averaged only after calibration, and a {what} model has none: run "
            "`tomosoup tune` on the heatmap models alone and on the segmentation models alone."
        )
    known = mean_calibrations([model.calibration for model in models])
    return {s.name: known[s.name] for s in all_species(models) if s.name in known}


def model_weights(models: Sequence[Checkpoint], plan: PickingPlan) -> Sequence[float]:
    """The weight of each model. Raises `InputError` for another number of weights."""
    weights = plan.model_weights or (1.0,) * len(models)
    if len(weights) != len(models):
        raise InputError(
            f"Expected one weight for each model (`model_weights`), got {counted(len(weights), 'weight')} for "
            f"{counted(len(models), 'model')}."
        )
    return weights


def all_species(models: Sequence[Checkpoint]) -> tuple[Species, ...]:
    """The species of all checkpoints, in order of appearance. Raises `InputError` if they differ for one name."""
    species = tuple(dict.fromkeys(s for model in models for s in model.species))
    names = [s.name for s in species]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise InputError(f"Checkpoints have different radii or weights for {', '.join(twice)}: pick with each alone.")
    return species


def all_thresholds(models: Sequence[Checkpoint]) -> dict[str, float]:
    """The mean threshold of each species over the checkpoints that have one for it.

    Heatmap and segmentation models together use the thresholds of their common tuning.
    """
    return _means([model.mixed_thresholds if mixed(models) else model.thresholds for model in models])


def averaging_thresholds(models: Sequence[Checkpoint]) -> dict[str, float]:
    """The mean threshold with the best F1 of each species over the checkpoints, for subtomogram averaging.

    Raises `InputError` if a checkpoint has none for its species, and for heatmap and segmentation models together.
    """
    if mixed(models):
        raise InputError("Heatmap and segmentation models together have no thresholds for averaging: give `threshold`.")
    if any(set(model.averaging_thresholds) < {s.name for s in model.species} for model in models):
        raise InputError(
            "The checkpoint has no thresholds for averaging: run `tomosoup tune` with `purpose=averaging`, "
            "or give `threshold`."
        )
    return _means([model.averaging_thresholds for model in models])


def mean_model_signal_levels(models: Sequence[Checkpoint]) -> SignalLevels:
    """The mean signal levels of each species over the checkpoints that have some for it.

    Empty if one of the checkpoints has none, and for heatmap and segmentation models together (another scale).
    """
    own = [model.signal_levels for model in models]
    return SignalLevels() if mixed(models) or not all(one.scores for one in own) else mean_levels(own)


def mixed(models: Sequence[Checkpoint]) -> bool:
    """Whether some predict heatmaps and some segment voxels."""
    return len({model.segments_voxels for model in models}) > 1


def _means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for some in values for name in some)
    return {n: fmean(some[n] for some in values if n in some) for n in names}
