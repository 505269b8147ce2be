"""A trained net -> an equal net that is faster on windows of one shape, by named steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tomosoup.core.config import ZYX
from tomosoup.models.nets.blocks.convolution import FLAT, Conv3x3x3, flat_weight, transposed_conv, upsampled_weight
from tomosoup.models.nets.blocks.slice_encoder import SlicePicker, SliceStack
from tomosoup.models.nets.shuffle_unet import UpStep
from tomosoup.models.nets.tomo_net import TomoNet

FEW = 16
"""Number of channels in a register of bf16."""
Net = TypeVar("Net", bound=TomoNet)
ModuleTypes = type[nn.Module] | UnionType
"""Classes of modules."""


@torch.no_grad()
def accelerate(net: Net, *, window: ZYX, steps: Sequence[str] | None = None) -> Net:
    """The net itself, rewritten in place and in eval mode: the same output, for windows `(b, 1, *window)` alone.

    `steps` are names of `STEPS`; None takes all, in their order. It cannot be trained or saved any more.
    """
    net.eval()
    for name, step in STEPS.items():
        if steps is None or name in steps:
            step(net, window)
    return net.requires_grad_(False)


def fold_norms(net: TomoNet, window: ZYX) -> None:
    """Batch norms become part of the convolution before them."""
    for conv, name in _pairs(net, window, nn.Conv2d | nn.Conv3d, nn.BatchNorm2d | nn.BatchNorm3d):
        norm = net.get_submodule(name)
        conv.weight, conv.bias = folded(conv, norm)
        net.set_submodule(name, getattr(norm, "act", nn.Identity()))  # timm's norms hold the activation after them


def fold_slices(net: TomoNet, window: ZYX) -> None:
    """What the slice picker multiplies by becomes part of the backbone's first convolution."""
    names = {module: name for name, module in net.named_modules()}
    for picker, name in _pairs(net, window, SlicePicker, nn.Conv2d):
        conv: Any = net.get_submodule(name)
        if conv.groups == 1:
            conv.weight = nn.Parameter(torch.einsum("oshw,sk->okhw", conv.weight, picker.weight.flatten(1)))
            stack = SliceStack(picker.out_channels)
            stack.weight = picker.weight
            net.set_submodule(names[picker], stack)


def prepare_steps(net: TomoNet, window: ZYX) -> None:
    """The decoder's steps add up their taps once, not at every window."""
    for name, (channels, depth) in input_sizes(net, window, UpStep).items():
        net.set_submodule(name, PreparedStep(net.get_submodule(name), below=channels, depth=depth))


def prepare_flat(net: TomoNet, window: ZYX) -> None:
    """Convolutions of maps one or two slices deep become convolutions of images, their weights laid out once."""
    for name, (_, depth) in input_sizes(net, window, Conv3x3x3).items():
        if depth <= FLAT:
            net.set_submodule(name, FlatConv(net.get_submodule(name), depth=depth))


def prepare_instances(net: TomoNet, _: ZYX) -> None:
    """Instance norms keep the memory order of maps."""
    for name, norm in list(net.named_modules()):
        if isinstance(norm, nn.InstanceNorm3d) and not (norm.affine or norm.track_running_stats):
            net.set_submodule(name, MapNorm(norm.num_features, norm.eps))


STEPS: dict[str, Callable[[TomoNet, ZYX], None]] = {
    "norms": fold_norms,
    "slices": fold_slices,
    "steps": prepare_steps,
    "flat": prepare_flat,
    "instances": prepare_instances,
}
"""The rewriting steps, in their order."""


class FlatConv(nn.Module):
    """`Conv3x3x3` on maps of one `depth` of 1 or 2, as a convolution of images."""

    def __init__(self, conv: Any, *, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.weight = nn.Parameter(flat_weight(conv.weight, depth))
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.repeat_interleave(depth))
        self.dilation, self.groups = conv.dilation[1], conv.groups

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1, 2)
        y = F.conv2d(x, self.weight, self.bias, padding=self.dilation, dilation=self.dilation, groups=self.groups)
        return torch.unflatten(y, 1, (-1, self.depth))


class PreparedStep(nn.Module):
    """`UpStep` on maps of one shape."""

    def __init__(self, step: Any, *, below: int, depth: int) -> None:
        """`below` and `depth`: channels and slices of the map that comes from below."""
        super().__init__()
        conv: Any
        conv, norm, activation = step[0].children()
        weight, bias = folded(conv, norm)
        self.factor = step.factor
        self.weight = nn.Parameter(upsampled_weight(weight[:, :below], step.factor, depth=depth).contiguous())
        self.bias = bias
        self.beside: nn.Module | None = None
        if beside := conv.in_channels - below:
            self.beside = Conv3x3x3(beside, conv.out_channels)
            self.beside.weight = nn.Parameter(weight[:, below:].contiguous())
        self.rest = nn.Sequential(activation, step[1])

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        joined = transposed_conv(x, self.weight, self.bias, self.factor)
        if self.beside is not None:
            joined = joined + self.beside(skip)
        rest: Tensor = self.rest(joined)
        return rest


class MapNorm(nn.Module):
    """Instance norm without weights `(b, c, z, y, x)` -> the same shape, and the same order of voxels in memory.

    `nn.InstanceNorm3d` changes the memory order of maps with channels last. A group norm with one channel per group
    does not, but is slow for few channels.
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps

    def forward(self, x: Tensor) -> Tensor:
        if self.channels >= FEW:
            return F.group_norm(x, self.channels, eps=self.eps)
        normed = F.instance_norm(x, eps=self.eps)
        last = torch.channels_last_3d
        return normed.contiguous(memory_format=last) if x.is_contiguous(memory_format=last) else normed


def folded(conv: Any, norm: Any) -> tuple[nn.Parameter, nn.Parameter]:
    """Weight and bias of the convolution that is `conv` and then the batch norm `norm`: scaled and shifted by it."""
    weight, bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return weight, bias


def input_sizes(net: TomoNet, window: ZYX, module_type: type[nn.Module]) -> dict[str, tuple[int, int]]:
    """Channels and slices of the first input of every module of a type, by name, for windows `(1, 1, *window)`."""
    sizes: dict[str, tuple[int, int]] = {}
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: sizes.update({name: inputs[0].shape[1:3]}))
        for name, module in net.named_modules()
        if isinstance(module, module_type)
    ]
    if hooks:
        _run_once(net, window)
    for hook in hooks:
        hook.remove()
    return sizes


def _pairs(net: TomoNet, window: ZYX, maker: ModuleTypes, taker: ModuleTypes) -> list[tuple[Any, str]]:
    """Pairs of a `maker` module and the name of a `taker` module that is the only user of its output."""
    names = {module: name for name, module in net.named_modules()}
    made_by: dict[int, nn.Module] = {}
    pairs: list[tuple[nn.Module, nn.Module, int]] = []

    def remember(module: nn.Module, _: Any, output: Tensor) -> None:
        made_by[id(output)] = module

    def pair(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if made := made_by.get(id(inputs[0])):
            pairs.append((made, module, id(inputs[0])))

    makers, takers = ([m for m in names if isinstance(m, wanted)] for wanted in (maker, taker))
    if not (makers and takers):
        return []
    hooks = [m.register_forward_hook(remember) for m in makers]
    hooks += [m.register_forward_pre_hook(pair) for m in takers]
    with Uses() as uses:
        _run_once(net, window)
    for hook in hooks:
        hook.remove()
    return [(made, names[module]) for made, module, output in pairs if uses.count[output] == 1]


class Uses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """How often each tensor, by its id, is given to one of torch's operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: Counter[int] = Counter()
        self._kept: list[Any] = []  # a tensor that is gone could lend its id to another

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler only to keep it out of here

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.count.update(id(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor))
        self._kept.append((args, kwargs, made))
        return made


def _run_once(net: TomoNet, window: ZYX) -> None:
    """Run the net on zeros: as deep as the window, with as few rows and columns as it takes, which change no step."""
    _, y, x = net.multiple
    net(torch.zeros(1, 1, window[0], y, x, device=next(net.parameters()).device))
