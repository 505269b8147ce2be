"""What the programs of `runs.others` share: positions of particles, and the files. It imports no tomosoup."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Placed = list[tuple[str, np.ndarray]]
"""Names and z, y, x (Å from the centre of the first voxel)."""
Simulator = Callable[[Placed, dict[str, np.ndarray], dict[str, Any], np.random.Generator], np.ndarray]
"""Positions, density maps, the specification and a generator -> the tomogram `(z, y, x)`, with dark particles."""
TRIES = 1000
"""Positions that are tried for a particle before it is left out."""


def write_runs(spec_file: str, out: str, *, simulator: Simulator) -> None:
    """Write `RUN.npy` `(z, y, x)` and `RUN.json`, the labelled particles' names and z, y, x (Å from the corner)."""
    spec = json.loads(Path(spec_file).read_text())
    maps = {name: np.load(file).astype(np.float32) for name, file in spec["maps"].items()}
    for number in range(spec["runs"]):
        random = np.random.default_rng([spec["seed"], number])
        placed = lay_out(spec, random)
        volume = simulator(placed, maps, spec, random)
        labelled = [[name, *(at + spec["voxel_size"] / 2).tolist()] for name, at in placed if name in spec["labelled"]]
        np.save(Path(out) / f"run_{number:03d}.npy", volume)
        (Path(out) / f"run_{number:03d}.json").write_text(json.dumps(labelled))
        print(f"run_{number:03d}: {len(labelled)} particles", flush=True)


def lay_out(spec: dict[str, Any], random: np.random.Generator) -> Placed:
    """Balls that do not overlap, the largest first."""
    extent = (np.array(spec["shape"]) - 1) * spec["voxel_size"]
    placed: Placed = []
    at, radii = np.empty((0, 3)), np.empty(0)
    for name, number, radius in sorted(spec["components"], key=lambda component: -component[2]):
        for _ in range(number):
            tried = radius + random.random((TRIES, 3)) * (extent - 2 * radius)
            free = (np.linalg.norm(at - tried[:, None], axis=2) > radii + radius).all(axis=1)
            if free.any():
                place = tried[int(np.argmax(free))]
                at, radii = np.vstack([at, place]), np.append(radii, radius)
                placed.append((name, place))
    return placed
