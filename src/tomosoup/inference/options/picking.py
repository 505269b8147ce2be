"""How a volume is divided into windows, and how its heatmap becomes picks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator

from tomosoup.core.config import ZYX, Count, Options, Recipe, Share, Typed
from tomosoup.inference.options.templates import TemplateOptions
from tomosoup.models.window_plan import Weighting, WindowBorder, WindowPlan

Step = Annotated[float, Gt(0), Le(1)]


SMALLEST = {
    "apo-ferritin": 0.088,
    "beta-galactosidase": 0.120,
    "ribosome": 0.053,
    "thyroglobulin": 0.052,
    "virus-like-particle": 0.112,
}
"""About the 8th place's 80.1, 368, 750, 480 and 1150.35 voxels of 10.012 Å, as fractions of spheres of radius 60, 90,
150, 130 and 135 Å. The plan `soup` has the exact numbers."""
NO_SIZES: dict[str, float] = {}
SIZES_AT = 10.012
"""Size (Å) of the voxels that `smallest_vox` counts."""


class PeakOptions(Options):
    """How local maxima of a heatmap become picks."""

    separation: Annotated[float, Gt(0)] = 30.0
    """A peak is the highest value within this distance (Å) along each axis."""
    apart: Annotated[float, Ge(0)] = 0.6
    """Smallest distance between two peaks of a species, in its radii. Of two closer peaks the lower one is dropped. 0
    keeps both, as yu4u does; use a low value for long particles that lie side by side."""
    floor: Annotated[float, Gt(0)] = 0.05
    """Lowest score of a candidate. Thresholds choose among the candidates, now or later."""
    refine: bool = True
    """Refine each position to a fraction of a voxel, with a parabola through the neighbours along each axis."""


class SegmentationOptions(Options):
    """How a volume of probabilities becomes picks: mask, distance transform, watershed, size limit; or by peaks."""

    RENAMED: ClassVar = {"by": "method"}

    method: Literal["watershed", "published-watershed", "peaks"] = "watershed"
    """watershed splits each connected piece of the mask into particles and scores them by their mean probability.
    published-watershed does so over the whole volume, as the 8th place's program: it misses particles that lie wholly
    within the separation of the border. peaks smooths the probabilities by a Gaussian of half the species' radius and
    reads them as a heatmap; the options `peaks.*` then apply."""
    mask: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Voxels with a higher probability belong to a particle of the species."""
    separation: Annotated[float, Gt(0)] = 1.0
    """Smallest distance between the centres of two particles, in radii of the species."""
    smallest: dict[str, Share] = SMALLEST
    """Smallest volume of a particle by species, as a fraction of the sphere of its radius."""
    smallest_other: Share = 0.08
    """The same for species not listed."""
    smallest_vox: dict[str, Annotated[float, Ge(0)]] = NO_SIZES
    """Smallest volume of a particle by species in voxels of 10.012 Å, in place of a fraction. Voxels of another size
    are converted."""


class PickingPlan(Recipe):
    """Windows, views and the way from maps to picks, for any checkpoint; a plan with a name is a TOML file."""

    FOLDER = "tomosoup.inference.options", "plans"
    NOUN = "plan"

    RENAMED: ClassVar = {"follow_noise": "noise_correction", "labels": "segmentation"}

    depth: Count | None = None
    """Size of a window along z, in voxels; by default the checkpoint's."""
    plane: Count | None = None
    """Size of a window along y and x, in voxels; by default the checkpoint's. Whole planes (1024) are fastest, for
    models that were trained on large crops."""
    border: WindowBorder | None = None
    """Last windows at the border: padded with zeros at the far end (zeros; centred: along z at both ends), or moved
    inside the volume; by default as the checkpoint's."""
    step: tuple[Step, Step, Step] | None = None
    """Step from window to window, as a fraction of the window (z, y, x); by default the checkpoint's stride."""
    stride: ZYX | None = None
    """Step from window to window in voxels, in place of `step`. A smaller step is slower and more accurate."""
    neighbours: bool | None = None
    """Show the first and last slices of a window their neighbours in the tomogram, not zeros; by default as the
    checkpoint says."""
    weighting: Weighting | None = None
    """How the weight of a window falls from its centre to its faces; by default as the checkpoint's."""
    denoise: Literal["auto", "always", "never"] = "auto"
    """Denoise a tomogram before it is picked, in memory, as `tomosoup denoise` does. auto: those of the types wbp and
    ctfdeconvolved, for models that were trained on denoised ones alone."""
    views: tuple[str, ...] = ()
    """Flipped and rotated copies to predict and average, too: flip_x, flip_y, flip_z, turn_90, turn_180, transpose,
    ..., or "all". Rotations by 90 degrees are for models that were trained with rotations."""
    peaks: PeakOptions = PeakOptions()
    """How heatmaps become picks."""
    segmentation: SegmentationOptions = SegmentationOptions()
    """How the probabilities of segmentation models become picks."""
    leave_out: tuple[str, ...] = ()
    """Species that are not picked, though the models find them."""
    noise_correction: Annotated[float, Ge(0)] = 2.5
    """Noise correction. In a tomogram with lower signal levels than those that set the thresholds, divide all scores by
    this power of the ratio, which raises them (also above 1). 0 leaves scores as they are."""
    templates: TemplateOptions = TemplateOptions()
    """How density maps decide between two species picked at one position."""
    second_stage: Annotated[Path, AfterValidator(Path.absolute), Typed(file="input")] | None = None
    """A classifier that `tomosoup second-stage` made: each score is multiplied by the probability of its species, and
    the thresholds are the classifier's."""
    model_weights: tuple[Annotated[float, Gt(0)], ...] = ()
    """Weight of each checkpoint in the average of several; by default equal."""

    def windows(self, own: WindowPlan) -> WindowPlan:
        """The windows for a checkpoint whose `own` windows these are, changed by this plan."""
        z, y, x = (self.depth or own.shape[0], self.plane or own.shape[1], self.plane or own.shape[2])
        stride = own.stride
        if self.step:
            stride = max(1, round(z * self.step[0])), max(1, round(y * self.step[1])), max(1, round(x * self.step[2]))
        changed = {
            "shape": (z, y, x),
            "stride": self.stride or stride,
            "weighting": self.weighting or own.weighting,
            "border": self.border or own.border,
            "neighbours": own.neighbours if self.neighbours is None else self.neighbours,
        }
        return WindowPlan.of(own.model_dump() | changed, source="The plan")
