"""Unlabelled matter as clouds of beads: as much as is asked for, where it belongs, and seen as particles are."""

import numpy as np
import pytest
import torch
from density import acquired, correlation, placed
from scipy.cluster.hierarchy import fcluster, linkage

from tomosoup.simulation.microscope.imaging import Field, project
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.specimen import SampleOptions
from tomosoup.simulation.specimen.built_in import PROTEIN_VOLUME, VOLTS_PER_KDA
from tomosoup.simulation.specimen.clutter import (
    BEAD_SIZE,
    FILM_DEPTH,
    WALL,
    Cloud,
    aggregate,
    balls,
    cloud_phase,
    draw_cloud,
    filament,
    film,
    lump,
    specks,
)
from tomosoup.simulation.specimen.layout import OccupancyGrid
from tomosoup.simulation.specimen.potential import WATER_VOLTS

ICE = np.array([1000.0, 4000.0, 4000.0])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def kda(cloud: Cloud) -> float:
    return float(cloud.volts.sum()) / VOLTS_PER_KDA


def test_a_bead_is_seen_as_its_map_at_every_height() -> None:
    microscope = MicroscopeOptions(tilt_step=20.0, tilt_limit=(40.0, 40.0), defocus=(3.0, 3.0), shift_error=20.0)
    series, field, extent = acquired(microscope), Field((61, 161), 10.0), np.array([800.0, 610.0, 1000.0])
    n = 21
    squares = ((np.indices((n, n, n)) - n // 2) ** 2).sum(axis=0) * 100.0
    gauss = np.exp(-squares / (2 * BEAD_SIZE**2))
    volts = 1e6
    density = torch.from_numpy(gauss * (volts / gauss.sum() / 1000.0)).float()
    places = np.array([(-380.0, 0.0, -100.0), (0.0, 13.0, 207.0), (380.0, -120.0, 45.0)])
    expected = project({"a": density}, {"a": placed(places)}, series, microscope, field=field)
    cloud = Cloud(places + extent / 2, np.full(3, volts))
    seen = cloud_phase(cloud, series, microscope, field=field, extent=extent)
    assert correlation(seen, expected) > 0.97
    assert float(seen.sum()) == pytest.approx(float(expected.sum()), rel=0.02)
    for one, other in zip(seen, expected, strict=True):
        assert float(one.flatten()[other.argmax()]) > 0.85 * float(one.max())


def test_beads_outside_the_image_are_not_seen() -> None:
    microscope = MicroscopeOptions(tilt_limit=(1.0, 1.0))
    far = Cloud(np.array([(0.0, 5000.0, 0.0), (0.0, 0.0, -900.0)]), np.full(2, 1e6))
    seen = cloud_phase(far, acquired(microscope), microscope, field=Field((40, 40), 10.0), extent=np.full(3, 400.0))
    assert float(seen.abs().max()) < 1e-6


def test_balls_have_their_mass_and_volume() -> None:
    masses = np.array([8.0, 100.0, 400.0])
    centres = np.array([(0.0, 0.0, 0.0), (0.0, 500.0, 0.0), (0.0, 0.0, 900.0)])
    cloud = balls(np.tile(centres, (200, 1)), np.tile(masses, 200), random=rng())
    mine = np.linalg.norm(cloud.zyx[:, None] - centres, axis=-1).argmin(axis=1)
    for i, mass in enumerate(masses):
        assert kda(Cloud(cloud.zyx[mine == i], cloud.volts[mine == i])) / 200 == pytest.approx(mass)
    size = np.sqrt((((cloud.zyx - centres[mine]) ** 2).sum(axis=1))[mine == 2].mean())
    ball = (400 * PROTEIN_VOLUME * 3 / (4 * np.pi)) ** (1 / 3)
    assert size == pytest.approx(ball * np.sqrt(3 / 5), rel=0.15)


@pytest.mark.parametrize("adsorbed", [0.0, 0.6])
def test_specks_are_anywhere_or_at_the_surfaces(adsorbed: float) -> None:
    options = SampleOptions(speck_mass=(20.0, 200.0), adsorbed=(adsorbed, adsorbed))
    cloud = specks(options, 2000, ICE, random=rng())
    assert kda(cloud) / 2000 == pytest.approx(180 / np.log(10), rel=0.05)  # the mean of a log-uniform mass
    outer = (np.abs(cloud.zyx[:, 0] - 500) > 380).mean()
    assert outer == pytest.approx(adsorbed + (1 - adsorbed) * 0.24, abs=0.04)


def test_the_proteins_of_an_aggregate_touch() -> None:
    options = SampleOptions(aggregate_mass=(1500.0, 1500.0), background_mass=(30.0, 100.0))
    for seed in range(5):
        clump = aggregate(options, ICE, random=rng(seed))
        assert 1500 <= kda(clump) < 1600
        assert fcluster(linkage(clump.zyx, "single"), 60.0, "distance").max() == 1
        assert np.ptp(clump.zyx, axis=0).max() < 900


@pytest.mark.parametrize("radius", [12.0, 90.0])
def test_a_filament_is_long_in_the_ice_and_a_wide_one_is_a_tube(radius: float) -> None:
    thread = filament(SampleOptions(filament_radius=(radius, radius)), ICE, random=rng(1))
    height = thread.zyx[:, 0] - np.median(thread.zyx[:, 0])
    assert np.abs(height).max() <= radius * 1.1
    assert np.ptp(thread.zyx, axis=0)[1:].max() > 300
    if radius > WALL:
        assert (np.abs(height) < 10).mean() > 0.05  # both walls, and nothing between them
        across = np.sort(np.abs(height))
        assert across[len(across) // 2] > radius / 3


def test_a_film_covers_half_of_both_surfaces_with_its_mass() -> None:
    cloud = film(2.0, ICE, random=rng())
    area = 2 * 4000.0**2 / 2
    assert kda(cloud) / area == pytest.approx(2.0 * 6.022e-3, rel=0.15)
    depth = np.minimum(cloud.zyx[:, 0], 1000 - cloud.zyx[:, 0])
    assert np.sqrt((depth**2).mean()) == pytest.approx(FILM_DEPTH, rel=0.1)
    cells = np.histogram2d(*cloud.zyx[cloud.zyx[:, 0] < 500, 1:].T, bins=20)[0]
    assert (cells < 0.1 * cells.max()).mean() > 0.2
    assert len(film(0.0, ICE, random=rng()).volts) == 0


def test_contamination_lies_on_the_ice_and_is_water_more() -> None:
    options = SampleOptions(contamination_diameter=(400.0, 400.0))
    for seed in range(6):
        some = lump(options, ICE, random=rng(seed))
        outside = np.maximum(-some.zyx[:, 0], some.zyx[:, 0] - 1000)
        assert (outside >= 0).all()
        assert 60 < outside.max() < 205
        volume = some.volts.sum() / WATER_VOLTS
        assert 0.2 < volume / (2 / 3 * np.pi * 200**3) < 1.01


def test_clutter_leaves_the_voxels_of_particles_free() -> None:
    grid = OccupancyGrid((60, 60, 60), 10.0)
    grid.labels[:, :30] = 1
    options = SampleOptions(specks=(200000.0, 200000.0), aggregates=(3000.0, 3000.0), film=(2.0, 2.0))
    cloud = draw_cloud(options, grid, (100.0, 500.0), random=rng())
    at = grid.voxels(cloud.zyx)
    within = ((at >= 0) & (at < 60)).all(axis=1)
    assert (at[within][:, 1] >= 30).all()
    assert within.sum() > 100
    assert len(draw_cloud(SampleOptions(), grid, (100.0, 500.0), random=rng()).volts) == 0


def test_the_number_of_specks_is_that_of_the_ice() -> None:
    grid = OccupancyGrid((60, 100, 100), 10.0)
    options = SampleOptions(specks=(100000.0, 100000.0), speck_mass=(50.0, 50.0))
    cloud = draw_cloud(options, grid, (100.0, 500.0), random=rng())
    assert kda(cloud) / 50.0 == pytest.approx(100000 * 400 * 1000 * 1000 * 1e-12, rel=0.4)
