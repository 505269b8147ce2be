"""From atoms to the electrostatic potential of a particle in water."""

from __future__ import annotations

import gemmi
import numpy as np
import torch
from torch_calculate_electrostatic_potential import (
    GridConfig,
    calculate_scattering_potential_3d,
    get_peng_scattering_parameters,
)

from tomosoup.types import Array

WATER_VOLTS = 4.57
"""Mean potential of vitrified water of 0.94 g/cm³ (the scattering factors of Peng 1996)."""
FINE = 2.5
"""Å between samples of the potential before it is averaged into voxels."""


def potential(structure: gemmi.Structure, *, voxel_size: float) -> Array:
    """The electrostatic potential `(z, y, x)` of a model's first conformation, in V above that of water.

    Peng's (1996) elastic scattering factors by torch-calculate-electrostatic-potential; hydrogens that the file leaves
    out are counted with the atoms of their residue. Inside the molecule (gemmi's solvent mask) the potential of the
    water that it displaces is taken away. The sum over voxels does not depend on `voxel_size` (Å).
    """
    model = structure[0]
    zyx, numbers, weights = _atoms(model)
    fine = voxel_size / max(1, round(voxel_size / FINE))
    per_voxel = round(voxel_size / fine)
    low = zyx.min(axis=0) - 3 * voxel_size
    voxels = np.ceil((zyx.max(axis=0) - low) / voxel_size).astype(int) + 4
    # The library adds the part of an atom's cloud that lies within the radius: 5 Å hold all but a thousandth.
    grid = GridConfig(
        tuple((voxels * per_voxel).tolist()),
        (fine,) * 3,
        tuple(low.tolist()),
        sublattice_radius=max(5.0, 2 * fine),
        equal_length=False,
    )
    a, b = get_peng_scattering_parameters(torch.tensor(numbers))
    volts = calculate_scattering_potential_3d(
        torch.tensor(zyx, dtype=torch.float32),
        torch.full((len(zyx),), B_FACTOR),
        a * torch.tensor(weights, dtype=torch.float32)[:, None],
        b,
        grid,
    ).numpy()
    volts = volts - WATER_VOLTS * _displaced(model, low=low, shape=volts.shape, spacing=fine)
    z, y, x = voxels
    blocks: Array = volts.reshape(z, per_voxel, y, per_voxel, x, per_voxel).mean(axis=(1, 3, 5), dtype=np.float64)
    return blocks


B_FACTOR = 50.0
"""Å² for every atom: far sharper than any voxel, and files disagree about what they write."""


def _atoms(model: gemmi.Model) -> tuple[Array, Array, Array]:
    """Positions `(n, 3)` (z, y, x), atomic numbers, and occupancies times what the residue's lost hydrogens add."""
    places, numbers, weights = [], [], []
    for chain in model:
        for residue in chain:
            atoms = list(residue)
            extra = _lost_hydrogens(residue.name, atoms)
            for atom in atoms:
                places.append((atom.pos.z, atom.pos.y, atom.pos.x))
                numbers.append(atom.element.atomic_number)
                weights.append(atom.occ * extra)
    found = np.array(numbers)
    return np.array(places), np.where(found > 0, np.minimum(found, 98), 6), np.array(weights)


def _lost_hydrogens(residue: str, atoms: list[gemmi.Atom]) -> float:
    """The factor on a residue's scattering that makes up for hydrogens which its file does not list."""
    if any(atom.is_hydrogen() for atom in atoms):
        return 1.0
    hydrogens = gemmi.find_tabulated_residue(residue).hydrogen_count
    heavy = sum(_SCATTERING.get(atom.element.name, 2.5) * atom.occ for atom in atoms)
    return 1.0 + _SCATTERING["H"] * max(hydrogens, 0) / heavy if heavy else 1.0


_SCATTERING = {"H": 0.529, "C": 2.509, "N": 2.214, "O": 1.983, "P": 5.488, "S": 5.160}
"""Electron scattering factors at 0 in Å (Peng 1996)."""


def _displaced(model: gemmi.Model, *, low: Array, shape: tuple[int, ...], spacing: float) -> Array:
    """1 where the model keeps water away, 0 elsewhere, on the grid of the potential."""
    z, y, x = shape
    grid = gemmi.FloatGrid(x, y, z)
    grid.set_unit_cell(gemmi.UnitCell(x * spacing, y * spacing, z * spacing, 90, 90, 90))
    moved = model.clone()
    moved.transform_pos_and_adp(gemmi.Transform(gemmi.Mat33(), gemmi.Vec3(*(-low[::-1]))))
    masker = gemmi.SolventMasker(gemmi.AtomicRadiiSet.VanDerWaals)
    masker.put_mask_on_float_grid(grid, moved)
    outside: Array = np.asarray(grid.array, dtype=np.float64).transpose(2, 1, 0)
    return 1.0 - outside
