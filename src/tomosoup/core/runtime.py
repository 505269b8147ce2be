"""What a process computes on, how it gets its memory and gives it back, and what it makes of Ctrl-C."""

from __future__ import annotations

import atexit
import ctypes
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tomosoup.core.errors import InputError, first_line

if TYPE_CHECKING:  # torch takes seconds to import
    import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's numbers for mallopt, from its malloc.h."""


def best_device(wanted: str) -> torch.device:
    """`auto` chooses CUDA if available, else Apple's GPU, else the CPU. Raises `InputError` for an absent device."""
    import torch

    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=(device := torch.device(wanted)))
    except (RuntimeError, AssertionError) as error:
        why = f" ({first_line(error)})" if wanted.partition(":")[0] in ("cuda", "mps") else ""
        raise InputError(
            f"There is no device {wanted!r} here{why}: choose cpu, cuda or mps, or leave out `device` for the fastest "
            "one available."
        ) from error
    return device


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread within the block: sums in several threads depend on their number."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Let glibc's malloc keep large blocks that are freed for the next that is asked for.

    By itself it gives blocks over 32 MiB back to the kernel at once, and takes others, which the kernel has to clear
    page by page: for nets whose maps are large and whose arithmetic is small (the recipe `small` on whole planes) that
    is more work than the net. What a process held at its peak it then holds to its end. The commands call this; other
    C libraries are left as they are.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**28)
        libc.mallopt(M_TRIM_THRESHOLD, -1)


def look_for_garbage_less() -> None:
    """Let Python seldom look for objects that only hold each other, and at the end of the process not at all.

    While torch is imported it otherwise looks hundreds of times, in vain, and once more through all of it at the end:
    one to two seconds of every command.
    """
    gc.set_threshold(100_000, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)


def dask_setup(_: object) -> None:
    """What Dask calls in a worker that preloads this module: Ctrl-C is for the command, which ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
