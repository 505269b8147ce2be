"""Compares the built-in shapes with density maps of their structures.

    python -m runs.checks.built_in_shapes DATA

DATA holds maps_10A/. The maps have about the resolution of a Gaussian of 8 Å, so the built-in shapes are blurred as
much. The map of the capsid has 240 coats; the shape has 180, so the map's radii are multiplied by sqrt(180 / 240).
Printed are, of the map and of the shape: radius of gyration, standard deviations along the axes of inertia (Å), and the
percentage of the mass in shells of 10 Å about the centre.
"""

from pathlib import Path

import numpy as np
from scipy import ndimage

from runs.shared.command import run_script
from runs.shared.density_maps import MAP_SCALE, density_maps
from tomosoup.core.types import Array
from tomosoup.data.volumes.files import read_volume
from tomosoup.simulation.specimen.built_in import SHAPES, built_in
from tomosoup.simulation.specimen.density_maps import centred, from_map

VOXEL = 10.0
BLUR = 8.0
"""Å: with it a shell of ferritin's radii has the mass profile of ferritin's map."""


def measured(density: Array) -> tuple[float, Array, Array]:
    """Radius of gyration, axes of inertia, and fraction of the mass by shell of 10 Å, about the centre of mass."""
    weights = density.ravel() / density.sum()
    zyx = np.indices(density.shape).reshape(3, -1).T * VOXEL
    zyx -= weights @ zyx
    axes = np.sqrt(np.linalg.eigvalsh((zyx * weights[:, None]).T @ zyx))[::-1]
    shells = np.bincount(np.round(np.linalg.norm(zyx, axis=1) / VOXEL).astype(int), weights)
    return float(np.sqrt((axes**2).sum())), axes, shells


def main(data: Path) -> None:
    """Print the table."""
    for name, path in sorted(density_maps(data / "maps_10A").items()):
        of_map = from_map(read_volume(path), voxel_size=VOXEL, scale=MAP_SCALE.get(name, 1.0)).double().numpy()
        shape = np.pad(centred(built_in(name, voxel_size=VOXEL)).double().numpy(), 4)
        of_shape = ndimage.gaussian_filter(shape, BLUR / VOXEL)
        shells = []
        for what, density in (("map", of_map), ("shape", of_shape)):
            radius, axes, mass = measured(density)
            shells.append(np.pad(mass, (0, 100 - len(mass))))
            print(f"{name:20s} {what:6s} {radius:6.1f}  {axes.round(0)}  {(100 * mass[:19]).round().astype(int)}")
        elsewhere = 50 * np.abs(shells[0] - shells[1]).sum()
        print(f"{SHAPES[name].mass_kda:.0f} kDa; {elsewhere:.0f} % of the mass is in other shells")


if __name__ == "__main__":
    run_script(main, description=__doc__)
