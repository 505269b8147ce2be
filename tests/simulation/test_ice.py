from dataclasses import replace

import numpy as np
import pytest
import torch
from density import PERFECT, acquired, blobs, placed
from torch import Generator

from tomosoup.simulation.microscope.imaging import Field, expected_counts, interaction, project
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.specimen import SampleOptions
from tomosoup.simulation.specimen.built_in import PROTEIN_VOLUME, VOLTS_PER_KDA
from tomosoup.simulation.specimen.ice import CARBON_VOLTS, Carbon, Sample, carbon_phase, draw_sample, ice_thickness
from tomosoup.simulation.specimen.layout import OccupancyGrid


@pytest.mark.parametrize("share", [0.05, 0.25])
def test_crowding_fills_its_share_of_the_ice(share: float) -> None:
    grid = OccupancyGrid((60, 80, 80), 10.0)
    options = SampleOptions(crowding=(share, share), thickness=(400.0, 400.0))
    sample = draw_sample(options, grid, random=np.random.default_rng(0))
    masses = {name: float(m.sum()) * 10.0**3 / VOLTS_PER_KDA for name, m in sample.maps.items()}
    assert min(masses.values()) > 30
    assert max(masses.values()) < 150
    filled = sum(count * masses[name] * PROTEIN_VOLUME for name, count in sample.counts.items())
    assert filled / (400 * 800 * 800) == pytest.approx(share, rel=0.1)


def test_background_proteins_have_their_concentration_in_the_ice() -> None:
    options = SampleOptions(background_proteins=(50000.0, 50000.0), thickness=(300.0, 300.0))
    sample = draw_sample(options, OccupancyGrid((60, 80, 80), 10.0), random=np.random.default_rng(0))
    assert sum(sample.counts.values()) == round(50000 * 300 * 800 * 800 * 1e-12)
    assert sample.slab(np.array([600.0, 800.0, 800.0])) == (150.0, 450.0)
    thick = replace(sample, thickness=900.0)
    assert thick.slab(np.array([600.0, 800.0, 800.0])) == (0.0, 600.0)
    assert thick.surfaces(np.array([600.0, 800.0, 800.0])) == (-150.0, 750.0)


def ice(*, gradient: tuple[float, float]) -> Sample:
    return Sample(1500.0, gradient, maps={}, counts={}, hollow=frozenset(), carbon=None)


def test_an_ice_gradient_changes_the_thickness_evenly_along_the_sample() -> None:
    acquisition = acquired(MicroscopeOptions(tilt_limit=(60.0, 60.0), tilt_step=30.0))
    field = Field((101, 121), 10.0)
    sample = ice(gradient=(0.2, -0.4))
    thickness = ice_thickness(sample, acquisition, field=field, extent=np.array([500.0, 1010.0, 1210.0]))
    assert float(thickness[2, 50, 60]) == pytest.approx(1500)
    # Half a field is 5.05 and 6.05 of ten pixels; a pixel's middle is half of one short of it.
    assert float(thickness[2, 100, 60]) == pytest.approx(1500 * (1 + 0.1 * 100 / 101))
    assert float(thickness[2, 50, 120]) == pytest.approx(1500 * (1 - 0.2 * 120 / 121))
    # At 60 degrees the field is twice as far across, and the edge of the image looks on half of it as much.
    np.testing.assert_allclose(thickness[0, 50, 60:91], thickness[2, 50, 60::2], rtol=1e-5)
    even = ice_thickness(ice(gradient=(0.0, 0.0)), acquisition, field=field, extent=np.array([500.0, 1010.0, 1210.0]))
    assert float(even) == 1500


def test_fewer_electrons_come_through_the_thick_side() -> None:
    recipe = MicroscopeOptions(tilt_limit=(1.0, 1.0))
    acquisition = acquired(recipe)
    field = Field((40, 60), 10.0)
    thickness = ice_thickness(
        ice(gradient=(0.0, 0.5)), acquisition, field=field, extent=np.array([500.0, 400.0, 600.0])
    )
    passed = expected_counts(torch.zeros(1, 40, 60), acquisition, recipe, thickness=thickness, pixel=10.0)[0, 0].log()
    steps = passed.diff()
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.01)
    assert float(steps.mean()) == pytest.approx(-1500 * 0.5 / 60 / 3000, rel=0.01)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_carbon_covers_its_share_of_the_field_at_the_bottom_of_the_ice(share: float, seed: int) -> None:
    ahead = PERFECT.model_copy(update={"tilt_limit": (1.0, 1.0)})
    grid = OccupancyGrid((40, 150, 180), 10.0)
    sample = draw_sample(SampleOptions(carbon=(share, share)), grid, random=np.random.default_rng(seed))
    assert sample.carbon is not None
    assert sample.carbon.height == pytest.approx(-sample.thickness / 2)
    assert sample.carbon.thickness == 120
    (phase,) = carbon_phase(sample.carbon, acquired(ahead), ahead, field=Field((150, 180), 10.0), random=Generator())
    plateau = CARBON_VOLTS * 120 * interaction(300)
    covered = phase > plateau / 2
    assert float(covered.float().mean()) == pytest.approx(share, abs=0.02)
    assert float(phase[covered].mean()) == pytest.approx(plateau, rel=0.02)
    assert float(phase[~covered].abs().max()) < 0.6 * plateau
    grain = float(phase[phase > 0.9 * plateau].std())
    assert 0 < grain < 0.1 * plateau


def test_the_film_is_seen_where_a_particle_at_its_edge_is_at_every_tilt() -> None:
    microscope = PERFECT.model_copy(update={"tilt_step": 20.0, "tilt_limit": (40.0, 40.0), "shift_error": 30.0})
    acquisition, field = acquired(microscope), Field((41, 201), 10.0)
    # The hole's edge crosses the row through the middle at x = 150 Å.
    carbon = Carbon(120.0, -600.0, (0.0, 150.0 - 6000.0))
    film = carbon_phase(carbon, acquisition, microscope, field=field, random=Generator().manual_seed(0))
    point = project(
        {"a": blobs((0, 0, 0))}, {"a": placed([(-600.0, 0.0, 150.0)])}, acquisition, microscope, field=field
    )
    edges = []
    for image, spot in zip(film, point, strict=True):
        at = spot.argmax()
        y, x = int(at) // 201, int(at) % 201
        profile = image[max(y - 2, 0) : y + 3].mean(dim=0)
        half = float(profile[x + 10 : x + 40].mean()) / 2
        edges.append(int((profile > half).float().argmax()) - x)
    assert np.abs(edges).max() <= 1
    shifts = point.amax(dim=1).argmax(dim=1).diff().abs()
    assert int(shifts.min()) > 5
