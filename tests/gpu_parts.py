"""Stand-ins for parts of the script for a GPU; a process of its own imports them."""

import os
import time

from runs.gpu.budget import Setting
from runs.gpu.rows import Add, Row


def good(setting: Setting, add: Add) -> None:
    """Add a row."""
    add(Row("good", "net", "fp16", {"seconds": setting.seconds_left()}))


def raises(setting: Setting, add: Add) -> None:
    """Add a row, then fail as a full GPU does."""
    good(setting, add)
    raise RuntimeError("CUDA out of memory")


def dies(setting: Setting, add: Add) -> None:
    """Add a row, then end as a process does whose GPU is lost."""
    good(setting, add)
    os._exit(7)


def hangs(setting: Setting, add: Add) -> None:
    """Never end."""
    del setting, add
    time.sleep(1000)
