"""What `tomosoup convert` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from tomosoup.cli.options.shared import Overwrite, ToWrite
from tomosoup.core.config import Options, Typed


class ConvertCommand(Options):
    """Convert weights that the contest's winners published into a tomosoup checkpoint."""

    EXAMPLE: ClassVar = "tomosoup convert epoch_63.ckpt -o yu4u.safetensors"

    published: Annotated[Path, Typed("Input", positional=True, value="PUBLISHED", file="input")]
    """Weights of yu4u's first model, 4th place (.ckpt), or of a soup of the 8th place (.pth). No code in the file is
    run."""
    output: ToWrite
    """Checkpoint to write (.safetensors)."""
    overwrite: Overwrite = False
    """Replace an existing output file."""
