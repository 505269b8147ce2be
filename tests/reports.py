"""A small project with picks made by hand, for reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from tomosoup.core.types import Picks, Species, Volume
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.roots import run_of
from tomosoup.data.new_project import SimulatedRun, new_project
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.pick_store.records import Session, Settings, fingerprint_of
from tomosoup.data.project import CopickProject, open_project
from tomosoup.inference.jobs.probabilities import recorded
from tomosoup.scoring.calibration import Calibration

SPECIES = (Species("apo-ferritin", 60.0, 1.0), Species("ribosome", 120.0, 2.0))
SHAPE = (14, 50, 60)
THRESHOLDS = {"apo-ferritin": 0.45, "ribosome": 0.375}
RUNS = ("run_a", "run_b")
CALIBRATIONS = {"apo-ferritin": Calibration(0.5, 4.0), "ribosome": Calibration(0.4, 3.0)}


def candidates_of(truth: Picks, numbers: np.random.Generator) -> Picks:
    """Most of the particles with high scores, some of them twice, and false picks with low ones."""
    found = truth.zyx[numbers.random(len(truth)) < 0.8] + 5.0
    again = found[::3] + 10.0
    false = numbers.uniform(0, 1, (12, 3)) * np.array(SHAPE) * 10.0
    scores = [numbers.uniform(low, high, n) for low, high, n in ((0.3, 1.0, len(found)), (0.2, 0.7, len(again)))]
    scores.append(numbers.uniform(0.05, 0.6, len(false)))
    return Picks(np.concatenate([found, again, false]), np.concatenate(scores).round(2))  # rounded: some are equal


def picked_project(
    folder: Path,
    *,
    truth: bool = True,
    calibrations: Mapping[str, Calibration] = MappingProxyType({}),
    settings: Settings = MappingProxyType({}),
    runs: Sequence[str] = RUNS,
) -> Path:
    """A copick project of `runs` with tomograms, and a session 0 of picks with candidates and records.

    The picks have probabilities where `calibrations` are given; `settings` are further ones of the session.
    """
    numbers = np.random.default_rng(3)
    particles = {
        run: {s.name: Picks.of(numbers.uniform(0, 1, (9, 3)) * np.array(SHAPE) * 10.0) for s in SPECIES} for run in runs
    }
    with new_project(folder, SPECIES) as made:
        for run in runs:
            noise = Volume(torch.from_numpy(numbers.normal(size=SHAPE)).float(), 10.0, (5.0, 5.0, 5.0))
            made.add_run(run, SimulatedRun({"denoised": noise}, particles[run] if truth else {}))
    project = open_project(folder)
    assert isinstance(project, CopickProject)
    session = Session.of(project.root, "0")
    settings = {"models": ["a fingerprint"], "tomograms": {"kind": "denoised"}, "thresholds": THRESHOLDS, **settings}
    session.begin(settings)
    for run in runs:
        candidates = {name: candidates_of(found, numbers) for name, found in particles[run].items()}
        picks = {name: found.above(THRESHOLDS[name]) for name, found in candidates.items()}
        copick_files.write_picks(run_of(project.root, run), candidates, PickSet("tomosoup", "0-candidates"))
        copick_files.write_picks(run_of(project.root, run), picks, PickSet("tomosoup", "0"))
        counts = {name: len(found) for name, found in picks.items()}
        content = {"run": run, "seconds": 1.5, "tomosoup": "0.0.1", "picks": counts, **recorded(calibrations, picks)}
        session.record(run, fingerprint_of(settings), content)
    return folder
