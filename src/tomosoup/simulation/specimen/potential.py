"""From atoms to the electrostatic potential of a particle in water."""

from __future__ import annotations

import gemmi
import numpy as np
import torch
from torch_calculate_electrostatic_potential import (
    PENG_SCATTERING_TO_POTENTIAL,
    GridConfig,
    calculate_scattering_potential_3d,
    get_peng_scattering_parameters,
)

from tomosoup.core.types import Array

WATER_VOLTS = 4.57
"""Mean potential of vitrified water of 0.94 g/cm³ (the scattering factors of Peng 1996)."""
VOLUME, NUCLEIC_VOLUME = 1.21, 0.95
"""Å³ of water that a Da of protein, or of RNA and DNA, displaces (partial specific volumes of 0.73 and 0.57 cm³/g)."""
FINE = 2.5
"""Å between samples of the potential, at most, before it is averaged into voxels."""
B_FACTOR = 50.0
"""Å² for every atom: far sharper than any voxel, and files disagree about what they write."""
HEAVIEST = 98
"""The last atomic number that there are scattering factors for."""


def potential(structure: gemmi.Structure, *, voxel_size: float) -> Array:
    """The electrostatic potential `(z, y, x)` of a model's first conformation, in V above that of water.

    Peng's (1996) elastic scattering factors by torch-calculate-electrostatic-potential. Hydrogens that the file leaves
    out are added to the atoms of their residue, and the potential of the water that a residue displaces is subtracted.
    The sum over voxels does not depend on `voxel_size` (Å).
    """
    zyx, numbers, weights = _atoms(structure[0])
    per_voxel = int(np.ceil(voxel_size / FINE - 1e-6))
    low = zyx.min(axis=0) - 2 * voxel_size
    voxels = np.ceil((zyx.max(axis=0) - low) / voxel_size).astype(int) + 2
    grid = GridConfig(
        tuple((voxels * per_voxel).tolist()),
        (voxel_size / per_voxel,) * 3,
        sublattice_radius=2 * FINE,  # 5 Å hold all but a thousandth of an atom's cloud
        equal_length=False,
    )
    a, b = get_peng_scattering_parameters(torch.from_numpy(numbers))
    volts = calculate_scattering_potential_3d(
        torch.tensor(zyx - low, dtype=torch.float32),
        torch.full((len(zyx),), B_FACTOR),
        a * torch.tensor(weights, dtype=torch.float32)[:, None],
        b,
        grid,
    )
    z, y, x = voxels
    blocks = volts.numpy().reshape(z, per_voxel, y, per_voxel, x, per_voxel)
    averaged: Array = blocks.mean(axis=(1, 3, 5), dtype=np.float64)
    return averaged


def _atoms(model: gemmi.Model) -> tuple[Array, np.ndarray, Array]:
    """Positions `(n, 3)` (z, y, x), atomic numbers, and what each atom's scattering is multiplied by."""
    positions, numbers, weights = [], [], []
    for chain in model:
        for residue in chain:
            factor = _above_water(residue)
            for atom in residue:
                positions.append((atom.pos.z, atom.pos.y, atom.pos.x))
                numbers.append(_number(atom))
                weights.append(atom.occ * factor)
    return np.array(positions), np.array(numbers), np.array(weights)


def _number(atom: gemmi.Atom) -> int:
    """The atomic number; carbon's where the file does not say or there are no scattering factors."""
    number: int = atom.element.atomic_number
    return number if 0 < number <= HEAVIEST else 6


def _above_water(residue: gemmi.Residue) -> float:
    """The factor on a residue's atoms that adds hydrogens missing in the file and subtracts the displaced water."""
    known = gemmi.find_tabulated_residue(residue.name)
    listed = any(atom.is_hydrogen() for atom in residue)
    there = sum(atom.occ for atom in residue) / len({atom.name for atom in residue})
    # The table counts the free molecule; the bonds to its neighbours in a chain take the hydrogens of one water.
    bound = 2 if known.is_amino_acid() or known.is_nucleic_acid() else 0
    lost = 0.0 if listed else there * max(known.hydrogen_count - bound, 0)
    scattering = sum(SCATTERING[_number(atom)] * atom.occ for atom in residue)
    if scattering == 0:
        return 0.0
    mass = sum(atom.element.weight * atom.occ for atom in residue) + lost * gemmi.Element("H").weight
    volume = mass * (NUCLEIC_VOLUME if known.is_nucleic_acid() else VOLUME)
    whole = scattering + lost * SCATTERING[1]
    return float((whole - WATER_VOLTS * volume / PENG_SCATTERING_TO_POTENTIAL) / scattering)


SCATTERING = {
    number: float(a.sum())
    for number, a in enumerate(get_peng_scattering_parameters(torch.arange(1, HEAVIEST + 1))[0], start=1)
}
"""Electron scattering factor at 0 in Å, by atomic number (Peng 1996)."""
