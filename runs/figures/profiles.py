"""Draws the profiles of particles in docs/simulation/like-real.md: real, and simulated before and after the fit.

    python -m runs.figures.profiles docs/simulation/like-real.md docs/simulation/profiles.png

It reads the numbers from the page itself: lines with a species, one of `LINES`, and a grey value a voxel.
"""

import re
from pathlib import Path

from matplotlib.figure import Figure

from runs.figures.slices import WIDTH, save
from runs.shared.command import run_script
from tomosoup.core.errors import InputError
from tomosoup.data.copick.files import COLOURS

LINES = {"real": ("black", "-"), "before": (COLOURS[0], ":"), "after": (COLOURS[6], "-")}
"""What a line shows: its colour and its style."""
PROFILE = re.compile(rf"^ {{4}}([\w-]+) +({'|'.join(LINES)})((?: +-?\d+\.\d+)+)$", re.MULTILINE)


def main(page: Path, picture: Path) -> None:
    """Draw a panel a species."""
    profiles: dict[str, dict[str, list[float]]] = {}
    for species, line, values in PROFILE.findall(page.read_text()):
        profiles.setdefault(species, {})[line] = [float(value) for value in values.split()]
    if not profiles:
        raise InputError(f"{page} has no profiles: expected lines with a species, {', '.join(LINES)} and numbers.")
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    panels = figure.subplots(1, len(profiles), sharey=True)
    for axis, (species, lines) in zip(panels, profiles.items(), strict=True):
        for line, values in lines.items():
            colour, style = LINES[line]
            axis.plot(values, color=colour, linestyle=style, label=line)
        axis.set_title(species, fontsize=10)
        axis.grid(alpha=0.3)
    figure.supxlabel("distance from the centre in voxels", fontsize=10)
    panels[0].set_ylabel("grey value")
    panels[0].legend(fontsize=9, frameon=False, loc="lower right")
    save(figure, picture)


if __name__ == "__main__":
    run_script(main, description=__doc__)
