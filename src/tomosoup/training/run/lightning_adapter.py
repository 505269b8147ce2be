"""Settings of Lightning: complete files, Ctrl-C for the caller, no hints, an order of crops by epoch."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from tomosoup.core.files import written_aside
from tomosoup.training.supervision.crops import Crops


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its target and renames it.

    Lightning writes to the folder for temporary files, which may be on another disk. Its last step is then a copy, and
    a kill during the copy leaves half a file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ARG002
        """`path` is a file of this machine."""
        with written_aside(Path(path)) as aside:
            torch.save(checkpoint, aside)


@contextmanager
def interrupts_pass(trainer: pl.Trainer) -> Iterator[None]:
    """Raise `KeyboardInterrupt` on Ctrl-C, where Lightning would end the program: the caller decides what to do."""
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if trainer.interrupted:
        raise KeyboardInterrupt


@contextmanager
def only_our_words() -> Iterator[None]:
    """Keep Lightning's hints off the terminal: defaults are chosen on purpose, and `Progress` shows progress."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", message=".*lightning.*|.*Lightning.*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class ShuffledByEpoch(torch.utils.data.Sampler[int]):
    """A new order every epoch, by seed and epoch alone. Lightning sets the epoch, also when it resumes.

    With several processes each draws its own part of the order; all parts have one length.
    """

    def __init__(self, crops: Crops, *, devices: int = 1) -> None:
        self.crops, self.devices = crops, devices

    def set_epoch(self, epoch: int) -> None:
        """The epoch, from 0, that is about to be drawn."""
        self.crops.epoch = epoch

    def __len__(self) -> int:
        return self.crops.per_epoch // self.devices

    def __iter__(self) -> Iterator[int]:
        rank = torch.distributed.get_rank() if self.devices > 1 else 0
        order = self.crops.order()
        return iter(order[rank : len(self) * self.devices : self.devices])
