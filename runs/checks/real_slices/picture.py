"""Real and simulated planes side by side, on one grey scale."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from runs.checks.real_slices.planes import Array, Plane, real_planes, simulated_planes, standardised
from runs.checks.real_slices.volumes import AXES, real_cuts, simulated_cuts
from tomosoup.core.files import written_aside

DARKEST, BRIGHTEST = -6.0, 3.0
"""Robust standard deviations that are black and white."""
WINDOW, MARGIN = 420, 12
"""Voxels along a window of a full plane, and between it and the plane's edges."""
TILE, GAP, MANY = 630, 10, 3
"""Pixels of the large tiles and between tiles; planes of each side in a row."""
Named = list[tuple[str, Array]]
"""Planes with the side that each is from."""


def window(plane: Plane, first: int) -> Array:
    """The corner of the plane with the fewest covered voxels; of equal ones, the next from the `first` one on."""
    low, high = slice(MARGIN, MARGIN + WINDOW), slice(-MARGIN - WINDOW, -MARGIN)
    corners = [(low, low), (high, high), (low, high), (high, low)]
    turned = corners[first % 4 :] + corners[: first % 4]
    return plane.grey[max(turned, key=lambda box: plane.valid[box].mean())]


def rows(data: Path, project: Path, *, every: int, draw: random.Random) -> Iterator[tuple[str, Named]]:
    """Direction and planes of each row: windows of full planes, then cuts of 128 x 128 voxels."""
    real, simulated = real_planes(data), list(simulated_planes(project, every=every))
    chosen = {"real": real[:MANY], "simulated": draw.sample(simulated, min(MANY, len(simulated)))}
    yield "xy", [(side, window(plane, i)) for side, planes in chosen.items() for i, plane in enumerate(planes)]
    cuts = {"real": real_cuts(data), "simulated": simulated_cuts(project)}
    for plane in AXES:
        yield plane, [(side, standardised(cut)) for side, found in cuts.items() for cut in found[plane][:MANY]]


def tile(grey: Array, side: int) -> Image.Image:
    """A plane as a square picture."""
    scaled = np.clip((grey - DARKEST) / (BRIGHTEST - DARKEST), 0, 1) * 255
    return Image.fromarray(scaled.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)


def draw_picture(data: Path, project: Path, out: Path, *, every: int, mixed: bool, seed: int) -> None:
    """Write the picture. Mixed, the planes of each row are in random order and unnamed, and the order is printed."""
    draw, lines = random.Random(seed), []
    for plane, found in rows(data, project, every=every, draw=draw):
        if mixed:
            draw.shuffle(found)
            print(f"{plane}: {', '.join(side for side, _ in found)}")
        step = 2 * MANY if lines else MANY  # the first row, of larger planes, takes two lines
        lines += [[(plane, *each) for each in found[at : at + step]] for at in range(0, len(found), step)]
    width = MANY * TILE + (MANY + 1) * GAP
    sides = [(width - GAP) // len(line) - GAP for line in lines]
    canvas = Image.new("L", (width, sum(sides) + GAP * (len(lines) + 1)), 255)
    pen, top = ImageDraw.Draw(canvas), GAP
    for line, side in zip(lines, sides, strict=True):
        for i, (plane, label, grey) in enumerate(line):
            at, name = (GAP + i * (side + GAP), top), plane if mixed else f"{plane}, {label}"
            canvas.paste(tile(grey, side), at)
            pen.rectangle(pen.textbbox(at, name), fill=255)
            pen.text(at, name, fill=0)
        top += side + GAP
    with written_aside(out) as aside:
        canvas.save(aside, format="PNG")
