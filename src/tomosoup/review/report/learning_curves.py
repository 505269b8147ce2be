"""Learning curves of a training, from the log in the folder beside its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.types import Array

POINTS = 400
"""Most points of a curve: the losses of more updates are averaged."""
LOG = "metrics.csv"


@dataclass(frozen=True)
class Learning:
    """Curves of a training: each is `(x, y)`, x an update or an epoch."""

    name: str
    loss: tuple[Array, Array]
    """By update."""
    by_epoch: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    """epoch_loss, held_out_loss, f4 and f4/SPECIES."""


def learning_curves(checkpoint: Path) -> Learning | None:
    """The curves of the training that made `checkpoint`; None where its folder (.training) has no log.

    A resumed training has a log of each part: metrics.1.csv, metrics.2.csv, ..., metrics.csv.
    Raises `InputError` where a log is not a table of numbers.
    """
    log = checkpoint.with_suffix(".training") / LOG
    if not log.is_file():
        return None
    parts = sorted(log.parent.glob("metrics.*.csv"), key=lambda path: (len(path.name), path.name))
    try:
        table = pd.concat([pd.read_csv(path) for path in (*parts, log)])
        table = table.apply(pd.to_numeric)
        loss = _curve(table, "step", "loss")
        names = [n for n in table if n in {"epoch_loss", "held_out_loss", "f4"} or str(n).startswith("f4/")]
        curves = {str(name): _curve(table, "epoch", str(name)) for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{log} is not the log of a training ({first_line(error)}): move it away, or leave the checkpoint out."
        ) from error
    return Learning(checkpoint.name, loss, curves)


def _curve(table: pd.DataFrame, x: str, y: str) -> tuple[Array, Array]:
    """Column y over column x where both are finite, the last value of each x, averaged down to `POINTS`."""
    known = table[[x, y]].dropna().drop_duplicates(x, keep="last").sort_values(x).to_numpy(dtype=float)
    parts = np.array_split(known, min(POINTS, len(known))) if len(known) else []
    means = np.array([part.mean(0) for part in parts]).reshape(-1, 2)
    return means[:, 0], means[:, 1]
