"""From probabilities to picks."""

import numpy as np
import pytest
import torch

from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Species, Volume
from tomosoup.inference.options.picking import SMALLEST, SegmentationOptions
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.readout.watershed import labels_to_heatmap, watershed_picks

RIBOSOME = next(s for s in CONTEST_SPECIES if s.name == "ribosome")


def balls(
    *centres: tuple[float, float, float],
    radius_vox: float,
    shape: tuple[int, int, int] = (60, 90, 90),
    value: float = 0.8,
) -> Volume:
    """Balls of one probability, at 10 Å voxels, centre of voxel 0 at 5 Å."""
    grid = np.indices(shape)
    data = np.zeros(shape, dtype=np.float32)
    for centre in centres:
        inside = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius_vox**2
        data[inside] = value
    return Volume(torch.from_numpy(data)[None], 10.0, (5.0, 5.0, 5.0))


def test_a_ball_is_picked_at_its_middle_with_its_mean_probability() -> None:
    (found,) = watershed_picks(balls((20, 30, 40), radius_vox=12), [RIBOSOME]).values()
    np.testing.assert_allclose(found.zyx, [[205, 305, 405]], atol=1e-6)
    np.testing.assert_allclose(found.score, [0.8], rtol=1e-6)


def test_the_score_is_the_mean_of_the_voxels_over_the_mask() -> None:
    volume = balls((20, 30, 40), radius_vox=12)
    volume.data[0, :20] *= 0.5
    inside = volume.data[volume.data > 0]
    (found,) = watershed_picks(volume, [RIBOSOME]).values()
    np.testing.assert_allclose(found.score, [float(inside.mean())], rtol=1e-6)
    assert 0.5 < found.score[0] < 0.7


def test_a_voxel_as_probable_as_the_mask_is_outside() -> None:
    volume = balls((20, 30, 40), radius_vox=12, value=0.25)
    for mask, picked in ((0.25, 0), (0.2499, 1)):
        assert len(watershed_picks(volume, [RIBOSOME], options=SegmentationOptions(mask=mask))["ribosome"]) == picked


def test_the_least_size_is_a_fraction_of_the_species_ball() -> None:
    volume = balls((20, 30, 40), radius_vox=12)
    for fraction, picked in ((0.75, 1), (0.82, 0)):  # it fills 0.787 of a ball of 13 voxels
        options = SegmentationOptions(smallest_other=fraction)
        assert len(watershed_picks(volume, [Species("a", 130.0)], options=options)["a"]) == picked


def test_a_particle_may_have_as_few_voxels_as_the_least_and_no_fewer() -> None:
    volume = balls((20, 30, 40), radius_vox=12)
    count = int((volume.data > 0).sum())
    for least, picked in ((count, 1), (count + 1, 0)):
        options = SegmentationOptions(smallest_vox={"a": float(least)})
        assert len(watershed_picks(volume, [Species("a", 120.0)], options=options)["a"]) == picked


def test_voxels_that_share_an_edge_or_a_corner_do_not_touch() -> None:
    data = torch.zeros(1, 30, 30, 30)
    data[0, 5:11, 5:11, 5:11] = data[0, 11:17, 11:17, 11:17] = 0.8
    options = SegmentationOptions(smallest_other=0.01, separation=1.0)  # so far apart, one piece would be one particle
    assert len(watershed_picks(Volume(data, 10.0), [Species("a", 150.0)], options=options)["a"]) == 2


def test_what_is_around_the_box_of_a_piece_is_outside_of_it() -> None:
    """A rod fills its box; it is cut all the same."""
    data = torch.zeros(1, 20, 20, 50)
    data[0, 5:14, 5:14, 5:41] = 0.8
    options = SegmentationOptions(smallest_other=0.05)
    assert len(watershed_picks(Volume(data, 10.0), [Species("a", 60.0)], options=options)["a"]) > 1


def test_touching_particles_are_cut_apart() -> None:
    (found,) = watershed_picks(balls((20, 30, 30), (20, 30, 50), radius_vox=12), [RIBOSOME]).values()
    assert len(found) == 2
    np.testing.assert_allclose(np.sort(found.zyx[:, 2]), [305 - 4, 505 + 4], atol=8)


def test_particles_nearer_than_a_radius_are_one() -> None:
    volume = balls((20, 30, 30), (20, 30, 38), radius_vox=12)
    assert len(watershed_picks(volume, [RIBOSOME])["ribosome"]) == 1
    assert len(watershed_picks(volume, [RIBOSOME], options=SegmentationOptions(separation=0.3))["ribosome"]) == 2


def test_what_is_too_small_or_too_improbable_is_no_particle() -> None:
    small = balls((20, 30, 40), radius_vox=5)  # 515 voxels, where a ribosome has 14137
    assert len(watershed_picks(small, [RIBOSOME])["ribosome"]) == 0
    assert len(watershed_picks(small, [Species("dot", 60.0)])["dot"]) == 1
    faint = balls((20, 30, 40), radius_vox=12, value=0.09)
    assert len(watershed_picks(faint, [RIBOSOME])["ribosome"]) == 0


def test_the_limits_are_the_winners_voxels_at_their_voxel_size() -> None:
    theirs = {"apo-ferritin": 80, "beta-galactosidase": 368, "ribosome": 750, "thyroglobulin": 480}
    theirs["virus-like-particle"] = 1150
    for kind in CONTEST_SPECIES:
        if kind.name in theirs:
            ball = 4 / 3 * np.pi * (kind.radius / 10.012) ** 3
            assert SMALLEST[kind.name] * ball == pytest.approx(theirs[kind.name], rel=0.02)


def test_limits_scale_with_the_voxels() -> None:
    """The same particle in voxels of half the size has eight times as many, and is kept or dropped alike."""
    for radius, kept in ((60.0, 1), (40.0, 0)):
        for voxel_size in (10.0, 5.0):
            volume = balls((40, 40, 40), radius_vox=radius / voxel_size, shape=(80, 80, 80))
            volume = Volume(volume.data, voxel_size)
            found = watershed_picks(volume, [RIBOSOME], options=SegmentationOptions(smallest={"ribosome": 0.04}))
            assert len(found["ribosome"]) == kept


def test_every_channel_is_its_species() -> None:
    both = torch.cat([balls((20, 30, 40), radius_vox=12).data, balls((30, 50, 60), radius_vox=13).data])
    found = watershed_picks(Volume(both, 10.0, (0.0, 0.0, 0.0)), [RIBOSOME, Species("b", 130.0)])
    np.testing.assert_allclose(found["ribosome"].zyx, [[200, 300, 400]], atol=1e-6)
    np.testing.assert_allclose(found["b"].zyx, [[300, 500, 600]], atol=1e-6)
    assert not any(
        map(len, watershed_picks(Volume(torch.zeros(2, 8, 8, 8), 10.0), [RIBOSOME, Species("b", 130.0)]).values())
    )


def test_a_smoothed_ball_has_its_peak_in_its_middle_and_keeps_its_probability_in_step() -> None:
    chances = balls((25, 30, 22), (25, 30, 67), radius_vox=15)
    smooth = labels_to_heatmap(chances, [RIBOSOME])
    found = find_peaks(smooth, [RIBOSOME])["ribosome"]
    np.testing.assert_allclose(np.sort(found.zyx[:, 2]), [225, 675], atol=2)
    # The share of a Gaussian of half the radius that lies within the radius is 0.739, of a ball of probability 0.8.
    np.testing.assert_allclose(found.score, 0.8 * 0.739, rtol=0.05)
    half = labels_to_heatmap(Volume(chances.data / 2, 10.0, chances.origin), [RIBOSOME])
    torch.testing.assert_close(half.data, smooth.data / 2)


def test_a_mask_over_most_of_the_volume_gives_no_picks() -> None:
    """As of a net that has learnt nothing yet, whose watershed would take minutes on a full-size volume."""
    chances = Volume(torch.full((1, 20, 20, 20), 1 / 7), 10.0)
    assert len(watershed_picks(chances, [RIBOSOME])["ribosome"]) == 0
    chances.data[0, :, :, :11] = 0
    assert len(watershed_picks(chances, [RIBOSOME])["ribosome"]) == 1


@pytest.mark.parametrize(("share", "picked"), [(0.49, True), (0.51, False)])
def test_a_mask_over_more_than_half_of_the_volume_gives_no_picks(share: float, picked: bool) -> None:
    data = torch.zeros(1, 100, 12, 12)
    data[:, : round(100 * share)] = 1.0
    assert bool(len(watershed_picks(Volume(data, 10.0), [Species("a", 30.0)])["a"])) is picked
