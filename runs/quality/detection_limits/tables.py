"""F4 of a model and of matched filters on every level, as a table and as a figure."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from runs.quality.detection_limits.ceiling import Ceiling, ceiling
from runs.quality.detection_limits.levels import LEVELS, NO_NOISE, SEEN_IN_TRAINING, Level, usual


def results(out: Path, model: str) -> list[tuple[Level, dict[str, Any], Ceiling | None]]:
    """What is measured of each level: the model's, and the matched filters'."""
    paths = {level: out / "model" / f"{model}-{level.name}.json" for level in LEVELS}
    return [(level, json.loads(p.read_text()), ceiling(out, level)) for level, p in paths.items() if p.exists()]


def table(out: Path, model: str) -> None:
    """Print a row for each level."""
    print("| dose | tilts | model | runs | best thresholds | filters alone | filters together |")
    print("| ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for level, row, top in results(out, Path(model).stem):
        dose = f"{level.dose:g}" if level.damage else "no noise"
        runs = " ".join(f"{v:.2f}" for v in row["runs"])
        filters = f"{top[0]:.3f} | {top[1]:.3f}" if top else " | "
        print(f"| {dose} | ±{level.tilt:g}° | {row['f4']:.3f} | {runs} | {row['best']:.3f} | {filters} |")


def draw(out: Path, model: str, picture: Path) -> None:
    """Draw F4 against dose and against the tilt limit."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    found = results(out, Path(model).stem)
    for axes, axis in zip(figure.subplots(1, 2, sharey=True), ("dose", "tilt"), strict=True):
        at = sorted((r for r in found if r[0].axis == axis or usual(r[0])), key=lambda r: getattr(r[0], axis))
        x = [min(getattr(r[0], axis), NO_NOISE) for r in at]
        lines = (
            ("o-", "model, stored thresholds", [r[1]["f4"] for r in at]),
            ("o--", "model, best thresholds for each point", [r[1]["best"] for r in at]),
            ("s-", "matched filters with known template and orientation", [r[2][1] if r[2] else np.nan for r in at]),
        )
        for colour, (style, label, y) in zip(("C0", "C0", "C1"), lines, strict=True):
            axes.plot(x, y, style, color=colour, label=label, fillstyle="none" if "--" in style else "full")
        axes.grid(alpha=0.3)
        axes.axvspan(*SEEN_IN_TRAINING[axis], color="C0", alpha=0.08, lw=0)
        axes.set_xlabel({"dose": "dose, e/Å² (tilts to ±45°)", "tilt": "largest tilt, degrees (dose 80 e/Å²)"}[axis])
        if axis == "dose":
            axes.set(xscale="log", ylabel="weighted F4", ylim=(0, 1.02))
            axes.set_xticks(x, [*(f"{v:g}" for v in x[:-1]), "no noise"])
            axes.minorticks_off()
        else:
            axes.set_xticks(x)
            axes.legend(fontsize=8, loc="lower right", title="shaded: training range of the model")
    figure.savefig(picture, dpi=100)
