"""How the particles of a species differ: in size, mass, shape, content and wholeness, and where they come from."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from density import HANDED, blobs
from scipy import ndimage

from tomosoup.core.errors import InputError
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.simulate import simulate_run
from tomosoup.simulation.specimen.built_in import VOLTS_PER_KDA, built_in
from tomosoup.simulation.specimen.density_maps import support
from tomosoup.simulation.specimen.particles import (
    deformed,
    draw_varieties,
    filled,
    structure_maps,
    without_a_part,
)

CAPSID = "virus-like-particle"


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def recipe(voxel_size: float = 15.0, **options: object) -> SimulationRecipe:
    return SimulationRecipe.of({"voxel_size": voxel_size, **options}, source="x")


def radii(density: np.ndarray) -> np.ndarray:
    """Voxels of each voxel from the middle one."""
    return np.linalg.norm(np.indices(density.shape).T - density.shape[0] // 2, axis=-1).T


def test_without_options_the_only_variety_is_the_species_map() -> None:
    plain = recipe()
    (one,) = draw_varieties("thyroglobulin", plain, random=rng())
    np.testing.assert_array_equal(one.density, structure_maps(["thyroglobulin"], plain)["thyroglobulin"])
    assert one.drawn == {}


def test_varieties_differ_in_grain_and_mass_about_the_species() -> None:
    options = {"varieties": 40, "mass_spread": 0.1}
    varieties = draw_varieties("apo-ferritin", recipe(30.0, particles=options), random=rng())
    masses = np.array([float(v.density.sum()) * 30.0**3 / VOLTS_PER_KDA for v in varieties])
    assert len(varieties) == 40
    assert np.log(masses / 480).std() == pytest.approx(0.1, rel=0.3)
    assert masses.mean() == pytest.approx(480, rel=0.06)
    np.testing.assert_allclose([v.drawn["mass"] for v in varieties], masses / 480, rtol=1e-4)
    plain = [v.density for v in draw_varieties("apo-ferritin", recipe(particles={"varieties": 2}), random=rng())]
    assert plain[0].shape != plain[1].shape or float((plain[0] - plain[1]).abs().max()) > 0.1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_particle_is_stretched_along_its_axes_at_the_same_sum(axis: int) -> None:
    ball = blobs((0, 0, 0), n=31, sigma=4.0).double().numpy()
    scale = np.where(np.arange(3) == axis, 1.2, 1.0)
    long = deformed(ball, scale, 0.0, voxel_size=10.0, random=rng())
    assert long.sum() == pytest.approx(ball.sum())
    half = long.shape[0] // 2
    spread = [np.sqrt((long * (np.indices(long.shape)[i] - half) ** 2).sum() / long.sum()) for i in range(3)]
    np.testing.assert_allclose(spread, 4.0 * scale, rtol=0.05)


def test_a_flexible_particle_moves_by_as_much_as_is_said_and_stays_in_place() -> None:
    corners = [(z, y, x) for z in (-8, 8) for y in (-8, 8) for x in (-8, 8)]
    spots = [blobs(corner, n=31, sigma=1.0).double().numpy() for corner in corners]
    moves = []
    for seed in range(12):
        bent = deformed(sum(spots), np.ones(3), 15.0, voxel_size=10.0, random=rng(seed))  # type: ignore[arg-type]
        place = np.indices(bent.shape).reshape(3, -1).T - bent.shape[0] // 2
        weight = bent.ravel()
        for corner in corners:
            near = weight * (np.linalg.norm(place - corner, axis=1) < 6)
            moves.append((near[:, None] * place).sum(0) / near.sum() - corner)
    size = np.sqrt((np.array(moves) ** 2).sum(axis=1).mean()) * 10
    assert size == pytest.approx(15.0, rel=0.15)
    assert np.abs(np.mean(moves, axis=0)).max() * 10 < 4


@pytest.mark.parametrize("voxel_size", [10.0, 15.0])
def test_a_filling_is_inside_the_shell_grainy_and_of_its_mass(voxel_size: float) -> None:
    empty = built_in(CAPSID, voxel_size=voxel_size)
    full = filled(empty, 1000.0, CAPSID, voxel_size=voxel_size, random=rng())
    content = full - empty
    assert content.sum() * voxel_size**3 / VOLTS_PER_KDA == pytest.approx(1000.0)
    radius = radii(content) * voxel_size
    assert content[radius > 125].max() == 0
    core = content[radius < 80]
    layer = content[(radius > 90) & (radius < 105)]
    assert 1.5 * core.mean() < layer.mean() < 3 * core.mean()
    assert core.std() > core.mean() > 0
    assert not np.array_equal(content, filled(empty, 1000.0, CAPSID, voxel_size=voxel_size, random=rng(1)) - empty)


def test_some_capsids_are_empty_and_their_fillings_differ() -> None:
    options = {"varieties": 60, "filling": {CAPSID: (700.0, 1200.0)}, "empty": 0.3}
    varieties = draw_varieties(CAPSID, recipe(20.0, particles=options), random=rng())
    fillings = np.array([v.drawn.get("filling", 0.0) for v in varieties])
    masses = np.array([float(v.density.sum()) * 20.0**3 / VOLTS_PER_KDA for v in varieties])
    np.testing.assert_allclose(masses, 2500 + fillings, rtol=1e-3)
    assert (fillings == 0).mean() == pytest.approx(0.3, abs=0.15)
    assert 700 <= fillings[fillings > 0].min() < 800 < 1100 < fillings.max() <= 1200


def test_a_solid_particle_cannot_be_filled() -> None:
    with pytest.raises(InputError, match=r"map of beta-amylase encloses \d+ nm³, too little for a filling of 500 kDa"):
        draw_varieties("beta-amylase", recipe(particles={"filling": {"beta-amylase": (500.0, 500.0)}}), random=rng())


@pytest.mark.parametrize("lost", [0.2, 0.5])
def test_a_broken_particle_lacks_one_side(lost: float) -> None:
    whole = structure_maps(["ribosome"], recipe())["ribosome"].double().numpy()
    broken = without_a_part(whole, lost, random=rng())
    assert broken.sum() / whole.sum() == pytest.approx(1 - lost, abs=0.05)
    rim = (whole.shape[0] - broken.shape[0]) // 2
    broken = np.pad(broken, rim)
    gone = whole - broken
    apart = np.array(ndimage.center_of_mass(gone)) - ndimage.center_of_mass(broken)
    along = np.tensordot(apart / np.linalg.norm(apart), np.indices(whole.shape), axes=1)
    kept, missing = along[broken > 0.5 * whole.max()], along[gone > 0.5 * whole.max()]
    assert np.median(missing) > np.median(kept) + 3
    share = [bool(v.drawn) for v in draw_varieties("ribosome", recipe(40.0, particles=SOME_BROKEN), random=rng())]
    assert np.mean(share) == pytest.approx(0.25, abs=0.15)


SOME_BROKEN = {"varieties": 40, "broken": 0.25}


ATOM = "ATOM  {0:5d}  CA  ALA A{0:4d}    {1:8.3f}{2:8.3f}{3:8.3f}  1.00 20.00           C\n"


def test_a_species_may_come_from_several_sources(tmp_path: Path) -> None:
    lump = tmp_path / "a.mrc"
    mrcfile.write(lump, HANDED.numpy(), voxel_size=15.0)
    model = tmp_path / "a.pdb"
    model.write_text("".join(ATOM.format(i + 1, 10.0 * i, 5.0 * i, 0.0) for i in range(9)) + "END\n")
    named = {"maps": {"apo-ferritin": lump}, "structures": {"apo-ferritin": str(model)}}
    two = draw_varieties("apo-ferritin", recipe(**named), random=rng())
    assert len(two) == 2
    three = draw_varieties("apo-ferritin", recipe(**named, particles={"also_built_in": True}), random=rng())
    assert len(three) == 3
    sums = [float(v.density.sum()) for v in three]
    assert sums[:2] == [float(v.density.sum()) for v in two]
    assert sums[2] * 15.0**3 / VOLTS_PER_KDA == pytest.approx(480, rel=1e-3)


def test_a_runs_particles_have_all_varieties_and_one_label() -> None:
    options = {"varieties": 3, "size_spread": 0.03}
    some = recipe(10.0, shape=(40, 80, 80), concentration={"thyroglobulin": 24000.0}, particles=options)
    scene = simulate_run(some, seed=0)
    drawn = scene.parameters["particles"]["thyroglobulin"]
    assert len({tuple(d["size"]) for d in drawn}) == 3
    assert len(scene.truth["thyroglobulin"]) == 6
    # The labels are those of each particle's own variety: as large as the varieties are, twice each.
    (plain,) = structure_maps(["thyroglobulin"], some).values()
    one = len(support(plain, voxel_size=10.0))
    expected = 2 * sum(np.prod(d["size"]) for d in drawn) * one
    assert int((scene.labels.data == 1).sum()) == pytest.approx(expected, rel=0.25)
    again = simulate_run(some, seed=0)
    np.testing.assert_array_equal(scene.volume.data, again.volume.data)
