"""How a process gets its memory and gives it back, and what it makes of Ctrl-C."""

from __future__ import annotations

import atexit
import ctypes
import gc
import signal
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's numbers for mallopt, from its malloc.h."""


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
