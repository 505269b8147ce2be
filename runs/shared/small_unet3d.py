"""A small 3D U-Net that segments voxels, as `default_model`, `soups` and `speed_plans` train it."""

from typing import Any

from tomosoup.models.nets.options import UNet3dOptions
from tomosoup.training.options import AugmentationOptions, LossOptions, TrainingRecipe

FLIPS_ONLY = AugmentationOptions(affine_probability=0.0, intensity_probability=0.0)


def unet3d_training(**options: Any) -> TrainingRecipe:
    """Dice loss and flips; `options` are the other fields of the recipe."""
    return TrainingRecipe(
        net=UNet3dOptions(channels=(16, 32, 64, 64), residual_units=1, dropout=0.1),
        loss=LossOptions(name="dice"),
        augmentation=FLIPS_ONLY,
        **options,
    )
