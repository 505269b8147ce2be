"""The models that ship with tomosoup, by name. Importing this needs no torch."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent


def shipped_names() -> list[str]:
    """The names of the bundled models, sorted."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def checkpoint_file(named: str | Path) -> Path:
    """The file of a checkpoint: the one at this path, or the model that ships with tomosoup under this name."""
    path = Path(named)
    shipped = SHIPPED / f"{path.name}.safetensors"
    return shipped if path.name == str(named) and shipped.is_file() and not path.is_file() else path
