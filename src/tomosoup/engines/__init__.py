"""What runs a net on windows of one fixed shape: torch, OpenVINO, ONNX Runtime or TensorRT behind one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from tomosoup.engines.choice import Choice, choose
from tomosoup.engines.engine import Engine
from tomosoup.errors import InputError
from tomosoup.nets.depth_reduction import neighbours
from tomosoup.recipes.hardware import InferenceRecipe
from tomosoup.recipes.picking import ZYX
from tomosoup.windows import with_neighbours

__all__ = ["Choice", "Engine", "choose", "prepare"]


def prepare(
    net: nn.Module,
    *,
    window: ZYX,
    batch_size: int,
    options: InferenceRecipe,
    cache: Path | None = None,
    calibration: Tensor | None = None,
) -> Engine:
    """What runs `net` on windows of this shape, up to `batch_size` at a time.

    The net is put into eval mode and may be moved to the device: do not go on training it. TensorRT's
    kernels, which take minutes to make, are kept in the folder `cache` and found there by graph and weights.
    `calibration`: `(n, 1, z, y, x)` windows of the user's own tomograms, normalised as the net knows them, for int8.

    Raises `InputError` for an engine that is not installed, a device that is not there, a precision that the two do
    not have, int8 without calibration, and windows that the net cannot take.
    """
    check_multiple(net, window)
    choice = choose(options)
    net = net.eval()
    if choice.precision == "int8":
        from tomosoup.engines.int8 import quantise

        if calibration is None:
            raise InputError(
                "int8 takes windows of your own tomograms to set its scales by, and got none: give calibration "
                "windows (a dozen to a hundred), or choose precision fp32 or bf16."
            )
        return quantise(net, calibration, window=window, batch_size=batch_size)
    if choice.engine == "openvino":
        from tomosoup.engines.in_openvino import openvino_engine

        return openvino_engine(net, choice, window=window, batch_size=batch_size)
    if choice.engine == "torch":
        from tomosoup.engines.in_torch import torch_engine

        return torch_engine(net, choice, window=window, batch_size=batch_size)
    from tomosoup.engines.in_onnxruntime import onnxruntime_engine

    return onnxruntime_engine(net, choice, window=window, batch_size=batch_size, cache=cache)


def check_multiple(net: nn.Module | Callable[[Tensor], Tensor], window: ZYX) -> None:
    """Raises `InputError` for a window that the net's strides do not divide."""
    multiple = getattr(net, "multiple", (1, 1, 1))
    own = with_neighbours(window, -neighbours(net)) if isinstance(net, nn.Module) else window
    if any(n % m for n, m in zip(own, multiple, strict=True)):
        raise InputError(
            f"The net takes windows (z, y, x) with sizes that are multiples of {tuple(multiple)}, got {window}: "
            "choose another window shape."
        )
