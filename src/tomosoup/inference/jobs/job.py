"""Pick a project run by run, so that several processes can share it and each can be restarted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.thresholds import Limits, MaxFdr, Thresholds
from tomosoup.core.types import Picks, PicksBySpecies
from tomosoup.data.copick.masks.mask import mask_digests, missing_masks
from tomosoup.data.options import DataOptions, RegionOptions
from tomosoup.data.pick_store.beside import refuse_own_tables
from tomosoup.data.pick_store.records import Settings
from tomosoup.data.pick_store.store import MAX_FDR, PickStore, pick_store
from tomosoup.data.project import open_project
from tomosoup.inference.ensemble import AS_TRAINED, all_species, all_thresholds, by_system
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import check_limits, chosen_maps
from tomosoup.inference.readout.second_stage import chosen_second_stage
from tomosoup.inference.readout.template_check import fingerprints
from tomosoup.inference.tiling.symmetries import chosen_views
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.named import checkpoint_file
from tomosoup.models.second_stage import SecondStage
from tomosoup.scoring.calibration import metadata_of


@dataclass(frozen=True)
class PickingOptions:
    """Tomograms, plan, engines and where to pick."""

    data: DataOptions = field(default_factory=DataOptions)
    plan: PickingPlan = AS_TRAINED
    inference: InferenceOptions = field(default_factory=InferenceOptions)
    species: tuple[str, ...] = ()
    """Only these are kept; by default all that the models know."""
    region: RegionOptions = field(default_factory=RegionOptions)


DEFAULTS = PickingOptions()


@dataclass(frozen=True)
class Job:
    """All that a process needs to pick runs of a project. Can be pickled."""

    project: Path
    models: tuple[Path, ...]
    store: PickStore
    species: tuple[str, ...]
    """The species that are kept, with the names of the project, in the order of the models."""
    thresholds: Limits
    options: PickingOptions

    def read(self, run: str, record: Mapping[str, Any] | None = None) -> dict[str, Picks]:
        """The picks of a finished run, in the order of the models' species; see `PickStore.read`."""
        return self.of_species(self.store.read(run, record))

    def of_species(self, found: PicksBySpecies) -> dict[str, Picks]:
        """The picks of the job's species, in their order."""
        return {name: found[name] for name in self.species if name in found}


def begin_job(
    project: Path,
    models: Sequence[Path],
    runs: Sequence[str],
    *,
    session: str = "0",
    outputs: Sequence[Path] = (),
    thresholds: Thresholds | MaxFdr = Thresholds(),  # noqa: B008 - immutable
    options: PickingOptions = DEFAULTS,
    overwrite: bool = False,
) -> Job:
    """Start or resume the session for picking `runs`; one with other settings is an error unless `overwrite`.

    `thresholds` replace those of the models. Raises `InputError` before anything is written, like `pick_store`, for
    models, views and weights that cannot be combined, for runs without a mask, and for a false-discovery rate if the
    models have no probabilities.
    """
    chosen_views(options.plan.views)
    opened = open_project(project)
    refuse_own_tables(opened, outputs)
    if options.region.mask:
        missing_masks(options.region.mask, opened, runs)
    checkpoints = named_for(opened, [load(path) for path in models])
    by_system(checkpoints, options.plan)
    known = [s.name for s in all_species(checkpoints)]
    if unknown := [name for name in options.species if name not in known]:
        raise InputError(f"`species` {shortened(unknown)}: the models do not know it; they know {shortened(known)}.")
    species = tuple(s for s in all_species(checkpoints) if s.name in (options.species or known))
    second = chosen_second_stage(options.plan, opened)
    used: Limits = (
        thresholds
        if isinstance(thresholds, MaxFdr)
        else thresholds.over(second.thresholds if second else all_thresholds(checkpoints), known)
    )
    check_limits(used, checkpoints, second, [s.name for s in species if s.name not in options.plan.leave_out])
    store = pick_store(
        opened,
        runs,
        species,
        session=session,
        outputs=outputs,
        settings=settings_of(checkpoints, used, options, second),
        read_settings=by_todays_names,
        overwrite=overwrite,
    )
    paths = tuple(checkpoint_file(path).absolute() for path in models)
    return Job(project.absolute(), paths, store, tuple(s.name for s in species), used, options)


def forget_other_masks(job: Job, runs: Sequence[str], *, overwrite: bool) -> None:
    """The runs whose masks have changed since they were picked are to be picked anew.

    Raises `InputError` where there are any, unless `overwrite`.
    """
    mask = job.options.region.mask
    if mask is None:
        return
    project, records = open_project(job.project), job.store.session.records(job.store.fingerprint)
    known = {run: records[run].get("mask") for run in runs if run in records}
    before = {run: digests if isinstance(digests, dict) else {} for run, digests in known.items()}
    changed = [
        run
        for run, digests in before.items()
        if mask_digests(mask, project, run, known=digests).get("content") != digests.get("content")
    ]
    if changed and not overwrite:
        raise InputError(
            f"The mask {mask} of run {shortened(changed)} has changed since the run was picked: choose another "
            f"`session` than {job.store.name}, or replace these picks with `overwrite=True`.",
            code="changed",
        )
    job.store.redo(changed, overwrite=True)


def settings_of(
    models: Sequence[Checkpoint],
    thresholds: Limits,
    options: PickingOptions,
    second: SecondStage | None = None,
) -> Settings:
    """All settings that change picks, in JSON's types.

    Engines and devices are left out: their effect is much smaller than the difference between particle and background.
    """
    return {
        "models": [model.fingerprint() for model in models],
        "plan": _plan_settings(options.plan),
        "tomograms": _data_settings(options.data),
        "thresholds": {} if isinstance(thresholds, MaxFdr) else dict(thresholds),
        "precision": options.inference.precision,
        "maps": fingerprints(chosen_maps(options.plan, models)),
        **({MAX_FDR: _fdr_settings(thresholds, models, second)} if isinstance(thresholds, MaxFdr) else {}),
        **({"second_stage": second.fingerprint()} if second else {}),
        **({"species": sorted(options.species)} if options.species else {}),
        **({"region": options.region.model_dump(mode="json")} if options.region.mask else {}),
    }


def _fdr_settings(limit: MaxFdr, models: Sequence[Checkpoint], second: SecondStage | None) -> dict[str, Any]:
    """The rate, and the probabilities, which no fingerprint covers."""
    own = [second.pick_calibration] if second else [model.pick_calibration for model in models]
    return {"rate": limit.rate, "probabilities": [metadata_of(calibrations) for calibrations in own]}


def by_todays_names(settings: Settings) -> Settings:
    """The settings of a session under today's option names, from any version."""
    try:
        plan = PickingPlan.of(settings["plan"], source="The session")
        data = DataOptions.of(settings["tomograms"], source="The session")
    except (InputError, KeyError, TypeError, ValueError):
        return settings  # of a newer version
    return {**settings, "plan": _plan_settings(plan), "tomograms": _data_settings(data)}


def _plan_settings(plan: PickingPlan) -> dict[str, Any]:
    return plan.model_dump(mode="json", exclude={"templates": {"folder"}, "second_stage": True})


def _data_settings(data: DataOptions) -> dict[str, Any]:
    return data.model_dump(mode="json", exclude={"runs"})


def share(runs: Sequence[str], number: int, of: int) -> list[str]:
    """The runs that process `number` of `of` (from 1) picks."""
    return list(runs[number - 1 :: of])
