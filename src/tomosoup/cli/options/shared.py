"""What the options of several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt
from pydantic import AfterValidator

from tomosoup.core.config import Typed
from tomosoup.core.thresholds import Thresholds as Scores

Count = Annotated[int, Ge(1)]
Seed = Annotated[int, Ge(0)]


def _readable(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words, once they are known to be thresholds; whether their species exist is known later."""
    Scores.read(words)
    return words


Scored = Annotated[tuple[str, ...], AfterValidator(_readable)]
Thresholds = Annotated[Scored, Typed("Model", value="[SPECIES=]SCORE")]
"""Thresholds that make picks."""
ScoreFilter = Annotated[Scored, Typed("Input", value="[SPECIES=]SCORE")]
"""Thresholds that choose among picks that are there."""
MaxFdr = Annotated[Annotated[float, Gt(0), Lt(1)] | None, Typed("Model", value="FRACTION")]
"""False-discovery rate that makes picks."""
Purpose = Annotated[Literal["recall", "averaging"], Typed("Model", name="for")]
UNPREFIXED = Typed(name="")
"""An option of this model's field is called by its own name alone."""
Project = Annotated[Path, Typed("Input", positional=True, value="PROJECT", file="project")]
ToWrite = Annotated[Path, Typed("Output", aliases=("-o",), file="output")]
Checkpoints = Annotated[tuple[Path, ...], Typed("Model", file="checkpoint")]
PickSetName = Annotated[str | None, Typed("Input", value="USER/SESSION")]
SessionName = Annotated[str, Typed("Output", value="NAME")]
Overwrite = Annotated[bool, Typed("Output")]
PlanName = Annotated[str, Typed("Model", value="NAME|FILE")]
RecipeName = Annotated[str, Typed("Model", value="NAME|FILE")]
