"""What is trained, and the ways that it is picked in: windows and arithmetic."""

from dataclasses import dataclass
from typing import Literal

from runs.shared.small_unet3d import unet3d_training
from tomosoup.models.window_plan import WindowPlan
from tomosoup.training.options import LossOptions, TrainingRecipe

PLANE = 448
"""Voxels of a tomogram along y and x."""


@dataclass(frozen=True)
class Way:
    """Windows and the arithmetic of the net in them."""

    windows: WindowPlan
    precision: Literal["fp32", "bf16"] = "bf16"

    @property
    def name(self) -> str:
        """Window and stride along z, then in the plane; then the arithmetic."""
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
"""What the nets that predict heatmaps are validated in, and have the norms of."""
SEGMENTATION_WAYS = [
    Way(WindowPlan(shape=(48, wide, wide), stride=(48, step, step), weighting="gaussian", border="inside"), precision)
    for wide, step, precision in [(384, 288, "fp32"), (384, 288, "bf16"), (PLANE, PLANE, "bf16"), (224, 168, "bf16")]
]
"""Ways of B: windows as deep as the tomogram, nearly as the 8th place has them; the first is its own."""


def trainings() -> dict[str, tuple[TrainingRecipe, list[Way]]]:
    """What is trained, by name, and the ways that it is picked in; the others are compared with the first.

    The recipes `small`, `yu4u`, `tattaka` and `soup-tiny` with smaller nets, from scratch, for 450 updates (B: 120);
    those that predict heatmaps on large crops with norms of planes.
    """
    small = TrainingRecipe.read("small").model_copy(
        update={"epochs": 2, "validate_every": 2, "warmup_epochs": 0.3, "windows": PLANES}
    )
    a1 = small.net.model_copy(update={"backbone": "tf_efficientnet_lite0", "decoder_widths": (128, 96, 64)})
    a2 = small.net.model_copy(update={
        "name": "pyramid_unet", "backbone": "resnet10t", "input_slices": 1, "depth_stride_limit": 4,
        "depth_mixing": True, "decoder_widths": (32, 48, 32, 16),
    })  # fmt: skip
    deep = {"shape": (32, *small.windows.shape[1:]), "stride": (16, *small.windows.stride[1:])}
    b = unet3d_training(
        windows=SEGMENTATION_WAYS[0].windows, crop_shape=(48, 96, 96), crops_per_tomogram=96, epochs=1,
        warmup_epochs=0.1, batch_size=4, learning_rate=3e-3, average_decay=0.9,
    )  # fmt: skip
    return {
        "small": (small, ways(16)),
        "A1": (small.model_copy(update={"net": a1}), ways(16)),
        "A2": (
            small.model_copy(update={
                "net": a2, "loss": LossOptions(name="balanced"), "sigma_by_radius": 0.5, "sigma": None,
                "crop_shape": (32, 192, 192), "windows": small.windows.model_copy(update=deep),
            }),
            ways(32),
        ),
        "B": (b, SEGMENTATION_WAYS),
    }  # fmt: skip
