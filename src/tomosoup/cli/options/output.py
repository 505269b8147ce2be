"""What every command takes: how much it says."""

from __future__ import annotations

from typing import Annotated

from tomosoup.core.config import Options, Typed


class Voice(Options):
    """How much a command says, and to whom."""

    quiet: Annotated[bool, Typed("Output")] = False
    """Show only the result and errors."""
    as_json: Annotated[bool, Typed("Output", name="json")] = False
    """Print the result as one JSON object."""
