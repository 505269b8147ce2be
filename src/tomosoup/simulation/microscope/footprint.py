"""One particle in a weighted back-projection without noise: the template of a matched filter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tomosoup.core.types import Array, Picks
from tomosoup.simulation.microscope.imaging import Field, expected_counts, frequencies, project
from tomosoup.simulation.microscope.reconstruction import Processing, filtered, image_weights, reconstruct
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options.recipe import SimulationRecipe


def seen_at(acquisition: Acquisition, zyx: Array) -> Acquisition:
    """The tilt series that images a particle in the centre as `acquisition` does one at `zyx` (Å from the centre).

    The particle's height along the beam changes the defocus. Errors of angle and rotation become shifts.
    """
    point = np.append(zyx, 1.0)
    true, aligned = (
        s.projection_matrices.double().numpy() @ point for s in (acquisition.true(), acquisition.aligned())
    )
    return replace(acquisition, defocus=acquisition.defocus - 1e-4 * true[:, 0], shift_errors=(true - aligned)[:, 1:3])


def footprint(
    density: Tensor,
    rotation: Array,
    offset: Array,
    *,
    recipe: SimulationRecipe,
    acquisition: Acquisition,
    processing: Processing,
    side: int,
) -> Tensor:
    """The weighted back-projection `(side, side, side)` of one particle, without noise.

    The scale is that of the contrast (counts over their mean, minus 1), before a tomogram is standardised.

    Args:
        density: the structure's map `(n, n, n)` in V, as `structure_maps` makes it.
        rotation: `(3, 3)`, acting on zyx column vectors.
        offset: Å (z, y, x) of the particle from the centre of the cube.
        recipe: its microscope, reconstruction and voxel size are used.
        acquisition: the tilt series, as `seen_at` gives it.
        processing: the run's filters.
        side: voxels.
    """
    shape, microscope, voxel_size = (side, side, side), recipe.microscope, recipe.voxel_size
    field = Field.of(shape, voxel_size, acquisition)
    picks = {"it": Picks(offset[None], np.ones(1), rotation[None])}
    phase = project({"it": density}, picks, acquisition, microscope, field=field)
    counts, empty = (
        expected_counts(p, acquisition, microscope, thickness=torch.tensor(0.0), pixel=voxel_size)
        for p in (phase, torch.zeros_like(phase))
    )
    waves = frequencies(field.shape, voxel_size)
    weights = image_weights(acquisition, microscope, recipe.reconstruction, processing, waves)
    return reconstruct(filtered(counts / empty - 1, weights), acquisition.aligned(), shape, ramp=processing.ramp)
