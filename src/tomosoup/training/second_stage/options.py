"""Options of the training of a second stage."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt

from tomosoup.core.config import Count, Options, Typed
from tomosoup.models.nets.options import ClassifierOptions


class SecondStageOptions(Options):
    """A classifier of candidates: its net, its crops, its updates."""

    crop: Annotated[int, Ge(16)] = 32
    """Voxels of a crop along each axis; it should hold the largest particle."""
    shift: Annotated[int, Ge(0)] = 1
    """Largest random shift of a training crop along each axis, in voxels."""
    updates: Annotated[Count, Typed("Model")] = 600
    """Number of updates."""
    batch_size: Count = 32
    """Training crops per update, of every class equally often."""
    learning_rate: Annotated[float, Gt(0)] = 1e-3
    """Peak learning rate of AdamW; it falls to 0 along a cosine."""
    weight_decay: Annotated[float, Ge(0)] = 0.01
    """Weight decay of AdamW."""
    seed: Annotated[int, Ge(0), Typed("Model")] = 0
    """The same seed gives the same weights on the same data and machine."""
    net: ClassifierOptions = ClassifierOptions()
    """Network."""
