"""How a process gets its memory, and what it makes of Ctrl-C."""

from __future__ import annotations

import ctypes
import signal
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""glibc's numbers for mallopt, from its malloc.h."""


def keep_freed_memory() -> None:
    """Let glibc's malloc keep large blocks that are freed for the next that is asked for.

    By itself it gives blocks over 32 MiB back to the kernel at once, and takes others, which the kernel has to clear
    page by page: for nets whose maps are large and whose arithmetic is small (the recipe `small` on whole planes) that
    is more work than the net. What a process held at its peak it then holds to its end. The commands call this; other
    C libraries are left as they are.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
        libc.mallopt(M_ARENA_MAX, 1)  # threads' own have no room for large blocks


def dask_setup(_: object) -> None:
    """What Dask calls in a worker that preloads this module: Ctrl-C is for the command, which ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
