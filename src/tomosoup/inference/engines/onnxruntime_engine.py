"""ONNX Runtime on CPUs and CUDA, and through it NVIDIA's TensorRT. CUDA and TensorRT were not run on a GPU."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tomosoup.core.config import ZYX
from tomosoup.core.errors import InputError, counted
from tomosoup.inference.engines.choice import Choice
from tomosoup.inference.engines.engine import Engine
from tomosoup.inference.engines.export_graph import export_graph, key_of
from tomosoup.inference.engines.onnx_export import INPUT, write_graph


def onnxruntime_engine(
    net: nn.Module, choice: Choice, *, window: ZYX, batch_size: int, cache: Path | None = None
) -> Engine:
    """The net as ONNX with a free batch size, run by ONNX Runtime.

    TensorRT builds its kernels at the first call, which takes minutes. The folder `cache` keeps them, named by graph
    and weights, because they fit no other net. Raises `InputError` where ONNX Runtime leaves out the wanted provider,
    as it does if libraries of CUDA or TensorRT are missing.
    """
    import onnxruntime as ort

    graph = export_graph(net, window=window, dynamic_batch=True)
    kept = cache / f"tensorrt-{key_of(graph, ort.__version__)}" if cache and choice.engine == "tensorrt" else None
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="tomosoup-onnx-", ignore_cleanup_errors=True) as folder:
        file = write_graph(graph, Path(folder) / "net.onnx")[-1]
        wanted = providers(choice, window=window, batch_size=batch_size, kept=kept)
        session = ort.InferenceSession(str(file), sess_options=options, providers=wanted)

    def run(windows: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {INPUT: windows.contiguous().numpy()})[0])

    first = wanted[0] if isinstance(wanted[0], str) else wanted[0][0]
    asked, used = (name.removesuffix("ExecutionProvider") for name in (first, session.get_providers()[0]))
    if used != asked:
        raise InputError(
            f"ONNX Runtime {ort.__version__} could not start its provider {asked} and would compute on {used}: its "
            "message says which library is missing; install it, or choose engine torch."
        )
    threads = f", {counted(torch.get_num_threads(), 'thread')}" if choice.device.type == "cpu" else ""
    description = f"ONNX Runtime {ort.__version__} on {used}, {choice.precision}{threads}"
    return Engine(
        description=description, window=window, batch_size=batch_size, start=lambda windows: lambda: run(windows)
    )


def providers(choice: Choice, *, window: ZYX, batch_size: int, kept: Path | None) -> list[Any]:
    """Execution providers for ONNX Runtime, best first: names, or names with options.

    TensorRT gets the smallest and largest batch; otherwise it would rebuild its kernels for the last batch. CUDA runs
    what TensorRT cannot.
    """
    if choice.device.type != "cuda":
        return ["CPUExecutionProvider"]
    number = choice.device.index or 0
    cuda = [("CUDAExecutionProvider", {"device_id": number}), "CPUExecutionProvider"]
    if choice.engine == "onnx":
        return cuda
    one, full = ("x".join(map(str, (b, 1, *window))) for b in (1, batch_size))
    settings: dict[str, Any] = {
        "device_id": number,
        "trt_profile_min_shapes": f"{INPUT}:{one}",
        "trt_profile_opt_shapes": f"{INPUT}:{full}",
        "trt_profile_max_shapes": f"{INPUT}:{full}",
    }
    if choice.precision != "fp32":
        settings[f"trt_{choice.precision}_enable"] = True  # older versions refuse the name of a format unknown to them
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        settings |= {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(kept),
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": str(kept),
        }
    return [("TensorrtExecutionProvider", settings), *cuda]
