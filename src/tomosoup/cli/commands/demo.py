"""`tomosoup demo`: a simulated tomogram picked, scored and drawn; with `train`, the full chain from simulation on."""

from __future__ import annotations

import shutil
from pathlib import Path

from tomosoup.cli.commands.sample import sample_project
from tomosoup.cli.options.demo import DemoCommand
from tomosoup.cli.tables import score_table
from tomosoup.cli.terminal import Outcome, Stopped, progress_bars
from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.new_project import MARKER, unfinished
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.jobs.job import begin_job
from tomosoup.inference.jobs.probabilities import probability_columns
from tomosoup.inference.jobs.run_picker import in_this_process, pick_runs
from tomosoup.models.checkpoint import load
from tomosoup.review.overview import draw_overview
from tomosoup.review.report.collect import ReportOptions
from tomosoup.review.report.report import report
from tomosoup.scoring.score import Score, score
from tomosoup.simulation.project import simulate
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.train import train


def demo_command(options: DemoCommand) -> Outcome:
    """Pick a sample tomogram, or run the full chain."""
    page, shown = options.out / "report.html", ReportOptions(models=(model_of(options),))
    try:
        with progress_bars() as progress:
            result = run_demo(options, progress=progress)
            runs = AnnotatedData(runs=result.runs)
            report(options.out / "project", page, data=runs, options=shown, overwrite=True, progress=progress)
    except KeyboardInterrupt:
        raise Stopped(f"Demo stopped; what it made so far is in {options.out}.") from None
    overview, picks = options.out / "overview.png", options.out / "picks.csv"
    trained = ", model.safetensors, model.training/" if options.train else ""
    return Outcome(
        f"Look at {page} and {overview}; beside them: picks.csv{trained}, project/",
        files=[page, overview, picks, *([model_of(options)] if options.train else [])],
        facts=result.as_dict(),
        tables=[score_table(result)],
    )


def run_demo(options: DemoCommand, *, progress: Progress = no_progress) -> Score:
    """Make the demo's folder and return the score of its run, which was used for no training and no threshold.

    The run is the bundled sample, picked by the bundled model; with `train`, it is the last of several simulated runs,
    picked by a model trained on the others. Raises `InputError` where the folder holds an earlier demo and may not be
    replaced.
    """
    _clear(options)
    out, model = options.out, model_of(options)
    run = _trained(options, progress) if options.train else sample_project(out / "project")
    job = begin_job(out / "project", [model], [run])
    for outcome in pick_runs(in_this_process(job, progress=progress), [run]):
        if outcome.error:
            raise InputError(outcome.error)
    picks, project, species = {run: job.read(run)}, open_project(out / "project"), load(model).species
    write_csv(out / "picks.csv", picks, notes=probability_columns(job.store.session.records(job.store.fingerprint)))
    truth = read_truth(project, run, None)
    result = score(picks, {run: truth}, species)
    draw_overview(
        out / "overview.png",
        select_tomogram(project, run, DataOptions()).read(),
        picks=picks[run],
        truth=truth,
        species=species,
        score=result,
        title=f"{run}, never seen in training",
    )
    return result


def model_of(options: DemoCommand) -> Path:
    """The checkpoint that the demo picks with: one that it trains, or the bundled one."""
    return options.out / "model.safetensors" if options.train else Path("default")


def _clear(options: DemoCommand) -> None:
    """Remove an earlier demo, if that is allowed."""
    out = options.out
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        ours = [folder / MARKER for folder in (out / "project", unfinished(out / "project"))]
        if not (options.overwrite and any(marker.is_file() for marker in ours)):
            raise InputError(
                f"{out} exists already: choose another folder, or replace an earlier demo with `overwrite=True`."
            )
        shutil.rmtree(out)


def _trained(options: DemoCommand, progress: Progress) -> str:
    """Simulate runs and train on all but the last, of which one chooses weights and thresholds; returns the last."""
    recipe = TrainingRecipe.read(options.recipe)
    project = simulate(
        options.out / "project", options.simulation, runs=options.runs, seed=options.seed, progress=progress
    )
    *seen, unseen = project.runs
    checkpoint = train(
        project,
        recipe,
        fold=len(seen) - 1,
        folder=options.out / "model.training",
        data=AnnotatedData(runs=tuple(seen)),
        progress=progress,
    )
    checkpoint.save(model_of(options))
    return unseen
