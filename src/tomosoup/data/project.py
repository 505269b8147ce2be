"""Where tomograms and picks are: a copick project, the contest's folders, or a folder of MRC files, behind one face."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

from tomosoup.core.aliases import translation
from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Species
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.names import valid_species
from tomosoup.data.copick.remote import StorageErrors
from tomosoup.data.copick.roots import is_config, open_config, open_root, run_of
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.formats.tables.species_csv import read_species
from tomosoup.data.options import PROJECT_FORMS
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.volumes.files import VolumeFiles, open_volume, volume_files, volume_remarks
from tomosoup.data.volumes.omezarr import open_omezarr


@dataclass(frozen=True)
class Listing:
    """A tomogram that a project names: its type, the spacing its folder is named after, and how to open it."""

    tomo_type: str
    spacing: float
    open: Callable[..., tuple[Any, float]]
    """Gives the array, unread, and its voxel size (Å, or 0): `voxel_size`, if that is given, in place of what the file
    says. With `lenient=True` missing chunks are zeros."""
    remarks: Callable[[], tuple[str, ...]] = tuple
    """What is odd about the file, though it can be read."""


PickSets = dict[PickSet, Callable[[], dict[str, Picks]]]
"""How to read the picks of each set, by species."""


class Project(Protocol):
    """What all projects offer."""

    @property
    def path(self) -> Path:
        """What was opened."""

    @property
    def species(self) -> tuple[Species, ...]:
        """The particles that its picks may name."""

    @property
    def runs(self) -> list[str]:
        """Run names, sorted."""

    @property
    def first_voxel(self) -> float:
        """Where the centre of voxel 0 stands, in voxels."""

    def listings(self, run: str) -> list[Listing]:
        """The tomograms of a run."""

    def pick_sets(self, run: str) -> PickSets:
        """The picks of a run, by user and session."""


@dataclass(frozen=True)
class CopickProject:
    """A copick project, opened from its configuration."""

    path: Path
    root: Any
    first_voxel: float = 0.5

    @property
    def species(self) -> tuple[Species, ...]:
        """The particles among the pickable objects; weight 1 unless the object's metadata or the contest say."""
        return tuple(map(copick_files.species_of, self._particles))

    @property
    def runs(self) -> list[str]:
        """Run names, sorted."""
        with StorageErrors(f"The list of runs of {self.path}"):
            return sorted(run.name for run in self.root.runs)

    def listings(self, run: str) -> list[Listing]:
        """The tomograms of a run, at all voxel spacings."""
        with StorageErrors(f"Run {run} of {self.path}"):
            return [
                Listing(t.tomo_type, float(spacing.voxel_size), partial(_open_copick_tomogram, t, run))
                for spacing in run_of(self.root, run).voxel_spacings
                for t in spacing.tomograms
            ]

    def pick_sets(self, run: str) -> PickSets:
        """All pick sets of a run, as they are stored now."""
        with StorageErrors(f"Run {run} of {self.path}"):
            return copick_files.pick_sets(run_of(self.root, run))

    def names_of(self, species: Iterable[str]) -> dict[str, str]:
        """What the project calls species that go by other names elsewhere (`core.aliases`), by their names there."""
        return translation(species, {o.name: copick_files.called_by_contest(o) for o in self._particles})

    @property
    def _particles(self) -> list[Any]:
        with StorageErrors(f"The list of objects of {self.path}"):
            return [thing for thing in self.root.pickable_objects if thing.is_particle]


@dataclass(frozen=True)
class ContestProject:
    """The contest's folders as Kaggle unpacks them: static/ with tomograms, overlay/ with picks named by object.

    A view: nothing in them is renamed or written. Voxel 0 stands half a voxel before the origin, as on this data a
    particle at x Å is drawn at index x / 10.012 + 0.5.
    """

    path: Path
    tomograms: CopickProject
    overlay: Path
    first_voxel: float = -0.5
    species: tuple[Species, ...] = CONTEST_SPECIES

    @property
    def runs(self) -> list[str]:
        """Run names, sorted."""
        return self.tomograms.runs

    def listings(self, run: str) -> list[Listing]:
        """The tomograms of a run."""
        return self.tomograms.listings(run)

    def pick_sets(self, run: str) -> PickSets:
        """The run's picks; files named by the object alone are user "contest", session "0"."""
        folder = self.overlay / "ExperimentRuns" / run / "Picks"
        files = sorted(file for file in folder.glob("[!.]*") if file.suffix.lower() == ".json")
        sets: dict[PickSet, list[Path]] = {}
        for file in files:
            user, session = file.stem.split("_")[:2] if file.stem.count("_") == 2 else ("contest", "0")
            sets.setdefault(PickSet(user, session), []).append(file)
        return {key: partial(copick_files.read_files, paths) for key, paths in sets.items()}


@dataclass(frozen=True)
class MrcFolder:
    """A plain folder of MRC volumes, a run each; `species.csv` (name,radius,weight) and `picks.csv` may lie beside."""

    path: Path
    first_voxel: float = 0.5

    @cached_property
    def volumes(self) -> VolumeFiles:
        """Its volumes, and what is not read. Raises `InputError` where two files would be one run."""
        return volume_files(self.path)

    @property
    def runs(self) -> list[str]:
        """File names without their endings, sorted."""
        return list(self.volumes.by_name)

    @property
    def species_table(self) -> Path:
        """The file that lists the species: name,radius (Å) and, if known, weight."""
        return self.path / "species.csv"

    @property
    def species(self) -> tuple[Species, ...]:
        """What `species.csv` lists, or the contest's six. Raises `InputError` for names that copick cannot keep."""
        return valid_species(read_species(t), where=str(t)) if (t := self.species_table).exists() else CONTEST_SPECIES

    def listings(self, run: str) -> list[Listing]:
        """The one volume of a run."""
        file = self.volumes.by_name[run]
        return [Listing("mrc", 0.0, partial(_open_file, file), partial(volume_remarks, file))]

    def pick_sets(self, run: str) -> PickSets:
        """The rows of `picks.csv` for this run, as user "folder", session "0"."""
        return {PickSet("folder", "0"): lambda: self.picks[run]} if run in self.picks else {}

    @cached_property
    def picks(self) -> dict[str, dict[str, Picks]]:
        """What `picks.csv` holds, by run."""
        table = self.path / "picks.csv"
        return read_csv(table) if table.exists() else {}


def where_species_are_listed(project: Project) -> str:
    """Where users add or correct species, for messages."""
    if not isinstance(project, MrcFolder):
        return f"the pickable objects of {project.path}"
    new = "" if project.species_table.exists() else "a new file with the "
    return f"{project.species_table} ({new}columns name,radius,weight)"


def assumed_species(source: Project | Path) -> str:
    """A sentence for users if `source` is a folder of MRC files that lists no species; else nothing."""
    if not isinstance(source, MrcFolder) or source.species_table.exists():
        return ""
    return (
        f"{source.species_table} is missing, so the species are the contest's six, with their radii: for other "
        "particles, write that file (columns name,radius,weight)."
    )


def left_out(source: Project | Path) -> str:
    """A sentence for users if `source` is a folder of MRC files with other volumes in it; else nothing."""
    return source.volumes.message if isinstance(source, MrcFolder) else ""


def open_project(path: str | Path | Project) -> Project:
    """Open a copick configuration, a folder that holds one, a folder in the contest's layout, or a folder of MRC files.

    A project that is open already is returned as it is. Raises `InputError` where there is none of these.
    """
    if not isinstance(path, str | Path):
        return path
    path = Path(path)
    if path.is_file():
        return CopickProject(path, open_config(path))
    if (path / "copick_config.json").is_file():
        return CopickProject(path / "copick_config.json", open_config(path / "copick_config.json"))
    for static, overlay in ((path / "static", path / "overlay"), (path, path.parent / "overlay")):
        if (static / "ExperimentRuns").is_dir():
            files = sorted({*path.glob("*.json"), *static.parent.glob("*.json")})
            if named := next(filter(is_config, files), None):
                raise InputError(f"{path} belongs to a copick project: name its configuration, {named}.")
            config = copick_files.config_of(CONTEST_SPECIES, static=static, overlay=overlay)
            return ContestProject(path, CopickProject(path, open_root(config, name=str(path))), overlay)
    parts = [p.name for p in (path / "train", path / "test") if (p / "static" / "ExperimentRuns").is_dir()]
    if parts:
        raise InputError(f"{path} holds the contest's {' and '.join(parts)}: name one, such as {path / parts[0]}.")
    folder = MrcFolder(path)
    if path.is_dir() and folder.runs:
        return folder
    found = ", a folder without tomograms" if path.is_dir() else ""
    raise InputError(f"There is no project at {path}{found}: expected {PROJECT_FORMS}. {left_out(folder)}".rstrip())


def _open_copick_tomogram(
    tomogram: Any, run: str, *, lenient: bool = False, voxel_size: float | None = None
) -> tuple[Any, float]:
    return open_omezarr(tomogram.zarr(), name=f"{run}/{tomogram.tomo_type}", lenient=lenient, voxel_size=voxel_size)


def _open_file(path: Path, *, lenient: bool = False, voxel_size: float | None = None) -> tuple[Any, float]:  # noqa: ARG001
    return open_volume(path, voxel_size=voxel_size)
