"""How much every command says."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import arg

from tomosoup.core.config import Options


class Voice(Options):
    """How much a command says, and to whom."""

    quiet: bool = False
    """Show the result and errors only: no bars, no talk."""
    as_json: Annotated[bool, arg(name="json")] = False
    """Print the result as one JSON object, and nothing else, on standard output."""
