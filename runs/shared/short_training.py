"""A published recipe for a few updates of one epoch."""

from tomosoup.training.options import TrainingRecipe


def short_training(shipped: TrainingRecipe, *, runs: int, updates: int, batch: int) -> TrainingRecipe:
    """The recipe for so many updates on a project of so many runs, one of them held out; all else is as shipped.

    It starts from scratch, with a short warm-up, and is validated by picking the held-out run in few windows.
    """
    return shipped.model_copy(
        update={
            "net": shipped.net.given_weights(),
            "crops_per_tomogram": shipped.crops_per_tomogram and updates * batch // (runs - 1),
            "windows": shipped.windows.model_copy(update={"stride": shipped.windows.shape}),
            "validation": "picking",
            "best_of_kept": None,
            "epochs": 1,
            "crops_per_epoch": updates * batch,
            "warmup_epochs": 0.2,
            "batch_size": batch,
        }
    )
