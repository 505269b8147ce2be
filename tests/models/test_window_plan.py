"""A window plan leaves no gaps and fits into memory."""

import pytest

from tomosoup.core.errors import InputError
from tomosoup.models.window_plan import WindowPlan


def plan(**options: object) -> WindowPlan:
    return WindowPlan.of(options, source="plan")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_stride_longer_than_the_window_is_refused_along_every_axis(axis: int) -> None:
    stride = [16, 32, 48]
    plan(shape=(16, 32, 48), stride=tuple(stride))
    stride[axis] += 1
    with pytest.raises(InputError, match=r"leaves gaps between windows of \(16, 32, 48\) \(z y x\)"):
        plan(shape=(16, 32, 48), stride=tuple(stride))


def test_a_window_is_refused_that_no_memory_holds() -> None:
    plan(shape=(2**11, 2**10, 2**10), stride=(1, 1, 1))
    with pytest.raises(InputError, match=r"more than 2\^31: make it smaller"):
        plan(shape=(2**11 + 1, 2**10, 2**10), stride=(1, 1, 1))


@pytest.mark.parametrize("name", ["shape", "stride"])
@pytest.mark.parametrize("bad", [(0, 8, 8), (-8, 8, 8), (8, 8), (8, 8, 8.5)])
def test_sizes_are_three_whole_numbers_above_zero(name: str, bad: object) -> None:
    with pytest.raises(InputError, match=f"plan: {name}"):
        plan(**{"shape": (8, 8, 8), "stride": (8, 8, 8), name: bad})


def test_a_plan_comes_back_from_what_a_checkpoint_holds() -> None:
    one = plan(shape=(16, 32, 48), stride=(8, 16, 24), weighting="gaussian", border="inside", neighbours=True)
    assert plan(**one.model_dump(mode="json")) == one
