"""OpenVINO on CPUs."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from tomosoup.core.config import ZYX
from tomosoup.core.errors import counted
from tomosoup.inference.engines.choice import Choice, openvino
from tomosoup.inference.engines.engine import Engine
from tomosoup.inference.engines.export_graph import export_graph

TYPES = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""Precision -> OpenVINO's name for it. A quantised model itself marks its int8 operations."""


def openvino_engine(net: nn.Module, choice: Choice, *, window: ZYX, batch_size: int) -> Engine:
    """The net, converted to OpenVINO for one window and compiled for this CPU.

    It runs a batch window by window: as fast as the whole batch, with the memory of one window and any batch size.
    """
    model = converted(export_graph(net, window=window))
    return compiled_engine(model, precision=choice.precision, window=window, batch_size=batch_size)


def converted(graph: ExportedProgram) -> Any:
    """OpenVINO's model of a graph for one window."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return openvino().convert_model(graph)


def compiled_engine(model: Any, *, precision: str, window: ZYX, batch_size: int) -> Engine:
    """Compile OpenVINO's model for one window, as an engine that accepts batches."""
    ov = openvino()
    threads = torch.get_num_threads()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": TYPES[precision],
        "INFERENCE_NUM_THREADS": threads,
    }
    compiled = ov.Core().compile_model(model, "CPU", settings)

    def run(windows: Tensor) -> Tensor:
        # OpenVINO returns copies, so the next run does not overwrite these outputs.
        outputs = [torch.from_numpy(compiled([w[None].contiguous().numpy()])[0]) for w in windows]
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]

    version = ".".join(ov.__version__.split("-")[0].split(".")[:2])
    description = f"OpenVINO {version}, {precision}, {counted(threads, 'thread')}"
    return Engine(
        description=description, window=window, batch_size=batch_size, start=lambda windows: lambda: run(windows)
    )
