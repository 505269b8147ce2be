"""Options -> engine, device and precision, from the installed packages and the abilities of the processors."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch

from tomosoup.core.errors import InputError
from tomosoup.core.runtime import best_device
from tomosoup.inference.options.hardware import InferenceOptions

Name = Literal["torch", "openvino", "onnx", "tensorrt"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]

PRECISIONS: dict[tuple[str, str], tuple[Precision, ...]] = {
    ("torch", "cpu"): ("fp32", "bf16"),
    ("torch", "cuda"): ("fp32", "bf16", "fp16"),
    ("torch", "mps"): ("fp32",),
    ("openvino", "cpu"): ("fp32", "bf16", "int8"),
    ("onnx", "cpu"): ("fp32",),
    ("onnx", "cuda"): ("fp32",),
    ("tensorrt", "cuda"): ("fp32", "bf16", "fp16"),
}
"""(engine, device) -> supported precisions."""
PACKAGES = {
    "openvino": (("openvino",), "cpu"),
    "onnx": (("onnx", "onnxscript", "onnxruntime"), "onnx"),
    "tensorrt": (("onnx", "onnxscript", "onnxruntime"), "onnx"),
}
"""Engine -> the packages that it requires, and the extra of tomosoup that installs them."""
WITHOUT_BF16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"}
"""oneDNN's names of the instruction sets without bf16 products."""


@dataclass(frozen=True)
class Choice:
    """Engine, device and precision that run the net; none of them is `auto`."""

    engine: Name
    device: torch.device
    precision: Precision
    compiled: bool = False


def choose(options: InferenceOptions) -> Choice:
    """The engine, device and precision for this machine. Raises `InputError` for options that it cannot fulfil."""
    engine: Name
    if options.engine == "auto":
        engine, device = _best_engine(options)
    else:
        engine = options.engine
        require(engine)
        device = _device_of(engine, options.device)
    has = PRECISIONS.get((engine, device.type))
    if has is None:
        raise InputError(f"Engine {engine} does not run on {device.type}: give only one of `device` and `engine`.")
    if options.compiled and engine != "torch":
        raise InputError(f"`compiled` requires engine torch, got engine {engine}: leave out one of the two.")
    precision = _best_precision(engine, device) if options.precision == "auto" else options.precision
    if precision not in has:
        raise InputError(
            f"Engine {engine} on {device.type} supports precision {', '.join(has)}, got {precision}: choose one of "
            + ("these." if precision != "int8" else "these, or engine openvino on a CPU, which supports int8.")
        )
    if precision == "bf16" and engine == "openvino" and not openvino_has_bf16():
        raise InputError("This CPU has no bf16 products, which OpenVINO requires for bf16: choose precision fp32.")
    return Choice(engine, device, precision, options.compiled)


def require(engine: str) -> None:
    """Raises `InputError`, which names the extra to install, if packages of the engine are missing."""
    packages, extra = PACKAGES.get(engine, ((), ""))
    if missing := [p for p in packages if not installed(p)]:
        raise InputError(
            f"Engine {engine} requires {', '.join(missing)}, not installed here: pip install 'tomosoup[{extra}]', or "
            "choose another engine."
        )


def installed(package: str) -> bool:
    """Whether a package is installed. It is not imported."""
    return find_spec(package) is not None


def onnx_providers() -> list[str]:
    """The execution providers of the installed ONNX Runtime."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU has bf16 products: AVX-512 BF16 or AMX on x86, BF16 on Arm. False if unknown.

    Also False if the environment variable ONEDNN_MAX_CPU_ISA excludes them for torch's oneDNN.
    """
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in WITHOUT_BF16:
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities()
        if known.get("architecture") == "x86_64":
            return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
    if not cpuinfo.is_file():
        return False
    words = set(cpuinfo.read_text().split())
    return bool(words & ({"bf16"} if platform.machine() in {"aarch64", "arm64"} else {"avx512_bf16", "amx_bf16"}))


def openvino() -> Any:
    """The package `openvino`, imported without its telemetry, which would report to its developers."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if not installed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import openvino
    return openvino


def openvino_has_bf16() -> bool:
    """Whether OpenVINO's CPU device reports bf16 among its abilities."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _best_engine(options: InferenceOptions) -> tuple[Name, torch.device]:
    device = best_device(options.device)
    wanted_from_torch = options.compiled or options.precision == "fp16"
    if options.precision == "int8" and device.type == "cpu":
        require("openvino")
    use = device.type == "cpu" and installed("openvino") and not wanted_from_torch
    if use and options.precision == "bf16":
        use = openvino_has_bf16()  # torch emulates it
    return ("openvino" if use else "torch"), device


def _device_of(engine: Name, wanted: str) -> torch.device:
    """The device for an engine that the user named."""
    if engine == "torch":
        return best_device(wanted)
    family = wanted.partition(":")[0]
    if engine == "openvino":
        return torch.device("cpu") if family == "auto" else best_device(wanted)
    providers = onnx_providers()
    if engine == "tensorrt" and "TensorrtExecutionProvider" not in providers:
        raise InputError(
            "This build of ONNX Runtime has no TensorRT provider: pip install onnxruntime-gpu tensorrt in place of "
            "onnxruntime, or choose engine torch."
        )
    cuda = "CUDAExecutionProvider" in providers
    if family == "cuda" and not cuda and engine == "onnx":
        raise InputError(
            "This build of ONNX Runtime has no CUDA provider: pip install onnxruntime-gpu in place of onnxruntime, or "
            "choose engine torch."
        )
    if family == "auto":
        return torch.device("cuda" if cuda or engine == "tensorrt" else "cpu")
    return torch.device(wanted) if family == "cuda" else best_device(wanted)


def _best_precision(engine: Name, device: torch.device) -> Precision:
    if device.type == "cuda":
        return "fp32" if engine == "onnx" else "fp16"
    if engine == "openvino":
        return "bf16" if openvino_has_bf16() else "fp32"
    return "bf16" if engine == "torch" and device.type == "cpu" and cpu_has_bf16() else "fp32"
