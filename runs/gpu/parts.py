"""All parts of the script, in the order of their worth."""

import os
import platform

import torch

from runs.gpu.budget import Part, Setting
from runs.gpu.rows import Add, Row

TRAINED = ("yu4u", "tattaka", "soup-big")
"""Recipes whose updates are timed."""


def machine(setting: Setting, add: Add) -> None:
    """A row: what the others were measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    how = f"torch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    size = "tiny nets and tomograms" if setting.small else "full size"
    note = f"{os.cpu_count()} CPU cores, Python {platform.python_version()}; {size}"
    add(Row("machine", gpu, how, note=note))


def parts() -> list[Part]:
    """All parts, in the order of their worth, with the seconds that each may take."""
    first, others = (
        ("yu4u", "tattaka", "default", "soup-big"),
        ("soup-tiny", "soup-medium", "centernet", "resnet_unet3d"),
    )
    return [
        Part("machine", "runs.gpu.parts.machine", 30),
        *of_each("parity", "parity.eager", 45, first),
        *of_each("pick", "picking.seconds_of", 60, ("default", "yu4u", "yu4u in planes")),
        Part("simulate", "runs.gpu.training.tomograms", 60),
        *of_each("updates", "training.updates", 45, TRAINED),
        *of_each("pick", "picking.seconds_of", 120, ("4 yu4u + 3 tattaka", "4 soups")),
        *of_each("train", "training.whole_training", 60, TRAINED),
        *of_each("parity", "parity.eager", 30, others),
        *of_each("onnx", "parity.onnx", 45, TRAINED),
        *of_each("compiled", "parity.compiled", 120, ("default", "yu4u", "soup-big", "tattaka")),
        *of_each("tensorrt", "parity.tensorrt", 90, TRAINED),
    ]


def of_each(part: str, work: str, seconds: float, names: tuple[str, ...]) -> list[Part]:
    """The same work for each name."""
    return [Part(f"{part} {name}", f"runs.gpu.{work}", seconds, (name,)) for name in names]
