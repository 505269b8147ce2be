"""Masks of tomograms: where they are, what they cover, how far a position is from their surface."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Volume
from tomosoup.data.copick.maps import SLAB, MapFolder
from tomosoup.data.copick.masks.mask import Mask, mask_digests, missing_masks, read_mask
from tomosoup.data.copick.masks.names import checked_mask
from tomosoup.data.copick.masks.region import Region
from tomosoup.data.options import RegionOptions
from tomosoup.data.project import MrcFolder
from tomosoup.data.tomogram import Tomogram

SHAPE = (20, 30, 40)


def tomogram(first_voxel: float = 0.5) -> Tomogram:
    """Voxels of 10 Å."""
    start = first_voxel * 10
    return Tomogram("a", "wbp", 10.0, (start, start, start), np.zeros(SHAPE, np.float32))


def lower_half(shape: tuple[int, ...]) -> np.ndarray:
    """A mask of the slices before the middle."""
    mask = np.zeros(shape, np.int8)
    mask[: shape[0] // 2] = 1
    return mask


def mask_of(path: Path, values: np.ndarray, size: float, *, first_voxel: float = 0.5) -> Mask:
    """The mask that is read from a file with these values and this voxel size."""
    with mrcfile.new(path / "m_a.mrc", overwrite=True) as file:
        file.set_data(values)
        if size:
            file.voxel_size = size
    return read_mask(str(path / "m_{run}.mrc"), "a", tomogram(first_voxel).grid, None)


@pytest.mark.parametrize("first_voxel", [0.5, -0.5])
@pytest.mark.parametrize(
    ("shape", "size"), [(SHAPE, 10), (SHAPE, 10.012), (SHAPE, 0), (SHAPE, 1), ((10, 15, 20), 20), ((40, 60, 80), 5)]
)
def test_a_mask_has_its_tomograms_first_corner(
    tmp_path: Path, shape: tuple[int, ...], size: float, first_voxel: float
) -> None:
    mask = mask_of(tmp_path, lower_half(shape), size, first_voxel=first_voxel)
    at = tomogram(first_voxel)
    assert list(mask.holds(at.to_angstrom([[9.4, 3, 3], [9.6, 3, 3], [-0.5, 0, 0]]))) == [True, False, True]
    expected = torch.from_numpy(lower_half(SHAPE) > 0)
    region = Region.of(mask, RegionOptions(mask="m.mrc"))
    assert torch.equal(region.on(at), expected)
    np.testing.assert_allclose(mask.distances(at.to_angstrom([[4.5, 7, 7], [14.5, 7, 7]])), [50, -50], atol=1.5)


@pytest.mark.parametrize(("kind", "above"), [(np.float32, 0.5), (np.int16, 0), (np.uint16, 0)])
def test_whole_numbers_and_fractions_are_inside(tmp_path: Path, kind: type, above: float) -> None:
    values = np.zeros(SHAPE, kind)
    values[:3] = 1 if above else 7
    values[3] = above
    assert mask_of(tmp_path, values, 10).inside.sum() == 3 * 30 * 40


@pytest.mark.parametrize(
    ("values", "size", "words"),
    [
        (lower_half((20, 30, 30)), 10, "covers the tomogram"),
        (lower_half((40, 60, 80)), 10, "covers the tomogram"),
        (lower_half(SHAPE), 5, "covers the tomogram"),
        (lower_half((10, 15, 20)), 0, "covers the tomogram"),
        (np.zeros(SHAPE, np.int8), 10, "is empty"),
    ],
)
def test_a_mask_of_another_volume_is_refused(tmp_path: Path, values: np.ndarray, size: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        mask_of(tmp_path, values, size)


@pytest.mark.parametrize("ending", [".mrc", ".zarr"])
def test_a_changed_mask_has_another_digest_and_a_copied_one_the_same(tmp_path: Path, ending: str) -> None:
    def written(name: str, values: np.ndarray) -> Mapping[str, str]:
        if ending == ".mrc":
            mrcfile.write(tmp_path / (name + ending), values, overwrite=True)
        else:
            store = MapFolder(tmp_path, omezarr=True)
            store.write(replace(tomogram(), run=name), Volume(values[None], 10.0), [SLAB])
        return digests(name)

    def digests(name: str, known: Mapping[str, str] | None = None) -> Mapping[str, str]:
        return mask_digests(f"{tmp_path}/{{run}}{'_slab' * (ending == '.zarr')}{ending}", None, name, known=known)

    first, other = written("a", lower_half(SHAPE)), written("b", lower_half(SHAPE)[::-1])
    assert first["content"] != other["content"]
    assert digests("a", known={**first, "content": "not read again"})["content"] == "not read again"
    for file in (tmp_path / "a.mrc", *tmp_path.glob("a_slab.zarr/*")):
        if file.exists():
            os.utime(file, (0, 0))
    again = digests("a", known={**first, "content": "not read again"})
    assert again["content"] == first["content"]
    assert again["listing"] != first["listing"]


def test_runs_without_a_mask_are_named(tmp_path: Path) -> None:
    (tmp_path / "b.mrc").touch()
    with pytest.raises(InputError, match=r"Run a, c has no mask \(there is no file .*a\.mrc"):
        missing_masks(str(tmp_path / "{run}.mrc"), MrcFolder(tmp_path), ["a", "b", "c"])
    with pytest.raises(InputError, match="not a copick project"):
        missing_masks("slab:tomosoup/0", MrcFolder(tmp_path), ["a"])


@pytest.mark.parametrize("name", ["slab", "tomosoup/0", "a:b/c@10", "{run}_{species}.mrc", "{name}.mrc"])
def test_a_text_that_names_no_mask_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        checked_mask(name)


@pytest.mark.parametrize(
    "options", [{"mask_distance": 5}, {"mask_side": "outside"}, {"mask": "m.mrc", "mask_side": "both"}]
)
def test_options_that_mean_no_region_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RegionOptions.model_validate(options)


@pytest.mark.parametrize(
    ("side", "distance", "kept"),
    [
        ("inside", None, [0, 1, 2]),
        ("outside", None, [3, 4, 5]),
        ("inside", 30, [1, 2]),
        ("outside", 30, [3, 4]),
        ("both", 15, [2, 3]),
    ],
)
def test_picks_are_kept_on_a_side_and_near_the_surface(side: str, distance: float | None, kept: list[int]) -> None:
    mask = Mask(lower_half(SHAPE) > 0, 10.0, (5.0, 5.0, 5.0))
    options = RegionOptions.model_validate({"mask": "m.mrc", "mask_side": side, "mask_distance": distance})
    region = Region.of(mask, options)
    z = np.array([2, 7, 9, 10, 12, 17])
    picks = {"x": Picks.of(mask.to_angstrom(np.stack([z, 0 * z + 5, 0 * z + 5], axis=1)))}
    found = region.with_distances(region.kept(picks))["x"]
    assert list(mask.to_voxel(found.zyx)[:, 0]) == list(z[kept])
    assert found.mask_distance is not None
    np.testing.assert_allclose(found.mask_distance, (9.5 - z[kept]) * 10)
    assert found.where(np.arange(len(found)) == 0).mask_distance == found.mask_distance[:1]


def test_a_mask_without_a_surface_has_no_distances() -> None:
    everywhere = Mask(np.ones(SHAPE, bool), 10.0, (5.0, 5.0, 5.0))
    assert np.isnan(everywhere.distances([[50, 50, 50]])).all()
    for options in ({"mask_side": "outside"}, {"mask_distance": 50}):
        with pytest.raises(InputError, match="whole tomogram"):
            Region.of(everywhere, RegionOptions.model_validate({"mask": "m.mrc", **options}))


def test_a_region_on_resampled_voxels_is_the_same_part() -> None:
    region = Region.of(Mask(lower_half(SHAPE) > 0, 10.0, (5.0, 5.0, 5.0)), RegionOptions(mask="m.mrc"))
    coarse = Volume(torch.zeros(10, 15, 20), 20.0, (10.0, 10.0, 10.0))
    assert torch.equal(region.on(coarse), torch.from_numpy(lower_half((10, 15, 20)) > 0))
