import pytest
import torch

from tomosoup.inference.tiling.symmetries import VIEWS


def test_there_are_sixteen_different_views_and_each_is_undone() -> None:
    data = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)
    seen = [view.apply(data) for view in VIEWS.values()]
    assert len(seen) == 16
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])
    for view, other in zip(VIEWS.values(), seen, strict=True):
        torch.testing.assert_close(view.undo(other), data)


@pytest.mark.parametrize(("name", "quarters"), [("turn_90", 1), ("turn_180", 2), ("turn_270", 3)])
def test_turns_are_turns(name: str, quarters: int) -> None:
    data = torch.randn(3, 4, 5)
    turns = [torch.rot90(data, sign * quarters, dims=(-2, -1)) for sign in (1, -1)]
    assert any(torch.equal(VIEWS[name].apply(data), turned) for turned in turns)
    if quarters == 1:
        assert not torch.equal(VIEWS["turn_270"].apply(data), VIEWS[name].apply(data))


def test_a_view_keeps_the_slices_apart() -> None:
    data = torch.randn(3, 4, 4)
    for name, view in VIEWS.items():
        sums = view.apply(data).sum(dim=(-2, -1))
        expected = data.sum(dim=(-2, -1))
        torch.testing.assert_close(sums, expected.flip(0) if "flip_z" in name else expected)
