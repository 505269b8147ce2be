from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from density import blobs
from scipy import ndimage
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.types import Volume
from tomosoup.data.volumes.files import read_volume
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.built_in import PROTEIN_VOLUME, SHAPES, VOLTS_PER_KDA, built_in, trimmed
from tomosoup.simulation.specimen.density_maps import UNITS_PER_KDA, centred, from_map, support, support_radius
from tomosoup.simulation.specimen.particles import structure_maps
from tomosoup.simulation.specimen.unlabelled import GOLD_VOLTS, bead, globule, membrane


def mass(density: Tensor | np.ndarray, voxel_size: float) -> float:
    """kDa of protein with that potential."""
    return float(density.sum()) * voxel_size**3 / VOLTS_PER_KDA


def radii(density: Tensor | np.ndarray, voxel_size: float) -> np.ndarray:
    """Å of each voxel from the middle one."""
    return np.linalg.norm(np.indices(density.shape).T - density.shape[0] // 2, axis=-1).T * voxel_size


def gyration(density: Tensor, voxel_size: float) -> float:
    """Radius of gyration about the middle voxel (Å)."""
    values = density.double().numpy()
    return float(np.sqrt((values * radii(density, voxel_size) ** 2).sum() / values.sum()))


# Built in.


@pytest.mark.parametrize("voxel_size", [7.84, 10.0])
@pytest.mark.parametrize("name", SHAPES)
def test_a_built_in_map_has_its_mass_about_its_middle_voxel(name: str, voxel_size: float) -> None:
    recipe = SimulationRecipe(voxel_size=voxel_size)
    (density,) = structure_maps([name], recipe).values()
    n = density.shape[0]
    assert density.shape == (n, n, n)
    assert n % 2 == 1
    assert float(density.min()) >= 0
    assert mass(density, voxel_size) == pytest.approx(SHAPES[name].mass_kda, rel=1e-3)
    np.testing.assert_allclose(ndimage.center_of_mass(density.double().numpy()), n // 2, atol=0.05)


@pytest.mark.parametrize("name", SHAPES)
def test_a_built_in_map_is_about_as_dense_as_protein(name: str) -> None:
    density = built_in(name, voxel_size=5.0)
    protein = VOLTS_PER_KDA / PROTEIN_VOLUME
    assert 0.6 * protein < density[density > 1.0].mean() < 1.4 * protein


@pytest.mark.parametrize(
    ("name", "largest", "smallest"),
    [
        ("apo-ferritin", 120, 120),
        ("beta-amylase", 120, 80),
        ("beta-galactosidase", 180, 90),
        ("ribosome", 300, 250),
        ("thyroglobulin", 260, 100),
        ("virus-like-particle", 280, 280),
    ],
)
def test_a_built_in_map_has_the_size_of_its_structure(name: str, largest: float, smallest: float) -> None:
    matter = support(torch.from_numpy(built_in(name, voxel_size=5.0)).float(), voxel_size=5.0)
    extents = np.sort(np.ptp(matter, axis=0) + 5.0)
    assert extents[-1] == pytest.approx(largest, abs=35)
    assert extents[0] == pytest.approx(smallest, abs=35)


@pytest.mark.parametrize(("name", "shell"), [("apo-ferritin", 50.0), ("virus-like-particle", 126.5)])
def test_shells_are_hollow(name: str, shell: float) -> None:
    density = built_in(name, voxel_size=5.0)
    radius = radii(density, 5.0)
    wall = density[np.abs(radius - shell) < 5].mean()
    assert density[radius < 0.3 * shell].max() < 0.1 * wall
    assert density[radius > 1.5 * shell].max(initial=0) < 0.1 * wall


@pytest.mark.parametrize(
    ("name", "turned", "same"),
    [
        *((n, axes, True) for n in ("beta-amylase", "beta-galactosidase") for axes in ((0, 1), (0, 2), (1, 2))),
        *((n, (axis,), False) for n in ("beta-amylase", "beta-galactosidase") for axis in range(3)),
        ("thyroglobulin", (1, 2), True),
        ("thyroglobulin", (0, 1), False),
        ("thyroglobulin", (0, 2), False),
        *(("ribosome", axes, False) for axes in ((0, 1), (0, 2), (1, 2))),
        *((n, axes, True) for n in ("apo-ferritin", "virus-like-particle") for axes in ((0, 1), (0, 2), (1, 2))),
        ("apo-ferritin", (0,), False),
        ("virus-like-particle", (0, 1, 2), False),
    ],
    ids=str,
)
def test_a_built_in_map_has_its_symmetry_and_no_more(name: str, turned: tuple[int, ...], same: bool) -> None:
    density = built_in(name, voxel_size=10.0)
    difference = np.abs(density - np.flip(density, turned)).max() / density.max()
    assert difference < 1e-3 if same else difference > 0.1


def test_apo_ferritin_has_four_fold_and_the_capsid_five_fold_axes() -> None:
    ferritin = built_in("apo-ferritin", voxel_size=10.0)
    np.testing.assert_allclose(np.rot90(ferritin, axes=(1, 2)), ferritin, atol=1e-3 * ferritin.max())
    capsid = built_in("virus-like-particle", voxel_size=5.0)
    assert np.abs(np.rot90(capsid, axes=(1, 2)) - capsid).max() > 0.1 * capsid.max()


def test_a_species_has_the_same_shape_at_every_voxel_size() -> None:
    fine, coarse = (built_in("ribosome", voxel_size=size) for size in (5.0, 10.0))
    half = coarse.shape[0] // 2
    places = np.indices(coarse.shape).reshape(3, -1)
    at = (places - half) * 2 + fine.shape[0] // 2
    smooth = ndimage.uniform_filter(fine, 2, origin=-1) + ndimage.uniform_filter(fine, 2)
    sampled = ndimage.map_coordinates(smooth, at, order=1)
    assert np.corrcoef(sampled, coarse.ravel())[0, 1] > 0.9


def test_a_species_without_a_shape_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"'teapot' is not a built-in species .*model in `structures`, or .* in `maps`"
    ):
        built_in("teapot", voxel_size=10.0)


# What else floats in the ice.


@pytest.mark.parametrize("kda", [30.0, 150.0])
def test_a_globule_has_its_mass_and_about_its_volume(kda: float) -> None:
    for seed in range(4):
        density = globule(kda, voxel_size=5.0, random=np.random.default_rng(seed))
        assert mass(density, 5.0) == pytest.approx(kda, rel=1e-6)
        assert 0.4 < (density > 1.0).sum() * 125 / (kda * PROTEIN_VOLUME) < 2.5
    other = globule(kda, voxel_size=5.0, random=np.random.default_rng(9))
    assert other.shape != density.shape or np.abs(other - density).max() > 0.5


def test_a_gold_bead_is_a_ball_of_its_diameter() -> None:
    density = bead(80.0, voxel_size=4.0)
    assert density.sum() * 64 == pytest.approx(GOLD_VOLTS * np.pi / 6 * 80**3, rel=1e-6)
    assert density.max() == pytest.approx(GOLD_VOLTS, rel=0.05)
    assert density[radii(density, 4.0) > 44].max(initial=0) == 0


def test_a_vesicle_has_two_leaflets_of_heads_about_its_radius() -> None:
    density = membrane(200.0, largest=800.0, voxel_size=4.0)
    radius = radii(density, 4.0)
    profile = np.array([density[np.abs(radius - r) < 2].mean() for r in range(160, 240, 2)])
    peaks = [r for i, r in enumerate(range(160, 240, 2)) if 0 < i < 39 and profile[i] == profile[i - 1 : i + 2].max()]
    peaks = [r for r in peaks if profile[(r - 160) // 2] > 1]
    np.testing.assert_allclose(peaks, [181, 219], atol=3)
    assert peaks[1] - peaks[0] == pytest.approx(38, abs=4)
    assert profile[20] < 0
    assert density[radius < 150].max() == 0
    for flipped in range(3):
        np.testing.assert_allclose(np.flip(density, flipped), density, atol=1e-6)


def test_a_membrane_too_large_for_a_vesicle_is_a_cap() -> None:
    density = membrane(800.0, largest=600.0, voxel_size=10.0)
    matter = support(centred(density), voxel_size=10.0, hollow=True)
    assert np.ptp(matter, axis=0)[1:].max() <= 600
    assert np.ptp(matter, axis=0)[0] < 200
    assert len(matter) > 1000


def test_a_cap_of_nearly_a_whole_vesicle_is_open_below() -> None:
    density = membrane(175.0, largest=400.0, voxel_size=10.0)
    height = np.ptp(np.argwhere(np.abs(density) > 0.1)[:, 0]) * 10
    assert height <= 220
    # Only from above is every way into its middle closed.
    middle = density[:, density.shape[1] // 2, density.shape[2] // 2]
    assert (middle > 0.5).sum() > 0
    assert np.argwhere(middle > 0.5).min() > density.shape[0] // 2


def test_empty_layers_are_trimmed_and_the_middle_stays() -> None:
    cube = np.zeros((21, 21, 21))
    cube[10, 10, 10], cube[12, 10, 9] = 2.0, 1.0
    small = trimmed(cube)
    assert small.shape == (7, 7, 7)
    assert small[3, 3, 3] == 2
    assert small[5, 3, 2] == 1


# Maps.


@pytest.fixture(scope="module")
def lump() -> Volume:
    """An uneven density, away from the middle of its box."""
    box = torch.zeros(30, 34, 38)
    box[3:24, 5:26, 12:33] = blobs((0, 0, 0), (4, 2, 0), (0, -4, 3), sigma=2.0)
    return Volume(box, 5.0)


@pytest.fixture
def map_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a map to an MRC file."""

    def write(values: Tensor, voxel_size: float) -> Path:
        path = tmp_path / "map.mrc"
        with mrcfile.new(path) as file:
            file.set_data(values.numpy())
            file.voxel_size = voxel_size
        return path

    return write


@pytest.mark.parametrize("voxel_size", [3.7, 5.0, 6.0, 10.0])
def test_a_map_keeps_mass_size_and_centre_at_any_voxel_size(lump: Volume, voxel_size: float) -> None:
    density = from_map(lump, voxel_size=voxel_size)
    assert mass(density, voxel_size) == pytest.approx(float(lump.data.sum()) / UNITS_PER_KDA, rel=0.03)
    np.testing.assert_allclose(ndimage.center_of_mass(density.double().numpy()), density.shape[0] // 2, atol=0.05)
    assert gyration(density, voxel_size) == pytest.approx(gyration(from_map(lump, voxel_size=5.0), 5.0), rel=0.1)


def test_detail_finer_than_the_new_voxels_does_not_alias() -> None:
    smooth = blobs((0, 0, 0), n=41, sigma=6.0)
    stripes = torch.cos(torch.pi * torch.arange(41))
    grainy = from_map(Volume(smooth * (1 + 0.9 * stripes), 2.5), voxel_size=10.0)
    assert mass(grainy, 10.0) == pytest.approx(mass(from_map(Volume(smooth, 2.5), voxel_size=10.0), 10.0), rel=0.03)


@pytest.mark.parametrize("voxel_size", [5.0, 8.0])
@pytest.mark.parametrize("scale", [0.8, 1.5, 1.6])
def test_scale_enlarges_a_map_at_the_same_density(lump: Volume, scale: float, voxel_size: float) -> None:
    scaled = from_map(lump, voxel_size=voxel_size, scale=scale)
    plain = from_map(lump, voxel_size=5.0)
    assert gyration(scaled, voxel_size) == pytest.approx(scale * gyration(plain, 5.0), rel=0.1)
    assert mass(scaled, voxel_size) == pytest.approx(scale**3 * mass(plain, 5.0), rel=0.05)
    # Density per volume, where the lump is wide enough to show it at 8 Å.
    if voxel_size == 5.0:
        assert float(scaled.max()) == pytest.approx(float(plain.max()), rel=0.15)


@pytest.mark.parametrize(("scale", "voxel_size"), [(1.0, 5.0), (1.5, 8.0)])
def test_mass_sets_the_contrast_of_a_map(lump: Volume, scale: float, voxel_size: float) -> None:
    density = from_map(lump, voxel_size=voxel_size, scale=scale, mass_kda=440.0)
    assert mass(density, voxel_size) == pytest.approx(440.0, rel=1e-3)


def test_the_recipes_map_scale_and_mass_reach_the_map(map_file: Callable[..., Path], lump: Volume) -> None:
    path = map_file(lump.data, 5.0)
    recipe = SimulationRecipe(voxel_size=6.0, maps={"a": path}, map_scale={"a": 1.2}, map_mass={"a": 900.0})
    (density,) = structure_maps(["a"], recipe).values()
    torch.testing.assert_close(density, from_map(read_volume(path), voxel_size=6.0, scale=1.2, mass_kda=900.0))


def test_a_map_of_zeros_is_refused() -> None:
    with pytest.raises(InputError, match="zeros only"):
        from_map(Volume(torch.zeros(8, 8, 8), 5.0), voxel_size=10.0)


def test_a_map_file_without_voxel_size_is_refused(map_file: Callable[..., Path]) -> None:
    recipe = SimulationRecipe(maps={"a": map_file(blobs((0, 0, 0)), 0.0)})
    with pytest.raises(InputError, match=r"map\.mrc does not say how large its voxels are"):
        structure_maps(["a"], recipe)


def test_the_organisers_maps_have_the_masses_of_their_structures(real_data: Path) -> None:
    # Of the models' chains (8CPV: 24 of 18.5 to 21 kDa; 6DRV: 4 of 116; 7N4Y: 2 of 300 to 330; 6QZP: 3.2 MDa modelled).
    for code, kda in {"8cpv": 480, "6drv": 465, "7n4y": 600, "6qzp": 3300}.items():
        density = from_map(read_volume(real_data / "maps_10A" / f"{code}.mrc"), voxel_size=10.0)
        assert mass(density, 10.0) == pytest.approx(kda, rel=0.25)


# Where the matter is.


def test_support_is_the_matter_and_fills_holes_unless_told_not_to() -> None:
    radius = radii(torch.zeros(31, 31, 31), 10.0)
    shell = torch.from_numpy(np.where((radius > 80) & (radius < 120), 3.0, 0.0)).float()
    inside, wall = (len(support(shell, voxel_size=10.0, hollow=hollow)) for hollow in (False, True))
    assert wall == int((shell > 0).sum())
    assert inside == (radius < 120).sum()


def test_the_support_radius_is_where_density_ends() -> None:
    assert support_radius(centred(bead(120.0, voxel_size=6.0)), voxel_size=6.0) == pytest.approx(60, abs=7)
    assert support_radius(blobs((0, 0, 4), sigma=1.0), voxel_size=7.0) == pytest.approx((4 + 2) * 7, abs=7)


def test_the_support_ends_at_a_seventh_of_the_dense_parts_density() -> None:
    ball = blobs((0, 0, 0), sigma=3.0)
    end = 3 * np.sqrt(-2 * np.log(0.15 * np.percentile(ball, 99)))
    assert support_radius(ball, voxel_size=7.0) == pytest.approx(7 * end, abs=4)
