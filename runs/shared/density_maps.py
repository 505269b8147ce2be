"""The density maps that the simulations use: 10 Å a voxel, one MRC file for each PDB entry."""

from pathlib import Path

PDB_CODES = {
    "apo-ferritin": "8cpv",
    "beta-galactosidase": "6drv",
    "ribosome": "6qzp",
    "thyroglobulin": "7n4y",
    "virus-like-particle": "6n4v",
}
"""The map of beta-amylase (1fa2) holds one chain of four, so the simulations use the built-in shape."""
MAP_SCALE = {"virus-like-particle": 0.866}
"""Factors on the size of maps: the capsid of 6n4v has 240 coats, the contest's have 180, so sqrt(180 / 240)."""


def density_maps(folder: Path) -> dict[str, Path]:
    """The map of each species in a folder of density maps."""
    return {name: folder / f"{code}.mrc" for name, code in PDB_CODES.items()}
