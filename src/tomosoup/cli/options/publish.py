"""What `tomosoup publish` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from tomosoup.cli.options.shared import Overwrite
from tomosoup.core.config import Options, Typed


class PublishCommand(Options):
    """Upload a checkpoint with its model card to the Hugging Face Hub, for others to use as --model hf:OWNER/NAME. Log
    in first with `hf auth login`."""

    EXAMPLE: ClassVar = "tomosoup publish model.safetensors my-lab/my-protein --licence cc-by-4.0"

    model: Annotated[Path, Typed("Input", positional=True, value="CHECKPOINT", file="checkpoint")]
    """Checkpoint of tomosoup (.safetensors)."""
    name: Annotated[str, Typed("Output", positional=True, value="OWNER/NAME")]
    """The model's name on the Hub. If it is there already, this becomes its next version."""
    licence: Annotated[str, Typed("Output")]
    """Licence under which others may use the model, as the Hub spells it: apache-2.0, cc-by-4.0, mit, ..."""
    description: Annotated[str, Typed("Output")] = ""
    """A sentence or two on sample, microscope and data, for the card; by default it names the particles."""
    citation: str = ""
    """What users of the model should cite, for the card."""
    private: bool = False
    """Only you and your organisation can see and use the model."""
    card: Annotated[Path | None, Typed("Output", file="output")] = None
    """Write the model card to this file (.md) and upload nothing."""
    overwrite: Overwrite = False
    """Replace an existing --card file."""
