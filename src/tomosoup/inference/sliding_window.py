"""Run one net over a whole tomogram: voxel size, grey values, windows, blending."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.aliases import contest_type
from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.runtime import best_device
from tomosoup.core.types import Slices, Volume
from tomosoup.data.tomogram import Tomogram
from tomosoup.data.volumes.normalisation import Standardised, standardised
from tomosoup.data.volumes.resampling import resampled, resampling_message
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.inference.engines.engine import Engine
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.engines.torch_engine import plain_engine
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.tiling.slabs import slab, whole
from tomosoup.inference.tiling.windows import Region, Ring, cut, cut_mirrored, fitted, layer, window_regions
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import tomogram_types
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.denoising.apply import already_denoised, denoise_volume
from tomosoup.simulation.denoising.options import STRENGTH
from tomosoup.simulation.denoising.weights import shipped_denoiser

SCALES = 20.0
"""Largest factor between the grey values of a tomogram and those that a checkpoint with fixed constants expects."""


def checked(volume: Slices) -> Slices:
    """The volume itself. Raises `InputError` unless it is `(z, y, x)`, with voxels and their size."""
    if isinstance(volume, Tensor | np.ndarray):
        raise InputError(
            f"Expected a Volume or a tomogram of a project, got {type(volume).__name__}: an array has no voxel size; "
            "give `Volume(array, voxel_size)`."
        )
    shape = tuple(volume.data.shape) if isinstance(volume, Volume) else volume.shape
    if len(shape) != 3 or 0 in shape:
        raise InputError(f"Expected a volume (z, y, x), got an array of shape {shape}.")
    return volume


def as_models_expect(
    source: Slices,
    models: Sequence[Checkpoint],
    *,
    nets: Nets,
    plan: PickingPlan = PickingPlan(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> Slices:
    """The source, denoised if the plan says so, at the voxel size of the models: `resampled` if it has another.

    The log of `nets` gets a line about each of both, and one about a tomogram type that a model was not trained on.
    Raises `InputError` if the models have different voxel sizes, or if the source differs so much that one of the two
    must be wrong.
    """
    trained = models[0].voxel_size
    for model in models:
        if not same_voxel_size(model.voxel_size, trained):
            raise InputError(
                f"The checkpoints were trained on voxels of {trained:.4g} Å and of {model.voxel_size:.4g} Å: pick with "
                "each alone."
            )
    tomo_type = source.tomo_type if isinstance(source, Tomogram) else ""
    if plan.denoise == "always" or (plan.denoise == "auto" and expect_denoised(models, tomo_type)):
        nets.log_once(already_denoised(tomo_type) or "The tomograms are denoised before they are picked.")
        volume = Volume(source.slices(0, source.shape[0]), source.voxel_size, source.origin)
        denoiser = replace(shipped_denoiser(), strength=STRENGTH)
        source = denoise_volume(
            denoiser, volume, device=best_device(nets.inference.device), progress=progress, log=nets.log_once
        )
    elif text := unlike_training(tomo_type, models):
        nets.log_once(text)
    if same_voxel_size(source.voxel_size, trained):
        return source
    nets.log_once(resampling_message(source.voxel_size, trained))
    return resampled(source, trained)


def expect_denoised(models: Iterable[Checkpoint], tomo_type: str) -> bool:
    """Whether a tomogram of this type is not denoised, and all models were trained on denoised ones alone."""
    known = {contest_type(name) for model in models for name in tomogram_types(model.history) or ("",)}
    return contest_type(tomo_type) in ("wbp", "ctfdeconvolved") and known == {"denoised"}


def unlike_training(tomo_type: str, models: Iterable[Checkpoint]) -> str:
    """What to tell the user of a tomogram type that a model was not trained on; empty where all were, or may have been.

    Types are compared by the contest's names. Another name says nothing.
    """
    given = contest_type(tomo_type)
    for model in models:
        known = sorted(filter(None, map(contest_type, tomogram_types(model.history))))
        if given and known and given not in known:
            return (
                f"The tomograms are of the type {tomo_type}, and a model was trained on {' and '.join(known)} "
                "tomograms alone: it may find few particles or none. Pick that type, denoise this one, or train on it."
            )
    return ""


def normalised(source: Slices, model: Checkpoint) -> Standardised:
    """The source with grey values on the scale of the model's training.

    Raises `InputError` if the model has fixed constants from tomograms on a very different scale, and for bad voxels.
    """
    constants = model.normalisation
    shown = standardised(source, mean=constants.mean, deviation=constants.deviation)
    if constants.deviation is not None and not 1 / SCALES < shown.spread / constants.deviation < SCALES:
        raise InputError(
            f"The standard deviation of the tomogram's grey values is {shown.spread:.3g} and the checkpoint expects "
            f"about {constants.deviation:.3g}: pick tomograms of the type that it was trained on, or train on these."
        )
    return shown


def heatmap_slabs(
    engine: Engine,
    source: Slices,
    *,
    plan: WindowPlan,
    where: Tensor | None = None,
    progress: Progress = no_progress,
) -> Iterator[Volume]:
    """Normalised source `(z, y, x)` of any size -> the map of an engine, slabs `(c, n, y, x)` along z.

    `plan` must be `fitted` to the source. Windows include the neighbouring slices that the engine expects. A slab is
    returned once no further window reaches it, so memory does not depend on the depth of the volume. The next slices
    are read while these are computed. A volume that is smaller than a window, or not a whole number of strides, is
    padded: with zeros, or mirrored if the plan keeps windows inside the volume. With `where` `(z, y, x)`, bool, windows
    without any voxel in it are left out; voxels that no window covers are NaN.
    """
    regions = window_regions(source.shape, plan)
    layers: dict[int, list[Region]] = {region[0].start: [] for region in regions}
    if where is not None:  # the first window shows how many channels there are
        regions = [region for i, region in enumerate(regions) if i == 0 or cut(where, region).any()]
    for region in regions:
        layers[region[0].start].append(region)
    ends = [*list(layers)[1:], source.shape[0]]
    depth, done = engine.window[0], 0
    halo = (depth - plan.shape[0]) // 2
    take = cut_mirrored if plan.border == "inside" else cut
    ring: Ring | None = None
    read = ahead(layer(source, start, depth=plan.shape[0], halo=halo) for start in layers)
    for slices, (start, here), following in zip(read, layers.items(), ends, strict=True):
        # The slices begin where this layer's windows do.
        windows = (take(slices, (slice(0, depth), *region[1:]))[None] for region in here)
        outputs = chain.from_iterable(engine.each(batches(windows, engine.batch_size)))
        for values, region in zip(outputs, here, strict=True):
            ring = ring or Ring(len(values), source.shape, plan)
            ring.add(values, region)
            done += 1
            progress("Predicting", done, len(regions))
        assert ring is not None  # the first layer has a window
        yield slab(ring.take(following), max(start, 0), of=source)


def batches(windows: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """Windows `(1, z, y, x)` -> batches `(b, 1, z, y, x)` of `size`, the last one perhaps smaller."""
    while batch := list(islice(windows, size)):
        yield torch.stack(batch)


def predict_heatmap(net: TomoNet, volume: Slices, *, plan: WindowPlan, progress: Progress = no_progress) -> Volume:
    """Normalised `(z, y, x)` volume of any size -> the net's map `(c, z, y, x)` on the same grid.

    The net runs unchanged, on its device. If the plan keeps windows inside the volume, larger windows are reduced to
    the volume's size, as far as the net allows.
    """
    plan = fitted(plan, volume.shape, multiple=net.multiple)
    return whole(heatmap_slabs(plain_engine(net, plan), volume, plan=plan, progress=progress), volume)


T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items; a thread computes each item while the caller uses the one before."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
