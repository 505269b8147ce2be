"""What is installed beside the package fits together, and nothing is pinned from above."""

import subprocess
import sys
from importlib.metadata import requires


def test_installed_packages_fit_together() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_dependency_has_an_upper_bound_or_an_address() -> None:
    for line in requires("tomosoup") or []:
        bounds = line.partition(";")[0]
        assert not any(sign in bounds for sign in ("<", "==", "~=", "@")), line
