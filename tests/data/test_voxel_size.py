"""Voxel sizes: cubes or an error, and two that are one."""

import math
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomosoup.core.errors import InputError
from tomosoup.data.volumes.voxel_size import cube, same_voxel_size

sizes = st.floats(0.1, 100)


@given(sizes)
@settings(max_examples=20, deadline=None)
def test_equal_sides_are_the_size(size: float) -> None:
    assert cube([size] * 3, name="t") == pytest.approx(size)


def test_sides_that_differ_by_rounding_are_averaged() -> None:
    assert cube([10.0, 10.03, 10.06], name="t") == pytest.approx(10.03)


@pytest.mark.parametrize("sides", set(permutations((10.0, 10.0, 10.2))))
def test_a_longer_side_is_refused_whichever_it_is(sides: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match=r"t measure .* Å along z, y, x.*`voxel_size`"):
        cube(sides, name="t")


def test_the_message_has_the_sides_in_their_order() -> None:
    with pytest.raises(InputError, match=r"measure 1, 2, 3 Å"):
        cube([1, 2, 3], name="t")


@pytest.mark.parametrize("bad", [0.0, -10.0, math.inf, math.nan])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sizes_that_none_can_have_are_unknown(bad: float, axis: int) -> None:
    sides = [10.0, 10.0, 10.0]
    sides[axis] = bad
    assert cube(sides, name="t") == 0.0


def test_a_voxel_size_and_how_its_folder_rounds_it_are_one() -> None:
    assert same_voxel_size(10.012, 10.0)
    assert same_voxel_size(10.0, 10.199)
    assert not same_voxel_size(10.0, 10.3)
    assert not same_voxel_size(10.0, 13.48)


@given(sizes, sizes, st.floats(0.001, 1000))
@settings(max_examples=40, deadline=None)
def test_the_answer_minds_neither_order_nor_unit(a: float, b: float, unit: float) -> None:
    if abs(abs(a - b) / max(a, b) - 0.02) > 1e-6:
        assert same_voxel_size(a, b) == same_voxel_size(b, a) == same_voxel_size(a * unit, b * unit)


def test_a_tolerance_of_the_callers_is_relative_to_the_larger() -> None:
    assert same_voxel_size(0.9, 1.0, tolerance=0.1)
    assert not same_voxel_size(0.9, 1.0, tolerance=0.0999)
    assert same_voxel_size(0.0, 0.0)
