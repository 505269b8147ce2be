"""The faces of a slab are found where the local variance begins and ends, and from picks."""

import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.core.types import Array, Volume
from tomosoup.inference.options.faces import Faces
from tomosoup.inference.region.slab import Slab, find_slab, slab_of_picks

SHAPE = (60, 128, 128)
WEDGE = [[18.0, 5, -4], [42, -2, 3]]
LENS = [[20.0, 0, 0, 5, 5, 0], [42, 0, 0, -5, -5, 0]]
TILTED = [[18.0, 5, -4], [42, 5, -4]]


def slab(terms: list[list[float]]) -> Slab:
    """A slab in voxels of 10 Å."""
    return Slab(SHAPE, 10.0, (5.0, 5.0, 5.0), np.array(terms))


def tomogram(terms: list[list[float]], *, matter: float = 1.0) -> Volume:
    """Noise everywhere, and more of it in the slab."""
    random = np.random.default_rng(1)
    noise, inside = (random.normal(size=SHAPE).astype(np.float32) for _ in range(2))
    return Volume(50 + noise + matter * inside * slab(terms).mask().numpy(), 10.0)


def apart(one: Slab, other: Slab) -> float:
    """Mean distance along z, in voxels, between the faces of two slabs."""
    y, x = np.indices(SHAPE[1:]).reshape(2, -1).astype(float)
    return float(np.abs(one.z_vox(y, x) - other.z_vox(y, x)).mean())


@pytest.mark.parametrize(
    ("terms", "faces"),
    [(TILTED, "parallel"), (WEDGE, "planes"), (LENS, "curved")],
    ids=["tilted", "a wedge", "a lens"],
)
def test_faces_are_found_to_a_voxel_or_two(terms: list[list[float]], faces: Faces) -> None:
    found = find_slab(tomogram(terms), faces=faces)
    assert apart(found, slab(terms)) < 2
    assert found.at_boundary == (False, False)
    assert found.thickness == pytest.approx(slab(terms).thickness, abs=20)


def test_a_face_outside_the_volume_is_said_to_be_at_its_boundary() -> None:
    found = find_slab(tomogram([[-5.0, 0, 0], [40, 0, 0]]))
    assert found.at_boundary == (True, False)
    assert found.centre == pytest.approx((0, 400), abs=20)
    assert found.mask()[0].all()


def test_a_tomogram_without_faces_is_refused() -> None:
    with pytest.raises(InputError, match="No two faces"):
        find_slab(tomogram(TILTED, matter=0.0))


def test_tilt_and_thickness_are_along_the_normal() -> None:
    rise = SHAPE[1] / 2 * np.tan(np.radians(30))
    one = slab([[10, rise, 0], [30, rise, 0]])
    assert one.tilt == pytest.approx(30)
    assert one.thickness == pytest.approx(200 * np.cos(np.radians(30)))


def picks_in(terms: list[list[float]]) -> Array:
    """Positions (Å) everywhere between the faces, and a few far away."""
    random = np.random.default_rng(0)
    y, x = random.uniform(0, SHAPE[1], (2, 500))
    low, high = slab(terms).z_vox(y, x)
    z = random.uniform(low, high)
    z[:3] = 58
    return slab(terms).to_angstrom(np.stack([z, y, x], axis=1))


def test_faces_of_picks_hold_them_and_a_margin() -> None:
    volume = tomogram(TILTED)
    assert apart(slab_of_picks(picks_in(TILTED), volume, margin=0), slab(TILTED)) < 2
    wider = slab_of_picks(picks_in(TILTED), volume, margin=100)
    assert wider.centre == pytest.approx((80, 520), abs=25)
    with pytest.raises(InputError, match="20 or more picks"):
        slab_of_picks(picks_in(TILTED)[:19], volume, margin=0)
