"""One pick file of copick: what it says of a set's particles of one species."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from copick.impl.filesystem import CopickPicksFSSpec
from copick.models import CopickLocation, CopickPicksFile, CopickPoint
from pydantic import ValidationError

from tomosoup.core.config import first_problem
from tomosoup.core.errors import InputError, first_line
from tomosoup.core.types import Array, Picks
from tomosoup.data.formats.tables.text import read_text
from tomosoup.data.pick_store.pick_set import PickSet

UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading raises for a file that is not a pick file."""
UNITS = {"angstrom": 1.0, "nanometer": 10.0, "micrometer": 1e4}
"""Å in the units of copick's pick files."""


def stored_picks(file: Any) -> Picks:
    """The picks of a file in a copick project.

    copick checks every point by itself, which takes longer than picking it. So files as copick writes them are checked
    a column at a time, and all others are left to copick. Raises one of `UNREADABLE` where the file is none, and
    `OSError` where the storage fails.
    """
    if isinstance(file, CopickPicksFSSpec):
        with suppress(*UNREADABLE):
            return _by_columns(json.loads(file.fs.cat_file(file.path)))
    return _picks(file.load())


def _by_columns(content: dict[str, Any]) -> Picks:
    """The picks of a file's content. Raises one of `UNREADABLE` also for some that copick can read."""
    points = content["points"]
    rows = [(*map(point["location"].__getitem__, "xyz"), point["score"]) for point in points]
    turns = [point["transformation_"] for point in points]
    if not {*map(type, chain(*rows, *chain(*turns)))} <= {int, float}:
        raise TypeError("expected numbers")
    table, transforms = np.array(rows, dtype=float), np.array(turns, dtype=float)
    if transforms.shape[1:] != (4, 4) or (transforms[:, 3] != (0, 0, 0, 1)).any():
        raise ValueError("expected a transform of each point")
    header = CopickPicksFile.model_validate({**content, "points": []})
    return _assembled(header, table[:, :3], transforms, table[:, 3])


def read_file(path: Path) -> tuple[str | None, str, Picks, int]:
    """Run, where it is said, species and picks of a copick pick file, and how many of them have a score there."""
    try:
        content = json.loads(read_text(path, kind="a copick pick file"))
        file = CopickPicksFile.model_validate(content)
        points = content.get("points") or []
        if wrong := [v for p in points for v in p["location"].values() if isinstance(v, bool | str)]:
            raise ValueError(f"a location has {wrong[0]!r}; expected a number")
        scored = sum(point.get("score") is not None for point in points)
        return file.run_name, file.pickable_object_name, _picks(file), scored
    except InputError:
        raise
    except UNREADABLE as error:
        raise no_pick_file(path, error) from error


def no_pick_file(path: Path | str, error: Exception) -> InputError:
    """What to tell users of a file that raised one of `UNREADABLE`."""
    why = first_problem(error) if isinstance(error, ValidationError) else first_line(error)
    return InputError(f"{path} is not a copick pick file ({why}).")


def _picks(file: Any) -> Picks:
    """A particle stands at its location plus the translation of its transform (copick's rule).

    Its rotation is known unless the file says that orientations are not to be trusted.
    """
    points = file.points or []
    transforms = np.array([p.transformation_ for p in points], dtype=float).reshape(-1, 4, 4)
    places = np.array([(p.location.x, p.location.y, p.location.z) for p in points], dtype=float).reshape(-1, 3)
    scores = np.array([1.0 if p.score is None else p.score for p in points], dtype=float)
    return _assembled(file, places, transforms, scores)


def _assembled(file: Any, places: Array, transforms: Array, scores: Array) -> Picks:
    if not (np.isfinite(places).all() and np.isfinite(transforms).all() and np.isfinite(scores).all()):
        raise ValueError("positions, transforms and scores must be finite numbers")
    rotations = None if file.trust_orientation is False else transforms[:, 2::-1, 2::-1]
    return Picks((places + transforms[:, :3, 3])[:, ::-1] * _unit(file), scores, rotations)


def _unit(file: Any) -> float:
    """Å in the unit that a pick file counts in."""
    size = file.voxel_spacing if file.unit == "pixel" else UNITS.get(file.unit)
    if not size or not 0 < size < np.inf:
        needs = ", with a voxel_spacing for pixel" if file.unit == "pixel" else ""
        raise ValueError(f"its unit is {file.unit[:40]!r}; expected {', '.join(UNITS)} or pixel{needs}")
    return float(size)


def pick_file(picks: Picks, *, run: str, name: str, to: PickSet) -> CopickPicksFile:
    """What copick keeps of the picks of one species in a run: scores and, where known, orientations, too."""
    return CopickPicksFile(
        pickable_object_name=name,
        user_id=to.user,
        session_id=to.session,
        run_name=run,
        trust_orientation=picks.rotations is not None,
        points=_points(picks),
    )


def _points(picks: Picks) -> list[CopickPoint]:
    transforms = np.tile(np.eye(4), (len(picks), 1, 1))
    if picks.rotations is not None:
        transforms[:, :3, :3] = picks.rotations[:, ::-1, ::-1]
    rows = zip(picks.zyx.tolist(), transforms.tolist(), picks.score.tolist(), strict=True)
    return [
        CopickPoint.model_construct(  # which checks nothing: copick's check of each point takes longer than picking it
            location=CopickLocation.model_construct(x=x, y=y, z=z), transformation_=transform, score=score
        )
        for (z, y, x), transform, score in rows
    ]
