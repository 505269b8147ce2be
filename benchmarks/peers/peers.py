"""Who is compared: each peer's driver, the environment that runs it, and what it is called in the table."""

import sys
from dataclasses import dataclass
from pathlib import Path

from runs.shared import environment

ENVIRONMENTS = {
    "octopi": ["octopi"],
    "topcup": ["topcup"],
    "deepfinder": ["cryoet-deepfinder"],
    "templates": ["pytme"],
}
"""By environment, what is installed into it from PyPI, with all its pins. TopCUP's Python also runs the scorer."""


@dataclass(frozen=True)
class Peer:
    """A row of the table."""

    label: str
    driver: str
    environment: str = ""
    """Empty is the Python that runs the script, tomosoup's."""
    variant: str = ""
    weights: str = ""
    """The file, in the job's folder, that a user keeps; of pattern `*.x` all of them."""
    once: bool = False
    """Measured with the first seed alone: nothing in it is random."""


PEERS = {
    "small": Peer("tomosoup, recipe `small`", "tomosoup", variant="small", weights="model.safetensors"),
    "shipped": Peer(
        "tomosoup, the default model, not trained here",
        "tomosoup",
        variant="shipped",
        weights="model.safetensors",
        once=True,
    ),
    "templates": Peer("template matching (PyTME)", "templates", "templates", weights="*.mrc", once=True),
    "octopi-2": Peer("octopi, 2 crops an update", "octopi", "octopi", "batch-2", weights="best_model.pth"),
    "tiny-2": Peer("8th place's tiny U-Net, 2 crops an update", "tiny", variant="batch-2", weights="tiny.pth"),
    "topcup": Peer("TopCUP", "topcup", "topcup", weights="best_model.ckpt"),
    "deepfinder-2": Peer(
        "DeepFinder, 2 patches an update", "deepfinder", "deepfinder", "batch-2", weights="net_weights_FINAL.h5"
    ),
    "octopi": Peer("octopi, as published", "octopi", "octopi", weights="best_model.pth"),
    "tiny": Peer("8th place's tiny U-Net, as published", "tiny", weights="tiny.pth"),
    "deepfinder": Peer("DeepFinder, as published", "deepfinder", "deepfinder", weights="net_weights_FINAL.h5"),
}
"""In the order in which they are measured."""


def python(out: Path, name: str) -> Path:
    """The Python of the environment of this name; that of tomosoup for an empty one."""
    return environment.python_of(out / "venvs" / name) if name else Path(sys.executable)


def install(out: Path) -> None:
    """Make the environments that are not there; goes on where one cannot be made."""
    for name, packages in ENVIRONMENTS.items():
        environment.install(out / "venvs" / name, packages)
