"""What real and simulated planes look like, as one table with the goals beside it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runs.checks.real_slices.measures import (
    MIDDLE,
    REACH,
    SPECK_QUANTILES,
    bands,
    greys,
    profiles,
    sectors,
    specks,
    type_correlations,
)
from runs.checks.real_slices.planes import SPECIES, Array, Plane, real_planes, simulated_planes
from runs.checks.real_slices.table import DARK, FACTORS, TRUSTED, Goals, band_misses, both, halo, profile_misses, row
from runs.checks.real_slices.volumes import AXES, real_cuts, real_types, simulated_cuts, simulated_types

DISTANCES = {"within 2.5 planes": (0.0, MIDDLE), "2.5 to 5 planes off": (MIDDLE, 5.0), "5 to 9 planes off": (5.0, 9.0)}


def compare_all(data: Path, project: Path, *, every: int) -> None:
    """Print everything, and how many goals are met."""
    goals, real, simulated = Goals(), real_planes(data), list(simulated_planes(project, every=every))
    for where, between in DISTANCES.items():
        print(f"\nparticles {where}: their number, mean profile and standard deviation; columns: radius in voxels")
        row("", range(REACH))
        compare_profiles(goals, *(profiles(planes, between=between) for planes in (real, simulated)), where=where)
    cuts = real_cuts(data), simulated_cuts(project)
    print("\npower of z-scored planes in 12 bands of frequency")
    compare_bands(goals, "full xy", "xy", *([plane.grey for plane in planes] for planes in (real, simulated)))
    for plane in AXES:
        compare_bands(goals, plane, plane, *(side[plane] for side in cuts))
    print("\npower by direction, in steps of 15 degrees from the second axis")
    for plane in AXES:
        both(plane, *(np.mean([sectors(cut) for cut in side[plane]], axis=0) for side in cuts))
    compare_greys(real, simulated)
    compare_types(real_types(data), simulated_types(project))
    goals.summary()


def compare_profiles(goals: Goals, real: dict[str, Array], simulated: dict[str, Array], *, where: str) -> None:
    """Mean profiles and their standard deviations by species."""
    for name in SPECIES:
        means = []
        for side, found in (("real", real[name]), ("simulated", simulated[name])):
            if len(found):
                means.append(np.nanmean(found, axis=0))
                row(f"{name:<20} {side:<9} {len(found):4d}", means[-1])
                row("  standard deviation", np.nanstd(found, axis=0))
        if len(means) == 2:
            dark, misses = np.flatnonzero(means[0] < DARK), profile_misses(*means)
            goals.count(f"dark radii {where}: within 25 %", misses, among=dark)
            ratio = np.where(means[0] < DARK, means[1] / means[0], np.nan)
            row(
                "  ratio",
                ratio,
                goals.count(f"profiles {where}: within 25 % at every dark radius", misses),
            )
            print("  halo: " + goals.count(f"profiles {where}: no halo that real ones lack", halo(*means)))


def compare_bands(goals: Goals, name: str, plane: str, real: Sequence[Array], simulated: Sequence[Array]) -> None:
    """Power by frequency."""
    means, factor = [np.mean([bands(cut) for cut in side], axis=0) for side in (real, simulated)], FACTORS[plane]
    misses = band_misses(*means, factor=factor)
    goal = f"bands 1 to {TRUSTED} of {name}: within {factor:g} x"
    both(name, *means, goals.count(goal, misses, among=range(1, TRUSTED + 1)))


def compare_greys(real: Sequence[Plane], simulated: Sequence[Plane]) -> None:
    """Grey values and dark specks."""
    print("\ngrey values: quantiles 1 5 10 25 50 75 90 95 99 %, skew")
    both("", greys(real), greys(simulated))
    print(f"\ndark specks away from particles; quantiles {' '.join(f'{100 * q:g}' for q in SPECK_QUANTILES)} %")
    sides = specks(real), specks(simulated)
    both("number per 100 x 100 voxels", *(np.array([side.number]) for side in sides))
    both("  by plane", *(side.by_plane for side in sides))
    both("size in voxels", *(side.sizes for side in sides))
    both("darkest grey value", *(side.greys for side in sides))


def compare_types(real: dict[str, Array], simulated: dict[str, Array]) -> None:
    """One plane in each tomogram type: power by frequency, and correlations."""
    print("\ntomogram types, a plane of 349 x 349 pixels: power in 12 bands of frequency, correlations")
    sides = {"real": real, "simulated": simulated}
    for name in real:
        for side, found in sides.items():
            if name in found:
                row(f"{name} {side}", bands(found[name]))
    correlations = {side: type_correlations(found) for side, found in sides.items()}
    for pair in correlations["real"]:
        for side, table in correlations.items():
            if pair in table:
                row(f"{' - '.join(pair)} {side}", [table[pair]])
