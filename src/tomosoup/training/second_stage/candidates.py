"""What a second stage learns from: the candidates of other models, and which species each of them truly is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress, part
from tomosoup.core.types import Array, Picks, PicksBySpecies, Species, Volume
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import Project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truths
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick_with
from tomosoup.inference.readout.second_stage import ready
from tomosoup.inference.sliding_window import as_models_expect
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import runs_seen
from tomosoup.scoring.matching import MATCH_RADII


@dataclass(frozen=True)
class PickedRun:
    """An annotated run, and what models that never trained on it found there."""

    run: str
    volume: Volume
    """`(z, y, x)`, its grey values at mean 0 and standard deviation 1."""
    candidates: dict[str, Picks]
    truth: PicksBySpecies

    def examples(self, species: Sequence[Species]) -> tuple[Array, NDArray[np.int64]]:
        """Positions to learn from, `(n, 3)` Å, and the class of each, `(n,)`: the candidates and the true particles."""
        zyx = np.concatenate([p.zyx for p in (*self.candidates.values(), *self.truth.values())])
        return zyx, classes_of(zyx, self.truth, species)


def picked_runs(
    project: Project,
    models: Sequence[Checkpoint],
    *,
    data: AnnotatedData,
    plan: PickingPlan,
    nets: Nets,
    progress: Progress = no_progress,
) -> list[PickedRun]:
    """The annotated runs that some model did not train on, picked by these models.

    Models of all folds so pick the run that each held out; a model of other tomograms picks every run. Runs are
    compared by name. Raises `InputError` where fewer than two runs are left.
    """
    truths = read_truths(project, data)
    groups = {run: [m for m in models if run not in runs_seen(m.history).trained] for run in truths}
    groups = {run: group for run, group in groups.items() if group}
    if len(groups) < 2:
        raise InputError(
            "A second stage learns from two or more annotated runs that the models did not train on, judged by their "
            f"names; found {len(groups)}: give the models of every fold, or annotate more runs."
        )
    found = []
    for i, (run, group) in enumerate(groups.items()):
        tomogram = select_tomogram(project, run, data)
        own = part(progress, i, len(groups), what=f"Picking {run}")
        source = as_models_expect(tomogram, group, nets=nets, plan=plan, progress=own)
        candidates = pick_with(nets, source, group, plan=plan.model_copy(update={"denoise": "never"}), progress=own)
        found.append(PickedRun(run, ready(source, models[0].voxel_size), candidates, truths[run]))
    return found


def classes_of(zyx: Array, truth: PicksBySpecies, species: Sequence[Species]) -> NDArray[np.int64]:
    """Positions `(n, 3)` in Å -> the class of each, `(n,)`: 0 is none, i + 1 the i-th species.

    A position is of the species of the particle that it hits, which is nearer than half that species' radius; of two,
    of the one that is nearer as a fraction of its radius.
    """
    classes, nearest = np.zeros(len(zyx), dtype=np.int64), np.ones(len(zyx))
    for channel, kind in enumerate(species, start=1):
        true = truth.get(kind.name)
        if true is None or not len(true) or not len(zyx):
            continue
        found, _ = KDTree(true.zyx).query(zyx)
        distance = np.asarray(found) / (MATCH_RADII * kind.radius)
        hit = distance <= nearest
        classes[hit], nearest[hit] = channel, distance[hit]
    return classes
