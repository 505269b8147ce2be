from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from density import density_volume
from scipy import ndimage
from scipy.spatial.distance import pdist, squareform
from scipy.spatial.transform import Rotation
from torch import Generator, Tensor
from torch_reconstruct_tomogram import reconstruct_tomogram
from torch_tilt_series import TiltSeries

from tomosoup.errors import InputError
from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.simulation.layout import random_layout
from tomosoup.simulation.reconstruction import reconstruct
from tomosoup.simulation.scene import Scene, simulate
from tomosoup.simulation.structures import SHAPES, UNITS_PER_KDA, built_in, from_map, support_radius
from tomosoup.simulation.tilts import expose, image_shape, project, tilt_series
from tomosoup.types import Picks, Volume

AHEAD = {"tilt_range": (0.0, 1.0)}
"""One tilt, at 0 degrees."""
BY_AMPLITUDE = {"defocus": (0.0, 0.0), "amplitude_contrast": 1.0, "noise": 0.0, "lowpass": None}
"""A microscope that turns contrast round and changes next to nothing else."""
SMALL = SimulationRecipe(shape=(24, 40, 40), concentration={"apo-ferritin": 60000.0}, tilt_step=6.0)


def blobs(*centres: tuple[float, float, float], n: int = 21, sigma: float = 1.3) -> Tensor:
    """A map of Gaussian blobs, each a tenth heavier than the one before, at zyx voxels from the middle voxel."""
    grid = np.indices((n, n, n)).T - n // 2
    squares = [((grid - c) ** 2).sum(axis=-1) for c in centres]
    density = sum((1 + i / 10) * np.exp(-s / (2 * sigma**2)) for i, s in enumerate(squares))
    return torch.from_numpy(np.asarray(density, dtype=np.float32).T.copy())


HANDED = blobs((0, 0, 0), (6, 0, 0), (0, 5, 0), (0, 0, 4), (-3, -5, 3))


def poses(n: int, seed: int) -> np.ndarray:
    return Rotation.random(n, rng=np.random.default_rng(seed)).as_matrix()


def placed(zyx: object, rotations: np.ndarray) -> Picks:
    points = np.asarray(zyx, dtype=float).reshape(-1, 3)
    return Picks(points, np.ones(len(points)), rotations)


def peak_near(volume: Tensor, zyx_vox: np.ndarray) -> np.ndarray:
    """Where the bright spot nearest to a place is: the centre of mass of what exceeds half its maximum."""
    low = np.maximum(np.round(zyx_vox).astype(int) - 4, 0)
    part = volume.numpy()[tuple(slice(a, a + 9) for a in low)]
    spots, _ = ndimage.label(part > part.max() / 2)
    spot = spots == spots[np.unravel_index(part.argmax(), part.shape)]
    return low + np.array(ndimage.center_of_mass(np.where(spot, part - part.max() / 2, 0.0)))


def centre_of_mass(values: Tensor) -> np.ndarray:
    return np.array(ndimage.center_of_mass(values.double().numpy()))


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def white_noise(recipe: SimulationRecipe, *, seed: int = 0) -> Tensor:
    """The images of an empty sample."""
    empty = torch.zeros(len(tilt_series(recipe).tilt_angles), *image_shape(recipe))
    return expose(empty, recipe, random=Generator().manual_seed(seed))


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


# Geometry: places and orientations.


@pytest.mark.parametrize("offset", [(0, 0, 0), (4, -3, 2)], ids=["middle", "arm"])
@pytest.mark.parametrize("shape", [(32, 56, 48), (33, 55, 49), (31, 48, 57)], ids=str)
def test_a_point_is_reconstructed_where_its_pose_puts_it(
    shape: tuple[int, int, int], offset: tuple[int, int, int]
) -> None:
    recipe = SimulationRecipe(shape=shape, voxel_size=8.0)
    fractions = [(0.34, 0.24, 0.77), (0.63, 0.71, 0.7), (0.55, 0.3, 0.25), (0.4, 0.74, 0.22)]
    places, rotations = np.array(fractions) * shape, poses(4, seed=3)
    about_centre = placed((places - (np.array(shape) - 1) / 2) * 8.0, rotations)
    images = project({"a": blobs(offset)}, {"a": about_centre}, recipe)
    volume = reconstruct(images, tilt_series(recipe), shape)
    expected = places + rotations @ np.array(offset)
    found = [peak_near(volume, place) for place in expected]
    np.testing.assert_allclose(found, expected, atol=0.2)


def test_a_point_of_the_density_volume_is_where_its_pose_puts_it() -> None:
    recipe = SimulationRecipe(shape=(33, 40, 46), voxel_size=8.0)
    rotation = poses(1, seed=4)
    place = np.array([15.3, 18.8, 24.6])
    about_centre = placed((place - (np.array(recipe.shape) - 1) / 2) * 8.0, rotation)
    volume = density_volume({"a": blobs((4, -3, 2))}, {"a": about_centre}, recipe)
    np.testing.assert_allclose(centre_of_mass(volume), place + rotation[0] @ (4, -3, 2), atol=0.02)


def test_a_particle_of_a_scene_is_darkest_at_its_true_place(map_file: Callable[..., Path]) -> None:
    shape = (32, 49, 52)
    recipe = SimulationRecipe(shape=shape, maps={"a": map_file(blobs((0, 0, 0)), 10.0)}, **BY_AMPLITUDE)
    zyx = np.array([(121.0, 113.0, 377.0), (204.0, 346.0, 141.0), (160.0, 160.0, 200.0)])
    scene = simulate(recipe, seed=0, at={"a": Picks.of(zyx)})
    assert scene.volume.shape == shape
    # Copick's rule: Å count from the outer corner of the first voxel, whose own centre is half a voxel in.
    expected = zyx / 10.0 - 0.5
    np.testing.assert_allclose(scene.volume.to_voxel(scene.truth["a"].zyx), expected)
    np.testing.assert_allclose([peak_near(-scene.volume.data, p) for p in expected], expected, atol=0.2)


@pytest.mark.parametrize("name", ["handed", "beta-amylase", "thyroglobulin"])
def test_the_projection_without_tilt_is_the_density_summed_along_z(name: str) -> None:
    recipe = SimulationRecipe(shape=(40, 47, 54), **AHEAD)
    density = HANDED if name == "handed" else built_in(name, voxel_size=10.0)
    particles = {name: placed([(21.0, -67.0, 94.0), (-33.0, 52.0, -88.0)], poses(2, seed=1))}
    (image,) = project({name: density}, particles, recipe)
    summed = density_volume({name: density}, particles, recipe).sum(dim=0)
    margin = (image.shape[1] - summed.shape[1]) // 2
    assert image.shape == (47, 54 + 2 * margin)
    image = image[:, margin:-margin]
    assert correlation(image, summed) > 0.99
    assert float(image.sum()) == pytest.approx(float(summed.sum()), rel=0.05)
    np.testing.assert_allclose(centre_of_mass(image.clamp(min=0)), centre_of_mass(summed), atol=0.1)


@pytest.mark.parametrize("name", SHAPES)
def test_every_projection_holds_the_whole_mass_and_no_dark_ghosts(name: str) -> None:
    recipe = SimulationRecipe(shape=(50, 50, 50), tilt_step=20.0)
    images = project(
        {name: built_in(name, voxel_size=10.0)}, {name: placed([(1.0, 2.0, 3.0)], poses(1, seed=6))}, recipe
    )
    np.testing.assert_allclose(images.sum(dim=(1, 2)), 28.3 * SHAPES[name].mass_kda, rtol=0.04)
    assert float(images.min()) > -0.08 * float(images.max())


@pytest.mark.parametrize("seed", range(3))
def test_a_reconstructed_particle_has_its_stored_rotation_and_hand(seed: int) -> None:
    recipe = SimulationRecipe(shape=(41, 41, 41), tilt_range=(-89.0, 89.0))
    pose = poses(1, seed=seed)
    at_centre = placed([(3.0, -4.0, 2.0)], pose)
    images = project({"a": HANDED}, {"a": at_centre}, recipe)
    volume = reconstruct(images, tilt_series(recipe), recipe.shape)

    def likeness(density: Tensor, rotation: np.ndarray) -> float:
        return correlation(volume, density_volume({"a": density}, {"a": placed(at_centre.zyx, rotation)}, recipe))

    truth = likeness(HANDED, pose)
    mirrored = [HANDED.flip(axes) for axes in [(0,), (1,), (2,), (0, 1, 2)]]
    wrong = [likeness(HANDED, pose.transpose(0, 2, 1)), *(likeness(mirror, pose) for mirror in mirrored)]
    assert truth > 0.95
    assert max(wrong) < truth - 0.2


def test_back_projection_agrees_with_torch_reconstruct_tomogram(tmp_path: Path) -> None:
    recipe = SimulationRecipe(shape=(31, 49, 47))
    zyx = [(20.0, -65.0, 84.0), (-33.0, 52.0, -88.0), (5.0, 91.0, 63.0)]
    images = project({"a": HANDED}, {"a": placed(zyx, poses(3, seed=5))}, recipe)
    assert all(n % 2 for n in images.shape[1:]), "only odd sizes have the same centre in both"
    path = tmp_path / "tilts.mrc"
    mrcfile.write(path, images.numpy())
    ours = tilt_series(recipe)
    n = len(images)
    series = TiltSeries(ours.tilt_angles, torch.zeros(n), torch.zeros(n, 2), image_path=path, pixel_spacing=10.0)
    theirs = reconstruct_tomogram(series, recipe.shape, 32, batch_size=1, preprocess=False)
    mine = reconstruct(images, ours, recipe.shape)
    inner = (slice(4, -4),) * 3
    a, b = (v[inner] - v[inner].mean() for v in (mine, theirs))
    assert correlation(a, b) > 0.9
    crossed = torch.fft.ifftn(torch.fft.fftn(a).conj() * torch.fft.fftn(b)).real
    assert np.unravel_index(int(crossed.argmax()), crossed.shape) == (0, 0, 0)
    # Nor half a voxel: the peak is as high on one side as on the other.
    for axis in range(3):
        ahead, behind = (float(crossed.roll(by, axis)[0, 0, 0] / crossed[0, 0, 0]) for by in (-1, 1))
        assert ahead == pytest.approx(behind, abs=0.03)


def test_no_power_in_the_missing_wedge() -> None:
    recipe = SimulationRecipe(shape=(64, 64, 64), tilt_range=(-45.0, 45.0), lowpass=None)
    volume = reconstruct(white_noise(recipe), tilt_series(recipe), recipe.shape)
    window = torch.hann_window(64)
    power = torch.fft.fftn(volume * window[:, None, None] * window).abs() ** 2
    kz, kx = torch.meshgrid(torch.fft.fftfreq(64), torch.fft.fftfreq(64), indexing="ij")
    angle = torch.rad2deg(torch.atan2(kz.abs(), kx.abs()))
    ring = (torch.hypot(kz, kx) > 0.1) & (torch.hypot(kz, kx) < 0.4)
    spectrum = power.mean(dim=1)
    inside, outside = spectrum[ring & (angle > 55)].mean(), spectrum[ring & (angle < 40)].mean()
    assert float(inside) < 0.02 * float(outside)


# The microscope.


@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_noise_is_as_strong_as_the_recipe_says(noise: float) -> None:
    images = white_noise(SimulationRecipe(shape=(16, 64, 64), noise=noise, lowpass=None))
    assert float(images.std()) == pytest.approx(noise * 28.3, rel=0.01)
    assert float(images.mean()) == pytest.approx(0, abs=0.01 * noise * 28.3)


def test_the_low_pass_halves_amplitudes_at_its_resolution() -> None:
    options = {"shape": (8, 32, 62), **AHEAD}
    sharp = SimulationRecipe(lowpass=None, **options)
    assert image_shape(sharp) == (32, 64)
    (ratio,) = torch.fft.rfft2(white_noise(SimulationRecipe(lowpass=40.0, **options))) / torch.fft.rfft2(
        white_noise(sharp)
    )
    # 40 Å are four pixels: a quarter of the 32 rows and of the 64 columns.
    for y, x in [(8, 0), (0, 16), (-8, 0)]:
        assert complex(ratio[y, x]) == pytest.approx(0.5, abs=1e-3)
    assert complex(ratio[8, 16]) == pytest.approx(0.25, abs=1e-3)
    assert complex(ratio[0, 0]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("defocus", "amplitude", "cs"), [(1.0, 0.07, 2.7), (3.0, 0.1, 0.0), (2.0, 0.5, 20.0)])
def test_contrast_transfer_is_the_textbooks(defocus: float, amplitude: float, cs: float) -> None:
    recipe = SimulationRecipe(
        voxel_size=4.0,
        noise=0.0,
        lowpass=None,
        defocus=(defocus, defocus),
        amplitude_contrast=amplitude,
        spherical_aberration=cs,
    )
    points = torch.zeros(200, 4, 2048)
    points[:, 0, 0] = 1.0
    images = expose(points, recipe, random=Generator().manual_seed(0))
    spectra = torch.fft.rfft2(images)[:, 0].real.double().numpy()
    k = np.fft.rfftfreq(2048, 4.0)  # 1/Å
    volts = 300e3
    wavelength = 12.2643 / np.sqrt(volts + 0.978466e-6 * volts**2)

    def chi(dz: np.ndarray, k: np.ndarray) -> np.ndarray:
        spherical = np.pi / 2 * cs * 1e7 * wavelength**3 * k**4
        return np.pi * wavelength * dz * 1e4 * k**2 - spherical + np.arcsin(amplitude)

    # Underfocus makes density dark up to the first zero, which tells each tilt's defocus: sin(chi) is 0, chi is pi.
    first = (spectra > 0).argmax(axis=1)
    assert first.min() > 10
    tilts = np.arange(len(spectra))
    before, after = spectra[tilts, first - 1], spectra[tilts, first]
    zero = k[first - 1] + (k[1] - k[0]) * before / (before - after)
    measured = (np.pi - chi(np.zeros(1), zero)) / (np.pi * wavelength * 1e4 * zero**2)
    assert np.abs(measured - defocus).max() < 0.102
    assert measured.max() - measured.min() > 0.15
    assert abs(measured.mean() - defocus) < 0.02
    np.testing.assert_allclose(spectra, -np.sin(chi(measured[:, None], k)), atol=0.02)


def test_particles_are_dark() -> None:
    recipe = SimulationRecipe(shape=(40, 80, 80), concentration={"ribosome": 12000.0}, noise=1.0)
    scene = simulate(recipe, seed=5)
    places = scene.volume.to_voxel(scene.truth["ribosome"].zyx).round().astype(int)
    assert len(places) == 3
    smooth = ndimage.uniform_filter(scene.volume.data.numpy(), 5)
    assert smooth[tuple(places.T)].mean() < -0.7
    assert float(scene.volume.data.mean()) == pytest.approx(0, abs=1e-4)
    assert float(scene.volume.data.std()) == pytest.approx(1, abs=1e-4)


# Whole runs.


@pytest.fixture(scope="module")
def scene() -> Scene:
    return simulate(SMALL, seed=7)


def test_the_same_seed_gives_the_same_scene(scene: Scene) -> None:
    again = simulate(SMALL, seed=7)
    assert torch.equal(scene.volume.data, again.volume.data)
    one, other = scene.truth["apo-ferritin"], again.truth["apo-ferritin"]
    assert len(one) == 2
    np.testing.assert_array_equal(one.zyx, other.zyx)
    np.testing.assert_array_equal(one.rotations, other.rotations)


def test_another_seed_gives_other_places_rotations_and_noise(scene: Scene) -> None:
    other = simulate(SMALL, seed=8)
    one, two = scene.truth["apo-ferritin"], other.truth["apo-ferritin"]
    assert np.abs(one.zyx - two.zyx).min(axis=1).max() > 1
    assert np.abs(one.rotations - two.rotations).max() > 0.1
    same_places = simulate(SMALL, seed=8, at=scene.truth)
    assert correlation(scene.volume.data, same_places.volume.data) < 0.5


def test_given_places_and_rotations_are_the_truth() -> None:
    zyx = np.array([(100.1, 111.2, 222.3), (130.0, 300.7, 95.0)])
    given = placed(zyx, poses(2, seed=2))
    bare = Picks.of(zyx[:1] + 30)
    truth = simulate(SMALL, seed=0, at={"apo-ferritin": given, "beta-amylase": bare}).truth
    np.testing.assert_array_equal(truth["apo-ferritin"].zyx, zyx)
    np.testing.assert_array_equal(truth["apo-ferritin"].rotations, given.rotations)
    np.testing.assert_array_equal(truth["beta-amylase"].zyx, bare.zyx)
    drawn = truth["beta-amylase"].rotations
    assert drawn is not None
    np.testing.assert_allclose(drawn[0] @ drawn[0].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(drawn[0]) == pytest.approx(1)
    assert np.abs(drawn[0] - np.eye(3)).max() > 0.1


def test_random_particles_keep_clear_of_each_other_and_of_the_sides() -> None:
    radii = {n: support_radius(built_in(n, voxel_size=10.0), voxel_size=10.0) for n in ("ribosome", "beta-amylase")}
    counts = {"beta-amylase": 40, "ribosome": 6}
    extent = np.array([500.0, 900.0, 1200.0])
    layout = random_layout(counts, radii=radii, extent=extent, random=np.random.default_rng(0))
    assert {n: len(p) for n, p in layout.items()} == counts
    zyx = np.vstack([layout[n].zyx for n in layout])
    radius = np.repeat([radii[n] for n in layout], [counts[n] for n in layout])
    gaps = squareform(pdist(zyx)) - radius[:, None] - radius
    assert gaps[~np.eye(len(zyx), dtype=bool)].min() > 0
    assert (zyx >= radius[:, None]).all()
    assert (zyx <= extent - radius[:, None]).all()
    # They fill the room that they have, rather than a corner of it.
    small = layout["beta-amylase"].zyx / extent
    assert (np.ptp(small, axis=0) > 0.5).all()


def test_random_rotations_are_uniform() -> None:
    layout = random_layout({"a": 400}, radii={"a": 1.0}, extent=(1e3, 1e3, 1e3), random=np.random.default_rng(0))
    rotations = layout["a"].rotations
    assert rotations is not None
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    # Each element has mean 0 and mean square 1/3; deviations of 400 means are 0.029 and 0.015.
    assert np.abs(rotations.mean(axis=0)).max() < 0.12
    assert np.abs((rotations**2).mean(axis=0) - 1 / 3).max() < 0.06


@pytest.mark.parametrize(("count", "side"), [(50, 1000.0), (1, 200.0)], ids=["crowded", "too thin"])
def test_too_many_particles_are_named_and_counted(count: int, side: float) -> None:
    with pytest.raises(InputError, match=rf"Only \d+ of {count} ribosome") as raised:
        random_layout(
            {"ribosome": count}, radii={"ribosome": 150.0}, extent=(side,) * 3, random=np.random.default_rng(0)
        )
    fitted = int(str(raised.value).split()[1])
    assert fitted < count
    assert (fitted > 0) == (side > 300)


# Structures.


@pytest.mark.parametrize("voxel_size", [7.84, 10.0])
@pytest.mark.parametrize("name", SHAPES)
def test_a_built_in_map_has_its_mass_about_its_middle_voxel(name: str, voxel_size: float) -> None:
    density = built_in(name, voxel_size=voxel_size)
    n = density.shape[0]
    assert density.shape == (n, n, n)
    assert n % 2 == 1
    assert float(density.min()) >= 0
    assert float(density.sum()) == pytest.approx(28.3 * SHAPES[name].mass_kda, rel=1e-3)
    np.testing.assert_allclose(centre_of_mass(density), n // 2, atol=0.05)


@pytest.mark.parametrize(("name", "shell"), [("apo-ferritin", 50.0), ("virus-like-particle", 112.5)])
def test_shells_are_hollow(name: str, shell: float) -> None:
    density = built_in(name, voxel_size=5.0)
    middle = density.shape[0] // 2
    radius = np.linalg.norm(np.indices(density.shape).T - middle, axis=-1) * 5.0
    values = density.numpy()
    wall = values[np.abs(radius - shell) < 5].mean()
    assert values[radius < 0.3 * shell].max() < 0.1 * wall
    assert values[radius > 1.5 * shell].max() < 0.1 * wall


@pytest.mark.parametrize(
    ("name", "turned", "same"),
    [
        *((name, axes, True) for name in ("beta-amylase", "beta-galactosidase") for axes in ((0, 1), (0, 2), (1, 2))),
        *((name, (axis,), False) for name in ("beta-amylase", "beta-galactosidase") for axis in range(3)),
        ("thyroglobulin", (1, 2), True),
        ("thyroglobulin", (0, 1), False),
        ("thyroglobulin", (0, 2), False),
        ("ribosome", (0, 1), False),
        ("ribosome", (0, 2), False),
        ("ribosome", (1, 2), False),
    ],
    ids=str,
)
def test_a_built_in_map_has_its_symmetry_and_no_more(name: str, turned: tuple[int, ...], same: bool) -> None:
    density = built_in(name, voxel_size=10.0)
    difference = float((density - density.flip(turned)).abs().max() / density.max())
    assert difference < 1e-3 if same else difference > 0.2


@pytest.fixture(scope="module")
def lump() -> Volume:
    """An uneven density, away from the middle of its box."""
    box = torch.zeros(30, 34, 38)
    box[3:24, 5:26, 12:33] = blobs((0, 0, 0), (4, 2, 0), (0, -4, 3), sigma=2.0)
    return Volume(box, 5.0)


def gyration(density: Tensor, voxel_size: float) -> float:
    """Radius of gyration about the middle voxel (Å)."""
    square = ((np.indices(density.shape).T - density.shape[0] // 2) ** 2).sum(axis=-1).T
    values = density.double().numpy()
    return voxel_size * float(np.sqrt((values * square).sum() / values.sum()))


@pytest.mark.parametrize("voxel_size", [3.7, 5.0, 6.0, 10.0])
def test_a_map_keeps_mass_size_and_centre_at_any_voxel_size(lump: Volume, voxel_size: float) -> None:
    density = from_map(lump, voxel_size=voxel_size)
    assert float(density.sum()) == pytest.approx(float(lump.data.sum()), rel=0.03)
    np.testing.assert_allclose(centre_of_mass(density), density.shape[0] // 2, atol=0.05)
    assert gyration(density, voxel_size) == pytest.approx(gyration(from_map(lump, voxel_size=5.0), 5.0), rel=0.1)


@pytest.mark.parametrize("voxel_size", [5.0, 8.0])
@pytest.mark.parametrize("scale", [0.8, 1.5, 1.6])
def test_scale_enlarges_a_map_at_the_same_density(lump: Volume, scale: float, voxel_size: float) -> None:
    scaled = from_map(lump, voxel_size=voxel_size, scale=scale)
    plain = from_map(lump, voxel_size=5.0)
    assert gyration(scaled, voxel_size) == pytest.approx(scale * gyration(plain, 5.0), rel=0.1)
    assert float(scaled.sum()) == pytest.approx(scale**3 * float(plain.sum()), rel=0.05)
    # Density per volume, where the lump is wide enough to show it at 8 Å.
    if voxel_size == 5.0:
        assert float(scaled.max()) == pytest.approx(float(plain.max()), rel=0.15)


@pytest.mark.parametrize(("scale", "voxel_size"), [(1.0, 5.0), (1.5, 8.0)])
def test_mass_sets_the_sum_of_a_map(lump: Volume, scale: float, voxel_size: float) -> None:
    density = from_map(lump, voxel_size=voxel_size, scale=scale, mass_kda=440.0)
    assert float(density.sum()) == pytest.approx(440.0 * UNITS_PER_KDA, rel=1e-3)
    assert pytest.approx(28.3) == UNITS_PER_KDA


def test_the_support_radius_is_where_density_ends() -> None:
    # A Gaussian has fallen to a twentieth 2.45 sigma out.
    assert support_radius(blobs((0, 0, 0), sigma=2.0), voxel_size=7.0) == pytest.approx(2.45 * 2 * 7, abs=7)
    assert support_radius(blobs((0, 0, 4), sigma=1.0), voxel_size=7.0) == pytest.approx((4 + 2.45) * 7, abs=7)


def test_the_recipes_scale_and_mass_reach_its_map(map_file: Callable[..., Path], lump: Volume) -> None:
    recipe = SimulationRecipe(shape=(24, 40, 40), maps={"a": map_file(lump.data, 5.0)}, tilt_step=6.0, **BY_AMPLITUDE)
    at = {"a": placed([(120.0, 200.0, 200.0)], np.eye(3)[None])}

    def blackness(**options: object) -> float:
        """The share of voxels that are at least half as dark as the darkest."""
        data = simulate(recipe.model_copy(update=options), seed=0, at=at).volume.data
        return float((data < data.min() / 2).float().mean())

    assert blackness(map_scale={"a": 2.0}) == pytest.approx(8 * blackness(), rel=0.4)
    plain = simulate(recipe.model_copy(update={"noise": 1.0}), seed=0, at=at)
    heavy = simulate(recipe.model_copy(update={"noise": 1.0, "map_mass": {"a": 9000.0}}), seed=0, at=at)
    assert float(heavy.volume.data.min()) < 1.5 * float(plain.volume.data.min())


# What cannot be simulated.


def test_a_species_without_a_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"'teapot' is not built in .*--maps teapot"):
        simulate(SimulationRecipe(shape=(8, 16, 16), concentration={"teapot": 1.0}), seed=0)


def test_a_map_without_a_concentration_is_refused() -> None:
    recipe = SimulationRecipe(concentration={"ribosome": 1.0}, maps={"teapot": Path("teapot.mrc")})
    with pytest.raises(InputError, match="maps for teapot, but no concentration"):
        simulate(recipe, seed=0)


@pytest.mark.parametrize("tilts", [(60.0, -60.0), (5.0, 5.0)])
def test_tilts_that_do_not_go_up_are_refused(tilts: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"^x: .*tilt_range must go up"):
        SimulationRecipe.of({"tilt_range": tilts}, source="x")


def test_a_map_of_zeros_is_refused() -> None:
    with pytest.raises(InputError, match="zeros only"):
        from_map(Volume(torch.zeros(8, 8, 8), 5.0), voxel_size=10.0)


def test_a_map_file_without_voxel_size_is_refused(map_file: Callable[..., Path]) -> None:
    recipe = SimulationRecipe(concentration={"a": 1.0}, maps={"a": map_file(blobs((0, 0, 0)), 0.0)})
    with pytest.raises(InputError, match=r"map\.mrc does not say how large its voxels are"):
        simulate(recipe, seed=0)
