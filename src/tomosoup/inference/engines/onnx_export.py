"""A net as an ONNX file, which many other programs run."""

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
from tomosoup.models.nets.tomo_net import TomoNet

INPUT, OUTPUT = "window", "output"
"""What the file calls the net's input `(b, 1, z, y, x)` and output `(b, c, z, y, x)`, both float32."""
PREFIX = "tomosoup."
"""Before each key that tomosoup puts into the file's metadata."""
LARGEST_FILE = 1_500_000_000
"""Bytes of weights up to which they stand in the file itself, which ONNX limits to 2 GB; others lie beside it."""


def export_checkpoint(checkpoint: Checkpoint, path: Path, *, window: ZYX | None = None) -> list[Path]:
    """The checkpoint's net as ONNX for windows of this shape (by default its own), with any batch size; the files.

    All that the checkpoint knows beside its weights goes into the file's metadata, each key as JSON: tomosoup.species,
    tomosoup.thresholds, tomosoup.voxel_size, tomosoup.normalisation and the rest, and tomosoup.output, which says what
    the channels are. Raises `InputError` where packages are missing or the net cannot take such windows.
    """
    window = window or checkpoint.windows.shape
    channels = "logits, background first, then species" if checkpoint.segments_voxels else "heatmaps, one a species"
    metadata = {**checkpoint.metadata(), "output": channels, "window": window}
    return export_onnx(checkpoint.net(), path, window=window, metadata=metadata)


def export_onnx(
    net: TomoNet,
    path: Path,
    *,
    window: ZYX,
    dynamic_batch: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the net as ONNX (torch's current opset) for windows `(b, 1, z, y, x)`; the files written.

    Input `window`, output `output`; the batch size is free, or, without `dynamic_batch`, 1. `metadata` goes into
    the file as JSON, key by key. Beyond 1.5 GB the weights lie beside it, in PATH.data. An old file is replaced only
    once the new one is whole. Raises `InputError` where packages are missing or the net cannot take such windows.
    """
    require("onnx")
    net.check((1, 1, *window))
    return write_graph(export_graph(net, window=window, dynamic_batch=dynamic_batch), path, metadata=metadata)


def write_graph(graph: ExportedProgram, path: Path, *, metadata: Mapping[str, Any] | None = None) -> list[Path]:
    """Write a graph as ONNX; the files written, the one to open last."""
    with _quietly():
        program = torch.onnx.export(
            graph, (), input_names=[INPUT], output_names=[OUTPUT], dynamo=True, verbose=False, optimize=True
        )
    assert program is not None
    program.model.metadata_props.update({PREFIX + k: json.dumps(v) for k, v in (metadata or {}).items()})
    size = sum(t.numel() * t.element_size() for t in graph.state_dict.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as aside:
        # A file tells the name of the one with its weights: both are written under their last names, then moved.
        program.save(Path(aside) / path.name, external_data=size > LARGEST_FILE)
        written = sorted(Path(aside).iterdir(), key=lambda file: file.name == path.name)
        return [file.replace(path.parent / file.name) for file in written]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's log of every rewriting, and deprecations between torch and onnxscript."""
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
