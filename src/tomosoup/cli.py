"""The command line: a small function a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from tomosoup.arguments import overview, parse, read_thresholds
from tomosoup.check_command import check
from tomosoup.errors import InputError
from tomosoup.exchange_command import export_picks, import_picks
from tomosoup.export_command import export_onnx
from tomosoup.pick_command import pick, threshold
from tomosoup.process import keep_freed_memory, look_for_garbage_less
from tomosoup.recipes.check import CheckCommand
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
from tomosoup.recipes.formats import ExportCommand, ImportCommand
from tomosoup.recipes.report import ReportCommand
from tomosoup.recipes.viewing import ViewCommand
from tomosoup.report_command import page_of_scored, report, write_report
from tomosoup.terminal import Outcome, Stopped, conclude, fail, progress_bars, say, speaking, stopwatch, wait
from tomosoup.train_command import train
from tomosoup.view_command import view

# Every command imports what it needs: --help must not wait for torch.


def simulate(options: SimulateCommand) -> Outcome:
    """Simulate a project."""
    from tomosoup.io.selection import shortened
    from tomosoup.simulation.projects import simulate_project

    try:
        with progress_bars() as progress:
            runs = simulate_project(options, progress=progress)
    except KeyboardInterrupt:
        raise Stopped("Simulating stopped; the same command goes on after the last finished run.") from None
    return Outcome(
        f"{options.out}: {len(runs)} runs with known particles: {shortened(runs, most=4)}",
        files=[options.out / "copick_config.json"],
        facts={"runs": runs},
    )


def tune(options: TuneCommand) -> Outcome:
    """Set thresholds by cross-validation."""
    from tomosoup.checkpoints import load
    from tomosoup.ensembles import all_species, mixed
    from tomosoup.io.project import open_project
    from tomosoup.score_tables import tuned_table
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
    if not options.dry_run:
        calibration = None if mixed(models) else calibrate(found.peaks, species)
        for path, model in zip(options.model, models, strict=True):
            with_thresholds(model, tuned, found, calibration=calibration).save(path)
    return Outcome(
        "Nothing stored (--dry-run)" if options.dry_run else f"Stored in {', '.join(map(str, options.model))}",
        files=() if options.dry_run else options.model,
        facts={"species": {name: asdict(t) for name, t in tuned.items()}},
        tables=[tuned_table(tuned)],
    )


def soup(options: SoupCommand) -> Outcome:
    """Average the weights of checkpoints."""
    from tomosoup.io.files import refuse_existing
    from tomosoup.souping import make_soup

    refuse_existing(options.output, overwrite=options.overwrite)
    with progress_bars() as progress:
        made = make_soup(options, progress=progress)
    made.checkpoint.save(options.output)
    for note in made.notes:
        say(note[0].upper() + note[1:] + ".")
    count = len(made.checkpoint.history[-1]["ingredients"])
    return Outcome(
        f"{options.output}: the mean of {count} checkpoints",
        files=[options.output],
        facts={"checkpoints": count, "notes": list(made.notes)},
    )


def convert(options: ConvertCommand) -> Outcome:
    """Turn published weights into a checkpoint."""
    from tomosoup.io.files import refuse_existing
    from tomosoup.published import convert

    refuse_existing(options.output, overwrite=options.overwrite)
    checkpoint = convert(options.published)
    checkpoint.save(options.output)
    event = checkpoint.history[-1]
    which = "averaged weights" if event["averaged"] else "last weights, as it holds no averaged ones"
    species = [s.name for s in checkpoint.species]
    say("No thresholds were published: set them with --threshold when you pick, or with `tomosoup threshold`.")
    return Outcome(
        f"{options.output}: {event['net']}, {which}; species {', '.join(species)}",
        files=[options.output],
        facts={"net": event["net"], "species": species},
    )


def score(options: ScoreCommand) -> Outcome:
    """Score picks and print the table."""
    from tomosoup.evaluation import score_files
    from tomosoup.score_tables import score_table

    with progress_bars() as progress:
        result = score_files(options, limits=lambda names: read_thresholds(options.threshold, names), progress=progress)
    return Outcome(
        f"{options.picks}: weighted F4 {result.weighted:.4f} against {options.truth} in {len(result.runs)} runs",
        facts=result.as_dict(),
        tables=[score_table(result)],
        look=page_of_scored(options),
        facts_alone=True,
    )


def demo(options: DemoCommand) -> Outcome:
    """Pick a sample tomogram, or run the whole path."""
    from tomosoup.demo import model_of, run_demo
    from tomosoup.score_tables import score_table

    try:
        with progress_bars() as progress:
            result = run_demo(options, progress=progress)
    except KeyboardInterrupt:
        raise Stopped(f"Demo stopped; what it made so far is in {options.out}.") from None
    page = options.out / "report.html"
    write_report(
        ReportCommand(
            project=options.out / "project",
            output=page,
            model=(model_of(options),),
            data=AnnotatedData(runs=result.runs),
        )
    )
    overview, picks = options.out / "overview.png", options.out / "picks.csv"
    trained = ", model.safetensors, model.training/" if options.train else ""
    return Outcome(
        f"Look at {page} and {overview}; beside them: picks.csv{trained}, project/",
        files=[page, overview, picks, *([model_of(options)] if options.train else [])],
        facts=result.as_dict(),
        tables=[score_table(result)],
    )


COMMANDS: dict[str, tuple[type[Any], Callable[[Any], Outcome | None]]] = {
    "demo": (DemoCommand, demo),
    "simulate": (SimulateCommand, simulate),
    "check": (CheckCommand, check),
    "train": (TrainCommand, train),
    "soup": (SoupCommand, soup),
    "tune": (TuneCommand, tune),
    "pick": (PickCommand, pick),
    "threshold": (ThresholdCommand, threshold),
    "score": (ScoreCommand, score),
    "export": (ExportCommand, export_picks),
    "import": (ImportCommand, import_picks),
    "report": (ReportCommand, report),
    "view": (ViewCommand, view),
    "convert": (ConvertCommand, convert),
    "export-onnx": (ExportOnnxCommand, export_onnx),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The `tomosoup` command: exit 0 if all went well, 1 for bad input, 2 for bad options, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in COMMANDS:
        without_command(words)
        return
    model, run = COMMANDS[words[0]]
    keep_freed_memory()
    look_for_garbage_less()
    try:
        options, voice = parse(model, words[0], words[1:])
        seconds = stopwatch()
        with speaking(voice):
            wait(f"tomosoup {words[0]}")
            outcome = run(options)
        conclude(outcome, voice, command=words[0], seconds=seconds())
    except InputError as error:
        fail(str(error), 1)
    except Stopped as stop:
        fail(str(stop), 130)
    except KeyboardInterrupt:
        fail("Stopped; what was being written is gone, the rest untouched.", 130)
    except OSError as error:
        fail(f"The operating system refused: {error}.", 1)


def without_command(words: Sequence[str]) -> None:
    """What is asked of the program itself."""
    models = {name: model for name, (model, _) in COMMANDS.items()}
    match words:
        case [] | ["-h" | "--help", *_]:
            say(overview(models))
        case ["--version", *_]:
            from importlib.metadata import version

            say(f"tomosoup {version('tomosoup')}")
        case ["--print-completion", shell]:
            from tomosoup.completion import SHELLS, completion_script

            if shell not in SHELLS:
                fail(f"There is no completion for {shell!r}; expected one of {', '.join(SHELLS)}.", 2)
            sys.stdout.write(completion_script(shell, models))
        case _:
            fail(f"There is no command {words[0]!r}; expected one of {', '.join(COMMANDS)}.", 2)
