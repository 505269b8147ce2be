"""Curves of a training from its logs."""

from pathlib import Path

import numpy as np
import pytest

from tomosoup.core.errors import InputError
from tomosoup.review.report.learning_curves import POINTS, learning_curves


def logged(folder: Path, **logs: str) -> Path:
    """A checkpoint's path with the logs of its training beside it."""
    (folder / "m.training").mkdir()
    for name, text in logs.items():
        (folder / "m.training" / f"{name.replace('_', '.')}.csv").write_text(text)
    return folder / "m.safetensors"


def test_a_checkpoint_without_a_log_has_no_curves(tmp_path: Path) -> None:
    assert learning_curves(tmp_path / "m.safetensors") is None
    assert learning_curves(logged(tmp_path, metrics_1="step,epoch,loss\n")) is None


def test_rows_of_updates_and_of_epochs_do_not_mix(tmp_path: Path) -> None:
    text = "step,epoch,loss,f4,f4/ribosome,lr\n1,,4,,,1\n2,,2,,,1\n,0,,0.5,0.6,\n3,,1,,,1\n,1,,0.7,,\n"
    found = learning_curves(logged(tmp_path, metrics=text))
    assert found is not None
    np.testing.assert_array_equal(found.loss, [[1, 2, 3], [4, 2, 1]])
    np.testing.assert_array_equal(found.by_epoch["f4"], [[0, 1], [0.5, 0.7]])
    np.testing.assert_array_equal(found.by_epoch["f4/ribosome"], [[0], [0.6]])
    assert set(found.by_epoch) == {"f4", "f4/ribosome"}
    assert found.name == "m.safetensors"


def test_an_epoch_that_was_done_twice_counts_as_it_was_done_last(tmp_path: Path) -> None:
    checkpoint = logged(
        tmp_path,
        metrics_1="step,epoch,loss,f4\n5,,9,\n,0,,0.1\n",
        metrics_2="step,epoch,loss,f4\n5,,8,\n,0,,0.2\n",
        metrics_10="step,epoch,loss,f4\n5,,7,\n,0,,0.3\n",
        metrics="step,epoch,loss,f4\n6,,6,\n,1,,0.4\n",
    )
    found = learning_curves(checkpoint)
    assert found is not None
    np.testing.assert_array_equal(found.loss, [[5, 6], [7, 6]])
    np.testing.assert_array_equal(found.by_epoch["f4"], [[0, 1], [0.3, 0.4]])


def test_a_long_curve_is_averaged_down_and_keeps_its_mean_and_its_order(tmp_path: Path) -> None:
    n = 5 * POINTS
    rows = "".join(f"{step},,{step % 7}\n" for step in reversed(range(n)))
    found = learning_curves(logged(tmp_path, metrics=f"step,epoch,loss\n{rows}"))
    assert found is not None
    x, y = found.loss
    assert len(x) == POINTS
    assert (np.diff(x) > 0).all()
    assert y.mean() == pytest.approx(np.mean([step % 7 for step in range(n)]))
    assert x[0] == pytest.approx(2.0)


def test_a_log_that_has_only_begun_has_empty_curves(tmp_path: Path) -> None:
    found = learning_curves(logged(tmp_path, metrics="step,epoch,loss,f4\n"))
    assert found is not None
    assert [len(axis) for axis in (*found.loss, *found.by_epoch["f4"])] == [0, 0, 0, 0]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "step,loss\n1,high\n", '"step'])
def test_a_table_of_something_else_is_one_sentence_that_names_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"metrics\.csv is not the log of a training") as error:
        learning_curves(logged(tmp_path, metrics=text))
    assert "\n" not in str(error.value)
