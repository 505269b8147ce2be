"""The default model on a full-size tomogram, beside the plain `yu4u` on the windows of the paper."""

import copy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.speed.inference.sides import FULL, engines, net_of, row, timed
from benchmarks.speed.inference.whole_pick import timed_pick, write_tomogram
from benchmarks.speed.plain_nets import plain
from tomosoup.cli.commands.sample import SAMPLE
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.inference.engines.int8 import compare
from tomosoup.inference.engines.net_cache import prepare
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.tiling.windows import fitted, window_regions
from tomosoup.models.checkpoint import load
from tomosoup.models.nets.fused import accelerate

PAPER_WINDOWS = 22 * 144
"""Windows of the 4th place's plan in a full-size tomogram."""
CALIBRATION, TEST = range(0, 24, 2), (40, 44, 48)
"""First slices of the windows that calibrate int8, and of those that it is compared on; they share no slice."""


def default() -> None:
    """Seconds of all windows of a full-size tomogram, from the time of one, and of `tomosoup pick`; int8's error."""
    slow = plain(net_of("yu4u")[0])
    noise = torch.randn(4, 1, 16, 128, 128)
    seconds, output = timed(lambda: slow(noise))
    paper = seconds / len(noise) * PAPER_WINDOWS, output
    row(f"plain yu4u, {PAPER_WINDOWS} windows of the paper", *paper)
    keep_freed_memory()
    model = load("default")
    net = model.net().eval()
    plan = fitted(model.windows, FULL, multiple=net.multiple)
    layers = len(window_regions(FULL, plan))
    exact = accelerate(copy.deepcopy(net), window=plan.shape)
    calibration, test = (planes(firsts, plan.shape) for firsts in (CALIBRATION, TEST))
    int8 = InferenceOptions(engine="openvino", precision="int8", device="cpu")
    for options in [*engines(), int8]:
        engine = prepare(
            copy.deepcopy(exact), window=plan.shape, batch_size=1, options=options, calibration=calibration
        )
        seconds, _ = timed(lambda engine=engine: engine(test[:1]))
        found = compare(engine, torch.no_grad()(exact), test)
        print(
            f"default model, {layers} planes, {engine.description}: {seconds * layers:.1f} s, "
            f"{paper[0] / seconds / layers:.0f} x; error {found.relative_error:.1e}, at {found.peaks} peaks at most "
            f"{found.peak_difference:.1e}",
            flush=True,
        )
    with TemporaryDirectory() as temporary:
        write_tomogram(folder := Path(temporary) / "full", mirrored(FULL))
        seconds, lines = timed_pick(folder, ["default"])
    print(f"tomosoup pick: {seconds:.1f} s, {paper[0] / seconds:.0f} x; {lines[-1]}; {lines[0]}")


def planes(firsts: range | tuple[int, ...], shape: tuple[int, int, int]) -> Tensor:
    """Windows `(n, 1, z, y, x)` of the demo's tomogram, mirrored to fill them; they begin at slices `firsts`."""
    wide = torch.from_numpy(mirrored((max(firsts) + shape[0], *shape[1:])))
    return torch.stack([wide[z : z + shape[0]] for z in firsts])[:, None]


def mirrored(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """The demo's tomogram with grey values of mean 0 and deviation 1, mirrored at its ends to a shape `(z, y, x)`."""
    with np.load(SAMPLE) as stored:
        tomogram = stored["tomogram"].astype(np.float32)
    tomogram = (tomogram - tomogram.mean()) / tomogram.std()
    wide = np.pad(tomogram, [(0, max(0, n - m)) for n, m in zip(shape, tomogram.shape, strict=True)], "symmetric")
    return wide[: shape[0], : shape[1], : shape[2]]
