"""Measures how fast networks pick: what the winners ran and what tomosoup does, side by side in one run.

    python -m benchmarks.speed.inference windows RECIPE        # a network on its paper's windows: ratio and error
    python -m benchmarks.speed.inference planes RECIPE         # one layer: 12 x 12 windows, and a whole plane
    python -m benchmarks.speed.inference soup                  # the tiny soup and four views, beside MONAI's inferer
    python -m benchmarks.speed.inference convolutions RECIPE   # beside this CPU's fastest matrix product
    python -m benchmarks.speed.inference peaks                 # local maxima of six full-size maps, beside max pooling
    python -m benchmarks.speed.inference default               # the default model, beside the paper's windows of yu4u
    python -m benchmarks.speed.inference curve MODEL OUT       # seconds and memory against voxels and nets

RECIPE is yu4u (A1), tattaka (A2) or small, with random weights: the arithmetic is the same as with trained ones. MODEL
is a checkpoint, such as the demo's. "plain" is the network by its published formula in PyTorch, eager, fp32, in a plain
Python process. After it the process keeps freed memory, as a command does (tomosoup.core.runtime). Every side uses all
threads. A row shows the best of three times (of one where a side takes minutes), and the peak of resident memory.
"""

import copy
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from monai.inferers import SlidingWindowInferer
from torch import Tensor
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.inference.shipped import default
from benchmarks.speed.inference.sides import FULL, engines, net_of, row, timed
from benchmarks.speed.inference.whole_pick import curve
from benchmarks.speed.plain_nets import plain
from runs.shared.command import run_step
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Volume
from tomosoup.inference.engines.net_cache import prepare
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.sliding_window import heatmap_slabs, predict_heatmap
from tomosoup.inference.tiling.slabs import whole
from tomosoup.inference.tiling.symmetries import VIEWS
from tomosoup.models.nets.fused import accelerate
from tomosoup.models.window_plan import WindowPlan

FOUR_VIEWS = ("identity", "flip_y", "flip_x", "transpose")


def windows(name: str, batch: int = 4) -> None:
    """A net on a batch of its paper's own windows."""
    net, recipe = net_of(name)
    window = (recipe.windows.shape[0], 128, 128)
    x = torch.randn(batch, 1, *window)
    slow = plain(net)
    reference = timed(lambda: slow(x))
    row(f"{name}, plain, {batch} windows", *reference)
    keep_freed_memory()
    row("the net as it is here", *timed(lambda: net(x)), reference)
    for options in engines():
        engine = prepare(
            accelerate(copy.deepcopy(net), window=window), window=window, batch_size=batch, options=options
        )
        row(f"prepared, {engine.description}", *timed(lambda engine=engine: engine(x)), reference)


def planes(name: str) -> None:
    """A layer of a full-size tomogram, as deep as a window: the paper's windows in plain PyTorch, and whole planes."""
    net, recipe = net_of(name)
    depth = recipe.windows.shape[0]
    volume = Volume(torch.randn(depth, *FULL[1:]), 10.0)
    paper = WindowPlan(shape=(depth, 128, 128), stride=(depth, 48, 48), weighting="pyramid")
    size = -(-FULL[1] // 32) * 32
    whole_plane = WindowPlan(shape=(depth, size, size), stride=(depth, size, size), border="inside")
    slow = plain(net)
    reference = timed(lambda: predict_heatmap(slow, volume, plan=paper).data, 1)
    row(f"{name}, plain, 12 x 12 windows", *reference)
    keep_freed_memory()
    for options in engines():
        ready = accelerate(copy.deepcopy(net), window=whole_plane.shape)
        engine = prepare(ready, window=whole_plane.shape, batch_size=1, options=options)
        row(
            f"whole plane, {engine.description}",
            *timed(lambda e=engine: whole(heatmap_slabs(e, volume, plan=whole_plane), volume).data),
            reference,
        )
    print("The error says nothing here: another blend of random weights.")


def convolutions(name: str) -> None:
    """A whole plane on torch: operations a second in the net's convolutions, and in a matrix product of the same type.

    Times are those of oneDNN's convolution calls by torch's profiler, without what lays their inputs out.
    """
    net, recipe = net_of(name)
    window = (recipe.windows.shape[0], 640, 640)
    options = engines()[-2]
    engine = prepare(accelerate(net, window=window), window=window, batch_size=1, options=options)
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    x, a = torch.randn(1, 1, *window), torch.randn(4096, 4096).to(dtype)
    keep_freed_memory()
    ceiling = 2 * 4096**3 / timed(lambda: a @ a, 5)[0]
    timed(lambda: engine(x))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        engine(x)
    flops = sum(n for op, n in counter.get_flop_counts()["Global"].items() if "conv" in str(op))
    with torch.inference_mode(), profile() as profiled:
        for _ in range(5):
            engine(x)
    events = profiled.key_averages()
    seconds = sum(e.self_cpu_time_total for e in events if e.key == "aten::mkldnn_convolution") / 5e6
    everything = sum(e.self_cpu_time_total for e in events) / 5e6
    print(f"{engine.description}; matrix product {ceiling / 1e12:.2f} TFLOP/s; a plane {everything:.3f} s")
    rate = flops / seconds
    print(f"convolutions {flops / 1e9:.1f} GFLOP in {seconds:.3f} s: {rate / 1e12:.2f} TFLOP/s, {rate / ceiling:.0%}")


def soup() -> None:
    """The tiny soup, four views, at half the size in each direction: MONAI's inferer, and tomosoup."""
    net, _ = net_of("soup-tiny")
    size, window = (92, 315, 315), (80, 192, 192)
    volume = Volume(torch.randn(size), 10.0)
    inferer = SlidingWindowInferer(window, 1, overlap=0.25, mode="gaussian", padding_mode="reflect")
    views = [VIEWS[name] for name in FOUR_VIEWS]

    def monai() -> Tensor:
        outputs = [view.undo(inferer(view.apply(volume.data)[None, None], net)[0]) for view in views]
        return torch.stack(outputs).mean(0)

    reference = timed(monai, 1)
    row("tiny soup, 4 views, MONAI's inferer", *reference)
    keep_freed_memory()
    same = WindowPlan(shape=window, stride=(60, 144, 144), weighting="gaussian", border="inside")
    once = WindowPlan(shape=(92, 316, 316), stride=(92, 316, 316), weighting="gaussian", border="inside")
    for options, (what, plan) in product(engines(), (("same windows", same), ("one window", once))):
        ready = accelerate(copy.deepcopy(net), window=plan.shape)
        engine = prepare(ready, window=plan.shape, batch_size=1, options=options)

        def tomosoup(engine: object = engine, plan: WindowPlan = plan) -> Tensor:
            total = torch.zeros(1 + len(CONTEST_SPECIES), *size)
            for view in views:
                seen = Volume(view.apply(volume.data), 10.0)
                total += view.undo(whole(heatmap_slabs(engine, seen, plan=plan), seen).data) / len(views)
            return total

        row(f"{what}, {engine.description}", *timed(tomosoup, 1), reference)
    print("The error of one window is that of another blend, and of norms of all of it.")


def peaks() -> None:
    """Six full-size maps with a thousand Gaussians: max pooling in a 7-voxel cube, and tomosoup."""
    heatmap = torch.zeros(len(CONTEST_SPECIES), *FULL)
    generator = np.random.default_rng(0)
    ramp = torch.arange(-12, 13) ** 2 / 72
    blob = torch.exp(-(ramp[:, None, None] + ramp[:, None] + ramp))
    for channel in heatmap:
        for z, y, x in generator.integers(12, np.array(FULL) - 13, (170, 3)):
            box = channel[z - 12 : z + 13, y - 12 : y + 13, x - 12 : x + 13]
            torch.maximum(box, blob, out=box)

    def pooled() -> Tensor:
        found = (F.max_pool3d(heatmap[None], 7, stride=1, padding=3)[0] == heatmap) & (heatmap > 0.05)
        return torch.tensor([float(found.sum())])

    def tomosoup() -> Tensor:
        found = find_peaks(Volume(heatmap, 10.0), CONTEST_SPECIES)
        return torch.tensor([float(sum(len(p) for p in found.values()))])

    mine = timed(tomosoup, 1)
    row("tomosoup.find_peaks", *mine)
    row("max_pool3d", *timed(pooled, 1), mine)


if __name__ == "__main__":
    steps = {
        "windows": windows,
        "planes": planes,
        "convolutions": convolutions,
        "soup": soup,
        "peaks": peaks,
        "default": default,
        "curve": curve,
    }
    run_step(steps, description=__doc__)
