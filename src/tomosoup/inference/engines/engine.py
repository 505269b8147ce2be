"""The common interface of all engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tomosoup.core.config import ZYX

Finish = Callable[[], Tensor]
"""Waits for a started batch and returns its output."""


@dataclass(frozen=True)
class Engine:
    """`(b, 1, z, y, x)` float32 on the CPU, b <= `batch_size` -> `(b, c, z, y, x)` float32 on the CPU."""

    description: str
    """For the log: "OpenVINO 2026.4, fp32, 2 threads"."""
    window: ZYX
    """Shape (z, y, x) of its windows, halo included."""
    batch_size: int
    """Largest number of windows in a call."""
    start: Callable[[Tensor], Finish]
    """Starts a batch and returns the function that waits for its output. On a GPU, batches overlap with other work."""

    def __call__(self, windows: Tensor) -> Tensor:
        """The net's output for a batch."""
        return self._started(windows)()

    def each(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """The output of each batch, in order. A GPU computes the next batch while the caller uses an output."""
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
