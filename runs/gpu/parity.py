"""How far a net's output on the GPU is from its output on the CPU in fp32, and how many windows a second it takes."""

import copy
from math import prod

import torch
from torch import Tensor

from benchmarks.speed.best_time import best_time
from runs.gpu.budget import Setting
from runs.gpu.nets import device, net_and_window, options
from runs.gpu.rows import Add, Row
from tomosoup.core.errors import as_sentence
from tomosoup.inference.engines.choice import PRECISIONS
from tomosoup.inference.engines.net_cache import BATCH_VOXELS, prepare
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.models.nets.fused import accelerate

COMPARED = 2
"""Windows that are also computed on the CPU."""


def eager(name: str, setting: Setting, add: Add) -> None:
    """Every precision of the engine torch."""
    compare(name, [options(engine="torch", precision=p) for p in PRECISIONS["torch", device().type]], setting, add)


def compiled(name: str, setting: Setting, add: Add) -> None:
    """The engine torch, compiled in the precision that it chooses: on a GPU a CUDA graph."""
    compare(name, [options(engine="torch", compiled=True)], setting, add)


def onnx(name: str, setting: Setting, add: Add) -> None:
    """ONNX Runtime on the same device."""
    compare(name, [options(engine="onnx")], setting, add)


def tensorrt(name: str, setting: Setting, add: Add) -> None:
    """ONNX Runtime's TensorRT."""
    compare(name, [options(engine="tensorrt", precision=p) for p in ("fp32", "fp16")], setting, add)


def compare(name: str, variants: list[InferenceOptions], setting: Setting, add: Add) -> None:
    """A row for each way to run the net: `relative_error`, windows a second in full batches."""
    net, window = net_and_window(name, setting)
    batch = COMPARED if setting.small else max(COMPARED, BATCH_VOXELS["cuda"] // prod(window))
    torch.manual_seed(1)
    few = torch.randn(COMPARED, 1, *window)
    with torch.inference_mode():
        expected = net(few)
    many = few.repeat(-(-batch // COMPARED), 1, 1, 1, 1)[:batch]
    for variant in variants:
        how = f"{variant.engine}, {variant.precision}" + ", compiled" * variant.compiled
        try:
            ready = accelerate(copy.deepcopy(net), window=window)
            engine = prepare(ready, window=window, batch_size=batch, options=variant)
            first, _ = best_time(lambda engine=engine: engine(few), repeats=1)
            error = relative_error(engine(few), expected)
            seconds, output = best_time(lambda engine=engine: engine(many), repeats=1 if setting.small else 3)
            again = relative_error(output[:COMPARED], expected)
        except Exception as failure:
            add(Row("parity", name, how, note=f"failed: {as_sentence(failure)}"))
            continue
        figures: dict[str, float | str] = {
            "error": error,
            "error in a full batch": again,
            "windows a second": batch / seconds,
            "first call in s": first,
        }
        add(Row("parity", name, how, figures, note=f"{batch} of {'x'.join(map(str, window))}; {engine.description}"))


def relative_error(got: Tensor, expected: Tensor) -> float:
    """Of two outputs `(b, c, z, y, x)`, relative to what varies in a channel: a constant would hide what is wrong."""
    varies = expected - expected.mean(dim=(0, 2, 3, 4), keepdim=True)
    return float((got - expected).norm() / varies.norm())
