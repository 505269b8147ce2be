"""int8 on CPUs: OpenVINO's model with scales set by windows of the user's own tomograms, and what that costs."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tomosoup.core.config import ZYX
from tomosoup.core.errors import InputError
from tomosoup.inference.engines.choice import installed, openvino, require
from tomosoup.inference.engines.engine import Engine
from tomosoup.inference.engines.export_graph import export_graph
from tomosoup.inference.engines.openvino_engine import compiled_engine, converted

FEWEST = 12
"""Calibration windows that int8's scales are set by, at the least."""
REACH = 2
"""A peak is the largest voxel of the cube that reaches so many voxels to every side."""


def quantise(net: nn.Module, calibration: Tensor, *, window: ZYX, batch_size: int) -> Engine:
    """The net in int8 by NNCF's quantisation after training, its scales set by `calibration`.

    `calibration`: `(n, 1, z, y, x)`, a dozen to a hundred windows of the tomograms to be picked, normalised as the
    net knows them. Hold it against fp32 with `compare`, on other windows. Raises `InputError` for too few windows, or
    of another shape, and where NNCF is not installed.
    """
    require("openvino")
    if not installed("nncf"):
        raise InputError("int8 takes nncf, not installed here: pip install 'tomosoup[int8]', or choose precision fp32.")
    if calibration.ndim != 5 or calibration.shape[1:] != (1, *window) or len(calibration) < FEWEST:
        raise InputError(
            f"int8 takes {FEWEST} or more calibration windows (n, 1, {', '.join(map(str, window))}), got "
            f"{tuple(calibration.shape)}: cut more windows of this shape from your tomograms."
        )
    model = converted(export_graph(net, window=window))  # imports OpenVINO as it should be
    openvino()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # NNCF's, about packages that it can do without
        import nncf

        nncf.set_log_level(logging.ERROR)
        data = nncf.Dataset([w[None].contiguous().float().numpy() for w in calibration])
        quantised = nncf.quantize(model, data, subset_size=len(calibration))
    return compiled_engine(quantised, precision="int8", window=window, batch_size=batch_size)


@dataclass(frozen=True)
class Difference:
    """What an engine does to a net's output."""

    relative_error: float
    """Root of the summed squares of the difference, as a share of the output's own."""
    peak_difference: float
    """Largest difference at the output's peaks, in its own units; 0 where it has none."""
    peaks: int
    """How many peaks were compared."""


@torch.no_grad()
def compare(
    engine: Callable[[Tensor], Tensor], exact: Callable[[Tensor], Tensor], windows: Tensor, *, floor: float = 0.05
) -> Difference:
    """What `engine` makes of `windows` `(n, 1, z, y, x)` beside `exact` (the net, or an fp32 engine).

    Peaks are the local maxima of the exact output that reach `floor`, every channel's. The windows are taken one by
    one; those that int8 was calibrated with would flatter it.
    """
    error = power = largest = 0.0
    count = 0
    for window in windows:
        expected, got = exact(window[None]).double(), engine(window[None]).double()
        off = got - expected
        error += float(off.square().sum())
        power += float(expected.square().sum())
        peaks = (expected >= F.max_pool3d(expected, 2 * REACH + 1, stride=1, padding=REACH)) & (expected >= floor)
        if peaks.any():
            count += int(peaks.sum())
            largest = max(largest, float(off[peaks].abs().max()))
    return Difference((error / power) ** 0.5 if power else float(error > 0), largest, count)
