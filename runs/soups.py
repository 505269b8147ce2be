"""Soups, averages of outputs, pretraining, views and both systems, side by side on simulated tomograms.

    python runs/soups.py train OUT PICKS WEIGHTS [--worker I/N]    # makes what is missing in OUT
    python runs/soups.py pick OUT [--worker I/N]                   # picks the two runs that no training saw
    python runs/soups.py table OUT                                 # prints the table of docs/soups.md

PICKS is the table of the contest's true particles (czii_train_picks.csv), WEIGHTS what runs/lite0_weights.py makes.

Seven tomograms of 20 Å voxels (92 x 315 x 315) hold their particles where the contest's seven have them. Five take
part in the trainings, each of which holds one of three of them out; two are seen by none. A small 3D U-Net (system B)
trains from random weights, or first on nine smaller tomograms of random layout; net A1 in small (system A) starts from
ImageNet weights. Thresholds and the choice of a greedy soup come from one of the two unseen runs, the score from the
other, and the other way round; both are pooled.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from tomosoup.checkpoints import load
from tomosoup.io.project import open_project
from tomosoup.recipes.commands import SimulateCommand
from tomosoup.recipes.data import AnnotatedData
from tomosoup.recipes.picking import WindowPlan
from tomosoup.recipes.simulation import SimulationRecipe
from tomosoup.recipes.training import AugmentationRecipe, LossRecipe, NetRecipe, TrainingRecipe, UNet3dRecipe
from tomosoup.simulation.scene import simulate_project
from tomosoup.training import train

FOLDS, SEEDS = (0, 1, 2), (0, 1)
UNSEEN = 2
"""Runs, the last by name, that no training sees."""
BATCH, EPOCHS, UPDATES = 6, 5, 25
"""Crops an update, epochs of a training, updates an epoch; a training from random weights has twice the epochs."""


def recipes(weights: Path) -> dict[str, TrainingRecipe]:
    """What is trained, by name; "pretrained" goes on from "pretraining"."""
    flips = AugmentationRecipe(affine_chance=0.0, intensity_chance=0.0)
    b = TrainingRecipe(
        net=UNet3dRecipe(channels=(16, 32, 64, 64), residual_units=1, dropout=0.1),
        loss=LossRecipe(name="dice"),
        crop_shape=(48, 48, 48),
        windows=WindowPlan(shape=(48, 96, 96), stride=(44, 88, 88), weighting="gaussian", border="inside"),
        augmentation=flips,
        crops_per_tomogram=BATCH * UPDATES // 4,
        epochs=EPOCHS,
        kept=EPOCHS,
        warmup_epochs=0.5,
        batch_size=BATCH,
        learning_rate=3e-3,
        average_decay=0.9,
    )
    a = TrainingRecipe(
        net=NetRecipe(
            backbone="tf_efficientnet_lite0", backbone_weights=weights, input_slices=5, decoder_widths=(64, 48, 32)
        ),
        windows=WindowPlan(shape=(16, 64, 64), stride=(16, 48, 48), weighting="pyramid"),
        augmentation=flips,
        epochs=1,
        crops_per_epoch=120 * 8,
        warmup_epochs=0.1,
        batch_size=8,
        learning_rate=2e-3,
        average_decay=0.85,
    )
    return {
        "pretraining": b.model_copy(update={"crops_per_tomogram": BATCH * UPDATES // 8}),
        "pretrained": b,
        "scratch": b.model_copy(update={"epochs": 2 * EPOCHS, "validate_every": 2}),
        "A": a,
    }


def jobs() -> Iterator[tuple[str, int, int]]:
    """(recipe, fold, seed), a whole round of recipes before the next fold."""
    for seed in SEEDS:
        yield "pretraining", 0, seed
    for seed in SEEDS:
        for fold in FOLDS:
            for name in ("pretrained", "A", "scratch"):
                yield name, fold, seed


def work(out: Path, picks: Path, weights: Path, *, worker: int, workers: int) -> None:
    """Make what is missing of this worker's seeds: a worker has whole seeds, as pretraining comes first."""
    torch.set_num_threads(1)
    if not (out / "project").exists():
        simulation = SimulationRecipe(shape=(92, 315, 315), voxel_size=20.0, noise=5.0, lowpass=None)
        simulate_project(SimulateCommand(out=out / "project", like=picks, simulation=simulation, seed=7))
    if not (out / "simulated").exists():
        simulation = SimulationRecipe(shape=(64, 192, 192), voxel_size=20.0, noise=4.0, lowpass=None)
        simulate_project(SimulateCommand(out=out / "simulated", runs=9, simulation=simulation, seed=11))
    project = open_project(out / "project")
    data = AnnotatedData(runs=tuple(project.runs[:-UNSEEN]))
    for name, fold, seed in jobs():
        model = out / "models" / f"{name}-{fold}-{seed}.safetensors"
        if seed % workers != worker or model.exists():
            continue
        recipe = recipes(weights)[name].model_copy(update={"seed": seed})
        first = name == "pretraining"
        start = load(out / "models" / f"pretraining-0-{seed}.safetensors") if name == "pretrained" else None
        checkpoint = train(
            out / "simulated" if first else project,
            recipe,
            fold=fold,
            folder=model.with_suffix(".training"),
            data=AnnotatedData() if first else data,
            start=start,
        )
        checkpoint.save(model)
        print(model.stem, checkpoint.history[-1]["f4"], flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        out, picks, weights = map(Path, sys.argv[2:5])
        share = sys.argv[6] if "--worker" in sys.argv else "0/1"
        work(out, picks, weights, worker=int(share.split("/")[0]), workers=int(share.split("/")[1]))
