"""One net over a whole volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from tomosoup.acceleration import accelerate
from tomosoup.checkpoints import Checkpoint
from tomosoup.errors import InputError, first_line
from tomosoup.io.selection import VOXEL_SIZE_TOLERANCE
from tomosoup.labels import label_picks, labels_to_heatmap
from tomosoup.normalisation import Standardised, standardised
from tomosoup.peaks import PeakSearch, find_peaks
from tomosoup.recipes.hardware import InferenceRecipe
from tomosoup.recipes.picking import ZYX, LabelRecipe, PeakRecipe, WindowPlan
from tomosoup.types import Picks, Progress, Slices, Species, Volume, quiet
from tomosoup.windows import Ring, cut, cut_mirrored, fitted, window_regions

Runner = Callable[[Tensor], Tensor]
"""Windows `(b, 1, z, y, x)` -> the net's output `(b, c, z, y, x)`; both float32, on the CPU."""


def heatmap_slabs(
    net: nn.Module | Runner, source: Slices, *, plan: WindowPlan, batch_size: int = 4, progress: Progress = quiet
) -> Iterator[Volume]:
    """Normalised `(z, y, x)` source of any size -> its heatmap `(c, n, y, x)`, slab by slab along z.

    Blended from windows, each slab as soon as no further window reaches it: what is in memory does not depend on the
    volume's depth. The next slices are read while these are computed. A volume smaller than a window, or not a whole
    number of strides, is padded with zeros; where the plan keeps windows inside the volume, they are made as small as
    it is (and as the net allows).
    """
    plan = fitted(plan, source.shape, multiple=getattr(net, "multiple", (1, 1, 1)))
    regions = window_regions(source.shape, plan)
    layers = {start: list(layer) for start, layer in groupby(regions, key=lambda region: region[0].start)}
    depth, done = source.shape[0], 0
    run = on_its_device(net) if isinstance(net, nn.Module) else net
    take = cut_mirrored if plan.border == "inside" else cut
    ring: Ring | None = None
    read = ahead(source.slices(start, min(start + plan.shape[0], depth)) for start in layers)
    for slices, start, following in zip(read, layers, [*list(layers)[1:], depth], strict=True):
        for first in range(0, len(layers[start]), batch_size):
            group = layers[start][first : first + batch_size]
            output = run(
                torch.stack([take(slices, (slice(0, plan.shape[0]), *region[1:])) for region in group])[:, None]
            )
            ring = ring or Ring(output.shape[1], source.shape, plan)
            for values, region in zip(output, group, strict=True):
                ring.add(values, region)
            done += len(group)
            progress("Predicting", done, len(regions))
        assert ring is not None  # a layer has at least one window
        z, y, x = source.origin
        yield Volume(ring.take(following), source.voxel_size, (z + start * source.voxel_size, y, x))


def predict_heatmap(
    net: nn.Module | Runner, volume: Slices, *, plan: WindowPlan, batch_size: int = 4, progress: Progress = quiet
) -> Volume:
    """Normalised `(z, y, x)` volume of any size -> heatmap `(c, z, y, x)` on the same grid: all `heatmap_slabs`."""
    return whole(heatmap_slabs(net, volume, plan=plan, batch_size=batch_size, progress=progress), volume)


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


def search_peaks(slabs: Iterable[Volume], species: Sequence[Species], *, peaks: PeakRecipe) -> dict[str, Picks]:
    """`find_peaks` in a heatmap's slabs, in a thread: a slab is searched while the next is computed."""
    search = PeakSearch(species, peaks)
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(lambda: None)
        for slab in slabs:
            pending.result()
            pending = thread.submit(search.add, slab)
        pending.result()
    return search.finish()


def on_its_device(net: nn.Module) -> Runner:
    """The net as a function of windows on the CPU."""
    device = next(net.parameters()).device

    @torch.no_grad()
    def run(windows: Tensor) -> Tensor:
        output: Tensor = net(windows.to(device)).float().cpu()
        return output

    return run


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
    chances: Volume, species: Sequence[Species], *, labels: LabelRecipe, peaks: PeakRecipe
) -> dict[str, Picks]:
    """Probabilities `(c, z, y, x)` without the background -> picks by species, best first, in Å, by `labels.by`."""
    if labels.by == "peaks":
        return find_peaks(labels_to_heatmap(chances, species), species, peaks=peaks)
    return label_picks(chances, species, recipe=labels)


@dataclass(frozen=True)
class ReadyNet:
    """A checkpoint's net as a function of windows of one shape."""

    model: Checkpoint
    run: Runner
    windows: WindowPlan
    multiple: ZYX

    def fits(self, plan: WindowPlan, shape: Sequence[int]) -> bool:
        """Whether it is what volumes of `shape` (z, y, x) need by this plan."""
        return self.windows == fitted(plan, shape, multiple=self.multiple)


class Nets:
    """Checkpoints' nets made ready to run; the last one is kept, so an ensemble needs memory for one."""

    def __init__(self, inference: InferenceRecipe = InferenceRecipe()) -> None:  # noqa: B008 - immutable
        self.device = best_device(inference.device)
        self._last: ReadyNet | None = None

    def ready(self, model: Checkpoint, plan: WindowPlan, shape: Sequence[int]) -> tuple[Runner, WindowPlan]:
        """The model's net as a function of windows, and the plan fitted to volumes of `shape` `(z, y, x)`."""
        if not (self._last and self._last.model is model and self._last.fits(plan, shape)):
            self._last = None  # before the next is built
            net: Any = model.net()
            windows = fitted(plan, shape, multiple=net.multiple)
            run = on_its_device(accelerate(net, window=windows.shape).to(self.device))
            self._last = ReadyNet(model, run, windows, net.multiple)
        return self._last.run, self._last.windows


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


def check_voxel_size(voxel_size: float, checkpoint: Checkpoint, *, what: str = "The tomogram") -> None:
    """Raises `InputError` where tomogram and training disagree on the size of a voxel."""
    if abs(voxel_size - checkpoint.voxel_size) > VOXEL_SIZE_TOLERANCE * checkpoint.voxel_size:
        raise InputError(
            f"{what} has voxels of {voxel_size:g} Å and the checkpoint was trained at {checkpoint.voxel_size:g} Å: "
            "resample the tomogram, choose another --voxel-spacing, or correct a wrong header with --voxel-size."
        )


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
