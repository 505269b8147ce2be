"""Measures how long `tomosoup --help` takes, beside a bare Python and beside importing torch.

    python -m benchmarks.speed.help_time

Run it on an idle machine.
"""

import subprocess
import sys
from functools import partial

from benchmarks.speed.best_time import best_time
from runs.shared.command import run_script

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "tomosoup --help": ["-c", "from tomosoup.cli.main import main; main(['--help'])"],
    "import torch": ["-c", "import torch"],
}
REPEATS = 7


def run_python(arguments: list[str]) -> None:
    """Run a Python of its own."""
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Print seconds, and whether --help imports torch."""
    for name, arguments in COMMANDS.items():
        seconds, _ = best_time(partial(run_python, arguments), repeats=REPEATS)
        print(f"{name:<16} {seconds:6.3f} s")
    loaded = (
        "import sys; from tomosoup.cli.main import main; main(['--help']); "
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stderr.strip()
    print(f"torch imported by --help: {said}")


if __name__ == "__main__":
    run_script(main, description=__doc__)
