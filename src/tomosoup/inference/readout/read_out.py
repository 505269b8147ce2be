"""A map, slab by slab -> picks: peaks of heatmaps, or watershed of probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tomosoup.core.types import NO_PICKS, Picks, Slices, Species, Volume
from tomosoup.inference.options.picking import PeakOptions, PickingPlan, SegmentationOptions
from tomosoup.inference.readout.peaks import PeakSearch, find_peaks
from tomosoup.inference.readout.watershed import labels_to_heatmap, watershed_picks
from tomosoup.inference.tiling.slabs import whole


def read_out(
    slabs: Iterable[Volume], source: Slices, species: Sequence[Species], *, segments_voxels: bool, plan: PickingPlan
) -> dict[str, Picks]:
    """The picks of each species, best first, in Å, from slabs `(c, n, y, x)` of a map, one channel per species.

    Heatmaps are searched slab by slab. Probabilities (`segments_voxels`) are collected first, because a watershed needs
    the whole map. Species that the plan leaves out have no picks.
    """
    if segments_voxels:
        given = whole(slabs, source)
        return segmentation_picks(
            given, species, segmentation=plan.segmentation, peaks=plan.peaks, leave_out=plan.leave_out
        )
    found = search_peaks(slabs, species, peaks=plan.peaks)
    return {name: NO_PICKS if name in plan.leave_out else picks for name, picks in found.items()}


def search_peaks(slabs: Iterable[Volume], species: Sequence[Species], *, peaks: PeakOptions) -> dict[str, Picks]:
    """`find_peaks` in the slabs of a heatmap, in a thread: it searches a slab while the next one is computed."""
    search = PeakSearch(species, peaks)
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(lambda: None)
        for part in slabs:
            pending.result()
            pending = thread.submit(search.add, part)
        pending.result()
    return search.finish()


def segmentation_picks(
    probabilities: Volume,
    species: Sequence[Species],
    *,
    segmentation: SegmentationOptions,
    peaks: PeakOptions,
    leave_out: Sequence[str] = (),
) -> dict[str, Picks]:
    """Probabilities `(c, z, y, x)` without the background -> picks by species, by `segmentation.method`."""
    found = {}
    for channel, kind in enumerate(species):
        own = replace(probabilities, data=probabilities.data[channel : channel + 1])
        if kind.name in leave_out:
            found[kind.name] = NO_PICKS
        elif segmentation.method == "peaks":
            found |= find_peaks(labels_to_heatmap(own, [kind]), [kind], peaks=peaks)
        else:
            found |= watershed_picks(own, [kind], options=segmentation)
    return found
