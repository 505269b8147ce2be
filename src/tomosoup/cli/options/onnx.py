"""What `tomosoup export-onnx` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from tomosoup.cli.options.shared import Overwrite, ToWrite
from tomosoup.core.config import ZYX, Options, Typed


class ExportOnnxCommand(Options):
    """Write the network of a checkpoint as an ONNX file, for other programs to run."""

    EXAMPLE: ClassVar = "tomosoup export-onnx model.safetensors -o model.onnx"

    model: Annotated[Path, Typed("Input", positional=True, value="CHECKPOINT", file="checkpoint")]
    """Checkpoint of tomosoup (.safetensors)."""
    output: ToWrite
    """File to write (.onnx). Weights of more than 1.5 GB go to OUTPUT.data beside it."""
    window: Annotated[ZYX | None, Typed("Model")] = None
    """Window size in voxels; by default the checkpoint's. The batch size stays free."""
    overwrite: Overwrite = False
    """Replace an existing output file."""
