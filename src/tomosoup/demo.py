"""What can be seen without data of one's own: a tomogram picked, scored and drawn; with --train, the whole path."""

from __future__ import annotations

import shutil
from pathlib import Path

from tomosoup.checkpoints import load
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
from tomosoup.sample import sample_project
from tomosoup.simulation.projects import simulate_project
from tomosoup.training import train
from tomosoup.types import Progress, quiet


def run_demo(options: DemoCommand, *, progress: Progress = quiet) -> Score:
    """Make the demo's folder and return the score of its run, which no weights or thresholds were chosen by.

    The run is the sample's, picked by the model that comes with tomosoup; or, with `train`, the last of simulated ones,
    picked by a model trained on the others. Raises `InputError` where the folder holds an earlier demo and may not be
    replaced.
    """
    _make_room(options)
    out, model = options.out, model_of(options)
    run = _trained(options, progress) if options.train else sample_project(out / "project")
    job = begin_job(out / "project", [model], [run])
    for outcome in pick_runs(in_this_process(job, progress=progress), [run]):
        if outcome.error:
            raise InputError(outcome.error)
    picks, project, species = {run: job.read(run)}, open_project(out / "project"), load(model).species
    write_csv(out / "picks.csv", picks)
    truth = read_truth(project, run, None)
    result = score(picks, {run: truth}, species)
    draw_overview(
        out / "overview.png",
        select_tomogram(project, run, DataRecipe()).read(),
        picks=picks[run],
        truth=truth,
        species=species,
        score=result,
        title=f"{run}, never seen in training",
    )
    return result


def model_of(options: DemoCommand) -> Path:
    """The checkpoint that the demo picks with: one that it trains, or the one that comes with tomosoup."""
    return options.out / "model.safetensors" if options.train else Path("default")


def _make_room(options: DemoCommand) -> None:
    out = options.out
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        ours = [folder / MARKER for folder in (out / "project", unfinished(out / "project"))]
        if not (options.overwrite and any(marker.is_file() for marker in ours)):
            raise InputError(
                f"{out} exists already: choose another folder, or replace an earlier demo with --overwrite."
            )
        shutil.rmtree(out)


def _trained(options: DemoCommand, progress: Progress) -> str:
    """Simulate runs and train on them, the last but one chooses weights and thresholds; returns the last."""
    recipe = TrainingRecipe.read(options.recipe)
    simulation = SimulateCommand(
        out=options.out / "project", runs=options.runs, seed=options.seed, simulation=options.simulation
    )
    *seen, unseen = simulate_project(simulation, progress=progress)
    checkpoint = train(
        open_project(options.out / "project"),
        recipe,
        fold=len(seen) - 1,
        folder=options.out / "model.training",
        data=AnnotatedData(runs=tuple(seen)),
        progress=progress,
    )
    checkpoint.save(model_of(options))
    return unseen
