"""A training resumes only as the one that it was, and loses no log."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.data.options import AnnotatedData
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.run.resume import keep_log, moved, refuse_another, stopped_by_itself


def identity(**changes: Any) -> dict[str, Any]:
    own = {**TrainingRecipe().model_dump(mode="json"), **AnnotatedData().model_dump(mode="json")}
    return {**own, "runs": ["a", "b"], "held_out": "c", "species": [], "voxel_size": 10.0, "start": None, **changes}


def test_the_same_training_is_resumed() -> None:
    refuse_another(identity(), identity())


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 7), ("seed", 5), ("runs", ["a"]), ("held_out", "a"), ("voxel_size", 5.0)]
)
def test_a_difference_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"another {name}: .*`overwrite=True`"):
        refuse_another(identity(), identity(**{name: value}))


def test_all_differences_are_named() -> None:
    with pytest.raises(InputError) as error:
        refuse_another(identity(), identity(epochs=7, held_out="a"))
    assert "epochs" in str(error.value)
    assert "held_out" in str(error.value)


def test_an_option_that_is_newer_than_the_stored_training_counts_as_its_default() -> None:
    old = identity()
    del old["seed"]
    refuse_another(identity(), old)
    with pytest.raises(InputError, match="another seed"):
        refuse_another(identity(seed=TrainingRecipe().seed + 1), old)


def stopped(folder: Path, epoch: int, stored: dict[str, Any]) -> Path:
    torch.save(
        {"callbacks": {"other": {}, "stopping": {"stopped_epoch": epoch}}, "identity": stored}, folder / "l.ckpt"
    )
    return folder / "l.ckpt"


def test_a_training_that_lost_its_patience_is_done_and_one_that_was_broken_off_is_not(tmp_path: Path) -> None:
    assert stopped_by_itself(stopped(tmp_path, 12, identity()), identity())
    assert not stopped_by_itself(stopped(tmp_path, 0, identity()), identity())


def test_another_training_that_is_done_is_not_taken_for_this_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another epochs"):
        stopped_by_itself(stopped(tmp_path, 12, identity(epochs=7)), identity())


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"broken", b"PK\x03\x04 broken"])
def test_a_state_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "l.ckpt").write_bytes(content)
    with pytest.raises(InputError, match=r"l\.ckpt cannot be read") as error:
        stopped_by_itself(tmp_path / "l.ckpt", identity())
    assert "\n" not in str(error.value)


def test_each_part_of_a_training_keeps_its_log(tmp_path: Path) -> None:
    log = tmp_path / "metrics.csv"
    keep_log(log)  # nothing is there yet
    for part in ("first", "second", "third"):
        log.write_text(part)
        keep_log(log)
        assert not log.exists()
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"metrics.1.csv": "first", "metrics.2.csv": "second", "metrics.3.csv": "third"}


def test_paths_follow_a_folder_that_was_moved_and_nothing_else_changes() -> None:
    state = {"best": "/old/run/a.ckpt", "k": {"/old/run/b.ckpt": 0.5}, "other": "/older/x", "n": 3, "no": None}
    assert moved(state, "/old/run", "/new") == {
        "best": "/new/a.ckpt",
        "k": {"/new/b.ckpt": 0.5},
        "other": "/older/x",
        "n": 3,
        "no": None,
    }
