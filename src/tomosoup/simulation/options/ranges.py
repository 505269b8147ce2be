"""Numbers and ranges of the options.

A range is two numbers; each run draws its own value between them, so that networks do not learn one microscope.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator

from tomosoup.core.config import Share

Positive = Annotated[float, Gt(0)]
PositiveShare = Annotated[float, Gt(0), Le(1)]
NotNegative = Annotated[float, Ge(0)]


def goes_up(low_high: tuple[float, float]) -> tuple[float, float]:
    """Refuse a range that goes down."""
    if low_high[0] > low_high[1]:
        raise ValueError("a range must go up (low, high)")
    return low_high


Range = Annotated[tuple[float, float], AfterValidator(goes_up)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(goes_up)]
NotNegativeRange = Annotated[tuple[NotNegative, NotNegative], AfterValidator(goes_up)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(goes_up)]
PositiveShareRange = Annotated[tuple[PositiveShare, PositiveShare], AfterValidator(goes_up)]
