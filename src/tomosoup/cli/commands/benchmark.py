"""`tomosoup benchmark`: the runs of an official split, picked and scored."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tomosoup.cli.arguments.command_line import command_line
from tomosoup.cli.commands.pick import pick_command
from tomosoup.cli.commands.seen_runs import Seen, remarks_on_history, runs_in_histories
from tomosoup.cli.options.benchmark import BenchmarkCommand
from tomosoup.cli.options.pick import PickCommand
from tomosoup.cli.tables import score_table
from tomosoup.cli.terminal import Outcome, say
from tomosoup.core.errors import InputError, counted, shortened
from tomosoup.core.files import refuse_existing, written_aside
from tomosoup.core.types import PicksByRun
from tomosoup.data.copick.portal.croissant import config_over, manifest_at, splits_of
from tomosoup.data.copick.roots import open_root
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.new_project import CONFIG
from tomosoup.data.options import DataOptions
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.data.tomogram import chosen_runs
from tomosoup.data.truth import truths_there
from tomosoup.inference.ensemble import all_species
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import load
from tomosoup.scoring.score import Score, score

METRIC = (
    "F-beta with beta = 4 of each species, hits within half a radius, weighted mean over all species (CZII contest)"
)
PARTS = ("test", "train")
"""The folders of the contest's download, each of which is a project."""


@dataclass(frozen=True)
class Split:
    """Runs that a benchmark names together."""

    project: Project
    name: str | None
    """None where the benchmark names no splits."""
    runs: Sequence[str]
    config: Mapping[str, Any] | None = None
    """Configuration of a project that is yet to be written, of which a manifest lists the data."""


def benchmark_command(options: BenchmarkCommand) -> Outcome:
    """Pick a split, and score the picks where there are true ones."""
    picks, submission, scores = (options.output / name for name in ("picks.csv", "submission.csv", "scores.json"))
    refuse_existing(scores, overwrite=options.overwrite or picks.exists())
    split = chosen_split(options)
    project = split.project
    data = options.data.model_copy(update={"runs": chosen_of(split, project, options)})
    refuse_existing(scores, overwrite=options.overwrite or of_runs(split, data.runs).items() <= kept_in(scores).items())
    truth = true_picks(project, data.runs, options)
    seen = runs_in_histories(project, data.runs, options.model, options.picking)
    species = scored_species(options, project)
    for text in remarks_on_history(seen):
        say(text)
    if split.config:  # of a project over the manifest
        text = json.dumps(split.config, indent=1)
        same = project.path.is_file() and project.path.read_text() == text
        refuse_existing(project.path, overwrite=options.overwrite or same)
        write_text(project.path, text)
    done = pick_command(
        PickCommand(
            project=project.path,
            model=options.model,
            output=picks,
            submission=submission,
            session=options.session,
            species=species,
            threshold=options.threshold,
            plan=options.plan,
            overwrite=options.overwrite,
            inference=options.inference,
            data=DataOptions(**data.model_dump(exclude={"truth"})),
            picking=options.picking,
        )
    )
    if done.failed:
        scores.unlink(missing_ok=True)
        return replace(done, note="", failed=f"{done.failed.rstrip('.')}. No scores were written.")
    found = read_csv(picks)
    result = score(found, truth, project.species, runs=sorted(truth), all_species=True) if truth else None
    facts = {**about(options, split, data.runs, seen), **numbers(result, found, truth, project)}
    write_text(scores, json.dumps(facts, indent=1) + "\n")
    return Outcome(
        says(options, split, result, {run for of in seen.values() for run in of or ()}),
        files=[picks, submission, scores],
        facts=facts,
        tables=[score_table(result)] if result else [],
        note=not_scored(data.runs, truth, submission),
        look=done.look,
    )


def of_runs(split: Split, runs: Sequence[str]) -> dict[str, Any]:
    """Which runs results are of, in JSON's types."""
    return {"split": split.name, "left_out": [run for run in split.runs if run not in runs]}


def kept_in(scores: Path) -> dict[str, Any]:
    """What an earlier command wrote to the file; {} where there is no such file."""
    try:
        content = json.loads(scores.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text)


def chosen_split(options: BenchmarkCommand) -> Split:
    """The project and the runs that `--split` means. Of a manifest, a project that writes to the folder is made."""
    path = options.benchmark
    if parts := {part: path / part for part in PARTS if (path / part / "static" / "ExperimentRuns").is_dir()}:
        part = split_named(options, list(parts))
        assert part is not None  # as there are some
        return Split(contest := open_project(parts[part]), part, contest.runs)
    manifest = manifest_at(path)
    config = config_over(manifest, options.output / "overlay") if manifest else None
    made = CopickProject(options.output / CONFIG, open_root(config, name=str(manifest))) if config else None
    project = made or open_project(path)
    splits = splits_of(project.root) if isinstance(project, CopickProject) else {}
    name = split_named(options, sorted(splits))
    return Split(project, name, splits[name] if name else project.runs, config)


def split_named(options: BenchmarkCommand, names: Sequence[str]) -> str | None:
    """The split that is meant, None where there are none. Raises `InputError` where it is not among the names."""
    if options.split in names:
        return options.split
    if not names and options.split is None:
        return None
    if not names:
        raise InputError(f"{options.benchmark} names no splits: leave out `split`, and name runs with `runs`.")
    if options.split is None and PARTS[0] in names:
        return PARTS[0]
    raise InputError(
        f"{options.benchmark} has no split {options.split or PARTS[0]}: choose one of {', '.join(names)} with "
        "`split=NAME`."
    )


def chosen_of(split: Split, project: Project, options: BenchmarkCommand) -> tuple[str, ...]:
    """The runs to pick: those of the split that `--runs` names, or all."""
    if outside := [run for run in options.data.runs if split.name and run not in split.runs]:
        raise InputError(
            f"Run {shortened(outside)} is not in the split {split.name}: it has {shortened(list(split.runs))}."
        )
    return tuple(chosen_runs(project, options.data.model_copy(update={"runs": options.data.runs or tuple(split.runs)})))


def true_picks(project: Project, runs: Sequence[str], options: BenchmarkCommand) -> PicksByRun:
    """True picks by run, for those of the runs that have any."""
    data = options.data.model_copy(update={"runs": tuple(runs)})
    truth = truths_there(project, data)
    if data.truth and not truth:
        raise InputError(
            f"No run of {project.path} has picks {data.truth}: choose others with `truth=CSV|USER/SESSION`."
        )
    listed = {s.name for s in project.species}
    if strange := sorted({name for found in truth.values() for name in found} - listed):
        say(f"Not scored, because {project.path} does not list them as particles: true picks of {shortened(strange)}.")
    return truth


def scored_species(options: BenchmarkCommand, project: Project) -> tuple[str, ...]:
    """The species to keep picks of, if the models find others, too. Raises `InputError` where they find no other."""
    found = [s.name for s in all_species(named_for(project, [load(path) for path in options.model]))]
    listed = [s.name for s in project.species]
    common = tuple(name for name in found if name in listed)
    if not common:
        raise InputError(
            f"The models find {shortened(found)}, and the particles of {options.benchmark} are "
            f"{shortened(listed) or 'none'}: give models that were trained for these."
        )
    if missing := [name for name in listed if name not in found]:
        say(f"The models do not know {shortened(missing)}: all these particles count as missed.")
    if others := [name for name in found if name not in listed]:
        say(f"Left out, because {options.benchmark} does not list them: picks of {shortened(others)}.")
    return common if others else ()


def about(options: BenchmarkCommand, split: Split, runs: Sequence[str], seen: Seen) -> dict[str, Any]:
    """What was run, in JSON's types."""
    return {
        "benchmark": str(options.benchmark),
        **of_runs(split, runs),
        "tomosoup": version("tomosoup"),
        "command": shlex.join(command_line(options)),
        "models": [{"model": str(path), "fingerprint": load(path).fingerprint()} for path in options.model],
        "seen": dict(seen),
        "metric": METRIC,
    }


def numbers(result: Score | None, picks: PicksByRun, truth: PicksByRun, project: Project) -> dict[str, Any]:
    """The scores of all runs together and of each, in JSON's types."""
    if result is None:
        return {"score": None, "species": {}, "runs": {}}
    species = {s.name: {"radius": s.radius, "weight": s.weight} for s in project.species}
    whole, runs = result.as_dict(), {}
    for run in result.runs:
        of_run = score(picks, truth, project.species, runs=(run,), all_species=True).as_dict()
        runs[run] = {key: of_run[key] for key in ("score", "species")}
    counts = {name: {**species[name], **count} for name, count in whole["species"].items()}
    return {"score": whole["score"], "species": counts, "runs": runs}


def says(options: BenchmarkCommand, split: Split, result: Score | None, seen: set[str]) -> str:
    """The line of the result."""
    of_split = f" of split {split.name}" if split.name else ""
    if result is None:
        return f"{options.output}: picks{of_split}, not scored"
    number = len(seen.intersection(result.runs))
    had = f"; a model may have seen {number} of them" if number else ""
    return f"{options.output}: weighted F4 {result.weighted:.4f} in {counted(len(result.runs), 'run')}{of_split}{had}"


def not_scored(runs: Sequence[str], truth: PicksByRun, submission: Path) -> str:
    """Which runs have no true picks, and what to do with their picks."""
    without = [run for run in runs if run not in truth]
    return f"No true picks, so not scored: {shortened(without)}. Their picks are in {submission}." if without else ""
