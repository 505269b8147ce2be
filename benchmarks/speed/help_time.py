"""How long `tomosoup --help` takes, beside a bare Python and beside importing torch: run on an idle machine.

.venv/bin/python -m benchmarks.speed.help_time
"""

import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "tomosoup --help": ["-c", "from tomosoup.cli.main import main; main(['--help'])"],
    "import torch": ["-c", "import torch"],
}
REPEATS = 7


def seconds(arguments: list[str]) -> float:
    """The fastest of several runs: what else the machine does only adds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    for name, arguments in COMMANDS.items():
        print(f"{name:<16} {seconds(arguments):6.3f} s")
    loaded = (
        "import sys; from tomosoup.cli.main import main; main(['--help']); "
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stderr.strip()
    print(f"torch imported by --help: {said}")
