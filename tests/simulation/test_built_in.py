"""Built-in particles: mass, symmetry, place and size are what is said of them at every voxel size."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.simulation.specimen.built_in import SHAPES, VOLTS_PER_KDA, Ellipsoid, Shape, built_in, rendered, trimmed
from tomosoup.simulation.specimen.unlabelled import GOLD_VOLTS, bead, globule, membrane


def grid(n: int) -> np.ndarray:
    """Voxel indices `(n, n, n, 3)` from the centre."""
    return np.moveaxis(np.indices((n, n, n)), 0, -1) - n // 2


def test_the_contests_species_are_all_built_in() -> None:
    assert set(SHAPES) == {s.name for s in CONTEST_SPECIES}


@pytest.mark.parametrize("name", SHAPES)
def test_the_potential_of_all_voxels_is_that_of_the_mass_at_every_voxel_size(name: str) -> None:
    for voxel_size in (15.0, 25.0):
        total = built_in(name, voxel_size=voxel_size).sum() * voxel_size**3
        assert total == pytest.approx(SHAPES[name].mass_kda * VOLTS_PER_KDA)


@pytest.mark.parametrize("name", SHAPES)
def test_a_particle_stands_in_the_centre_of_an_odd_cube_with_an_empty_rim(name: str) -> None:
    density = built_in(name, voxel_size=15.0)
    n = len(density)
    assert density.shape == (n, n, n)
    assert n % 2 == 1
    assert (density >= 0).all()
    rim = np.abs(grid(n)).max(-1) == n // 2
    assert (density[rim] == 0).all()
    assert (density[np.abs(grid(n)).max(-1) == n // 2 - 1] > 0).any()


@pytest.mark.parametrize(("name", "fold"), [("thyroglobulin", 2), ("beta-amylase", 2), ("apo-ferritin", 4)])
def test_a_particle_turned_about_its_axis_is_itself(name: str, fold: int) -> None:
    density = built_in(name, voxel_size=12.0)
    turned = np.rot90(density, 4 // fold, axes=(1, 2))  # about z
    np.testing.assert_allclose(turned, density, atol=0.02 * density.max())


def test_a_ribosome_has_no_such_axis() -> None:
    density = built_in("ribosome", voxel_size=20.0)
    assert np.abs(np.rot90(density, 2, axes=(1, 2)) - density).max() > 0.5 * density.max()


@pytest.mark.parametrize("name", ["apo-ferritin", "virus-like-particle"])
def test_a_shell_is_empty_inside(name: str) -> None:
    density = built_in(name, voxel_size=10.0)
    distance = 10 * np.linalg.norm(grid(len(density)), axis=-1)
    solid = SHAPES[name].solids[0]
    inner = density[distance < solid.hollow * solid.axes[0] - 20]
    wall = density[np.abs(distance - (1 + solid.hollow) / 2 * solid.axes[0]) < 6]
    assert inner.max() == 0
    assert wall.min() > 0


def test_a_name_that_is_not_built_in_is_answered_with_those_that_are() -> None:
    with pytest.raises(InputError) as error:
        built_in("proteasome", voxel_size=10.0)
    assert all(name in str(error.value) for name in ("'proteasome'", *SHAPES))


def test_the_grain_is_the_seeds_and_the_same_each_time() -> None:
    shape = Shape(300.0, (Ellipsoid((40, 40, 40)),))
    one, again, other = (rendered(shape, voxel_size=10.0, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or np.abs(one - other).max() > 0.1 * one.max()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_axes_are_in_the_order_of_the_volume(axis: int) -> None:
    axes = [30.0, 30.0, 30.0]
    axes[axis] = 70.0
    density = rendered(Shape(300.0, (Ellipsoid(tuple(axes)),), roughness=0.0), voxel_size=5.0, seed=0)
    places = np.argwhere(density > 0)
    extent = 5.0 * (places.max(0) - places.min(0)) / 2
    np.testing.assert_allclose(extent, axes, atol=5)


def test_parts_stand_where_they_are_said_to() -> None:
    shape = Shape(300.0, (Ellipsoid((25, 25, 25), (10.0, -20.0, 40.0)),), roughness=0.0)
    density = rendered(shape, voxel_size=5.0, seed=0)
    places = grid(len(density))
    mean = (places * density[..., None]).sum((0, 1, 2)) / density.sum() * 5
    np.testing.assert_allclose(mean, [10.0, -20.0, 40.0], atol=3)


def test_copies_of_a_point_group_make_as_many_parts() -> None:
    centre = np.array([20.0, 30.0, 80.0])
    density = rendered(Shape(300.0, (Ellipsoid((15, 15, 15), tuple(centre)),), "D2", 0.0), voxel_size=10.0, seed=0)
    group = Rotation.create_group("D2").as_matrix()[:, ::-1, ::-1]
    for copy in group @ centre:
        at = np.round(copy / 10).astype(int) + len(density) // 2
        assert density[tuple(at)] > 0


@pytest.mark.parametrize("half", [0, 1, 3])
def test_trimming_leaves_one_empty_layer_about_a_cube_that_stays_centred(half: int) -> None:
    cube = np.zeros((11, 11, 11))
    cube[5, 5 + half, 5] = 1
    small = trimmed(cube)
    n = 2 * half + 3
    assert small.shape == (n, n, n)
    assert small[n // 2, n // 2 + half, n // 2] == 1
    np.testing.assert_array_equal(trimmed(small), small)


def test_proteins_of_no_kind_have_their_mass_and_differ() -> None:
    random = np.random.default_rng(0)
    some = [globule(mass, voxel_size=10.0, random=random) for mass in (50.0, 50.0, 400.0)]
    totals = [density.sum() * 1000 for density in some]
    np.testing.assert_allclose(totals, np.array([50.0, 50.0, 400.0]) * VOLTS_PER_KDA)
    assert some[0].shape != some[1].shape or not np.allclose(some[0], some[1])


@pytest.mark.parametrize("voxel_size", [5.0, 10.0])
def test_a_gold_bead_holds_the_gold_of_its_diameter(voxel_size: float) -> None:
    gold = bead(100.0, voxel_size=voxel_size)
    assert gold.sum() * voxel_size**3 == pytest.approx(GOLD_VOLTS * np.pi / 6 * 100.0**3)
    assert gold.max() == pytest.approx(GOLD_VOLTS, rel=0.05)


def test_a_small_vesicle_is_whole_and_a_large_one_a_cap_that_fits() -> None:
    small = membrane(100.0, largest=400.0, voxel_size=10.0)
    np.testing.assert_allclose(small, small[::-1], atol=1e-9)
    np.testing.assert_allclose(small, np.rot90(small, axes=(1, 2)), atol=1e-9)
    assert len(small) * 10 > 2 * 100
    cap = membrane(1000.0, largest=400.0, voxel_size=10.0)
    places = np.argwhere(cap != 0)
    assert (10 * (places.max(0) - places.min(0))[1:] <= 400).all()
    assert not np.allclose(cap, cap[::-1])


def test_a_membrane_has_dense_heads_about_light_tails() -> None:
    vesicle = membrane(200.0, largest=1000.0, voxel_size=4.0)
    c = len(vesicle) // 2
    profile = vesicle[c, c, c:]
    at = 4.0 * np.arange(len(profile))
    heads = [profile[np.abs(at - 200 - side * 19) < 4].max() for side in (-1, 1)]
    assert min(heads) > 1.0
    assert profile[np.abs(at - 200) < 4].min() < 0
    assert (profile[at < 200 - 40] == 0).all()
