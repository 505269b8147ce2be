"""`tomosoup score`."""

from __future__ import annotations

from tomosoup.cli.commands.report import page_of_scored
from tomosoup.cli.options.score import ScoreCommand
from tomosoup.cli.tables import score_table
from tomosoup.cli.terminal import Outcome, progress_bars, say
from tomosoup.core.aliases import called_as
from tomosoup.core.errors import counted
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.thresholds import Thresholds, apply_thresholds
from tomosoup.data.pick_store.reading import open_source, read_picks, read_true_picks, species_for, species_listed
from tomosoup.data.project import assumed_species
from tomosoup.scoring.score import Score, score


def score_command(options: ScoreCommand) -> Outcome:
    """Score picks and print the table."""
    with progress_bars() as progress:
        result = score_files(options, progress=progress)
    return Outcome(
        f"{options.picks}: weighted F4 {result.weighted:.4f} against {options.truth} "
        f"in {counted(len(result.runs), 'run')}",
        facts=result.as_dict(),
        tables=[score_table(result)],
        look=page_of_scored(options),
        facts_alone=True,
    )


def score_files(options: ScoreCommand, *, progress: Progress = no_progress) -> Score:
    """Score the picks of one file or project against the truth of another."""
    true_source, source = open_source(options.truth), open_source(options.picks)
    true_species = species_listed(true_source)
    if not options.species and (assumed := assumed_species(true_source if true_species else source)):
        say(assumed)
    truth = read_true_picks(true_source, options.truth_set, progress=progress)
    picks = read_picks(source, options.picks_set, progress=progress)
    if true_species:
        picks = {run: called_as(true_species, found) for run, found in picks.items()}
    names = {name for found in (*truth.values(), *picks.values()) for name in found}
    species = species_for(names, true_species, species_listed(source), table=options.species)
    thresholds = Thresholds.read(options.threshold).over({}, [s.name for s in species])
    kept = {run: apply_thresholds(found, thresholds) for run, found in picks.items()}
    runs = tuple(truth) if options.runs == ("all",) else options.runs
    return score(kept, truth, species, runs=runs, all_species=options.all_species)
