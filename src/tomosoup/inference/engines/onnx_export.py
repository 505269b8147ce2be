"""Write a net as an ONNX file, which many other programs can run."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from tomosoup.core.config import ZYX
from tomosoup.inference.engines.choice import require
from tomosoup.inference.engines.export_graph import export_graph
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.options import Predicts
from tomosoup.models.nets.tomo_net import TomoNet

INPUT, OUTPUT = "window", "output"
"""Names in the file of the input `(b, 1, z, y, x)` and the output `(b, c, z, y, x)`, both float32."""
CHANNELS: Mapping[Predicts, str] = {
    "heatmaps": "heatmaps, one a species",
    "labels": "logits, background first, then species",
    "centres": "heatmaps, one a species, then the displacement (z, y, x) in voxels from each voxel to a centre",
}
"""What a net predicts -> what a file says of its channels."""
PREFIX = "tomosoup."
"""Prefix of tomosoup's keys in the metadata of the file."""
LARGEST_FILE = 1_500_000_000
"""Bytes of weights that one file may hold; ONNX limits files to 2 GB. More weights go to a second file."""


def export_checkpoint(checkpoint: Checkpoint, path: Path, *, window: ZYX | None = None) -> list[Path]:
    """Write the net of a checkpoint as ONNX, with any batch size. Returns the files.

    `window` (z, y, x) is by default that of the checkpoint. The metadata of the checkpoint goes into the metadata of
    the file, each key as JSON: tomosoup.species, tomosoup.thresholds, tomosoup.voxel_size, ... The key tomosoup.output
    describes the channels. Raises `InputError` if packages are missing, and for windows of a shape that the net does
    not accept.
    """
    window = window or checkpoint.windows.shape
    metadata = {**checkpoint.metadata(), "output": CHANNELS[checkpoint.architecture.predicts], "window": window}
    return export_onnx(checkpoint.net(), path, window=window, metadata=metadata)


def export_onnx(
    net: TomoNet,
    path: Path,
    *,
    window: ZYX,
    dynamic_batch: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write a net as ONNX (torch's current opset) for windows `(b, 1, z, y, x)`. Returns the files.

    The input is called `window`, the output `output`. The batch size is free, or 1 without `dynamic_batch`. `metadata`
    goes into the file as JSON, key by key. Weights of more than 1.5 GB go to a second file, PATH.data. An existing file
    is replaced when the new one is complete. Raises `InputError` if packages are missing, and for windows of a shape
    that the net does not accept.
    """
    require("onnx")
    net.check((1, 1, *window))
    return write_graph(export_graph(net, window=window, dynamic_batch=dynamic_batch), path, metadata=metadata)


def write_graph(graph: ExportedProgram, path: Path, *, metadata: Mapping[str, Any] | None = None) -> list[Path]:
    """Write a graph as ONNX. Returns the files; the last one is the file to open."""
    with _quietly():
        program = torch.onnx.export(
            graph, (), input_names=[INPUT], output_names=[OUTPUT], dynamo=True, verbose=False, optimize=True
        )
    assert program is not None
    program.model.metadata_props.update({PREFIX + k: json.dumps(v) for k, v in (metadata or {}).items()})
    size = sum(t.numel() * t.element_size() for t in graph.state_dict.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as aside:
        # The file names the one with its weights, so both get their final names before they are moved.
        program.save(Path(aside) / path.name, external_data=size > LARGEST_FILE)
        written = sorted(Path(aside).iterdir(), key=lambda file: file.name == path.name)
        return [file.replace(path.parent / file.name) for file in written]


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide the log of the exporter, and the deprecations between torch and onnxscript."""
    logs = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
