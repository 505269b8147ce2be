"""What the options of several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge

from tomosoup.core.config import Typed

Count = Annotated[int, Ge(1)]
Seed = Annotated[int, Ge(0)]
Thresholds = Annotated[tuple[str, ...], Typed("Model", value="[SPECIES=]SCORE")]
Purpose = Annotated[Literal["recall", "averaging"], Typed("Model", name="for")]
UNPREFIXED = Typed(name="")
"""An option of this model's field is called by its own name alone."""
Project = Annotated[Path, Typed("Input", positional=True, value="PROJECT", file="project")]
ToWrite = Annotated[Path, Typed("Output", aliases=("-o",), file="output")]
Checkpoints = Annotated[tuple[Path, ...], Typed("Model", file="checkpoint")]
PickSetName = Annotated[str | None, Typed("Input", value="USER/SESSION")]
SessionName = Annotated[str, Typed("Output", value="NAME")]
Overwrite = Annotated[bool, Typed("Output")]
PlanName = Annotated[str, Typed("Speed", value="NAME|FILE")]
RecipeName = Annotated[str, Typed("Model", value="NAME|FILE")]
