"""All candidates of a model in a project, picked once and kept on disk."""

import json
from pathlib import Path

from runs.shared.saved_picks import picks_from_json, picks_to_json, write_json
from tomosoup.core.types import PicksByRun
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick_with
from tomosoup.inference.readout.noise_scaling import noise_corrected
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.scoring.signal_levels import searched_volume

DENOISED = DataOptions(tomo_type="denoised")
UNCORRECTED = PickingPlan(noise_correction=0.0)
"""Scores as the net gives them, without noise correction."""


def candidates(folder: Path, project: Project, model: Checkpoint) -> PicksByRun:
    """All peaks of a model in the denoised tomograms of a project, uncorrected; one file a run in `folder`."""
    nets, found = Nets(InferenceOptions(engine="torch", device="cpu")), {}
    for run in project.runs:
        path = folder / f"{run}.json"
        if not path.exists():
            picks = pick_with(nets, select_tomogram(project, run, DENOISED), [model], plan=UNCORRECTED)
            write_json(path, picks_to_json(picks))
            print(path, flush=True)
        found[run] = picks_from_json(json.loads(path.read_text()))
    return found


def with_noise_correction(
    picks: PicksByRun, project: Project, model: Checkpoint, *, power: float | None = None
) -> PicksByRun:
    """The same picks with scores corrected for the noise; the default power is that of `tomosoup pick`."""
    power = PickingPlan().noise_correction if power is None else power
    volumes = {run: searched_volume(select_tomogram(project, run, DENOISED)) for run in picks}
    return {
        run: noise_corrected(found, model.signal_levels, volume=volumes[run], power=power)
        for run, found in picks.items()
    }
