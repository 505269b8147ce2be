"""A training that is killed while it writes its state: `python killed_training.py PROJECT FOLDER`, in tests/."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY_PLAN, TINY_TRAINING

from tomosoup.data.project import open_project
from tomosoup.training.learner import Learner
from tomosoup.training.options import AugmentationOptions, Execution
from tomosoup.training.train import train

KILLED_IN_EPOCH = 2
"""From 0: the state of the epochs before it is on disk, half of its own beside it."""
RECIPE = TINY_TRAINING.model_copy(
    update={
        "epochs": 4,
        "windows": TINY_PLAN.model_copy(update={"shape": (16, 32, 32)}),
        "batch_size": 2,
        "crops_per_epoch": 4,
        "augmentation": AugmentationOptions(mixup_probability=0.5),
        "norm_crops": 3,
    }
)


def train_falling(project: Path, folder: Path, *, resume: bool = False) -> None:
    """Train by `RECIPE`; the first epoch is the best, so that it must outlive the kill."""
    log_dict = Learner.log_dict

    def worse_every_epoch(self: Learner, values: Mapping[str, Any], **options: Any) -> None:
        log_dict(self, {**values, **({"f4": 1.0 / (1 + self.current_epoch)} if "f4" in values else {})}, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "log_dict", worse_every_epoch)
        train(open_project(project), RECIPE, folder=folder, execution=Execution(resume=resume))


def killed_while_writing(checkpoint: dict[str, Any], file: Path, save: Any = torch.save) -> None:
    """In place of `torch.save`."""
    save(checkpoint, file)
    if "last" in str(file) and checkpoint["epoch"] == KILLED_IN_EPOCH:
        os.truncate(file, Path(file).stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    torch.save = killed_while_writing
    train_falling(Path(sys.argv[1]), Path(sys.argv[2]))
