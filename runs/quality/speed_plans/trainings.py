"""The trainings, and the ways to pick with each: windows and precision."""

from dataclasses import dataclass
from typing import Literal

from runs.shared.small_unet3d import unet3d_training
from tomosoup.models.window_plan import WindowPlan
from tomosoup.training.options import LossOptions, TrainingRecipe

PLANE = 448
"""Voxels of a tomogram along y and x."""


@dataclass(frozen=True)
class Way:
    """Windows, and the precision of the net."""

    windows: WindowPlan
    precision: Literal["fp32", "bf16"] = "bf16"

    @property
    def name(self) -> str:
        """Window and stride along z, then in the plane; then the precision."""
        (z, y, _), (dz, dy, _) = self.windows.shape, self.windows.stride
        plane = "whole planes" if y == PLANE else f"{y} at {dy}"
        return f"{z} at {dz}, {plane}, {self.precision}"


def ways(depth: int) -> list[Way]:
    """The paper's windows, in fp32 and in bf16; fewer; larger ones; whole planes with and without overlap in z."""
    half = depth // 2
    sizes = [(half, 128, 48), (half, 128, 64), (half, PLANE, PLANE), (depth, PLANE, PLANE), (half, 256, 96),
             (half, 256, 192)]  # fmt: skip
    plans = [
        WindowPlan(
            shape=(depth, wide, wide),
            stride=(dz, step, step),
            weighting="pyramid",
            border="inside" if wide == 256 else "zeros",
        )
        for dz, wide, step in sizes
    ]
    return [Way(plans[0], "fp32"), *map(Way, plans)]


PLANES = WindowPlan(shape=(16, 1024, 1024), stride=(8, 768, 768), border="inside")
"""Windows of heatmap models in validation, and for their batch norm statistics."""
SEGMENTATION_WAYS = [
    Way(WindowPlan(shape=(48, wide, wide), stride=(48, step, step), weighting="gaussian", border="inside"), precision)
    for wide, step, precision in [(384, 288, "fp32"), (384, 288, "bf16"), (PLANE, PLANE, "bf16"), (224, 168, "bf16")]
]
"""Ways of the segmentation model: windows as deep as the tomogram; the first is close to that of the 8th place."""


def trainings() -> dict[str, tuple[TrainingRecipe, list[Way]]]:
    """Name -> recipe, and the ways to pick with the model. The first way is the reference for the others.

    The recipes `small`, `yu4u`, `tattaka` and `soup-tiny` with smaller nets, from scratch, for 450 updates
    (the segmentation model: 120). Heatmap models train on large crops with batch norm statistics of whole planes.
    """
    small = TrainingRecipe.read("small").model_copy(
        update={"epochs": 2, "validate_every": 2, "warmup_epochs": 0.3, "windows": PLANES}
    )
    yu4u = small.net.model_copy(update={"backbone": "tf_efficientnet_lite0", "decoder_widths": (128, 96, 64)})
    tattaka = small.net.model_copy(update={
        "name": "pyramid_unet", "backbone": "resnet10t", "input_slices": 1, "depth_stride_limit": 4,
        "depth_mixing": True, "decoder_widths": (32, 48, 32, 16),
    })  # fmt: skip
    deep = {"shape": (32, *small.windows.shape[1:]), "stride": (16, *small.windows.stride[1:])}
    unet3d = unet3d_training(
        windows=SEGMENTATION_WAYS[0].windows, crop_shape=(48, 96, 96), crops_per_tomogram=96, epochs=1,
        warmup_epochs=0.1, batch_size=4, learning_rate=3e-3, average_decay=0.9,
    )  # fmt: skip
    return {
        "small": (small, ways(16)),
        "yu4u-reduced": (small.model_copy(update={"net": yu4u}), ways(16)),
        "tattaka-reduced": (
            small.model_copy(update={
                "net": tattaka, "loss": LossOptions(name="balanced"), "sigma_by_radius": 0.5, "sigma": None,
                "crop_shape": (32, 192, 192), "windows": small.windows.model_copy(update=deep),
            }),
            ways(32),
        ),
        "soup-reduced": (unet3d, SEGMENTATION_WAYS),
    }  # fmt: skip
