"""Other people's programs in environments of their own, so that their pins do not meet tomosoup's."""

import shutil
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path


def python_of(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / "bin" / "python"


def install(folder: Path, packages: Sequence[str]) -> None:
    """Make an environment with these packages if there is none. One that cannot be made is named, and removed."""
    if python_of(folder).exists():
        return
    venv.create(folder, with_pip=True)
    for words in (["-U", "pip"], packages):
        if subprocess.run([python_of(folder), "-m", "pip", "install", "-q", *words], check=False).returncode:
            print(f"{folder.name}: {' '.join(words)} could not be installed")
            shutil.rmtree(folder)
            return
