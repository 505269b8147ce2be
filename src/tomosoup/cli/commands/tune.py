"""`tomosoup tune`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tomosoup.cli.options.tune import TuneCommand
from tomosoup.cli.tables import averaging_table, tuned_table
from tomosoup.cli.terminal import Outcome, progress_bars, say
from tomosoup.core.errors import InputError
from tomosoup.core.files import refuse_existing
from tomosoup.data.project import open_project
from tomosoup.inference.ensemble import all_species, mixed
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import load
from tomosoup.models.named import checkpoint_file
from tomosoup.training.run.out_of_fold import out_of_fold
from tomosoup.training.tune import averaging_thresholds, tune_thresholds, with_thresholds


def tune_command(options: TuneCommand) -> Outcome:
    """Set thresholds by cross-validation."""
    files = () if options.dry_run else _files(options)
    project = open_project(options.project)
    models = named_for(project, [load(path) for path in options.model])
    species = all_species(models)
    if options.purpose == "averaging" and mixed(models):
        raise InputError(
            "Heatmap and segmentation models together have no thresholds for averaging: tune the models of one type."
        )
    with progress_bars() as progress:
        found = out_of_fold(
            project,
            models,
            data=options.data,
            plan=options.picking,
            inference=options.inference,
            region=options.region,
            progress=progress,
            log=say,
        )
        tuned = tune_thresholds(
            found.folds,
            species,
            margin=options.threshold_margin,
            resamples=options.resamples,
            seed=options.seed,
            progress=progress,
        )
    averaging = {}
    if options.purpose == "averaging":
        averaging = averaging_thresholds(found.folds, species, margin=options.threshold_margin)
    if not options.dry_run:
        changed = with_thresholds(models, tuned, found, averaging=averaging)
        for path, model in zip(files, changed, strict=True):
            model.save(path)
    return Outcome(
        "Nothing stored (--dry-run)" if options.dry_run else f"Stored in {', '.join(map(str, files))}",
        files=files,
        facts={
            "species": {name: asdict(t) for name, t in tuned.items()},
            **({"averaging": averaging} if averaging else {}),
        },
        tables=[
            tuned_table(tuned, margin=options.threshold_margin),
            *([averaging_table(averaging)] if averaging else []),
        ],
    )


def _files(options: TuneCommand) -> tuple[Path, ...]:
    """Where the models are saved."""
    if options.output:
        if len(options.model) > 1:
            raise InputError(f"`output` is the file of one model, got {len(options.model)}: give one `model` alone.")
        refuse_existing(options.output, overwrite=options.overwrite)
        return (options.output,)
    if named := [str(path) for path in options.model if checkpoint_file(path) != path]:
        raise InputError(f"A model by name is not changed, got {', '.join(named)}: give it alone, with an `output`.")
    return options.model
