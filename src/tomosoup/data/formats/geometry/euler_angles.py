"""Rotations of picks as other programs' Euler angles.

A rotation acts on zyx column vectors and turns the reference map onto the particle. RELION's matrix of (rot, tilt, psi)
maps the particle's (the reference's) coordinates to the tomogram's (`ParticleSet::getMatrix4x4` in its
src/jaz/tomography/particle_set.cpp); it is Rz(-psi) Ry(-tilt) Rz(-rot) of right-handed rotations of xyz vectors
(src/jaz/math/Euler_angles_relion.h). Warp and M use the same. Dynamo turns the template clockwise by tdrot about z, by
tilt about the new x, by narot about the new z (wiki, "Euler angles convention"): Rz(-tdrot) Rx(-tilt) Rz(-narot). Both
agree with teamtomo's `eulerangles`, which the tests ask. Motive lists of AV3, TOM and STOPGAP: Rz(psi) Rx(the) Rz(phi)
turns the reference onto the particle (STOPGAP's sg_toolbox/sg_euler2matrix.m; src/subtomo/func/orient_subtomo.m turns
the particle back).
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array

Axes = Literal["ZYZ", "ZXZ"]
AXES: dict[str, Axes] = {"relion": "ZYZ", "dynamo": "ZXZ"}


def flipped(matrices: Array) -> Array:
    """Matrices `(n, 3, 3)` that act on zyx vectors -> the same on xyz vectors, and back."""
    return matrices[:, ::-1, ::-1]


def relion_angles(rotations: Array) -> Array:
    """Rotations `(n, 3, 3)` -> rot, tilt, psi in degrees `(n, 3)`; where they are not unique, psi (of ours, last) is 0.

    Raises `InputError` for matrices that are no rotations.
    """
    return _angles(np.swapaxes(flipped(rotations), 1, 2), "ZYZ")


def from_relion(angles: Array) -> Array:
    """Rot, tilt, psi in degrees `(n, 3)` -> rotations `(n, 3, 3)`."""
    return flipped(np.swapaxes(_matrices(angles, "ZYZ"), 1, 2))


def dynamo_angles(rotations: Array) -> Array:
    """Rotations `(n, 3, 3)` -> tdrot, tilt, narot in degrees `(n, 3)`. Raises `InputError` as `relion_angles`."""
    angles = -_angles(flipped(rotations), "ZXZ")
    turned = angles[:, 1] < 0  # tilt is to be 0 to 180
    angles[turned] = angles[turned] * [1, -1, 1] + [180, 0, 180]
    return np.where(angles > 180, angles - 360, angles)


def from_dynamo(angles: Array) -> Array:
    """Tdrot, tilt, narot in degrees `(n, 3)` -> rotations `(n, 3, 3)`."""
    return flipped(_matrices(-angles, "ZXZ"))


def motive_angles(rotations: Array) -> Array:
    """Rotations `(n, 3, 3)` -> phi, psi, the in degrees `(n, 3)`. Raises `InputError` as `relion_angles`."""
    return _angles(flipped(rotations), "ZXZ")[:, [2, 0, 1]]


def from_motive(angles: Array) -> Array:
    """Phi, psi, the in degrees `(n, 3)` -> rotations `(n, 3, 3)`."""
    return flipped(_matrices(angles[:, [1, 2, 0]], "ZXZ"))


def mean_rotations(matrices: Array) -> Array:
    """Rotations `(points, n, 3, 3)` -> `(n, 3, 3)`, each nearest to the mean of its points' matrices (Moakher 2002)."""
    u, _, vt = np.linalg.svd(matrices.mean(axis=0))
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[:, None]
    rotations: Array = u @ vt
    return rotations


def _angles(matrices: Array, axes: Axes) -> Array:
    if not len(matrices):
        return np.empty((0, 3))
    off = np.abs(matrices @ np.swapaxes(matrices, 1, 2) - np.eye(3)).max(axis=(1, 2))
    bad = (off > 1e-3) | (np.linalg.det(matrices) < 0)
    if bad.any():
        raise InputError(
            f"The orientation of pick {int(np.argmax(bad)) + 1} is not a rotation (it stretches or mirrors), and Euler "
            "angles cannot say that: correct its matrix, or export to copick."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gimbal lock: one of two angles is chosen to be 0, the rotation is right
        angles: Array = Rotation.from_matrix(matrices).as_euler(axes, degrees=True)
    return angles


def _matrices(angles: Array, axes: Axes) -> Array:
    if not len(angles):
        return np.empty((0, 3, 3))
    matrices: Array = Rotation.from_euler(axes, angles, degrees=True).as_matrix()
    return matrices
