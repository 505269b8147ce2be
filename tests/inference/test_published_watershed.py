"""The 8th place's way from probabilities to picks, held against scikit-image's own functions over the whole volume."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import label, regionprops
from skimage.segmentation import watershed

from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.basins import basins_by_piece, basins_of_volume, depth_inside
from tomosoup.inference.readout.read_out import read_out

SOUP = PickingPlan.read("soup")
VOXEL = 10.012
RADII = {kind.name: kind.radius for kind in CONTEST_SPECIES}
SIZES = {
    "apo-ferritin": 80.1,
    "beta-galactosidase": 368,
    "ribosome": 750,
    "thyroglobulin": 480,
    "virus-like-particle": 1150.35,
}


def whole_volume(inside: NDArray[np.bool_], spacing: int) -> NDArray[np.int32]:
    """Their steps by the library's names, on axes x, y, z as in their program; back to z, y, x."""
    image = np.ascontiguousarray(inside.T)
    distance = ndimage.distance_transform_edt(image)
    markers = np.zeros(image.shape, dtype=bool)
    markers[tuple(peak_local_max(distance, min_distance=spacing, labels=image).T)] = True
    labels: NDArray[np.int32] = watershed(-distance, label(markers), mask=image).T
    return labels


def blobs(seed: int) -> NDArray[np.bool_]:
    """A smoothed random field over a threshold: pieces of all sizes, many at the faces."""
    random = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(random.normal(size=random.integers(16, 56, 3)), random.uniform(0.8, 5.0))
    return field > np.quantile(field, random.uniform(0.4, 0.97))


def balls(*centres: tuple[int, int, int], radius_vox: float, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    grid = np.indices(shape).T
    distances = np.min([np.linalg.norm(grid - c, axis=-1).T for c in centres], axis=0)
    inside: NDArray[np.bool_] = distances <= radius_vox
    return inside


def found_in(inside: NDArray[np.bool_], name: str) -> Picks:
    """What the plan reads off a volume in which one species has a probability of 0.7 inside."""
    probabilities = torch.zeros(len(CONTEST_SPECIES), *inside.shape)
    probabilities[[s.name for s in CONTEST_SPECIES].index(name)] = 0.7 * torch.from_numpy(inside)
    volume = Volume(probabilities, VOXEL, (0.0, 0.0, 0.0))
    return read_out([volume], volume, CONTEST_SPECIES, segments_voxels=True, plan=SOUP)[name]


@pytest.mark.parametrize("seed", range(12))
def test_every_voxel_belongs_to_the_particle_that_scikit_image_gives_it(seed: int) -> None:
    inside, spacing = blobs(seed), 2 + seed % 6
    theirs, ours = whole_volume(inside, spacing), basins_of_volume(inside, apart_vox=spacing)
    pairs = np.unique(np.stack([theirs.ravel(), ours.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(theirs)) == len(np.unique(ours))
    np.testing.assert_array_equal(theirs > 0, ours > 0)


def test_the_depth_is_scipys_distance_to_the_outside() -> None:
    for seed in range(12):
        inside = blobs(seed)
        np.testing.assert_array_equal(depth_inside(inside), ndimage.distance_transform_edt(inside).astype(np.float32))


@pytest.mark.parametrize("name", SIZES)
def test_picks_lie_at_the_centroids_of_their_regions_at_index_times_10_012(name: str) -> None:
    """Balls of a ribosome's size, some of which touch each other and the faces."""
    spacing = int(RADII[name] / 10)
    random = np.random.default_rng(spacing)
    centres = [tuple(c) for c in random.integers(0, (60, 80, 80), (14, 3))]
    inside = balls(*centres, radius_vox=12, shape=(60, 80, 80))
    regions = [r for r in regionprops(whole_volume(inside, spacing)) if r.area >= SIZES[name]]
    expected = np.array(sorted(tuple(np.array(r.centroid) * VOXEL) for r in regions))
    assert len(expected)
    np.testing.assert_allclose(sorted(map(tuple, found_in(inside, name).zyx)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "voxels", "picked"),
    [
        ("apo-ferritin", 80, False),
        ("apo-ferritin", 81, True),
        ("beta-galactosidase", 367, False),
        ("beta-galactosidase", 368, True),
        ("ribosome", 749, False),
        ("ribosome", 750, True),
        ("thyroglobulin", 479, False),
        ("thyroglobulin", 480, True),
        ("virus-like-particle", 1150, False),
        ("virus-like-particle", 1151, True),
    ],
)
def test_the_least_sizes_are_theirs_to_the_voxel(name: str, voxels: int, picked: bool) -> None:
    """The voxels nearest to a centre, so many of them."""
    middle = np.array([25, 25, 25])
    distance = ((np.indices((50, 50, 50)).T - middle) ** 2).sum(-1).T
    inside = np.zeros((50, 50, 50), dtype=bool)
    inside.ravel()[np.argsort(distance, axis=None, kind="stable")[:voxels]] = True
    assert bool(len(found_in(inside, name))) is picked


def test_least_sizes_hold_at_other_voxel_sizes() -> None:
    """A ribosome of 750 voxels of 10.012 Å has 94 of twice the size."""
    for radius_vox, picked in ((3, True), (2, False)):  # 123 and 33 voxels
        volume = Volume(
            torch.from_numpy(balls((20, 20, 20), radius_vox=radius_vox, shape=(40, 40, 40)))[None] * 0.7, 2 * VOXEL
        )
        found = read_out([volume], volume, [Species("ribosome", 150.0)], segments_voxels=True, plan=SOUP)
        assert bool(len(found["ribosome"])) is picked


def test_beta_amylase_is_not_picked() -> None:
    inside = balls((20, 20, 20), radius_vox=9, shape=(40, 40, 40))
    assert len(found_in(inside, "beta-amylase")) == 0
    assert len(found_in(inside, "apo-ferritin")) == 1
    volume = Volume(torch.from_numpy(inside)[None] * 0.7, VOXEL)
    by_peaks = SOUP.model_copy(update={"leave_out": ("dot",)})
    for segments in (True, False):
        found = read_out([volume], volume, [Species("dot", 60.0)], segments_voxels=segments, plan=by_peaks)
        assert len(found["dot"]) == 0


@pytest.mark.parametrize(("z", "found"), [(2, False), (8, True)])
def test_a_piece_wholly_within_the_separation_of_a_face_is_found_by_our_form_alone(z: int, found: bool) -> None:
    at_face = balls((z, 40, 40), radius_vox=12, shape=(60, 80, 80))
    assert basins_of_volume(at_face, apart_vox=15).any() == found
    assert basins_by_piece(at_face, apart_vox=15, least=1).max() == 1


def test_a_mask_over_more_than_half_of_the_volume_is_cut_apart_as_any_other() -> None:
    inside = np.ones((40, 40, 40), dtype=bool)
    inside[:2] = False
    assert basins_of_volume(inside, apart_vox=6).max() == whole_volume(inside, 6).max() > 0
