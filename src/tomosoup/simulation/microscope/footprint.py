"""What one particle alone puts into a weighted back-projection: the template that a matched filter would want."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.types import Array, Picks
from tomosoup.simulation.microscope.imaging import Field, expected_counts, frequencies, project
from tomosoup.simulation.microscope.reconstruction import Processing, filtered, image_weights, reconstruct
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options import SimulationRecipe


def seen_at(acquisition: Acquisition, place: Array) -> Acquisition:
    """The tilt series as a particle at `place` (Å from the tomogram's middle, z, y, x) sees it, put into the middle.

    Its height along the beam goes into the defocus, and what errors of angle and rotation move it by into the shifts.
    """
    point = np.append(place, 1.0)
    true, aligned = (
        s.projection_matrices.double().numpy() @ point for s in (acquisition.true(), acquisition.aligned())
    )
    return replace(acquisition, defocus=acquisition.defocus - 1e-4 * true[:, 0], shift_errors=(true - aligned)[:, 1:3])


def footprint(
    density: Tensor,
    turn: Array,
    offset: Array,
    *,
    recipe: SimulationRecipe,
    acquisition: Acquisition,
    processing: Processing,
    side: int,
) -> Tensor:
    """The `wbp` of a particle alone, without noise: a cube of `side` voxels `(z, y, x)` about `offset` Å from it.

    `density` is a structure's map `(n, n, n)` in V, turned by `turn` `(3, 3)`, as `simulate` has them; of
    `recipe` the microscope, the reconstruction and the voxel size count. The scale is
    that of the contrast (counts over their mean, less 1), before a tomogram is standardised.
    """
    shape, microscope, voxel_size = (side, side, side), recipe.microscope, recipe.voxel_size
    field = Field.of(shape, voxel_size, acquisition)
    picks = {"it": Picks(offset[None], np.ones(1), turn[None])}
    phase = project({"it": density}, picks, acquisition, microscope, field=field)
    counts, empty = (
        expected_counts(p, acquisition, microscope, thickness=torch.tensor(0.0), pixel=voxel_size)
        for p in (phase, torch.zeros_like(phase))
    )
    waves = frequencies(field.shape, voxel_size)
    weights = image_weights(acquisition, microscope, recipe.reconstruction, processing, waves)
    return reconstruct(filtered(counts / empty - 1, weights), acquisition.aligned(), shape)
