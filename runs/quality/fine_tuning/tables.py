"""F4 from the files of `train`, as a table and as a figure."""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from runs.quality.fine_tuning.projects import NEW
from runs.quality.fine_tuning.trainings import PARTICLES

SHOWN = {
    "default": "fine-tuned from the default model",
    "scratch": "from scratch, in three times the CPU time",
    "simulated": "fine-tuned, after training on simulated tomograms",
    "4 x, encoder": "fine-tuned with four times the updates, encoder too",
}
"""The curves, from the first colour on."""


def read(out: Path) -> list[dict]:
    """All rows that exist."""
    return [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]


def table(out: Path) -> None:
    """Print one row for each training."""
    names = ["ribosome", *NEW]
    print(f"| particles per species | way | seed | F4 | {' | '.join(names)} | CPU s |")
    print("| ---: | --- | ---: | ---: |" + " ---: |" * (len(names) + 1))
    for row in sorted(read(out), key=lambda r: (r["particles"], r["way"], r["seed"])):
        each = " | ".join(f"{row['species'][name]:.3f}" for name in names)
        print(
            f"| {row['particles']} | {row['way']} | {row['seed']} | {row['f4']:.3f} | {each} | {row['seconds']:.0f} |"
        )


def figure(out: Path, picture: Path) -> None:
    """Draw F4 against the number of particles."""
    drawing = Figure(figsize=(6, 4), layout="constrained")
    axes = drawing.subplots()
    found = read(out)
    for colour, (way, label) in enumerate(SHOWN.items()):
        rows = [r for r in found if r["way"] == way and r["particles"]]
        ns = sorted({r["particles"] for r in rows})
        mean = [np.mean([r["f4"] for r in rows if r["particles"] == n]) for n in ns]
        axes.plot(ns, mean, f"C{colour}", label=label)
        axes.scatter([r["particles"] for r in rows], [r["f4"] for r in rows], color=f"C{colour}", s=14)
    axes.set(
        xscale="log", xlabel="annotated particles per species", ylabel="weighted F4 on six other runs", ylim=(0, 1)
    )
    axes.set_xticks(PARTICLES, list(map(str, PARTICLES)))
    axes.legend(loc="lower right")
    drawing.savefig(picture, dpi=150)
