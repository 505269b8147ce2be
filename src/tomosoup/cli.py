"""The command line: a small function a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tomosoup.arguments import parse, read_thresholds
from tomosoup.errors import InputError
from tomosoup.export_command import export_onnx
from tomosoup.pick_command import pick, threshold
from tomosoup.process import keep_freed_memory, look_for_garbage_less
from tomosoup.recipes.commands import (
    ConvertCommand,
    DemoCommand,
    ExportOnnxCommand,
    PickCommand,
    ScoreCommand,
    SimulateCommand,
    SoupCommand,
    ThresholdCommand,
    TrainCommand,
    TuneCommand,
)
from tomosoup.recipes.data import AnnotatedData
from tomosoup.recipes.report import ReportCommand
from tomosoup.report_command import report, tell_of_scored, write_report
from tomosoup.terminal import Stopped, fail, print_score, print_tuned, progress_bars, say
from tomosoup.train_command import train

# Every command imports what it needs: --help must not wait for torch.


def simulate(options: SimulateCommand) -> None:
    """Simulate a project."""
    from tomosoup.io.selection import shortened
    from tomosoup.simulation.projects import simulate_project

    try:
        with progress_bars() as progress:
            runs = simulate_project(options, progress=progress)
    except KeyboardInterrupt:
        raise Stopped("Simulating stopped; the same command goes on after the last finished run.") from None
    say(f"{options.out}: {len(runs)} runs with known particles: {shortened(runs, most=4)}")


def tune(options: TuneCommand) -> None:
    """Set thresholds by cross-validation."""
    from tomosoup.checkpoints import load
    from tomosoup.ensembles import all_species
    from tomosoup.io.project import open_project
    from tomosoup.tuning import calibrate, out_of_fold, tune, with_thresholds

    models = [load(path) for path in options.model]
    species = all_species(models)
    with progress_bars() as progress:
        found = out_of_fold(
            open_project(options.project),
            models,
            data=options.data,
            plan=options.picking,
            inference=options.inference,
            progress=progress,
        )
        tuned = tune(
            found.folds,
            species,
            softness=options.softness,
            resamples=options.resamples,
            seed=options.seed,
            progress=progress,
        )
    print_tuned(tuned)
    if not options.dry_run:
        mixed = len({model.labels for model in models}) > 1
        calibration = None if mixed else calibrate(found.peaks, species)
        for path, model in zip(options.model, models, strict=True):
            with_thresholds(model, tuned, found.folds, calibration=calibration).save(path)
        say(f"Stored in {', '.join(map(str, options.model))}")


def soup(options: SoupCommand) -> None:
    """Average the weights of checkpoints."""
    from tomosoup.io.files import refuse_existing
    from tomosoup.souping import make_soup

    refuse_existing(options.output, overwrite=options.overwrite)
    with progress_bars() as progress:
        made = make_soup(options, progress=progress)
    made.checkpoint.save(options.output)
    count = len(made.checkpoint.history[-1]["ingredients"])
    say(f"{options.output}: the mean of {count} checkpoints")
    for note in made.notes:
        say(note[0].upper() + note[1:] + ".")


def convert(options: ConvertCommand) -> None:
    """Turn published weights into a checkpoint."""
    from tomosoup.io.files import refuse_existing
    from tomosoup.published import convert

    refuse_existing(options.output, overwrite=options.overwrite)
    checkpoint = convert(options.published)
    checkpoint.save(options.output)
    event = checkpoint.history[-1]
    which = "averaged weights" if event["averaged"] else "last weights, as it holds no averaged ones"
    say(f"{options.output}: {event['net']}, {which}; species {', '.join(s.name for s in checkpoint.species)}")
    say("No thresholds were published: set them with --threshold when you pick, or with `tomosoup threshold`.")


def score(options: ScoreCommand) -> None:
    """Score picks and print the table."""
    from tomosoup.evaluation import score_files

    result = score_files(options, limits=lambda names: read_thresholds(options.threshold, names))
    if options.as_json:
        say(json.dumps(result.as_dict(), indent=2))
        return
    print_score(result)
    tell_of_scored(options)


def demo(options: DemoCommand) -> None:
    """Run the whole path."""
    from tomosoup.demo import run_demo

    try:
        with progress_bars() as progress:
            result = run_demo(options, progress=progress)
    except KeyboardInterrupt:
        raise Stopped(f"Demo stopped; what it made so far is in {options.out}.") from None
    print_score(result)
    page = ReportCommand(
        project=options.out / "project",
        output=options.out / "report.html",
        model=(options.out / "model.safetensors",),
        data=AnnotatedData(runs=result.runs),
    )
    write_report(page)
    beside = "picks.csv, model.safetensors, model.training/, project/"
    say(f"Look at it and at {options.out / 'overview.png'}; beside them: {beside}")


COMMANDS: dict[str, tuple[type[Any], Callable[[Any], None]]] = {
    "demo": (DemoCommand, demo),
    "simulate": (SimulateCommand, simulate),
    "train": (TrainCommand, train),
    "soup": (SoupCommand, soup),
    "tune": (TuneCommand, tune),
    "pick": (PickCommand, pick),
    "threshold": (ThresholdCommand, threshold),
    "score": (ScoreCommand, score),
    "report": (ReportCommand, report),
    "convert": (ConvertCommand, convert),
    "export-onnx": (ExportOnnxCommand, export_onnx),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The `tomosoup` command: exit 0 if all went well, 1 for bad input, 2 for bad options, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in {"-h", "--help"}:
        say(overview())
        return
    if words[0] == "--version":
        from importlib.metadata import version

        say(f"tomosoup {version('tomosoup')}")
        return
    if words[0] not in COMMANDS:
        fail(f"There is no command {words[0]!r}; expected one of {', '.join(COMMANDS)}.", 2)
    model, run = COMMANDS[words[0]]
    keep_freed_memory()
    look_for_garbage_less()
    try:
        run(parse(model, words[0], words[1:]))
    except InputError as error:
        fail(str(error), 1)
    except Stopped as stop:
        fail(str(stop), 130)
    except KeyboardInterrupt:
        fail("Stopped; what was being written is gone, the rest untouched.", 130)
    except OSError as error:
        fail(f"The operating system refused: {error}.", 1)


def overview() -> str:
    """What `tomosoup --help` prints."""
    lines = [f"  {name:<11} {(model.__doc__ or '').strip()}" for name, (model, _) in COMMANDS.items()]
    return "\n".join(
        ["tomosoup finds particles in cryo-electron tomograms.", "", "usage: tomosoup COMMAND [--help]", "", *lines]
    )
