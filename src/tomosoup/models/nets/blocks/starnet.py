"""StarNet, the backbone of the bundled default model, with timm's names of weights.

timm has it, too. Its import also imports torchvision and torch's compiler, which takes longer than torch itself.
"""

from __future__ import annotations

from torch import Tensor, nn

STEM = 32
"""Channels of the first layer."""
WIDTH, DEPTHS, RATIO = 20, (1, 2, 4, 1), 4
"""Of starnet_s100: channels of the first stage, which double with each; blocks of the stages; widening in a block."""


class StarNet(nn.ModuleDict):
    """Layers to run one after another on images `(b, inputs, y, x)`: starnet_s100 without its classifier.

    Ma, Dai, Bai, Wang and Fu (CVPR 2024), "Rewrite the Stars". The last four layers are the stages, of strides 4, 8, 16
    and 32. Weights start as in timm.
    """

    def __init__(self, inputs: int) -> None:
        widths = [WIDTH * 2**i for i in range(len(DEPTHS))]
        layers: dict[str, nn.Module] = {"stem_0": conv_norm(inputs, STEM, size=3, stride=2), "stem_1": nn.ReLU6()}
        for i, (before, width, depth) in enumerate(zip([STEM, *widths], widths, DEPTHS, strict=False)):
            blocks = [StarBlock(width) for _ in range(depth)]
            layers[f"stages_{i}"] = nn.Sequential(conv_norm(before, width, size=3, stride=2), *blocks)
        super().__init__(layers)
        self.stages = {f"stages_{i}": (width, 2 ** (i + 2)) for i, width in enumerate(widths)}
        """Name of each stage -> its channels, and its stride in the plane."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)


class StarBlock(nn.Module):
    """`(b, channels, y, x)` -> the same shape: the product of two linear maps, between two wide convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = RATIO * channels
        self.dwconv = conv_norm(channels, channels, size=7, groups=channels)
        self.f1, self.f2 = (conv_norm(channels, wide, norm=False) for _ in range(2))
        self.g = conv_norm(wide, channels)
        self.dwconv2 = conv_norm(channels, channels, size=7, groups=channels, norm=False)
        self.act = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        y = self.dwconv(x)
        y = self.act(self.f1(y)) * self.f2(y)
        mixed: Tensor = self.dwconv2(self.g(y))
        return x + mixed


def conv_norm(
    inputs: int, outputs: int, *, size: int = 1, stride: int = 1, groups: int = 1, norm: bool = True
) -> nn.Sequential:
    """A convolution that keeps the size of images, but for its stride, then a batch norm."""
    made = nn.Sequential()
    made.add_module("conv", nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, groups=groups))
    if norm:
        made.add_module("bn", nn.BatchNorm2d(outputs))
    return made
