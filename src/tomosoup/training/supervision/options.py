"""Options of what a net is trained on: loss and augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import model_validator

from tomosoup.core.config import Options, Share
from tomosoup.models.nets.options import Predicts

LOSSES: Mapping[Predicts, tuple[str, ...]] = {
    "heatmaps": ("weighted", "balanced"),
    "labels": ("dice",),
    "centres": ("focal",),
}
"""What a net predicts -> the losses for it, the usual one first."""


class LossOptions(Options):
    """The loss: how far the prediction p is from the target g."""

    name: Literal["weighted", "balanced", "dice", "focal"] = "weighted"
    """weighted: the mean of (p - g)² (g + floor), yu4u's. balanced: the mean over particles (weights g) plus the mean
    over the background (weights 1 - g), tattaka's. dice: Dice and cross-entropy, of the 8th place, for segmentation
    models. focal: CenterNet's focal loss and L1 of the offsets, for `net.head` centres."""
    floor: Annotated[float, Ge(0)] = 0.1
    """Weight of an empty voxel in the weighted loss."""
    positive_from: Annotated[float, Gt(0), Lt(1)] | None = None
    """Balanced: divide particles from background at this value of g, in place of weights that follow g."""
    positive_weight: Annotated[float, Ge(0)] = 1.0
    """Balanced: weight of the particles' mean squared error."""
    negative_weight: Annotated[float, Ge(0)] = 1.0
    """Balanced: weight of the background's mean squared error."""
    eps: Annotated[float, Gt(0)] = 1e-6
    """Balanced: added to both sums of weights, so that a batch without particles has a finite loss."""

    @model_validator(mode="before")
    @classmethod
    def _positive_from_belongs_to_balanced(cls, options: Any) -> Any:
        """Version 0.1.0 wrote `positive_from` for the other losses, too, which do not use it."""
        if not isinstance(options, Mapping) or options.get("name", "weighted") == "balanced":
            return options
        return {name: value for name, value in options.items() if name != "positive_from"}


class AugmentationOptions(Options):
    """Random changes of training windows."""

    RENAMED: ClassVar = {
        "flip_chance": "flip_probability",
        "affine_chance": "affine_probability",
        "intensity_chance": "intensity_probability",
        "mixup_chance": "mixup_probability",
    }

    flip_probability: Share = 0.5
    """Probability to mirror a window along each of the flip axes."""
    flip_axes: tuple[Literal["z", "y", "x"], ...] = ("z", "y", "x")
    """Axes that may be mirrored."""
    affine_probability: Share = 0.5
    """Probability to rotate, scale and shift a window in the plane. Voxels from outside are zero."""
    shift: Share = 0.05
    """Largest shift in the plane, as a fraction of the window."""
    scale: Share = 0.1
    """Largest change of scale, as a fraction."""
    rotation_degrees: Annotated[float, Ge(0), Le(180)] = 180.0
    """Largest rotation in the plane."""
    target_interpolation: Literal["bilinear", "nearest"] = "bilinear"
    """How a heatmap follows its rotated window: between voxels, or as the nearest voxel, as in yu4u's program."""
    intensity_probability: Share = 0.3
    """Probability to change contrast and brightness."""
    intensity: Share = 0.3
    """Largest change of contrast, as a fraction, and of brightness, in standard deviations."""
    intensity_clip: bool = False
    """Clip the grey values of a window so changed to 0 ... 1, as the library of yu4u's program (albumentations) does to
    floats: of a standardised window two thirds of the voxels are cut off."""
    mixup_probability: Share = 0.0
    """Probability to mix the windows of a batch in pairs, and their losses (mixup, Zhang et al. 2018)."""
    mixup_alpha: Annotated[float, Gt(0)] = 1.0
    """The weight of each window in a pair is drawn from Beta(alpha, alpha)."""
