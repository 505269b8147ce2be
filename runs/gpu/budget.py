"""Parts one after another, each in a process of its own and within the time that is left.

A part that fails, hangs or loses its GPU costs its own later rows alone; its memory is free for the next.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from runs.gpu.rows import Add, Row, keeper, kept, save
from tomosoup.core.errors import as_sentence

PRELOADED = ["torch", "timm", "monai.networks.nets", "tomosoup.inference.pick", "tomosoup.training.train"]
"""What all parts import: they are started as forks of a process that has it, and that has not touched the GPU."""
LEAST = 5.0
"""Seconds under which no part is started."""


@dataclass(frozen=True)
class Setting:
    """What a part is told."""

    folder: Path
    """For files that a later part reads."""
    small: bool = False
    """Tiny nets and tomograms: to try the script on a CPU."""
    ends: float = float("inf")
    """When the part is stopped, by `time.time`."""

    def seconds_left(self) -> float:
        """Until the part is stopped."""
        return self.ends - time.time()


@dataclass(frozen=True)
class Part:
    """A part of the script."""

    name: str
    work: str
    """`module.function`, called with `args`, the setting and what keeps a row. The part's own process imports it: a
    package that is missing costs one part."""
    seconds: float
    """At most."""
    args: tuple[str, ...] = ()

    def run(self, setting: Setting, add: Add) -> None:
        """Do the work in this process; rows are added as they are there."""
        module, _, function = self.work.rpartition(".")
        getattr(import_module(module), function)(*self.args, setting, add)


def run_part(part: Part, setting: Setting, file: Path) -> None:
    """Run a part in this process; its rows go to a file. An error becomes a row."""
    add = keeper(file)
    try:
        part.run(setting, add)
    except Exception as error:
        add(Row(part.name, "", "", note=f"failed: {as_sentence(error)}"))


def measure(parts: Sequence[Part], folder: Path, *, small: bool, seconds: float) -> list[Row]:
    """The rows of all parts, in their order; `results.json` and `table.md` are written after each part.

    Parts that would begin or last beyond `seconds` are left out or stopped, and a row says so.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    end, rows = time.time() + seconds, list[Row]()
    for number, part in enumerate(parts):
        file = folder / "parts" / f"{number:02}-{part.name.replace(' ', '-')}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        limit = min(part.seconds, end - time.time())
        if limit < LEAST:
            rows.append(Row(part.name, "", "", note="not started: no time was left"))
            save(rows, folder)
            continue
        setting = Setting(folder, small, time.time() + limit)
        process = context.Process(target=run_part, args=(part, setting, file), daemon=False)
        process.start()
        process.join(limit)
        ended = process.exitcode
        if ended is None:
            process.kill()
            process.join(LEAST)
        rows += kept(file)
        if ended is None:
            rows.append(Row(part.name, "", "", note=f"stopped after {limit:.0f} s"))
        elif ended:
            rows.append(Row(part.name, "", "", note=f"failed: its process ended with code {ended}"))
        save(rows, folder)
    return rows
