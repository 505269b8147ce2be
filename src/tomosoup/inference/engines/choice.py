"""Options -> engine, device and precision, by what is installed and what the processors can do."""

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

from tomosoup.core.errors import InputError, first_line
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
"""What each engine has on each kind of device."""
PACKAGES = {
    "openvino": (("openvino",), "cpu"),
    "onnx": (("onnx", "onnxscript", "onnxruntime"), "onnx"),
    "tensorrt": (("onnx", "onnxscript", "onnxruntime"), "onnx"),
}
"""Engine -> the packages that it takes, and the extra that brings them."""
WITHOUT_BF16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"}
"""oneDNN's names of instruction sets that do not multiply bf16."""


@dataclass(frozen=True)
class Choice:
    """What will run the net; nothing in it is `auto` any more."""

    engine: Name
    device: torch.device
    precision: Precision
    compiled: bool = False


def choose(options: InferenceOptions) -> Choice:
    """What the options come to on this machine. Raises `InputError` as `prepare` says."""
    engine: Name
    if options.engine == "auto":
        engine, device = _best_engine(options)
    else:
        engine = options.engine
        require(engine)
        device = _device_of(engine, options.device)
    has = PRECISIONS.get((engine, device.type))
    if has is None:
        raise InputError(f"Engine {engine} does not run on {device.type}: leave out `device` or `engine`.")
    if options.compiled and engine != "torch":
        raise InputError(f"torch.compile is for engine torch, got engine {engine}: leave one of the two out.")
    precision = _best_precision(engine, device) if options.precision == "auto" else options.precision
    if precision not in has:
        raise InputError(
            f"Engine {engine} on {device.type} has {', '.join(has)}, got precision {precision}: choose one of these"
            + ("." if precision != "int8" else ", or engine openvino, which has int8 on CPUs.")
        )
    if precision == "bf16" and engine == "openvino" and not openvino_has_bf16():
        raise InputError("This CPU does not multiply bf16, and OpenVINO does not imitate it: choose precision fp32.")
    return Choice(engine, device, precision, options.compiled)


def best_device(wanted: str) -> torch.device:
    """`auto` is CUDA where there is one, then Apple's GPU, then the CPU. Raises `InputError` for one not there."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=(device := torch.device(wanted)))
    except (RuntimeError, AssertionError) as error:
        why = f" ({first_line(error)})" if wanted.partition(":")[0] in ("cuda", "mps") else ""
        raise InputError(
            f"There is no device {wanted!r} here{why}: choose cpu, cuda or mps, or leave out `device` for the fastest "
            "one available."
        ) from error
    return device


def require(engine: str) -> None:
    """Raises `InputError`, naming the extra to install, unless the engine's packages are here."""
    packages, extra = PACKAGES.get(engine, ((), ""))
    if missing := [p for p in packages if not installed(p)]:
        raise InputError(
            f"Engine {engine} takes {', '.join(missing)}, not installed here: pip install 'tomosoup[{extra}]', or "
            "choose another engine."
        )


def installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return find_spec(package) is not None


def onnx_providers() -> list[str]:
    """The providers in this build of ONNX Runtime."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies bf16: AVX-512 BF16 or AMX on x86, BF16 on Arm. False where nobody tells.

    Nor where the environment keeps torch's oneDNN from it (ONEDNN_MAX_CPU_ISA).
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
    """The package, imported so that it does not report to its makers: its telemetry is kept from loading."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as though it were not installed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import openvino
    return openvino


def openvino_has_bf16() -> bool:
    """Whether OpenVINO's CPU device says that it computes in bf16."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _best_engine(options: InferenceOptions) -> tuple[Name, torch.device]:
    device = best_device(options.device)
    wanted_from_torch = options.compiled or options.precision == "fp16"
    if options.precision == "int8" and device.type == "cpu":
        require("openvino")
    use = device.type == "cpu" and installed("openvino") and not wanted_from_torch
    if use and options.precision == "bf16":
        use = openvino_has_bf16()  # torch imitates it
    return ("openvino" if use else "torch"), device


def _device_of(engine: Name, wanted: str) -> torch.device:
    """The device of an engine that was asked for by name."""
    if engine == "torch":
        return best_device(wanted)
    kind = wanted.partition(":")[0]
    if engine == "openvino":
        return torch.device("cpu") if kind == "auto" else best_device(wanted)
    providers = onnx_providers()
    if engine == "tensorrt" and "TensorrtExecutionProvider" not in providers:
        raise InputError(
            "This build of ONNX Runtime has no TensorRT provider: pip install onnxruntime-gpu tensorrt in place of "
            "onnxruntime, or choose engine torch."
        )
    cuda = "CUDAExecutionProvider" in providers
    if kind == "cuda" and not cuda and engine == "onnx":
        raise InputError(
            "This build of ONNX Runtime has no CUDA provider: pip install onnxruntime-gpu in place of onnxruntime, or "
            "choose engine torch."
        )
    if kind == "auto":
        return torch.device("cuda" if cuda or engine == "tensorrt" else "cpu")
    return torch.device(wanted) if kind == "cuda" else best_device(wanted)


def _best_precision(engine: Name, device: torch.device) -> Precision:
    if device.type == "cuda":
        return "fp32" if engine == "onnx" else "fp16"
    if engine == "openvino":
        return "bf16" if openvino_has_bf16() else "fp32"
    return "bf16" if engine == "torch" and device.type == "cpu" and cpu_has_bf16() else "fp32"
