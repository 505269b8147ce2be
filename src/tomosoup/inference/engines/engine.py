"""The one thing that all engines are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tomosoup.core.config import ZYX

Finish = Callable[[], Tensor]
"""Waits for work that was started, and gives its output."""


@dataclass(frozen=True)
class Engine:
    """`(b, 1, z, y, x)` float32 on the CPU, b <= `batch_size` -> `(b, c, z, y, x)` float32 on the CPU."""

    description: str
    """What it is, in a line: "OpenVINO 2026.4, fp32, 2 threads"."""
    window: ZYX
    """(z, y, x) of the windows that it was prepared for, with their halo."""
    batch_size: int
    """Windows at most in a call."""
    start: Callable[[Tensor], Finish]
    """Begin with a batch; the function that it gives waits for the output. On a GPU the two overlap."""

    def __call__(self, windows: Tensor) -> Tensor:
        """The net's output for a batch."""
        return self._started(windows)()

    def each(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """The output of each batch, in order; on a GPU the next batch is under way while an output is used."""
        waiting: Finish | None = None
        for windows in batches:
            started = self._started(windows)
            if waiting:
                yield waiting()
            waiting = started
        if waiting:
            yield waiting()

    def _started(self, windows: Tensor) -> Finish:
        count, *shape = windows.shape
        if shape != [1, *self.window] or not 0 < count <= self.batch_size or windows.dtype != torch.float32:
            raise ValueError(
                f"Expected 1 to {self.batch_size} float32 windows (1, {', '.join(map(str, self.window))}), got "
                f"{windows.dtype} {tuple(windows.shape)}."
            )
        return self.start(windows)
