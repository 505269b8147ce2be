"""Where found picks go: a session in a copick project, begun, resumed, written run by run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.files import refuse_existing
from tomosoup.core.progress import Progress, no_progress, tracked
from tomosoup.core.thresholds import Limits, MaxFdr
from tomosoup.core.types import PicksBySpecies, Species
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.names import valid_name, valid_species
from tomosoup.data.copick.roots import run_of
from tomosoup.data.new_project import picks_project
from tomosoup.data.options import RegionOptions
from tomosoup.data.pick_store.distances import DISTANCE, recorded_distances, with_distances
from tomosoup.data.pick_store.edits import digests_of, refuse_edited
from tomosoup.data.pick_store.pick_set import OWN_USER, PickSet
from tomosoup.data.pick_store.records import Session, Settings, fingerprint_of
from tomosoup.data.project import CopickProject, Project, open_project

MAX_FDR = "max_fdr"
"""The key in the settings for the false-discovery rate that picks were kept by in place of thresholds."""
THRESHOLD_REGION = "threshold_region"
"""The key in the settings for the region in which `with_thresholds` left picks; networks searched in another one."""


@dataclass(frozen=True)
class PickStore:
    """A session of picks in a copick project, with the records of which runs are done."""

    config: Path
    name: str
    """The copick session."""
    fingerprint: str
    """Of the settings that the picks are made with."""

    def __reduce__(self) -> tuple[Any, ...]:
        return PickStore, (self.config, self.name, self.fingerprint)  # open roots do not travel

    @property
    def picks(self) -> PickSet:
        """The set of the picks that pass the thresholds."""
        return PickSet(OWN_USER, self.name)

    @cached_property
    def root(self) -> Any:
        """The copick root, opened for this store alone: its runs are looked up one by one, not listed."""
        project = open_project(self.config)
        assert isinstance(project, CopickProject)  # a configuration opens as nothing else
        return project.root

    @cached_property
    def session(self) -> Session:
        """The records."""
        return Session.of(self.root, self.name)

    def done(self) -> list[str]:
        """The runs whose picks are in place."""
        return self.session.runs(self.fingerprint)

    def check_begun(self) -> None:
        """Raises `InputError` where the session has meanwhile been removed, or begun anew with other settings."""
        settings = self.session.settings()
        if settings is None:
            raise InputError(
                f"The records of session {self.name} were removed while this command ran, so nothing more was written: "
                "the same command picks all runs anew."
            )
        if fingerprint_of(settings) != self.fingerprint:
            raise InputError(
                f"Session {self.name} has changed since this command began it (another command began it anew with "
                "other settings), so nothing more was written: give another `session`."
            )

    def write(self, run: str, candidates: PicksBySpecies, picks: PicksBySpecies, *, record: Mapping[str, Any]) -> None:
        """Everything above the floor, what passed the thresholds, and, once both are in place, that the run is done.

        Raises `InputError` where the session has meanwhile been begun anew with other settings, or storage fails.
        """
        self.check_begun()
        target = run_of(self.root, run)
        copick_files.write_picks(target, candidates, self.picks.candidates)
        copick_files.write_picks(target, picks, self.picks)
        more = {"digests": digests_of(picks), **recorded_distances(candidates)}
        self.session.record(run, self.fingerprint, {**record, **more})

    def record_failure(self, run: str, content: Mapping[str, Any]) -> bool:
        """The run could not be picked, and why. Returns whether this could be recorded, and so whether to go on."""
        try:
            self.check_begun()
            self.session.record_failure(run, self.fingerprint, content)
        except InputError:
            return False
        return True

    def redo(self, runs: Sequence[str], *, overwrite: bool) -> None:
        """The runs are to be picked anew. Raises `InputError` where picks were edited, unless `overwrite`."""
        if not overwrite:
            refuse_edited(self.root, self.picks, self.session.records(self.fingerprint), runs)
        self.session.forget(runs, self.fingerprint)

    def read(self, run: str, record: Mapping[str, Any] | None = None) -> PicksBySpecies:
        """The picks of a run that is done, with the distances to a mask that its `record` holds, if given."""
        self.root.fs_overlay.invalidate_cache()
        sets = copick_files.pick_sets(run_of(self.root, run))
        picks = sets[self.picks]()
        return with_distances(picks, sets[self.picks.candidates](), record) if record and DISTANCE in record else picks


def pick_store(
    project: Project,
    runs: Sequence[str],
    species: Sequence[Species],
    *,
    session: str,
    outputs: Sequence[Path] = (),
    settings: Settings,
    read_settings: Callable[[Settings], Settings],
    overwrite: bool = False,
) -> PickStore:
    """A session for picks of `runs` made with `settings`, to begin or to resume.

    `read_settings` gives a session's stored settings today's names, so that a session of an older version resumes.

    It is in the project itself where that is copick's; else in a copick project of its own beside the first of the
    `outputs`, tables of these picks. With `overwrite`, outputs may be there, and what the session holds of other
    settings is removed. Raises `InputError`, before anything is written, where the session holds any and may not be
    overwritten, or holds them of further runs; where an output is there that this session did not write, or that was
    changed since; where the project does not list a species; and where there is no output to stand beside.
    """
    valid_name(session, what="Session")
    store = PickStore(_home(project, species, outputs), session, fingerprint_of(settings))
    records = store.session if store.config.is_file() else None
    stored = records.settings() if records else None
    before = None if stored is None else read_settings(stored)
    begun = before == settings
    if stored is not None and begun and fingerprint_of(stored) != store.fingerprint:
        store = replace(store, fingerprint=fingerprint_of(stored))  # the one that its records are filed under
    held = [] if begun or not records else _held(project.runs, store)
    if held and not overwrite:
        raise InputError(
            f"Run {shortened(held)} has picks {OWN_USER}/{session} already{_refusal(session, before, settings)}"
        )
    if left_out := sorted(set(held) - set(runs)):
        raise InputError(
            f"Session {session} also holds picks of run {shortened(left_out)}, made with other settings, and `runs` "
            "leaves it out: pick it, too, or choose another `session`."
        )
    _refuse_outputs(outputs, records if begun else None, overwrite=overwrite)
    for run, name in product(held, (store.picks, store.picks.candidates)):
        copick_files.write_picks(run_of(store.root, run), {}, name)
    if not isinstance(project, CopickProject):
        static = project.path if (project.path / "ExperimentRuns").is_dir() else project.path / "static"
        picks_project(store.config.parent, species, runs, static=static, keep=begun)
    if not begun:
        store.session.begin(settings)
    return store


def _refuse_outputs(outputs: Sequence[Path], records: Session | None, *, overwrite: bool) -> None:
    """Raises `InputError` for a file that may not be replaced. `records` are those of the session to resume."""
    for path in outputs:
        if records and not overwrite:
            records.refuse_changed(path)
        else:
            refuse_existing(path, overwrite=overwrite)


def _held(runs: Sequence[str], store: PickStore) -> list[str]:
    """The runs of which there are picks of this session, or candidates."""
    return copick_files.runs_holding(store.root, runs, (store.picks, store.picks.candidates))


def _home(project: Project, species: Sequence[Species], outputs: Sequence[Path]) -> Path:
    """The configuration of the copick project that picks go to."""
    if not isinstance(project, CopickProject):
        if not outputs:
            raise InputError(
                f"{project.path} is not a copick project: name a CSV file for the picks with `output=PICKS.csv`."
            )
        valid_species(species, where="The model")
        return outputs[0].absolute().with_suffix(".copick") / "copick_config.json"
    listed = [s.name for s in project.species]
    if missing := [s.name for s in species if s.name not in listed]:
        raise InputError(
            f"The model finds {', '.join(missing)}, which {project.path} does not list as particles "
            f"({', '.join(listed)}): add them to its pickable objects."
        )
    return project.path.absolute()


def _refusal(session: str, before: Settings | None, settings: Settings) -> str:
    """How the sentence ends that says that a session has picks already."""
    if before is None:
        return ": choose another `session`, or replace them with `overwrite=True`."
    other = ", ".join(key for key in {**before, **settings} if before.get(key) != settings.get(key))
    return (
        f", made with other settings ({other}): give the same options, choose another `session` than {session}, or "
        "replace them with `overwrite=True`."
    )


def with_thresholds(
    project: CopickProject,
    session: str,
    limits: Limits,
    picks: Mapping[str, PicksBySpecies],
    *,
    region: RegionOptions = RegionOptions(),  # noqa: B008 - immutable
    facts: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> bool:
    """Put picks, by run, that pass these `limits` in a `region` in the place of a session's; its records then say so.

    `facts` are further content of the records, by run. Returns whether density maps had looked at those that were
    there, as they have not at these. Raises `InputError`, before anything is written, where a person has edited those
    that were there, unless `overwrite`.
    """
    valid_name(session, what="Session")
    records, place = Session.of(project.root, session), PickSet(OWN_USER, session)
    before = records.settings()
    done = {} if before is None else records.records(fingerprint_of(before))
    if not overwrite:
        refuse_edited(project.root, place, done, list(picks))
    for run in tracked(progress, "Writing picks", list(picks)):
        copick_files.write_picks(run_of(project.root, run), picks[run], place)
    if before is not None:
        rate = {MAX_FDR: {**before.get(MAX_FDR, {}), "rate": limits.rate}} if isinstance(limits, MaxFdr) else {}
        kept = {key: value for key, value in before.items() if key not in (THRESHOLD_REGION, MAX_FDR)}
        settings = {**kept, "thresholds": {} if isinstance(limits, MaxFdr) else dict(limits), "maps": {}, **rate}
        if region.mask:
            settings[THRESHOLD_REGION] = region.model_dump(mode="json")
        records.begin(settings)
        for run in tracked(progress, "Writing records", list(done)):
            found = picks.get(run, {})
            made = {"picks": {name: len(those) for name, those in found.items()}, "digests": digests_of(found)}
            records.record(run, fingerprint_of(settings), {**done[run], **made, **facts.get(run, {})})
    return bool(before and before.get("maps"))
