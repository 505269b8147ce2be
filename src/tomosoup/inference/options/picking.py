"""How a volume is cut into windows, and how picks are read off its heatmap."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from tomosoup.core.config import ZYX, Count, Options, Recipe, Share
from tomosoup.inference.options.templates import TemplateOptions
from tomosoup.models.window_plan import Weighting, WindowPlan

Step = Annotated[float, Gt(0), Le(1)]


SMALLEST = {
    "apo-ferritin": 0.088,
    "beta-galactosidase": 0.120,
    "ribosome": 0.053,
    "thyroglobulin": 0.052,
    "virus-like-particle": 0.112,
}
"""The 8th place's 80, 368, 750, 480 and 1150 voxels of 10.012 Å, as shares of the balls of radius 60, 90, 150, 130 and
135 Å."""


class PeakOptions(Options):
    """How local maxima of a heatmap become picks."""

    separation: Annotated[float, Gt(0)] = 30.0
    """A peak is the maximum of the cube that reaches this far (Å) to every side."""
    apart: Annotated[float, Ge(0)] = 0.6
    """Least distance of two peaks of one species, in its radii: the lower of two nearer ones is a second pick of one
    particle. 0 keeps both, as the 4th place does; lower it for long particles that lie side by side."""
    floor: Annotated[float, Gt(0)] = 0.05
    """Peaks below this score are dropped for good; thresholds apply to the rest, now or later."""
    refine: bool = True
    """Move each peak to the top of a parabola through its neighbours, along each axis."""


class SegmentationOptions(Options):
    """How a volume of probabilities becomes picks: mask, distance transform, watershed, size limit; or by peaks."""

    RENAMED: ClassVar = {"by": "method"}

    method: Literal["watershed", "peaks"] = "watershed"
    """watershed: the 8th place's way, scored by the mean probability; peaks: the maxima of the probabilities smoothed
    by a Gaussian of half the species' radius, as of a heatmap (then the options of peaks count, these do not)."""
    mask: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Voxels more probable than this belong to a particle of the species."""
    separation: Annotated[float, Gt(0)] = 1.0
    """Least distance of two particles' middles, in radii of the species."""
    smallest: dict[str, Share] = SMALLEST
    """Least volume of a particle by species, as a share of the ball of its radius."""
    smallest_other: Share = 0.08
    """The same for species not listed."""


class PickingPlan(Recipe):
    """How any checkpoint's windows are laid over a tomogram and how picks are read; a named one is a TOML file."""

    FOLDER = "tomosoup.inference", "plans"
    NOUN = "plan"

    RENAMED: ClassVar = {"follow_noise": "noise_correction", "labels": "segmentation"}

    depth: Count | None = None
    """Voxels of a window along z; none keeps the checkpoint's."""
    plane: Count | None = None
    """Voxels of a window along y and along x; none keeps the checkpoint's. Whole planes (1024) are the fastest, for
    nets that trained on large crops."""
    border: Literal["zeros", "inside"] | None = None
    """The last windows reach into zeros, or are moved inside the volume and cut down to it; none keeps the
    checkpoint's."""
    step: tuple[Step, Step, Step] | None = None
    """From window to window, as a share of the window (z y x); none keeps the checkpoint's stride."""
    stride: ZYX | None = None
    """The same in voxels, in its place; smaller is slower and steadier."""
    neighbours: bool | None = None
    """A window's first and last slices see those before and after them, not zeros; none is as the checkpoint says."""
    weighting: Weighting | None = None
    """How windows fade; by default as the checkpoint's."""
    views: tuple[str, ...] = ()
    """Flipped and turned copies that are predicted too: flip_x, flip_y, flip_z, turn_90, turn_180,
    transpose, ..., or "all"; quarter turns are for nets that trained with rotations."""
    peaks: PeakOptions = PeakOptions()
    """How heatmaps become picks."""
    segmentation: SegmentationOptions = SegmentationOptions()
    """How the probabilities of nets that label voxels become picks."""
    noise_correction: Annotated[float, Ge(0)] = 2.5
    """In a tomogram whose loudest picks score less than those that thresholds were set on, all scores are divided by
    this power of the ratio, so that thresholds fit it, too; 0 leaves scores as they are."""
    templates: TemplateOptions = TemplateOptions()
    """How density maps decide between species picked at one place."""
    model_weights: tuple[Annotated[float, Gt(0)], ...] = ()
    """With several checkpoints: the weight of each one's heatmap in the mean; none weighs them alike."""

    def windows(self, own: WindowPlan) -> WindowPlan:
        """The windows for a checkpoint that comes with its `own`."""
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
