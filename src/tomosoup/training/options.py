"""What a training does: net, target, windows, augmentation, optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import model_validator

from tomosoup.core.config import ZYX, Options, Recipe, Share, Typed
from tomosoup.core.types import Species
from tomosoup.inference.options.picking import PeakOptions, SegmentationOptions
from tomosoup.models.nets.options import Architecture, NetOptions, UNet3dOptions
from tomosoup.models.window_plan import WindowPlan

PAPER_SIGMA = 60.074
"""The 4th place's width of the target, in Å: 6 voxels of 10.012."""


class LossOptions(Options):
    """How far the prediction p is from the target g, in a number."""

    name: Literal["weighted", "balanced", "dice"] = "weighted"
    """weighted: mean of (p - g)² (g + floor), the 4th place's A1; balanced: particles and the rest apart, their A2;
    dice: Dice and cross-entropy over softmax, background included, the 8th place's, for nets that label voxels."""
    floor: Annotated[float, Ge(0)] = 0.1
    """Weight of an empty voxel in the weighted loss."""
    positive_from: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Balanced: voxels whose target is at least this are positive, the others negative."""
    positive_weight: Annotated[float, Ge(0)] = 1.0
    """Balanced: weight of the positive voxels' mean squared error."""
    negative_weight: Annotated[float, Ge(0)] = 1.0
    """Balanced: weight of the negative voxels' mean squared error."""
    eps: Annotated[float, Gt(0)] = 1e-6
    """Balanced: added to the counts, so that a batch without particles has a loss."""


class AugmentationOptions(Options):
    """Random changes of a training window; each with its probability."""

    RENAMED: ClassVar = {
        "flip_chance": "flip_probability",
        "affine_chance": "affine_probability",
        "intensity_chance": "intensity_probability",
        "mixup_chance": "mixup_probability",
    }

    flip_probability: Share = 0.5
    """Mirror along each of the flip axes, independently."""
    flip_axes: tuple[Literal["z", "y", "x"], ...] = ("z", "y", "x")
    """Axes that may be mirrored."""
    affine_probability: Share = 0.5
    """Rotate, scale and shift in the plane (zeros come in from outside)."""
    shift: Share = 0.05
    """Largest in-plane shift, as a share of the window."""
    scale: Share = 0.1
    """Largest relative change of size."""
    rotation_degrees: Annotated[float, Ge(0), Le(180)] = 180.0
    """Largest in-plane rotation."""
    intensity_probability: Share = 0.3
    """Change contrast and brightness."""
    intensity: Share = 0.3
    """Largest relative change of contrast, and of brightness in standard deviations."""
    mixup_probability: Share = 0.0
    """Mix a batch's windows in pairs; the loss is mixed likewise (mixup, Zhang et al. 2018)."""
    mixup_alpha: Annotated[float, Gt(0)] = 1.0
    """The share of each window is drawn from Beta(alpha, alpha)."""


class PretrainingOptions(Options):
    """What is different when the net first trains on another project."""

    epochs: Annotated[int, Ge(1)] | None = None
    """In place of the training's own."""
    patience: Annotated[int, Ge(1)] | None = None
    """In place of the training's own."""


class TrainingRecipe(Recipe):
    """One training run, from crops to the averaged weights."""

    FOLDER = "tomosoup.training", "recipes"

    RENAMED: ClassVar = {"also_kinds": "extra_tomo_types", "kept": "keep_best", "labels": "segmentation"}

    net: Architecture = NetOptions()
    windows: WindowPlan = WindowPlan()
    """The held-out run is predicted with this plan, and so are others by default."""
    crop_shape: ZYX | None = None
    """Voxels of a training crop (z, y, x); none is the windows' shape."""
    peaks: PeakOptions = PeakOptions()
    """How the held-out run's heatmap is read."""
    segmentation: SegmentationOptions = SegmentationOptions()
    """How its probabilities are read, where the net labels voxels."""
    augmentation: AugmentationOptions = AugmentationOptions()
    normalisation: Literal["volume", "data_set"] = "volume"
    """Grey values become mean 0, deviation 1: by each volume's own, or by those of all training runs together."""
    sigma: Annotated[float, Gt(0)] | None = None
    """Width of the target's Gaussians in Å; none is 60.074, the 4th place's 6 voxels of 10.012 Å."""
    sigma_by_radius: Annotated[float, Gt(0)] | None = None
    """In place of sigma: the width as a share of each species' radius."""
    ball: Annotated[float, Gt(0), Le(2)] = 1.0
    """Nets that label voxels: radius of the ball that stands for a particle, as a share of the species' radius."""
    loss: LossOptions = LossOptions()
    extra_tomo_types: tuple[str, ...] = ()
    """Train on these kinds of tomogram of the same runs, too; the held-out run is predicted in the main kind."""
    resample_to: Annotated[float, Gt(0)] | None = None
    """Voxel size (Å) that tomograms of another one are resampled to; none is that of the weights to start from, or
    each project's own. The recipes' windows are made for voxels of about 10 Å."""
    epochs: Annotated[int, Ge(1), Typed("Model")] = 64
    """Passes over the crops, at most."""
    crops_per_epoch: Annotated[int, Ge(1)] | None = None
    """Draw only so many crops of the half-overlapping grid an epoch, others each time; where it has fewer, some of them
    again, shifted otherwise."""
    crops_per_tomogram: Annotated[int, Ge(1)] | None = None
    """In place of the grid: so many crops of each tomogram an epoch, about voxels of every species and of the
    background equally often. With as large a batch, every update sees one tomogram."""
    schedule: Literal["cosine", "plateau"] = "cosine"
    """How the learning rate falls: by the cosine to 0 at the last update, or by half whenever the held-out run's loss
    stalls for half the patience."""
    patience: Annotated[int, Ge(1)] | None = None
    """Stop after so many validations without a lower loss on the held-out run; none is never. Sets the plateau too."""
    best_by: Literal["f4", "loss"] = "f4"
    """What the held-out run chooses the best weights by: its F4, or its loss."""
    keep_best: Annotated[int, Ge(1)] = 1
    """Best epochs to keep in the training's folder; `tomosoup soup` averages those of a folder."""
    warmup_epochs: Annotated[float, Ge(0)] = 4
    """Epochs in which the learning rate rises from 0, before the cosine."""
    batch_size: Annotated[int, Ge(1), Typed("Speed")] = 32
    """Crops an update, over all devices."""
    learning_rate: Annotated[float, Gt(0)] = 1e-3
    """Peak learning rate of AdamW."""
    encoder_rate: Share = 1.0
    """The encoder's learning rate as a share of it; 0 freezes the encoder, which saves time, too."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """AdamW's weight decay."""
    average_decay: Annotated[float, Ge(0), Lt(1)] = 0.999
    """Decay of the running average of the weights, which is what is validated and kept; 0 keeps the weights."""
    average_after: Annotated[int, Ge(0)] = 0
    """Updates before the averaging begins; until then the average is the weights themselves."""
    norm_crops: Annotated[int, Ge(0)] = 0
    """Before it is validated, estimate the statistics of the averaged net's batch norms anew, on so many training crops
    as large as the windows (at most as the tomograms); 0 keeps the average of the training's."""
    validate_every: Annotated[int, Ge(1)] = 1
    """Score the held-out run after every so many epochs; `epochs` is a multiple of it."""
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = "auto"
    """Arithmetic; auto is fp32 on a CPU, fp16 mixed on CUDA."""
    workers: Annotated[int, Ge(0)] = 0
    """Processes that prepare crops; 0 prepares them in the training process."""
    seed: Annotated[int, Ge(0), Typed("Model")] = 0
    """Same seed, same data, same machine: same weights."""
    pretraining: PretrainingOptions = PretrainingOptions()
    """What is different in the first step of two (--pretrain-on)."""

    @property
    def segments_voxels(self) -> bool:
        """Whether the net tells every voxel's species in place of predicting heatmaps."""
        return isinstance(self.net, UNet3dOptions)

    @property
    def crop(self) -> ZYX:
        """Voxels of a training crop (z, y, x)."""
        return self.crop_shape or self.windows.shape

    def with_net(self, net: Architecture) -> TrainingRecipe:
        """The same for weights that are there already, of this net.

        Raises `InputError` where the recipe is for nets of the other system.
        """
        return TrainingRecipe.of(
            {**self.model_dump(), "net": net.given_weights().model_dump()}, source="the weights to start from"
        )

    def for_pretraining(self) -> TrainingRecipe:
        """The first step of two: the same, but for what `pretraining` says; on one kind of tomogram."""
        different = {name: value for name, value in self.pretraining if value is not None}
        return self.model_copy(update={**different, "extra_tomo_types": (), "validate_every": 1})

    @model_validator(mode="after")
    def _the_loss_is_for_the_net(self) -> Self:
        if self.segments_voxels != (self.loss.name == "dice"):
            raise ValueError(
                "`loss.name` must be dice for segmentation models (unet3d), weighted or balanced for heatmap models"
            )
        return self

    @model_validator(mode="after")
    def _an_encoder_to_train_apart(self) -> Self:
        if self.segments_voxels and self.encoder_rate != 1:
            raise ValueError("segmentation models (unet3d) have no separate encoder: leave `encoder_rate` at 1")
        return self

    @model_validator(mode="after")
    def _a_plateau_has_a_length(self) -> Self:
        if self.schedule == "plateau" and self.patience is None:
            raise ValueError("the plateau schedule needs `patience`: set it")
        return self

    @model_validator(mode="after")
    def _kinds_differ_in_their_grey_values(self) -> Self:
        if self.extra_tomo_types and self.normalisation == "data_set":
            raise ValueError(
                "tomogram types differ in their grey values: with `extra_tomo_types` set `normalisation=volume`"
            )
        return self

    @model_validator(mode="after")
    def _one_kind_of_width(self) -> Self:
        if self.sigma is not None and self.sigma_by_radius is not None:
            raise ValueError(
                "`sigma` and `sigma_by_radius` exclude each other: unset one of them with `sigma=False` or "
                "`sigma_by_radius=False`"
            )
        return self

    @model_validator(mode="after")
    def _ends_with_a_validation(self) -> Self:
        if self.epochs % self.validate_every:
            raise ValueError(f"`epochs` ({self.epochs}) must be a multiple of `validate_every` ({self.validate_every})")
        return self

    def sigmas(self, species: Sequence[Species]) -> list[float]:
        """Width in Å of the target's Gaussians, a species."""
        if self.sigma_by_radius is not None:
            return [self.sigma_by_radius * s.radius for s in species]
        return [self.sigma or PAPER_SIGMA] * len(species)
