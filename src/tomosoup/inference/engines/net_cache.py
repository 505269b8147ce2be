"""Checkpoints -> nets that are ready to run: rewritten for their windows, on the engine that the options choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from tomosoup.core.config import ZYX
from tomosoup.core.errors import InputError
from tomosoup.core.files import user_cache
from tomosoup.core.progress import no_log
from tomosoup.core.types import Slices
from tomosoup.inference.engines.choice import choose
from tomosoup.inference.engines.engine import Engine
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.tiling.windows import cut, fitted, layer, window_regions, with_halo
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.fused import accelerate
from tomosoup.models.nets.tomo_net import HaloNet, TomoNet
from tomosoup.models.window_plan import WindowPlan

VOXELS_AT_ONCE = {"cpu": 2**20, "cuda": 2**23}
"""So many voxels of windows make a batch: on a CPU four of 16 x 128 x 128, more only cost memory."""
LARGE = 2**25
"""Parameters of a net from which on OpenVINO is faster than torch: A1 and A2 have two and four times as many."""
REPAYS = 2**51
"""Parameters of a net times voxels of a volume's windows, from which on OpenVINO repays the seconds that it takes to
prepare: some dozens of windows of A1 or A2."""
CALIBRATED_BY, HELD_AGAINST = 24, 6
"""Windows of the first tomogram that int8 is calibrated by, and further ones that it is then held against fp32 on."""


@dataclass(frozen=True)
class ReadyNet:
    """A checkpoint's net as an engine for windows of one shape."""

    model: Checkpoint
    engine: Engine
    windows: WindowPlan
    multiple: ZYX

    def fits(self, plan: WindowPlan, shape: Sequence[int]) -> bool:
        """Whether it is what volumes of `shape` (z, y, x) need by this plan."""
        return self.windows == fitted(plan, shape, multiple=self.multiple)


class Nets:
    """Nets made ready to run; the last one is kept, so an ensemble needs memory for one."""

    def __init__(
        self,
        inference: InferenceOptions = InferenceOptions(),  # noqa: B008 - immutable
        *,
        log: Callable[[str], None] = no_log,
    ) -> None:
        """`log` gets, once, a line on the engine that was chosen, and on what int8 did to the output.

        Raises `InputError` where the options ask for what is not here.
        """
        choose(inference)  # complains now rather than later
        self.inference, self.log = inference, log
        self._logged: set[str] = set()
        self._last: ReadyNet | None = None

    def ready(self, model: Checkpoint, plan: WindowPlan, source: Slices) -> tuple[Engine, WindowPlan]:
        """The model's net, and the plan fitted to volumes like `source`, which the net's windows are cut from."""
        if not (self._last and self._last.model is model and self._last.fits(plan, source.shape)):
            self._last = None  # before the next is built
            net = model.net()
            windows = fitted(plan, source.shape, multiple=net.multiple)
            options = self._options(net, windows, source)
            ready = HaloNet(net, net.halo if windows.neighbours else 0)
            accelerate(ready, window=with_halo(windows.shape, ready.halo))
            self._last = ReadyNet(model, self._engine(ready, options, windows, source), windows, net.multiple)
        return self._last.engine, self._last.windows

    def _options(self, net: TomoNet, windows: WindowPlan, source: Slices) -> InferenceOptions:
        """What was asked for; where the engine was left open, without OpenVINO where it does not pay."""
        options = self.inference
        if options.engine != "auto" or options.precision not in ("auto", "fp32"):
            return options
        voxels = len(window_regions(source.shape, windows)) * prod(windows.shape)
        parameters = sum(p.numel() for p in net.parameters())
        pays = parameters >= LARGE and voxels * parameters >= REPAYS
        return options if pays else options.model_copy(update={"engine": "torch"})

    def _engine(self, net: HaloNet, options: InferenceOptions, windows: WindowPlan, source: Slices) -> Engine:
        choice = choose(options)
        int8 = choice.precision == "int8"
        samples = some_windows(source, windows, CALIBRATED_BY + HELD_AGAINST, halo=net.halo) if int8 else None
        kind = "cpu" if choice.device.type == "cpu" else "cuda"
        batch = options.batch_size or max(1, VOXELS_AT_ONCE[kind] // prod(windows.shape))
        engine = prepare(
            net,
            window=with_halo(windows.shape, net.halo),
            batch_size=batch,
            options=options,
            cache=user_cache(),
            calibration=None if samples is None else samples[HELD_AGAINST:],
        )
        self.log_once(f"Engine: {engine.description}")
        if samples is not None:
            from tomosoup.inference.engines.int8 import compare

            found = compare(engine, torch.no_grad()(net), samples[:HELD_AGAINST])
            self.log_once(
                f"int8 changes this net's output by {found.relative_error:.1%} (root mean square), and its peaks by "
                f"{found.peak_difference:.3f} at most ({found.peaks} peaks in {HELD_AGAINST} windows)"
            )
        return engine

    def log_once(self, text: str) -> None:
        """Log a line that was not logged before."""
        if text not in self._logged:
            self._logged.add(text)
            self.log(text)


def some_windows(source: Slices, plan: WindowPlan, count: int, *, halo: int = 0) -> Tensor:
    """`(n, 1, z, y, x)`: at most `count` windows of the plan, spread over the source in no order.

    With a `halo`, so many neighbouring slices come with them at either end.
    """
    regions = window_regions(source.shape, plan)
    order = torch.randperm(len(regions), generator=torch.Generator().manual_seed(0))[:count]
    found = []
    for i in order.tolist():
        z, y, x = regions[i]
        data = layer(source, z.start, depth=plan.shape[0], halo=halo)
        found.append(cut(data, (slice(0, plan.shape[0] + 2 * halo), y, x))[None])
    return torch.stack(found)


def prepare(
    net: TomoNet,
    *,
    window: ZYX,
    batch_size: int,
    options: InferenceOptions,
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
    net.check((1, 1, *window))
    choice = choose(options)
    net = net.eval()
    if choice.precision == "int8":
        from tomosoup.inference.engines.int8 import quantise

        if calibration is None:
            raise InputError(
                "int8 takes windows of your own tomograms to set its scales by, and got none: give calibration "
                "windows (a dozen to a hundred), or choose precision fp32 or bf16."
            )
        return quantise(net, calibration, window=window, batch_size=batch_size)
    if choice.engine == "openvino":
        from tomosoup.inference.engines.openvino_engine import openvino_engine

        return openvino_engine(net, choice, window=window, batch_size=batch_size)
    if choice.engine == "torch":
        from tomosoup.inference.engines.torch_engine import torch_engine

        return torch_engine(net, choice, window=window, batch_size=batch_size)
    from tomosoup.inference.engines.onnxruntime_engine import onnxruntime_engine

    return onnxruntime_engine(net, choice, window=window, batch_size=batch_size, cache=cache)
