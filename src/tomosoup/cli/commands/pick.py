"""What `tomosoup pick` does: runs become picks, here or on a cluster, and go on after a stop."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tomosoup.cli.arguments.command_line import command_line
from tomosoup.cli.arguments.messages import as_options
from tomosoup.cli.commands.report import how_to_open, write_report
from tomosoup.cli.options.pick import PickCommand
from tomosoup.cli.options.report import ReportCommand
from tomosoup.cli.options.threshold import ThresholdCommand
from tomosoup.cli.tables import expected, failures_table, too_uncertain
from tomosoup.cli.terminal import Outcome, Stopped, progress_bars, say, show_error
from tomosoup.core.errors import InputError, counted
from tomosoup.core.files import refuse_existing, written_aside
from tomosoup.core.progress import Progress, tracked
from tomosoup.core.thresholds import MaxFdr, Thresholds
from tomosoup.data.copick.names import copick_names
from tomosoup.data.formats.tables.picks_csv import MASK_DISTANCE, write_csv
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import CopickProject, Project, open_project
from tomosoup.data.tomogram import chosen_runs, remarks_on
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import averaging_thresholds
from tomosoup.inference.jobs.dask_cluster import on_cluster, sbatch_script
from tomosoup.inference.jobs.job import Job, PickingOptions, begin_job, forget_other_masks, share
from tomosoup.inference.jobs.probabilities import false_discovery_rates, probability_columns
from tomosoup.inference.jobs.run_picker import RunOutcome, Workers, in_this_process, pick_runs
from tomosoup.inference.readout.second_stage import chosen_second_stage
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import load


def pick_command(options: PickCommand) -> Outcome:
    """Pick a project."""
    if options.write_sbatch:
        refuse_existing(options.write_sbatch, overwrite=options.overwrite)
    elif options.cluster.cluster is None:
        Nets(options.inference)  # raises now for engines that are not installed
    project = open_project(options.project)
    runs = chosen_runs(project, options.data)
    for text in remarks_on(project, options.data):
        say(text)
    job = begin_job(
        options.project,
        options.model,
        runs,
        session=options.session,
        outputs=[path for path in (options.output, options.submission, options.report) if path],
        thresholds=chosen_limits(options, project),
        options=PickingOptions(options.data, options.picking, options.inference, options.species, options.region),
        overwrite=options.overwrite,
    )
    mine = share(runs, *options.cluster.part)
    if not options.redo:
        forget_other_masks(job, mine, overwrite=options.overwrite)
    say_renamed(options)
    if options.write_sbatch:
        return write_sbatch(options.write_sbatch, options)
    if options.redo:
        job.store.redo(mine, overwrite=options.overwrite)
    done = set(job.store.done())
    left = [run for run in mine if run not in done]
    if len(left) < len(mine):
        say(f"Picked before, and kept: {len(mine) - len(left)} of {counted(len(mine), 'run')}")
    outcomes: list[RunOutcome] = []
    try:
        if left:
            with progress_bars() as progress, workers(options, job, progress) as work:
                outcomes += pick_runs(work, left)
    except KeyboardInterrupt:
        raise Stopped(
            f"Picking stopped; the finished runs are in {job.store.config}, no CSV was written. "
            "The same command resumes."
        ) from None
    return finish(options, job, Share(project.runs, runs, mine, {o.run: o.error for o in outcomes if o.error}))


def say_renamed(options: PickCommand) -> None:
    """Say which names of the models copick cannot keep, and what is in their place."""
    models = [copick_names(s.name for s in load(path).species) for path in options.model]
    if changed := sorted({f"{name} is {kept}" for names in models for name, kept in names.items() if kept != name}):
        say(f"copick keeps no spaces and underscores in names: in these picks {', '.join(changed)}")


def page_of_picks(options: PickCommand, job: Job) -> str:
    """Write the page of these picks and return nothing, or return the command that writes it."""
    here = isinstance(open_project(options.project), CopickProject)
    page = ReportCommand(
        project=options.project,
        output=options.report or Path("report.html"),
        session=options.session,
        picks=None if here else job.store.config.parent,
        model=options.model,
        data=AnnotatedData(runs=options.data.runs),
    )
    if not options.report:
        return shlex.join(command_line(page))
    with output(options, job, options.report) as aside:
        write_report(page.model_copy(update={"output": aside}))
    say(how_to_open(options.report))
    return ""


BY_RATE = (
    "The stored thresholds favour recall, so many picks are false. For subtomogram averaging, keep those that are more "
    "likely particles: `tomosoup threshold` with --max-fdr 0.1."
)
FAVOURS_RECALL = (
    "The stored thresholds favour recall: expect many false picks. For subtomogram averaging, choose higher ones with "
    "`tomosoup threshold`, or use its --for averaging, which requires an earlier `tomosoup tune --for averaging`."
)


def usual_thresholds(options: PickCommand) -> bool:
    """Whether picks pass the thresholds of the models for recall."""
    return options.purpose == "recall" and not options.threshold and not options.max_fdr


def chosen_limits(options: PickCommand, project: Project) -> Thresholds | MaxFdr:
    """The false-discovery rate, or the thresholds that were given (`chosen_thresholds`)."""
    return MaxFdr(options.max_fdr) if options.max_fdr else chosen_thresholds(options, project)


def chosen_thresholds(options: PickCommand | ThresholdCommand, project: Project) -> Thresholds:
    """The thresholds that were given, over those for averaging (of second stage or models), if picks are for that."""
    given = Thresholds.read(options.threshold)
    if options.purpose == "recall" or given.default is not None:
        return given
    second = chosen_second_stage(options.picking, project) if isinstance(options, PickCommand) else None
    models = named_for(project, [load(path) for path in options.model])
    averaging = second.averaging_thresholds if second else averaging_thresholds(models)
    return Thresholds(by_species={**averaging, **given.by_species})


@contextmanager
def workers(options: PickCommand, job: Job, progress: Progress) -> Iterator[Workers]:
    """What picks the runs: this process, or a cluster for the time of the block."""
    if options.cluster.cluster is None:
        yield in_this_process(job, log=say, progress=progress)
        return
    with on_cluster(job, options.cluster, log=say, progress=progress) as work:
        yield work


@dataclass(frozen=True)
class Share:
    """The runs that a command picks, among others."""

    project: Sequence[str]
    """All runs of the project."""
    runs: Sequence[str]
    """Those that all shards pick together."""
    mine: Sequence[str]
    failed: Mapping[str, str]
    """Why some of mine could not be picked just now. Not all of these reasons could be recorded."""


@contextmanager
def output(options: PickCommand, job: Job, path: Path) -> Iterator[Path]:
    """Write a file of the picks to the path that this gives. Raises `InputError` where a person has changed the old."""
    if not options.overwrite:
        job.store.session.refuse_changed(path)
    with job.store.session.output(path) as aside:
        yield aside


def finish(options: PickCommand, job: Job, share: Share) -> Outcome:
    """Write the tables once no run is left; what was found, which is a failure where one of `mine` is missing."""
    job.store.check_begun()
    session, settings, mine = job.store.session, job.store.fingerprint, share.mine
    records, recorded = session.records(settings), session.failures(settings)
    reasons = {run: str(failure.get("error", "")) for run, failure in recorded.items()} | dict(share.failed)
    done = [run for run in share.runs if run in records]
    left = [run for run in share.runs if run not in records and run not in recorded]
    files = [] if left else [path for path in (options.output, options.submission) if path]
    counts = Counter(dict.fromkeys(job.species, 0))
    for run in done:
        counts.update(records[run]["picks"])
    notes = [MASK_DISTANCE] if options.region.mask else []
    notes += probability_columns(records)
    with progress_bars() as progress:
        for path in files:
            pairs = ((run, job.read(run, records[run])) for run in tracked(progress, f"Writing {path.name}", done))
            with output(options, job, path) as aside:
                write_csv(aside, pairs, scores=path == options.output, notes=notes)
    if others := set(left) - set(mine):
        say(f"Left for other shards: {counted(len(others), 'run')}. The last to end writes the CSV.")
    look = page_of_picks(options, job) if done and not left else ""
    details = ""
    with suppress(InputError):  # a full disk, which the reasons name
        details = f" (details: {session.sum_up(settings, share.project)})"
    failed = {run: as_options(reasons[run], PickCommand) for run in mine if run in reasons and run not in records}
    untried = [run for run in left if run not in others and run not in failed]
    if failed:
        show_error(failures_table(failed))
    of_all = counted(len(mine), "run")
    what = [f"{len(failed)} of {of_all} could not be picked{details}"] * bool(failed)
    what += [f"{len(untried)} were not tried"] * bool(untried)
    what += ["no CSV was written"] * bool(left and not others)
    rates = false_discovery_rates(records[run] for run in done)
    by_species = ", ".join(f"{name} {n}{expected(rates.get(name))}" for name, n in counts.items())
    found = f"{counted(counts.total(), 'pick')} in {counted(len(done), 'run')}: {by_species}"
    home = f"copick {job.store.config}, user tomosoup, session {job.store.name}"
    note = too_uncertain(counts) if options.max_fdr and done else ""
    if usual_thresholds(options) and counts.total():
        note = BY_RATE if rates else FAVOURS_RECALL
    return Outcome(
        f"{found}; in {', '.join([*map(str, files), home])}",
        note=note,
        files=[*files, *([options.report] if options.report and done and not left else [])],
        facts={
            "runs": len(done),
            "picks": dict(counts),
            "false_discovery_rate": rates,
            "project": str(job.store.config),
            "session": f"tomosoup/{job.store.name}",
            "failed": failed,
        },
        look=look,
        failed="; ".join(what) + ". The same command tries only the missing runs." if what else "",
    )


def write_sbatch(path: Path, options: PickCommand) -> Outcome:
    """The command as a SLURM job array; its session, which this command has begun, is not begun again."""
    again = options.model_copy(update={"write_sbatch": None, "overwrite": False})
    _, *words = command_line(again)
    command = shlex.join([sys.executable, "-m", "tomosoup", *words])
    command += f' --shard "$SLURM_ARRAY_TASK_ID/{options.cluster.jobs}"'
    with written_aside(path) as aside:
        aside.write_text(sbatch_script(options.cluster, command))
    return Outcome(f"{path}: an array of {counted(options.cluster.jobs, 'job')}; start it with sbatch", files=[path])
