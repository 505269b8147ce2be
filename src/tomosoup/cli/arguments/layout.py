"""Help as wide as the terminal, 80 columns at most, and that of the program, which needs no options."""

from __future__ import annotations

from collections.abc import Mapping
from shutil import get_terminal_size
from textwrap import fill, wrap

INDENT = 26
"""Where descriptions of options begin."""


def overview(commands: Mapping[str, str]) -> str:
    """What `tomosoup --help` prints: each command with what it is about."""
    about = {
        **commands,
        "--version": "Show the version.",
        "--print-completion SHELL": "Print a script for bash, zsh or tcsh that completes commands and options.",
    }
    lines = [entry(name, text, indent=14) for name, text in about.items()]
    last = "Begin with `tomosoup demo`. `tomosoup COMMAND --help` explains a command."
    first = ["tomosoup finds particles in cryo-electron tomograms.", "", "usage: tomosoup COMMAND ...", ""]
    return "\n".join([*first, *lines, "", last])


def entry(names: str, text: str, *, value: str = "", indent: int = INDENT) -> str:
    """An option or command on the left, what it does on the right; below each other where the left is long."""
    left = f"  {names} {value}".rstrip()
    lines = wrap(text, width() - indent, break_on_hyphens=False) or [""]
    first = f"{left:<{indent}}{lines[0]}" if len(left) < indent else f"{left}\n{' ' * indent}{lines[0]}"
    return "\n".join([first.rstrip(), *(" " * indent + line for line in lines[1:])])


def paragraph(text: str) -> str:
    """A text as wide as the terminal, 80 columns at most."""
    return fill(" ".join(text.split()), width(), break_on_hyphens=False)


def width() -> int:
    """Columns of help."""
    return min(80, get_terminal_size().columns)
