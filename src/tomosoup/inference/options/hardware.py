"""What to compute on, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge

from tomosoup.core.config import Options


class Hardware(Options):
    """What to compute on."""

    device: str = "auto"
    """cpu, cuda, mps, or the best there is."""
    devices: Annotated[int, Ge(1)] = 1
    """How many of them train side by side, each on its share of every batch (on a CPU: processes)."""


class InferenceOptions(Options):
    """What runs a trained net, and in which arithmetic."""

    device: str = "auto"
    """cpu, cuda, mps, or the best there is."""
    engine: Literal["auto", "torch", "openvino", "onnx", "tensorrt"] = "auto"
    """auto: on a CPU OpenVINO for large nets that predict heatmaps, where it is installed (pip install 'tomosoup[cpu]')
    and the tomogram repays its preparation; torch otherwise and on GPUs. onnx: ONNX Runtime ('tomosoup[onnx]');
    tensorrt: the same on NVIDIA's TensorRT."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """auto: fp16 on NVIDIA GPUs, bf16 on CPUs that multiply it, fp32 elsewhere. int8 takes calibration windows."""
    compiled: bool = False
    """Let torch.compile make kernels for the window first: minutes, which long work repays (engine torch alone)."""
    batch_size: Annotated[int, Ge(1)] | None = None
    """Windows at a time; by default as many as the caller finds good."""
