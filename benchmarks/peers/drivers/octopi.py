"""octopi's default recipe: `octopi create-targets`, `train`, `segment` and `localize`, by the functions behind them.

Everything is the commands' defaults but: epochs as many as the CPU time allows, tomograms of the kind `denoised`, no
worker processes (their CPU time would not be counted), and the device: octopi's predictor asks for a GPU and is told
that there is one. The F-score of voxels that chooses the best epoch is octopi's own. `localize` scores no picks: a
pick's score is the mean probability of its species within half its radius.

Variant `batch-2`: two crops an update in place of 16, so that there are more updates in the time.
"""

from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from monai.data import DataLoader
from monai.losses import TverskyLoss
from octopi import workflows
from octopi.datasets import generators
from octopi.datasets.config import DataGeneratorConfig, set_seed
from octopi.entry_points.run_train import get_model_config
from octopi.extract.localize import extract_coordinates
from octopi.processing.create_targets_from_picks import generate_targets
from octopi.pytorch.inference import Predictor

from benchmarks.peers import exchange
from benchmarks.peers.exchange import Job, Pick, Picker, Set, Trained, cpu

ALPHA, LEARNING_RATE, VALIDATE_EVERY = 0.3, 1e-3, 10
CROP = 96


def in_this_process(*args: Any, **options: Any) -> DataLoader:
    """A loader of octopi's, without workers."""
    return DataLoader(*args, **options | {"prefetch_factor": None, "persistent_workers": False, "num_workers": 0})


def fit(job: Job, runs: list[str], epochs: int, folder: Path) -> float:
    """Train on some runs, an update each, for some epochs; the CPU time."""
    some = job.training
    set_seed(job.seed)
    start = cpu()
    generator = DataGeneratorConfig(
        config=str(config(job, some)),
        name="targets",
        user_id="octopi",
        session_id="1",
        tomo_uris=["denoised@10.0"],
        trainRunIDs=runs,
        validateRunIDs=some.runs[-1:],
    ).create_data_generator()
    model = get_model_config([32, 64, 96, 96], [2, 2, 1], 1, CROP)
    model["num_classes"] = generator.Nclasses
    with patch.object(generators, "DataLoader", in_this_process):
        workflows.train(
            generator,
            TverskyLoss(include_background=True, to_onehot_y=True, softmax=True, alpha=ALPHA, beta=1 - ALPHA),
            model_config=model,
            batch_size=2 if job.variant == "batch-2" else 16,
            lr0=LEARNING_RATE,
            best_metric="avg_f1",
            num_epochs=epochs,
            val_interval=VALIDATE_EVERY,
            class_weights=some.weights,
            model_save_path=str(folder),
        )
    return cpu() - start


def train(job: Job) -> Trained:
    """Targets, two trials to see what an update and a validation cost, and the training."""
    some = job.training
    targets = {
        name: {
            "label": some.names.index(name) + 1,
            "user_id": "simulation",
            "session_id": "0",
            "is_particle_target": True,
            "radius": some.radii[name],
        }
        for name in some.names
    }
    generate_targets(str(config(job, some)), targets, voxel_size=10, tomo_algorithm="denoised", radius_scale=0.7)
    runs = some.runs[:-1]
    tried = runs if job.variant == "batch-2" else runs[:2]
    one, more = (fit(job, some_runs, 1, job.folder / "trial") for some_runs in (runs[:1], tried))
    update = (more - one) / (len(tried) - 1)
    validation = max(0.0, one - update)
    most = int(job.seconds)
    epochs = min(range(1, most), key=lambda n: abs(cost(n, len(runs) * update, validation) - job.seconds))
    seconds = fit(job, runs, epochs, job.folder)
    return {"train_s": seconds, "updates": float(epochs * len(runs)), "epochs": epochs}


def cost(epochs: int, epoch: float, validation: float) -> float:
    """CPU seconds of a training with its validations."""
    return epochs * epoch + -(-epochs // VALIDATE_EVERY) * validation


def config(job: Job, some: Set) -> Path:
    """A copick configuration with an overlay of this job's own."""
    return exchange.own_config(some, job.folder / f"overlay-{some.folder.parent.name}")


def load(job: Job) -> Picker:
    """Its predictor on the CPU."""
    some = job.training
    with patch.object(torch.cuda, "device_count", lambda: 1):
        predictor = Predictor(
            str(config(job, some)),
            str(job.folder / "model_config.yaml"),
            str(job.folder / "best_model.pth"),
            device=torch.device("cpu"),
        )
    return partial(pick, predictor)


@torch.inference_mode()
def pick(predictor: Predictor, some: Set, run: str) -> list[Pick]:
    """`Predictor.predict`, keeping the probabilities, and `octopi localize`."""
    tomogram = torch.from_numpy(some.tomogram(run))[None, None]
    tomogram = (tomogram - tomogram.mean()) / tomogram.std(correction=0)
    probabilities = predictor._apply_tta_single_model(predictor.model, tomogram).softmax(0).numpy()
    labels = probabilities.argmax(0)
    picks = []
    for label, name in enumerate(some.names, start=1):
        radius = some.radii[name] / exchange.VOXEL
        points = extract_coordinates(labels, 0.5 * radius, radius, label)
        points = np.reshape(points, (-1, 3))
        score = exchange.mean_within(probabilities[label], points, radius=0.5 * radius)
        # octopi says index * 10 Å; its targets were painted by the same rule
        picks += some.picks(run, name, points - 0.5, score)
    return picks


if __name__ == "__main__":
    exchange.drive(train, load)
