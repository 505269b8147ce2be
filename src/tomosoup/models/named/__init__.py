"""Models by name: those that ship with tomosoup, and those on the Hugging Face Hub. Importing this needs no torch."""

from __future__ import annotations

from pathlib import Path

from tomosoup.models.named.hub import PREFIX, from_hub

SHIPPED = Path(__file__).parent


def shipped_names() -> list[str]:
    """The names of the bundled models, sorted."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def checkpoint_file(named: str | Path) -> Path:
    """The file of a checkpoint: the one at this path, or the bundled model or the model on the Hub with this name.

    Raises `InputError` where a model on the Hub cannot be had (`from_hub`).
    """
    path = Path(named)
    if str(named).startswith(PREFIX) and not path.exists():
        return from_hub(str(named))
    shipped = SHIPPED / f"{path.name}.safetensors"
    return shipped if path.name == str(named) and shipped.is_file() and not path.is_file() else path
