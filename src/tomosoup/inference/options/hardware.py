"""What to compute on, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge

from tomosoup.core.config import Options, Typed

Device = Annotated[str, Typed("Speed", value="DEVICE")]


class Hardware(Options):
    """What to compute on."""

    device: Device = "auto"
    """cpu, cuda or mps; auto chooses the fastest one available."""
    devices: Annotated[int, Ge(1), Typed("Speed")] = 1
    """Number of devices that train together, each on a part of every batch (on a CPU: processes)."""


class InferenceOptions(Options):
    """What runs a trained net, and in which arithmetic."""

    device: Device = "auto"
    """cpu, cuda or mps; auto chooses the fastest one available."""
    engine: Literal["auto", "torch", "openvino", "onnx", "tensorrt"] = "auto"
    """Library that runs the network. auto chooses openvino or torch. openvino is fast on CPUs and needs pip install
    'tomosoup[cpu]'. onnx is ONNX Runtime and needs pip install 'tomosoup[onnx]'. tensorrt is NVIDIA TensorRT."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """Number format. auto takes fp16 on NVIDIA GPUs, bf16 on CPUs that support it, fp32 elsewhere. int8 is calibrated
    on a few windows first."""
    compiled: bool = False
    """Compile the network with torch.compile first. This takes minutes and pays off for many tomograms (engine torch
    only)."""
    batch_size: Annotated[int, Ge(1)] | None = None
    """Number of windows at a time; by default chosen for the device."""
