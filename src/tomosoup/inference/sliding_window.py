"""One net over a whole volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, groupby, islice
from typing import TypeVar

import torch
from torch import Tensor, nn

from tomosoup.core.config import ZYX
from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.types import Picks, Slices, Species, Volume
from tomosoup.data.volumes.normalisation import Standardised, standardised
from tomosoup.data.volumes.resampling import about_resampling, resampled
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.inference.engines.engine import Engine
from tomosoup.inference.options.picking import PeakOptions, SegmentationOptions
from tomosoup.inference.readout.peaks import PeakSearch, find_peaks
from tomosoup.inference.readout.watershed import label_picks, labels_to_heatmap
from tomosoup.inference.tiling.windows import Ring, cut, cut_mirrored, fitted, layer, window_regions, with_neighbours
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.slice_encoder import show_neighbours
from tomosoup.models.window_plan import WindowPlan


def heatmap_slabs(
    net: nn.Module | Engine, source: Slices, *, plan: WindowPlan, progress: Progress = no_progress
) -> Iterator[Volume]:
    """Normalised `(z, y, x)` source of any size -> its heatmap `(c, n, y, x)`, slab by slab along z.

    Blended from windows, each slab as soon as no further window reaches it: what is in memory does not depend on the
    volume's depth. The next slices are read while these are computed. A volume smaller than a window, or not a whole
    number of strides, is padded with zeros; where the plan keeps windows inside the volume, they are made as small as
    it is (and as the net allows). For an engine the plan is `fitted` already; windows come with as many neighbours in z
    as it was prepared for.
    """
    if isinstance(net, nn.Module):
        plan = fitted(plan, source.shape, multiple=getattr(net, "multiple", (1, 1, 1)))
        beyond = show_neighbours(net, wanted=plan.neighbours)
        try:
            engine = net_as_it_is(net, with_neighbours(plan.shape, beyond))
            yield from heatmap_slabs(engine, source, plan=plan, progress=progress)
        finally:
            show_neighbours(net, wanted=False)
        return
    regions = window_regions(source.shape, plan)
    layers = {start: list(group) for start, group in groupby(regions, key=lambda region: region[0].start)}
    ends = [*list(layers)[1:], source.shape[0]]
    depth, done = net.window[0], 0
    beyond = (depth - plan.shape[0]) // 2
    take = cut_mirrored if plan.border == "inside" else cut
    ring: Ring | None = None
    read = ahead(layer(source, start, depth=plan.shape[0], beyond=beyond) for start in layers)
    for slices, (start, here), following in zip(read, layers.items(), ends, strict=True):
        # The slices begin where this layer's windows do.
        windows = (take(slices, (slice(0, depth), *region[1:]))[None] for region in here)
        outputs = chain.from_iterable(net.each(batches(windows, net.batch_size)))
        for values, region in zip(outputs, here, strict=True):
            ring = ring or Ring(len(values), source.shape, plan)
            ring.add(values, region)
            done += 1
            progress("Predicting", done, len(regions))
        assert ring is not None  # a layer has at least one window
        z, y, x = source.origin
        yield Volume(ring.take(following), source.voxel_size, (z + start * source.voxel_size, y, x))


def batches(windows: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """Windows `(1, z, y, x)` -> batches `(b, 1, z, y, x)` of `size`, the last one perhaps smaller."""
    while batch := list(islice(windows, size)):
        yield torch.stack(batch)


def predict_heatmap(
    net: nn.Module | Engine, volume: Slices, *, plan: WindowPlan, progress: Progress = no_progress
) -> Volume:
    """Normalised `(z, y, x)` volume of any size -> heatmap `(c, z, y, x)` on the same grid: all `heatmap_slabs`."""
    return whole(heatmap_slabs(net, volume, plan=plan, progress=progress), volume)


def whole(slabs: Iterable[Volume], like: Slices) -> Volume:
    """Slabs `(c, n, y, x)` in order -> the volume `(c, z, y, x)` that they are of, on the grid of `like`."""
    data = torch.empty(0)
    first = 0
    for slab in slabs:
        if first == 0:
            data = torch.empty(slab.data.shape[0], *like.shape)
        data[:, first : first + slab.shape[0]] = slab.data
        first += slab.shape[0]
    return Volume(data, like.voxel_size, like.origin)


def search_peaks(slabs: Iterable[Volume], species: Sequence[Species], *, peaks: PeakOptions) -> dict[str, Picks]:
    """`find_peaks` in a heatmap's slabs, in a thread: a slab is searched while the next is computed."""
    search = PeakSearch(species, peaks)
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(lambda: None)
        for slab in slabs:
            pending.result()
            pending = thread.submit(search.add, slab)
        pending.result()
    return search.finish()


def net_as_it_is(net: nn.Module, window: ZYX) -> Engine:
    """A net as an engine, without preparing it or moving it from its device."""
    device = next(net.parameters()).device

    @torch.no_grad()
    def run(windows: Tensor) -> Tensor:
        output: Tensor = net(windows.to(device)).float().cpu()
        return output

    return Engine(about=f"torch on {device}", window=window, batch_size=4, start=lambda windows: partial(run, windows))


T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made in a thread while the one before is in use."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, items, end)
            yield item  # type: ignore[misc]


def read_labels(
    chances: Volume, species: Sequence[Species], *, labels: SegmentationOptions, peaks: PeakOptions
) -> dict[str, Picks]:
    """Probabilities `(c, z, y, x)` without the background -> picks by species, best first, in Å, by `labels.method`."""
    if labels.method == "peaks":
        return find_peaks(labels_to_heatmap(chances, species), species, peaks=peaks)
    return label_picks(chances, species, recipe=labels)


SCALES = 20.0
"""Grey values may be so many times too strong or too weak for a checkpoint with constants of its own."""


def as_shown(source: Slices, model: Checkpoint) -> Standardised:
    """The source with its grey values as the model's net knows them.

    Raises `InputError` where the model brings constants of its own that belong to tomograms on quite another scale, or
    where the voxels are bad.
    """
    constants = model.normalisation
    shown = standardised(source, mean=constants.mean, deviation=constants.deviation)
    if constants.deviation is not None and not 1 / SCALES < shown.spread / constants.deviation < SCALES:
        raise InputError(
            f"The tomogram's grey values deviate by {shown.spread:.3g} and the checkpoint expects "
            f"about {constants.deviation:.3g}: pick tomograms of the kind that it was trained on, or train on these."
        )
    return shown


def at_voxel_size(source: Slices, models: Sequence[Checkpoint], *, log: Callable[[str], None]) -> Slices:
    """The source at the voxel size that the models were trained on: as it is where these agree, else `resampled`.

    `log` gets a line about it. Raises `InputError` where the models disagree on the size of a voxel, or where the
    source's is so far from theirs that one of the two must be wrong.
    """
    trained = models[0].voxel_size
    for model in models:
        if not same_voxel_size(model.voxel_size, trained):
            raise InputError(
                f"The checkpoints were trained on voxels of {trained:.4g} Å and of {model.voxel_size:.4g} Å: pick with "
                "them one by one."
            )
    if same_voxel_size(source.voxel_size, trained):
        return source
    log(about_resampling(source.voxel_size, trained))
    return resampled(source, trained)
