"""The best epochs of a training are found in its folder, best first."""

from pathlib import Path

import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.training.run.best_epochs import kept_checkpoints


def test_a_folder_without_best_epochs_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"")
    with pytest.raises(InputError, match=rf"{tmp_path} holds no best epochs"):
        kept_checkpoints(tmp_path)


@pytest.mark.parametrize("content", [b"", b"broken", b"PK\x03\x04"])
def test_an_epoch_that_cannot_be_read_is_one_sentence_with_its_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "best-3.ckpt").write_bytes(content)
    with pytest.raises(InputError, match=r"best-3\.ckpt cannot be read") as error:
        kept_checkpoints(tmp_path)
    assert "\n" not in str(error.value)


def test_a_file_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"about": Touch()}, tmp_path / "best-1.ckpt")
    with pytest.raises(InputError, match=r"best-1\.ckpt cannot be read"):
        kept_checkpoints(tmp_path)
    assert not (tmp_path / "ran").exists()
