"""Nets, checkpoints and recipes that are small enough for tests."""

from dataclasses import replace

import torch

from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import Architecture, NetOptions, PyramidOptions, ResNetUNet3dOptions, UNet3dOptions
from tomosoup.models.window_plan import WindowPlan

BACKBONES = ("mobilenetv3_small_050", "test_resnet", "edgenext_xx_small")
A1 = NetOptions(backbone="test_resnet", input_slices=3, decoder_widths=(16, 12, 8))
A2 = NetOptions(
    name="pyramid_unet",
    backbone="test_resnet",
    input_slices=1,
    depth_stride_limit=4,
    depth_mixing=True,
    decoder_widths=(8, 12, 10, 8),
)
A2_OTHER = PyramidOptions(
    separable_norm=True,
    aspp=True,
    convolutions=2,
    attention="both",
    attention_form="max",
    interpolation="trilinear-corners",
    head="1x1x1",
)
"""All that the paper leaves open, otherwise than by default."""
B = UNet3dOptions(channels=(4, 6, 8, 10), residual_units=2, dropout=0.2)
RESNET_3D = ResNetUNet3dOptions(backbone="resnet10", decoder_widths=(8, 8, 6, 6, 4))
CHANGES: dict[str, Architecture] = {
    **{f"A1-{b}": A1.model_copy(update={"backbone": b}) for b in BACKBONES},
    **{f"A2-{b}": A2.model_copy(update={"backbone": b}) for b in BACKBONES},
    "A1-four-widths": A1.model_copy(update={"decoder_widths": (12, 10, 8, 6), "input_slices": 1}),
    "A1-convolution": A1.model_copy(update={"depth_reduction": "convolution"}),
    "A1-plain": A1.model_copy(update={"head": "plain"}),
    "A1-centres": A1.model_copy(update={"head": "centres"}),
    "A1-mixing": A1.model_copy(update={"depth_mixing": True}),
    "A2-deep": A2.model_copy(update={"depth_stride_limit": 16, "input_slices": 5}),
    "A2-convolution": A2.model_copy(update={"depth_reduction": "convolution"}),
    "A2-other": A2.model_copy(update={"mixing_kernel": "3x3x3", "pyramid": A2_OTHER}),
    "A2-no-attention": A2.model_copy(update={"pyramid": PyramidOptions(attention="none", interpolation="nearest")}),
    "B": B,
    "B-heatmaps": B.model_copy(update={"output": "heatmaps"}),
    "resnet3d": RESNET_3D,
}
TINY_RECIPE = """
epochs = 2
warmup_epochs = 0.5
batch_size = 4
average_decay = 0.5
sigma = 40.0
net = {backbone = "test_efficientnet", input_slices = 3, decoder_widths = [16, 12, 8]}
windows = {shape = [16, 64, 64], stride = [16, 32, 32]}
"""


def segmenting(checkpoint: Checkpoint, *, seed: int) -> Checkpoint:
    """An untrained segmentation model for the species of a checkpoint."""
    recipe = UNet3dOptions(channels=(4, 6), strides=(2,), residual_units=1, dropout=0.1)
    torch.manual_seed(seed)
    net = build_net(recipe, classes=len(checkpoint.species))
    windows = WindowPlan(shape=(16, 32, 32), stride=(12, 24, 24), weighting="gaussian", border="inside")
    return replace(checkpoint, weights=net.state_dict(), architecture=recipe, windows=windows)
