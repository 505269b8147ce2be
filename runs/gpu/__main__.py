"""Measures tomosoup on one GPU in at most eight minutes: outputs beside the CPU's, picking, training, memory.

    python -m runs.gpu OUT [--small] [--seconds 460] [--only PART ...]

OUT gets `table.md` and `results.json`, written anew after each part. Parts run in the order of their worth. One that
fails, or for which no time is left, has a row that says so. It reads nothing but this repository and downloads nothing.
Without a GPU, or with --small, every part runs on tiny nets and tomograms, which only shows that it works.
"""

from pathlib import Path

import torch

from runs.gpu.budget import measure
from runs.gpu.parts import parts
from runs.gpu.rows import table
from runs.shared.command import run_script
from tomosoup.core.errors import InputError

SECONDS = 460.0
"""For all parts together, so that the script ends within eight minutes."""


def main(out: Path, small: bool = False, seconds: float = SECONDS, only: tuple[str, ...] = ()) -> None:
    """Measure, save and print.

    Args:
        out: Folder for the results.
        small: Tiny nets and tomograms; always so without a GPU.
        seconds: For all parts together.
        only: These parts alone, by name.
    """
    known = parts()
    if unknown := set(only) - {part.name for part in known}:
        raise InputError(
            f"There is no part {', '.join(sorted(unknown))}: choose from {', '.join(part.name for part in known)}."
        )
    chosen = [part for part in known if not only or part.name in only]
    out.mkdir(parents=True, exist_ok=True)
    print(table(measure(chosen, out, small=small or not torch.cuda.is_available(), seconds=seconds)), end="")


if __name__ == "__main__":
    run_script(main, description=__doc__)
