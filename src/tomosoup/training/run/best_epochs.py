"""The best epochs of a training, as checkpoints, from the folder that it keeps."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch

from tomosoup.core.errors import InputError, first_line
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import last_training
from tomosoup.scoring.signal_levels import SignalLevels
from tomosoup.training.options import TrainingRecipe


def kept_checkpoints(folder: str | Path) -> list[Checkpoint]:
    """The averaged weights after the best epochs of a training, best first, from the folder that it keeps.

    There are `recipe.keep_best` of them. Raises `InputError` where the folder holds none.
    """
    found = []
    for path in Path(folder).glob("best-*.ckpt"):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, OSError, EOFError, LookupError, ValueError, UnpicklingError) as error:
            raise InputError(f"{path} cannot be read ({first_line(error)}): remove it, or train again.") from error
        metadata, results = state["about"], dict(state["results"])
        weights = {k.removeprefix("net."): v for k, v in state["state_dict"].items()}
        metadata["thresholds"] = results.pop("thresholds")
        metadata["signal_levels"] = results.pop("signal_levels", SignalLevels().record())
        metadata["pick_calibration"] = results.pop("pick_calibration", {})
        metadata["history"][-1] |= results
        found.append(Checkpoint.of(weights, metadata, source=str(path)))
    if not found:
        raise InputError(f"{folder} holds no best epochs: expected the folder that `tomosoup train` keeps.")
    return sorted(found, key=_goodness, reverse=True)


def _goodness(checkpoint: Checkpoint) -> tuple[float, int]:
    """By the measure that its training chose with; of equals the earlier epoch."""
    training = last_training(checkpoint.history)
    recipe = TrainingRecipe.of(training.recipe, source="The training's recipe")
    value = getattr(training, measure := recipe.best_of_kept or recipe.best_by)
    if value is None or training.epoch is None:
        raise InputError("The folder of a training holds an epoch without its results: train again.")
    return (-value if measure == "loss" else value), -training.epoch
