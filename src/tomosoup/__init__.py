"""Find particles in cryo-electron tomograms.

The public names load on first use, so that `import tomosoup` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomosoup.checkpoints import Checkpoint, load
    from tomosoup.errors import InputError
    from tomosoup.evaluation import score
    from tomosoup.io.project import open_project
    from tomosoup.matching import match
    from tomosoup.peaks import find_peaks
    from tomosoup.picking import pick, pick_project
    from tomosoup.prediction import predict_heatmap
    from tomosoup.recipes.simulation import SimulationRecipe
    from tomosoup.recipes.training import TrainingRecipe
    from tomosoup.simulation.scene import simulate
    from tomosoup.soups import soup
    from tomosoup.targets import gaussian_targets
    from tomosoup.training import train
    from tomosoup.types import Picks, Species, Volume

_HOMES = {
    "Checkpoint": "checkpoints",
    "InputError": "errors",
    "Picks": "types",
    "SimulationRecipe": "recipes.simulation",
    "Species": "types",
    "TrainingRecipe": "recipes.training",
    "Volume": "types",
    "find_peaks": "peaks",
    "gaussian_targets": "targets",
    "load": "checkpoints",
    "match": "matching",
    "open_project": "io.project",
    "pick": "picking",
    "pick_project": "picking",
    "predict_heatmap": "prediction",
    "score": "evaluation",
    "simulate": "simulation.scene",
    "soup": "soups",
    "train": "training",
}
"""Public name -> the module that it lives in."""

__all__ = [
    "Checkpoint",
    "InputError",
    "Picks",
    "SimulationRecipe",
    "Species",
    "TrainingRecipe",
    "Volume",
    "find_peaks",
    "gaussian_targets",
    "load",
    "match",
    "open_project",
    "pick",
    "pick_project",
    "predict_heatmap",
    "score",
    "simulate",
    "soup",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tomosoup' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"tomosoup.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
