"""Options of a training: net, target, windows, augmentation, optimiser; how it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import model_validator

from tomosoup.core.config import ZYX, Options, Recipe, Share, Typed
from tomosoup.core.types import Species
from tomosoup.inference.options.hardware import Hardware
from tomosoup.inference.options.picking import PeakOptions, SegmentationOptions
from tomosoup.models.nets.options import MODELS, Architecture, NetOptions
from tomosoup.models.window_plan import Border, WindowPlan
from tomosoup.training.supervision.options import LOSSES, AugmentationOptions, LossOptions

PAPER_SIGMA = 60.074
"""Standard deviation (Å) of the 4th place's target: 6 voxels of 10.012."""


class Execution(Hardware):
    """How a training runs. It makes no difference to the weights (on one kind of device)."""

    resume: bool = False
    """Resume a training that was stopped; it ends with the weights of an unbroken one."""


class PretrainingOptions(Options):
    """What differs while the net trains on another project first."""

    epochs: Annotated[int, Ge(1)] | None = None
    """Epochs of the pretraining; by default those of the training."""
    patience: Annotated[int, Ge(1)] | None = None
    """Patience of the pretraining; by default that of the training."""
    dropout: Annotated[float, Ge(0), Lt(1)] | None = None
    """Dropout of a segmentation model in the pretraining; by default that of the training."""


class TrainingRecipe(Recipe):
    """A training, from crops to averaged weights."""

    FOLDER = "tomosoup.training", "recipes"

    RENAMED: ClassVar = {"also_kinds": "extra_tomo_types", "kept": "keep_best", "labels": "segmentation"}

    net: Architecture = NetOptions()
    windows: WindowPlan = WindowPlan()
    """Windows for the held-out run, and by default for picking."""
    crop_shape: ZYX | None = None
    """Voxels of a training crop (z y x); by default the shape of the windows."""
    crop_border: Border = "inside"
    """Last crops of the grid: moved back inside the volume, or reaching past its end into zeros (yu4u's program)."""
    peaks: PeakOptions = PeakOptions()
    """How peaks of the held-out run's heatmap become picks."""
    segmentation: SegmentationOptions = SegmentationOptions()
    """How probabilities become picks, for segmentation models."""
    augmentation: AugmentationOptions = AugmentationOptions()
    normalisation: Literal["volume", "data_set"] = "volume"
    """Grey values are scaled to mean 0 and standard deviation 1: of each volume, or of all training runs together."""
    sigma: Annotated[float, Gt(0)] | None = None
    """Standard deviation (Å) of the target's Gaussians; by default 60.074, the 4th place's 6 voxels of 10.012 Å."""
    sigma_by_radius: Annotated[float, Gt(0)] | None = None
    """The same as a fraction of each species' radius, in place of sigma."""
    ball: Annotated[float, Gt(0), Le(2)] = 1.0
    """Segmentation models: radius of a particle's ball of labels, as a fraction of the species' radius."""
    loss: LossOptions = LossOptions()
    extra_tomo_types: tuple[str, ...] = ()
    """Train on tomograms of these types, too, from the same runs."""
    validate_extra_types: bool = False
    """Validate on all these types of the held-out run, not on the main type alone."""
    resample_to: Annotated[float, Gt(0)] | None = None
    """Resample tomograms to this voxel size (Å). By default it is that of the weights to start from, or the project's.
    The windows of the recipes suit voxels of about 10 Å."""
    epochs: Annotated[int, Ge(1), Typed("Model")] = 64
    """Number of passes over the training crops. Early stopping (`patience`) may end a training sooner."""
    crops_per_epoch: Annotated[int, Ge(1)] | None = None
    """Crops of an epoch, drawn anew from the half-overlapping grid. A smaller grid is used again with other shifts. By
    default all crops of the grid, once."""
    crops_per_tomogram: Annotated[int, Ge(1)] | None = None
    """Crops of each tomogram in an epoch, in place of the grid: around voxels of every species and of the background
    equally often. With a batch of this size, every update sees one tomogram."""
    schedule: Literal["cosine", "plateau"] = "cosine"
    """How the learning rate falls. cosine: to 0 at the last update. plateau: by half, whenever the loss on the held-out
    run has not fallen for `plateau_patience` validations."""
    patience: Annotated[int, Ge(1)] | None = None
    """Stop after this many validations without a lower loss on the held-out run; by default never."""
    plateau_patience: Annotated[int, Ge(0)] | None = None
    """Validations without a lower loss before the learning rate falls (plateau schedule); by default half the
    `patience`."""
    validation: Literal["picking", "yu4u", "soup"] = "picking"
    """How the held-out run is scored. picking: as it is picked, at the best thresholds; the loss is that of the blended
    windows. yu4u: by the windows, peaks and 19 thresholds of its authors. soup: as picking, but the loss, and a mean
    Dice, are those of plain crops with least overlap, each standardised by itself (the 8th place's)."""
    best_by: Literal["f4", "loss"] = "f4"
    """Measure on the held-out run that chooses the best weights."""
    keep_best: Annotated[int, Ge(1)] = 1
    """How many of the best epochs to keep in the training's folder. `tomosoup soup` averages those of a folder."""
    best_of_kept: Literal["f4", "loss", "dice"] | None = None
    """Measure that chooses the model among the kept epochs (dice: validation soup); by default `best_by`."""
    warmup_epochs: Annotated[float, Ge(0)] = 4
    """Epochs in which the learning rate rises from 0 (cosine schedule)."""
    batch_size: Annotated[int, Ge(1), Typed("Speed")] = 32
    """Number of training crops per update, over all devices together."""
    learning_rate: Annotated[float, Gt(0)] = 1e-3
    """Peak learning rate of AdamW."""
    encoder_rate: Share = 1.0
    """Learning rate of the encoder, as a fraction of the other one. 0 freezes the encoder, where the net has one, and
    saves time."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """Weight decay of AdamW."""
    average_decay: Annotated[float, Ge(0), Lt(1)] = 0.999
    """Decay of the running average of the weights, which is validated and kept; 0 keeps the weights as they are."""
    average_after: Annotated[int, Ge(0)] = 0
    """Updates before the averaging begins."""
    average_before_update: bool = False
    """Take the weights into the average before each update in place of after it, as the 8th place's program does: the
    average then lags by one update."""
    norm_crops: Annotated[int, Ge(0)] = 0
    """Training crops, as large as the windows, on which the batch norm statistics of the averaged net are estimated
    before each validation; 0 keeps the average of the training's statistics."""
    freeze_norms: bool = False
    """Batch norms keep the statistics that they start with (fine-tuning), in place of those of the crops. Small crops
    have others than the windows that the model picks with."""
    validate_every: Annotated[int, Ge(1)] = 1
    """Epochs between validations on the held-out run; `epochs` must be a multiple of it."""
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = "auto"
    """Arithmetic; auto is fp32 on a CPU and mixed fp16 on CUDA."""
    workers: Annotated[int, Ge(0)] = 0
    """Processes that prepare crops; 0 prepares them in the training's own process."""
    seed: Annotated[int, Ge(0), Typed("Model")] = 0
    """Random seed: the same seed gives the same weights on the same data and machine."""
    pretraining: PretrainingOptions = PretrainingOptions()
    """What differs in the pretraining on another project (`pretrain_on`)."""

    @property
    def segments_voxels(self) -> bool:
        """Whether the net is a segmentation model, which labels every voxel, in place of a heatmap model."""
        return self.net.predicts == "labels"

    @property
    def crop(self) -> ZYX:
        """Voxels of a training crop (z, y, x)."""
        return self.crop_shape or self.windows.shape

    def with_net(self, net: Architecture) -> TrainingRecipe:
        """The same recipe for existing weights of this net; the dropout stays the recipe's.

        Raises `InputError` where the recipe does not suit the net.
        """
        options = net.given_weights().model_dump()
        options |= {name: value for name, value in self.net if name == "dropout" and name in options}
        return TrainingRecipe.of({**self.model_dump(), "net": options}, source="the weights to start from")

    def for_pretraining(self) -> TrainingRecipe:
        """The recipe of the pretraining: with the changes of `pretraining`, on one tomogram type."""
        different = {name: value for name, value in self.pretraining if value is not None}
        dropout = different.pop("dropout", None)
        if dropout is not None and hasattr(self.net, "dropout"):
            different["net"] = self.net.model_copy(update={"dropout": dropout})
        return self.model_copy(update={**different, "extra_tomo_types": (), "validate_every": 1})

    @model_validator(mode="after")
    def _the_loss_is_for_the_net(self) -> Self:
        if self.loss.name not in (suiting := LOSSES[self.net.predicts]):
            raise ValueError(
                f"`loss.name` must be {' or '.join(suiting)} for {MODELS[self.net.predicts]}, got {self.loss.name}"
                + (": change it, or `net.output`" if hasattr(self.net, "output") else "")
            )
        return self

    @model_validator(mode="after")
    def _the_validation_is_for_the_net(self) -> Self:
        suiting = {"heatmaps": ("picking", "yu4u"), "labels": ("picking", "soup")}.get(self.net.predicts, ("picking",))
        if self.validation not in suiting:
            raise ValueError(f"`validation` must be {' or '.join(suiting)} for {MODELS[self.net.predicts]}")
        if self.best_of_kept == "dice" and self.validation != "soup":
            raise ValueError("`best_of_kept` can be dice with `validation=soup` alone: set that, or another measure")
        return self

    @model_validator(mode="after")
    def _an_encoder_to_train_apart(self) -> Self:
        if self.encoder_rate not in (0, 1) and not isinstance(self.net, NetOptions):
            raise ValueError(f"{self.net.name} has no encoder that is trained apart: set `encoder_rate` to 1")
        return self

    @model_validator(mode="after")
    def _a_plateau_has_a_length(self) -> Self:
        if self.schedule == "plateau" and self.patience is None and self.plateau_patience is None:
            raise ValueError("the plateau schedule needs `patience` or `plateau_patience`: set one of them")
        return self

    @model_validator(mode="after")
    def _tomogram_types_differ_in_their_grey_values(self) -> Self:
        if self.extra_tomo_types and self.normalisation == "data_set":
            raise ValueError(
                "tomogram types differ in their grey values: with `extra_tomo_types` set `normalisation=volume`"
            )
        return self

    @model_validator(mode="after")
    def _one_width_of_the_target(self) -> Self:
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
        """Standard deviation (Å) of the target's Gaussians for each species."""
        if self.sigma_by_radius is not None:
            return [self.sigma_by_radius * s.radius for s in species]
        return [self.sigma or PAPER_SIGMA] * len(species)
