r"""Draws a command and what a terminal shows, as SVG: it runs the command in the current folder.

    tomosoup simulate sim --recipe contest --runs 3 --shape 48 160 160 --seed 1
    python -m runs.figures.terminal docs/cli/terminal.svg "tomosoup pick sim --output picks.csv"
    python -m runs.figures.terminal docs/cli/copick.svg \
        "copick inference tomosoup -c sim/copick_config.json -i denoised@10.0 -o '*:tomosoup/2'"
    python -m runs.figures.terminal docs/cli/demo.svg "tomosoup demo"
"""

import inspect
import io
import os
import pty
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runs.shared.command import run_script
from tomosoup.core.errors import InputError

WIDTH, HEIGHT = 84, 60
"""Columns and lines of the terminal."""
FONTS = "DejaVu Sans Mono, Menlo, Consolas, monospace"
TOKEN = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)")


def run(command: str) -> str:
    """What a command writes to a terminal, without the name of the current folder.

    Raises `InputError` for a command that is not installed or fails.
    """
    ours, theirs = pty.openpty()
    size = {"COLUMNS": str(WIDTH), "LINES": str(HEIGHT), "TERM": "xterm-256color"}
    words = shlex.split(command)
    if not words or shutil.which(words[0]) is None:
        raise InputError(f"Expected a command that is installed here, got {command!r}.")
    started = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | size)
    os.close(theirs)
    written = b""
    try:
        while read := os.read(ours, 65536):
            written += read
    except OSError:  # how Linux says that nobody writes any more
        pass
    if code := started.wait():
        raise InputError(f"{command!r} failed with exit status {code}: nothing was drawn. Run it alone to see why.")
    return written.decode().replace(f"{Path.cwd()}/", "")


def screen(written: str) -> list[str]:
    """The lines that a terminal shows after these characters: lines may have been written anew."""
    lines, row = [""], 0
    for part in TOKEN.split(written):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            pass  # whoever goes back erases the line first
        elif up := re.fullmatch(r"\x1b\[(\d*)A", part):
            row -= int(up[1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif not re.fullmatch(r"\x1b\[[0-9;?]*[A-Zhl]", part):
            lines[row] += part
    while lines and not lines[-1]:
        lines.pop()
    return lines


def main(picture: Path, command: str) -> None:
    """Run a command and draw its terminal."""
    written = run(command)
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}", style="bold"))
    for line in screen(written):
        console.print(Text.from_ansi(line))
    template = inspect.signature(Console.export_svg).parameters["code_format"].default
    template = re.sub(r"@font-face \{\{.*?\}\}", "", template, flags=re.DOTALL).replace("Fira Code, monospace", FONTS)
    template = "\n".join(line.rstrip() for line in template.splitlines() if line.strip() and "<!--" not in line)
    picture.write_text(console.export_svg(title="", code_format=template, unique_id="terminal"))
    print(f"{picture}: {picture.stat().st_size // 1000} kB")


if __name__ == "__main__":
    run_script(main, description=__doc__)
