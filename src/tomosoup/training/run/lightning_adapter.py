"""Habits of Lightning's that are kept from the user: its hints, what it makes of Ctrl-C, files half written."""

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


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it.

    Lightning's own goes through the folder for temporary files, which may be another disk: then its last step is a
    copy, and a kill in the middle of it leaves half a file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ARG002
        """`path` is a file of this machine."""
        with written_aside(Path(path)) as aside:
            torch.save(checkpoint, aside)


@contextmanager
def interrupts_pass(trainer: pl.Trainer) -> Iterator[None]:
    """Lightning turns Ctrl-C into an exit of the program; turn it back, since that is the caller's to decide."""
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
    """Keep Lightning's hints off the terminal: our defaults are chosen, and progress is told by `Progress`."""
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
