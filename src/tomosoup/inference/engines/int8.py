"""int8 on CPUs: quantise OpenVINO's model with windows of the user's tomograms, and measure the change of output."""

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
"""Smallest number of calibration windows."""
REACH = 2
"""A peak is the maximum of the cube that extends this many voxels in each direction."""


def quantise(net: nn.Module, calibration: Tensor, *, window: ZYX, batch_size: int) -> Engine:
    """The net in int8, by NNCF's post-training quantisation; `calibration` sets the scales.

    `calibration`: `(n, 1, z, y, x)`, 12 to 100 windows of the tomograms to pick, normalised as for the net. Compare the
    result with fp32 on other windows (`compare`). Raises `InputError` for too few windows, for windows of another
    shape, and if NNCF is not installed.
    """
    require("openvino")
    if not installed("nncf"):
        raise InputError(
            "int8 requires nncf, not installed here: pip install 'tomosoup[int8]', or choose precision fp32."
        )
    if calibration.ndim != 5 or calibration.shape[1:] != (1, *window) or len(calibration) < FEWEST:
        raise InputError(
            f"int8 requires {FEWEST} or more calibration windows (n, 1, {', '.join(map(str, window))}), got "
            f"{tuple(calibration.shape)}: cut more windows of this shape from your tomograms."
        )
    model = converted(export_graph(net, window=window))
    openvino()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # NNCF warns of packages that it does not need
        import nncf

        nncf.set_log_level(logging.ERROR)
        data = nncf.Dataset([w[None].contiguous().float().numpy() for w in calibration])
        quantised = nncf.quantize(model, data, subset_size=len(calibration))
    return compiled_engine(quantised, precision="int8", window=window, batch_size=batch_size)


@dataclass(frozen=True)
class Difference:
    """How the output of an engine differs from the exact one."""

    relative_error: float
    """Root mean square of the difference, divided by that of the exact output."""
    peak_difference: float
    """Largest absolute difference at the peaks of the exact output; 0 if it has none."""
    peaks: int
    """Number of compared peaks."""


@torch.no_grad()
def compare(
    engine: Callable[[Tensor], Tensor], exact: Callable[[Tensor], Tensor], windows: Tensor, *, floor: float = 0.05
) -> Difference:
    """The difference between `engine` and `exact` (the net, or an fp32 engine) on `windows` `(n, 1, z, y, x)`.

    Peaks are the local maxima of the exact output, of all channels, that are >= `floor`. Use other windows than those
    of the calibration, on which int8 looks better than it is.
    """
    error = power = largest = 0.0
    count = 0
    for window in windows:
        expected, got = exact(window[None]).double(), engine(window[None]).double()
        difference = got - expected
        error += float(difference.square().sum())
        power += float(expected.square().sum())
        peaks = (expected >= F.max_pool3d(expected, 2 * REACH + 1, stride=1, padding=REACH)) & (expected >= floor)
        if peaks.any():
            count += int(peaks.sum())
            largest = max(largest, float(difference[peaks].abs().max()))
    return Difference((error / power) ** 0.5 if power else float(error > 0), largest, count)
