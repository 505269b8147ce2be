"""Checkpoints -> nets ready to run: optimised for the shape of their windows, on the engine that the options choose."""

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

BATCH_VOXELS = {"cpu": 2**20, "cuda": 2**23}
"""Voxels in a batch. On a CPU these are four windows of 16 x 128 x 128; more only take memory."""
LARGE = 2**25
"""Parameters above which OpenVINO is faster than torch. `tattaka` has twice, `yu4u` four times as many."""
WORTH_PREPARING = 2**51
"""Parameters of a net times voxels of all windows of a volume above which OpenVINO saves more time than its preparation
takes: some dozens of windows of `yu4u` or `tattaka`."""
CALIBRATION_WINDOWS, TEST_WINDOWS = 24, 6
"""Windows of the first tomogram that calibrate int8, and further ones on which it is compared with fp32."""


@dataclass(frozen=True)
class ReadyNet:
    """The net of a checkpoint as an engine for windows of one shape."""

    model: Checkpoint
    engine: Engine
    windows: WindowPlan
    multiple: ZYX

    def fits(self, plan: WindowPlan, shape: Sequence[int]) -> bool:
        """Whether the engine fits volumes of `shape` (z, y, x) with this plan."""
        return self.windows == fitted(plan, shape, multiple=self.multiple)


class Nets:
    """Makes nets ready to run, and keeps the last one only: an ensemble needs the memory of one net.

    It keeps all of them where making one takes long: compiled nets, TensorRT's, and those in int8, which the first
    tomogram calibrates.
    """

    def __init__(
        self,
        inference: InferenceOptions = InferenceOptions(),  # noqa: B008 - immutable
        *,
        log: Callable[[str], None] = no_log,
    ) -> None:
        """`log` gets one line about the chosen engine, and one about the change of the output by int8.

        Raises `InputError` for options that this machine cannot fulfil.
        """
        choice = choose(inference)
        self.inference, self.log = inference, log
        self._keeps_all = choice.compiled or choice.engine == "tensorrt" or choice.precision == "int8"
        self._logged: set[str] = set()
        self._ready: list[ReadyNet] = []

    def ready(self, model: Checkpoint, plan: WindowPlan, source: Slices) -> tuple[Engine, WindowPlan]:
        """The engine of a model, and the plan fitted to volumes of the shape of `source`."""
        known = next((ready for ready in self._ready if ready.model is model), None)
        if known is None or not known.fits(plan, source.shape):
            known = None  # frees its memory before the next is built
            self._ready = [ready for ready in self._ready if self._keeps_all and ready.model is not model]
            net = model.net()
            windows = fitted(plan, source.shape, multiple=net.multiple)
            options = self._options(net, windows, source)
            with_neighbours = HaloNet(net, net.halo if windows.neighbours else 0)
            accelerate(with_neighbours, window=with_halo(windows.shape, with_neighbours.halo))
            known = ReadyNet(model, self._engine(with_neighbours, options, windows, source), windows, net.multiple)
            self._ready.append(known)
        return known.engine, known.windows

    def _options(self, net: TomoNet, windows: WindowPlan, source: Slices) -> InferenceOptions:
        """The user's options. If the engine is `auto`, torch replaces OpenVINO where its preparation takes too long."""
        options = self.inference
        if options.engine != "auto" or options.precision not in ("auto", "fp32"):
            return options
        voxels = len(window_regions(source.shape, windows)) * prod(windows.shape)
        parameters = sum(p.numel() for p in net.parameters())
        faster = parameters >= LARGE and voxels * parameters >= WORTH_PREPARING
        return options if faster else options.model_copy(update={"engine": "torch"})

    def _engine(self, net: HaloNet, options: InferenceOptions, windows: WindowPlan, source: Slices) -> Engine:
        choice = choose(options)
        int8 = choice.precision == "int8"
        samples = some_windows(source, windows, CALIBRATION_WINDOWS + TEST_WINDOWS, halo=net.halo) if int8 else None
        device = "cpu" if choice.device.type == "cpu" else "cuda"
        batch = options.batch_size or max(1, BATCH_VOXELS[device] // prod(windows.shape))
        engine = prepare(
            net,
            window=with_halo(windows.shape, net.halo),
            batch_size=batch,
            options=options,
            cache=user_cache(),
            calibration=None if samples is None else samples[TEST_WINDOWS:],
        )
        self.log_once(f"Engine: {engine.description}")
        if samples is not None:
            from tomosoup.inference.engines.int8 import compare

            found = compare(engine, torch.no_grad()(net), samples[:TEST_WINDOWS])
            self.log_once(
                f"int8 changes the output of this net by {found.relative_error:.1%} (root mean square), and its peaks "
                f"by at most {found.peak_difference:.3f} ({found.peaks} peaks in {TEST_WINDOWS} windows)"
            )
        return engine

    def log_once(self, text: str) -> None:
        """Log a line unless it was logged before."""
        if text not in self._logged:
            self._logged.add(text)
            self.log(text)


def some_windows(source: Slices, plan: WindowPlan, count: int, *, halo: int = 0) -> Tensor:
    """At most `count` windows of the plan, at random positions: `(n, 1, z + 2 halo, y, x)`."""
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
    """The engine that runs `net` on windows of this shape, up to `batch_size` at a time.

    Sets the net to eval mode and may move it to the device, so do not train it further. The folder `cache` keeps
    TensorRT's kernels, which take minutes to build. `calibration`: `(n, 1, z, y, x)` windows of the user's tomograms,
    normalised as for the net; int8 requires them.

    Raises `InputError` for an engine that is not installed, an absent device, a precision that engine and device do not
    support, int8 without calibration, and windows of a shape that the net does not accept.
    """
    net.check((1, 1, *window))
    choice = choose(options)
    net = net.eval()
    if choice.precision == "int8":
        from tomosoup.inference.engines.int8 import quantise

        if calibration is None:
            raise InputError(
                "Expected calibration windows of your tomograms (12 to 100) for int8, got none: give them, or choose "
                "precision fp32 or bf16."
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
