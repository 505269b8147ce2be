"""Train a second stage: `train_second_stage`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tomosoup.core.errors import InputError, counted
from tomosoup.core.progress import Progress, no_progress, part
from tomosoup.core.runtime import best_device
from tomosoup.core.types import Species
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project, open_project
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import AS_TRAINED, all_species
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.readout.second_stage import rescored
from tomosoup.inference.tiling.windows import cut
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Trained
from tomosoup.models.nets.candidate_classifier import CandidateClassifier
from tomosoup.models.second_stage import SecondStage
from tomosoup.scoring.thresholds import best_thresholds, calibrate, steady_thresholds
from tomosoup.training.second_stage.candidates import PickedRun, picked_runs
from tomosoup.training.second_stage.options import SecondStageOptions
from tomosoup.training.tune import averaging_thresholds


@dataclass(frozen=True)
class TrainedSecondStage:
    """A second stage and, on the run that it held out, the best weighted F4 of the candidates without and with it."""

    second: SecondStage
    held_out: str
    f4_before: float
    f4: float


def train_second_stage(
    project: Project | str | Path,
    checkpoints: Checkpoint | Sequence[Checkpoint],
    options: SecondStageOptions = SecondStageOptions(),  # noqa: B008 - immutable
    *,
    fold: int = 0,
    data: AnnotatedData = AnnotatedData(),  # noqa: B008 - immutable
    plan: PickingPlan = AS_TRAINED,
    inference: InferenceOptions = InferenceOptions(),  # noqa: B008 - immutable
    progress: Progress = no_progress,
) -> TrainedSecondStage:
    """Train a classifier on what models find in annotated runs that they did not train on (`picked_runs`).

    Its classes are the species and "none of them". The 4th place's paper describes such a model (Section 3.1).

    Args:
        project: Annotated tomograms.
        checkpoints: The first stage: models whose candidates the second stage will look at.
        options: Crops, net and updates.
        fold: Position, from 0, of the picked run that is held out. It sets the thresholds.
        data: Tomograms and true picks.
        plan: How the first stage picks.
        inference: Engine and device.

    Raises `InputError` as `picked_runs`, and for a fold that does not exist.
    """
    project = project if not isinstance(project, str | Path) else open_project(project)
    models = [checkpoints] if isinstance(checkpoints, Checkpoint) else list(checkpoints)
    nets, species, device = Nets(inference), all_species(models), best_device(inference.device)
    first, second = part(progress, 0, 2, what="First stage"), part(progress, 1, 2, what="Second stage")
    runs = picked_runs(project, models, data=data, plan=plan, nets=nets, progress=first)
    if not 0 <= fold < len(runs):
        raise InputError(
            f"Fold {fold} does not exist: the first stage picked {counted(len(runs), 'run')}; expected a fold from 0 "
            f"to {len(runs) - 1}."
        )
    held_out = runs.pop(fold)
    net = fit(runs, species, options, device=device, progress=second)
    weights = {name: weight.cpu() for name, weight in net.state_dict().items()}
    draft = SecondStage(weights, options.net, species, held_out.volume.voxel_size, options.crop)
    found = rescored(held_out.candidates, held_out.volume, draft, device=device)
    event = Trained(
        tomosoup=version("tomosoup"),
        recipe=options.model_dump(mode="json"),
        data=data.model_dump(mode="json"),
        runs=tuple(r.run for r in runs),
        held_out=held_out.run,
        f4=(f4 := best_thresholds([(found, held_out.truth)], species)[1].weighted),
    )
    made = replace(
        draft,
        thresholds=steady_thresholds([(found, held_out.truth)], species),
        pick_calibration=calibrate([(found, held_out.truth)], species),
        averaging_thresholds=averaging_thresholds([(held_out.run, found, held_out.truth)], species),
        history=(event,),
    )
    before = best_thresholds([(held_out.candidates, held_out.truth)], species)[1].weighted
    return TrainedSecondStage(made, held_out.run, before, f4)


def fit(
    runs: Sequence[PickedRun],
    species: Sequence[Species],
    options: SecondStageOptions,
    *,
    device: torch.device,
    progress: Progress = no_progress,
) -> CandidateClassifier:
    """A classifier trained on the runs' candidates and true particles, with cross-entropy over balanced batches."""
    torch.manual_seed(options.seed)
    net = CandidateClassifier(options.net, classes=len(species)).to(device).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.updates)
    for i, (crops, classes) in enumerate(training_batches(runs, species, options), start=1):
        loss = F.cross_entropy(net(crops.to(device)), classes.to(device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        progress("Training", i, options.updates)
    return net.eval()


def training_batches(
    runs: Sequence[PickedRun], species: Sequence[Species], options: SecondStageOptions
) -> Iterator[tuple[Tensor, Tensor]]:
    """`options.updates` batches: crops `(b, 1, n, n, n)` and their classes `(b,)`, every class equally often.

    Crops are shifted by whole voxels and flipped along each axis at random: that leaves the missing wedge in place.
    """
    random = np.random.default_rng(options.seed)
    by_class: dict[int, list[tuple[PickedRun, np.ndarray]]] = {}
    for run in runs:
        zyx, classes = run.examples(species)
        for at, found in zip(np.round(run.volume.to_voxel(zyx)).astype(int), classes.tolist(), strict=True):
            by_class.setdefault(found, []).append((run, at))
    present = sorted(by_class)
    for _ in range(options.updates):
        classes = random.permutation(np.resize(random.permutation(present), options.batch_size))
        crops = [_crop(*by_class[c][random.integers(len(by_class[c]))], options, random) for c in classes.tolist()]
        yield torch.stack(crops)[:, None], torch.from_numpy(classes)


def _crop(run: PickedRun, at: np.ndarray, options: SecondStageOptions, random: np.random.Generator) -> Tensor:
    corner = at - options.crop // 2 + random.integers(-options.shift, options.shift + 1, 3)
    z, y, x = (slice(i, i + options.crop) for i in corner.tolist())
    return cut(run.volume.data, (z, y, x)).flip([axis for axis in range(3) if random.random() < 0.5])
