"""The whole path in one go: simulate, train, pick a run that nothing was tuned on, score it, draw it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tomosoup.errors import InputError
from tomosoup.evaluation import Score, score
from tomosoup.io.new_project import MARKER, unfinished
from tomosoup.io.project import open_project
from tomosoup.io.selection import read_truth, select_tomogram
from tomosoup.io.tables import write_csv
from tomosoup.picking_jobs import begin_job, in_this_process, pick_runs
from tomosoup.recipes.commands import DemoCommand, SimulateCommand
from tomosoup.recipes.data import AnnotatedData, DataRecipe
from tomosoup.recipes.training import TrainingRecipe
from tomosoup.report.overview import draw_overview
from tomosoup.simulation.projects import simulate_project
from tomosoup.training import train
from tomosoup.types import Picks, Progress, quiet


def run_demo(options: DemoCommand, *, progress: Progress = quiet) -> Score:
    """Make the demo's folder and return the score of its last run.

    That run is neither trained on nor used to choose weights or thresholds: the run before it does that. Raises
    `InputError` where the folder holds an earlier demo and may not be replaced.
    """
    out, recipe = options.out, TrainingRecipe.read(options.recipe)
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        ours = [folder / MARKER for folder in (out / "project", unfinished(out / "project"))]
        if not (options.overwrite and any(marker.is_file() for marker in ours)):
            raise InputError(
                f"{out} exists already: choose another folder, or replace an earlier demo with --overwrite."
            )
        shutil.rmtree(out)
    simulation = SimulateCommand(
        out=out / "project", runs=options.runs, seed=options.seed, simulation=options.simulation
    )
    *seen, unseen = simulate_project(simulation, progress=progress)
    project = open_project(out / "project")
    checkpoint = train(
        project,
        recipe,
        fold=len(seen) - 1,
        folder=out / "model.training",
        data=AnnotatedData(runs=tuple(seen)),
        progress=progress,
    )
    checkpoint.save(out / "model.safetensors")
    picks = {unseen: pick_unseen(out, unseen, progress=progress)}
    write_csv(out / "picks.csv", picks)
    truth = read_truth(project, unseen, None)
    result = score(picks, {unseen: truth}, checkpoint.species)
    draw_overview(
        out / "overview.png",
        select_tomogram(project, unseen, DataRecipe()).read(),
        picks=picks[unseen],
        truth=truth,
        species=checkpoint.species,
        score=result,
        title=f"{unseen}, never seen in training",
    )
    return result


def pick_unseen(out: Path, run: str, *, progress: Progress) -> dict[str, Picks]:
    """Pick a run of the demo's project into it, with the checkpoint that the demo made."""
    job = begin_job(out / "project", [out / "model.safetensors"], [run])
    for outcome in pick_runs(in_this_process(job, progress=progress), [run]):
        if outcome.error:
            raise InputError(outcome.error)
    return job.read(run)
