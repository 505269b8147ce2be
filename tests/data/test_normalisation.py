import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.core.types import Volume
from tomosoup.data.volumes.normalisation import standardise


def test_any_grey_scale_gives_the_same_volume() -> None:
    data = torch.randn(8, 9, 10)
    a, b = standardise(Volume(data, 10.0)), standardise(Volume(data * 7e-6 + 5e-8, 10.0))
    torch.testing.assert_close(a.data, b.data, atol=1e-4, rtol=1e-4)
    assert float(a.data.mean()) == pytest.approx(0, abs=1e-6)
    assert float(a.data.std()) == pytest.approx(1, abs=1e-6)


def test_constants_of_a_data_set_are_used_as_given() -> None:
    data = torch.full((2, 2, 2), 3.0)
    torch.testing.assert_close(standardise(Volume(data, 1.0), mean=1.0, deviation=4.0).data, torch.full((2, 2, 2), 0.5))


def test_voxels_that_are_no_numbers_are_counted_and_refused() -> None:
    data = torch.randn(4, 4, 4)
    data[0, 0, :2] = torch.tensor([float("nan"), float("inf")])
    with pytest.raises(InputError, match="holds 2 NaN or infinite voxels of 64"):
        standardise(Volume(data, 1.0))


def test_a_volume_without_contrast_is_refused() -> None:
    with pytest.raises(InputError, match="Every voxel of the volume is 3"):
        standardise(Volume(torch.full((4, 4, 4), 3.0), 1.0))
