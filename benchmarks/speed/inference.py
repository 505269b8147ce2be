"""How fast nets pick, side by side in one run: what the winners ran, and what tomosoup does.

    python -m benchmarks.speed.inference windows RECIPE   # a net on the paper's own windows: ratio and error
    python -m benchmarks.speed.inference planes RECIPE   # one layer of a tomogram: 12 x 12 windows, and a whole plane
    python -m benchmarks.speed.inference soup   # the tiny soup and four views, beside MONAI's inferer
    python -m benchmarks.speed.inference convolutions RECIPE   # beside this CPU's fastest matrix product
    python -m benchmarks.speed.inference peaks   # local maxima of six full-size maps, beside max pooling
    python -m benchmarks.speed.inference curve MODEL OUT   # seconds and memory against voxels and nets

RECIPE is yu4u (A1), tattaka (A2) or small, its weights drawn at random: the same arithmetic as trained ones. MODEL is a
checkpoint, the demo's say. "plain" is the net by its published formula in PyTorch, eager, fp32, in a process as Python
leaves it; after it the process keeps its memory, as that of a command does (tomosoup.core.runtime). Every side uses all
threads; shown is the best of three times (of one where a side takes minutes), and the peak of resident memory.
"""

import copy
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import mrcfile
import numpy as np
import torch
import torch.nn.functional as F
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.plain_nets import plain
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Volume
from tomosoup.inference.engines.net_cache import prepare
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.sliding_window import heatmap_slabs, whole
from tomosoup.inference.tiling.symmetries import VIEWS
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.fused import accelerate
from tomosoup.models.window_plan import WindowPlan
from tomosoup.training.options import TrainingRecipe

FULL = (184, 630, 630)
FOUR_VIEWS = ("identity", "flip_y", "flip_x", "transpose")


def net_of(name: str) -> tuple[nn.Module, TrainingRecipe]:
    """A recipe's net with random weights, its head loud enough to see."""
    recipe = TrainingRecipe.read(name)
    torch.manual_seed(0)
    architecture = recipe.net.model_copy(update={"pretrained": False} if recipe.net.name != "unet3d" else {})
    return build_net(architecture, classes=len(CONTEST_SPECIES)).eval(), recipe


def timed(work: Callable[[], Tensor], repeats: int = 3) -> tuple[float, Tensor]:
    """The best time, and the result."""
    times = []
    with torch.inference_mode():
        for _ in range(repeats):
            start = time.perf_counter()
            result = work()
            times.append(time.perf_counter() - start)
    return min(times), result


def row(what: str, seconds: float, output: Tensor, reference: tuple[float, Tensor] | None = None) -> None:
    """A line: seconds, how many times as fast as the reference, its relative L2 error, memory so far."""
    times, error = 1.0, 0.0
    if reference:
        times = reference[0] / seconds
        error = float((output - reference[1]).norm() / reference[1].norm())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:42} {seconds:9.3f} s {times:7.2f} x   error {error:.1e}   peak {peak:.2f} GiB", flush=True)


def engines() -> list[InferenceOptions]:
    """Torch, OpenVINO, and their bf16 where the CPU has it."""
    from tomosoup.inference.engines.choice import cpu_has_bf16

    precisions = ["fp32", "bf16"] if cpu_has_bf16() else ["fp32"]
    return [InferenceOptions(engine=e, precision=p, device="cpu") for p in precisions for e in ("torch", "openvino")]


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
        row(f"prepared, {engine.about}", *timed(lambda engine=engine: engine(x)), reference)


def planes(name: str) -> None:
    """A layer of a full-size tomogram, as deep as a window: the paper's windows in plain PyTorch, and whole planes."""
    net, recipe = net_of(name)
    depth = recipe.windows.shape[0]
    volume = Volume(torch.randn(depth, *FULL[1:]), 10.0)
    paper = WindowPlan(shape=(depth, 128, 128), stride=(depth, 48, 48), weighting="pyramid")
    size = -(-FULL[1] // 32) * 32
    whole_plane = WindowPlan(shape=(depth, size, size), stride=(depth, size, size), border="inside")
    slow = plain(net)
    reference = timed(lambda: whole(heatmap_slabs(slow, volume, plan=paper), volume).data, 1)
    row(f"{name}, plain, 12 x 12 windows", *reference)
    keep_freed_memory()
    for options in engines():
        ready = accelerate(copy.deepcopy(net), window=whole_plane.shape)
        engine = prepare(ready, window=whole_plane.shape, batch_size=1, options=options)
        row(
            f"whole plane, {engine.about}",
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
    print(f"{engine.about}; matrix product {ceiling / 1e12:.2f} TFLOP/s; a plane {everything:.3f} s")
    rate = flops / seconds
    print(f"convolutions {flops / 1e9:.1f} GFLOP in {seconds:.3f} s: {rate / 1e12:.2f} TFLOP/s, {rate / ceiling:.0%}")


def soup() -> None:
    """The tiny soup, four views, at half the size in each direction: MONAI's inferer, and ours."""
    net, _ = net_of("soup-tiny")
    size, window = (92, 315, 315), (80, 192, 192)
    volume = Volume(torch.randn(size), 10.0)
    inferer = SlidingWindowInferer(window, 1, overlap=0.25, mode="gaussian", padding_mode="reflect")
    views = [VIEWS[name] for name in FOUR_VIEWS]

    def theirs() -> Tensor:
        outputs = [view.undo(inferer(view.apply(volume.data)[None, None], net)[0]) for view in views]
        return torch.stack(outputs).mean(0)

    reference = timed(theirs, 1)
    row("tiny soup, 4 views, MONAI's inferer", *reference)
    keep_freed_memory()
    theirs_exactly = WindowPlan(shape=window, stride=(60, 144, 144), weighting="gaussian", border="inside")
    once = WindowPlan(shape=(92, 316, 316), stride=(92, 316, 316), weighting="gaussian", border="inside")
    for options, (what, plan) in product(engines(), (("same windows", theirs_exactly), ("one window", once))):
        ready = accelerate(copy.deepcopy(net), window=plan.shape)
        engine = prepare(ready, window=plan.shape, batch_size=1, options=options)

        def ours(engine: object = engine, plan: WindowPlan = plan) -> Tensor:
            total = torch.zeros(1 + len(CONTEST_SPECIES), *size)
            for view in views:
                seen = Volume(view.apply(volume.data), 10.0)
                total += view.undo(whole(heatmap_slabs(engine, seen, plan=plan), seen).data) / len(views)
            return total

        row(f"{what}, {engine.about}", *timed(ours, 1), reference)
    print("The error of one window is that of another blend, and of norms of all of it.")


def peaks() -> None:
    """Six full-size maps with a thousand Gaussians: max pooling in a 7-voxel cube, and ours."""
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

    def ours() -> Tensor:
        found = find_peaks(Volume(heatmap, 10.0), CONTEST_SPECIES)
        return torch.tensor([float(sum(len(p) for p in found.values()))])

    mine = timed(ours, 1)
    row("tomosoup.find_peaks", *mine)
    row("max_pool3d", *timed(pooled, 1), mine)


def curve(model: Path, out: Path) -> None:
    """Seconds and memory from file to picks: tomograms from 1/64 of the full size to twice, and one net to eight."""
    for shape in ((46, 158, 158), (92, 315, 315), (184, 315, 315), FULL, (368, 630, 630), (368, 1260, 1260)):
        pick_noise(shape, [model], out)
    for number in (2, 4, 8):
        pick_noise((92, 315, 315), [model] * number, out)


def pick_noise(shape: tuple[int, int, int], models: Sequence[Path], out: Path) -> None:
    """The command `tomosoup pick` on noise of a shape, in a process of its own; a line of what it took."""
    folder = out / "x".join(map(str, shape))
    if not folder.exists():
        folder.mkdir(parents=True)
        noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        with mrcfile.new(folder / "run.mrc", noise) as file:
            file.voxel_size = 10.0
    shutil.rmtree(folder / "picks.copick", ignore_errors=True)  # what is done would be skipped
    (folder / "picks.csv").unlink(missing_ok=True)
    began = time.perf_counter()
    words = ("pick", folder, "--model", *models, "--output", folder / "picks.csv")
    code = (
        # the peak that rusage gives has this process's own in it
        "import sys; from tomosoup.cli.main import main; main(sys.argv[1:]); "
        "peak = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0]; "
        "print(f'peak {int(peak) / 2**20:.2f} GiB')"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    lines = done.stdout.splitlines()
    size = f"{folder.name:14} {np.prod(shape) / 1e6:7.1f} M voxels, nets: {len(models)}"
    print(f"{size} {seconds:7.1f} s   {lines[-1]}   {lines[0]}", flush=True)


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    if command == "curve":
        curve(*map(Path, words))
    else:
        sides = {"windows": windows, "planes": planes, "convolutions": convolutions, "soup": soup, "peaks": peaks}
        sides[command](*words)
