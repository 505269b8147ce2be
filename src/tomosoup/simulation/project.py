"""Projects of simulated runs: several at once, resumed after a stop, the same whatever the number of processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tomosoup.core.errors import InputError, counted
from tomosoup.core.files import is_table
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, PicksByRun, PicksBySpecies, Species
from tomosoup.data.copick.names import valid_name
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.new_project import NewProject, SimulatedRun, new_project
from tomosoup.data.project import Project, open_project
from tomosoup.data.truth import read_truth
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.simulate import STEPS, simulate_run
from tomosoup.simulation.specimen.density_maps import support_radius
from tomosoup.simulation.specimen.particles import structure_maps

RUNS_A_SEED = 100_000
"""Projects of neighbouring seeds share no run unless they have more runs than this."""
PARTS = 100
"""Units of progress a run; each of its steps is half of them."""


@dataclass(frozen=True)
class LayoutFrom:
    """Runs whose particles are to be simulated again, at exactly the same positions."""

    source: Path
    """A CSV of picks (experiment,particle_type,x,y,z) or an annotated project."""
    runs: tuple[str, ...] = ()
    """Of these runs only; none means all."""


def simulate(
    folder: str | Path,
    recipe: str | Path | SimulationRecipe = "simulated",
    *,
    runs: int | LayoutFrom = 4,
    seed: int = 0,
    jobs: int = 1,
    contest: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Project:
    """Simulate a copick project of tomograms with known particles; returns the project.

    The folder appears once all runs are written. A call that was stopped can be repeated: finished runs are kept.
    Raises `InputError` as `simulate_run` does, where the folder exists, and where a process dies.

    Args:
        folder: where to make the project.
        recipe: a recipe that ships with tomosoup ("simulated", "contest", "any-microscope", "cell"), a TOML file, or
            the recipe itself.
        runs: how many tomograms; or the runs of a table or project whose particle positions are used again.
        seed: the same seed gives the same tomograms.
        jobs: how many tomograms to simulate at a time, each in its own process.
        contest: name files as the contest does instead of as copick does.
        overwrite: replace a simulated project in `folder`.
        progress: called as the work advances.
    """
    folder = Path(folder)
    recipe = recipe if isinstance(recipe, SimulationRecipe) else SimulationRecipe.read(recipe)
    names, layouts = _layouts(runs, recipe, contest=contest)
    source = runs.source if isinstance(runs, LayoutFrom) else None
    settings = {
        "tomosoup": version("tomosoup"),
        "runs": list(layouts),
        "seed": seed,
        "layout_from": None if source is None else str(source),
        "contest": contest,
        "simulation": recipe.model_dump(mode="json"),
        "files": _files(recipe, source),
    }
    species = species_of(names, recipe)
    with new_project(folder, species, contest=contest, overwrite=overwrite, settings=settings) as project:
        missing = {
            run: (seed * RUNS_A_SEED + i, at) for i, (run, at) in enumerate(layouts.items()) if run not in project.runs
        }
        if jobs == 1:
            for i, (run, (its_seed, at)) in enumerate(missing.items()):
                _add_run(project, run, recipe, its_seed, at, _as_one_of(progress, run, i, len(missing)))
        else:
            _in_processes(project, recipe, missing, jobs=jobs, out=str(folder), progress=progress)
    return open_project(folder)


def _layouts(
    runs: int | LayoutFrom, recipe: SimulationRecipe, *, contest: bool
) -> tuple[list[str], dict[str, PicksBySpecies | None]]:
    """The project's species, and by run the picks to simulate particles at, or None for random positions.

    Every run has every species, if only with no particles: the labels count them, in this order.
    """
    if isinstance(runs, int):
        return [*recipe.concentrations], {f"run_{i:03d}": None for i in range(runs)}
    given = _read_layout(runs)
    names = sorted({name for at in given.values() for name in at})
    # In the contest's frame voxel 0 is one voxel before where `simulate_run` has it, so the particles move by a voxel.
    shift = recipe.voxel_size if contest else 0.0
    moved = {
        run: {name: replace(picks, zyx=picks.zyx + shift) for name, picks in at.items()} for run, at in given.items()
    }
    for run, at in moved.items():
        _refuse_outside(run, at, recipe)
    return names, {run: {name: at.get(name, Picks.of([])) for name in names} for run, at in moved.items()}


def _refuse_outside(run: str, at: PicksBySpecies, recipe: SimulationRecipe) -> None:
    """Raises `InputError` for particles outside of the tomogram to simulate, whose truth would then hold nothing."""
    extent = np.array(recipe.shape) * recipe.voxel_size
    outside = sum(int(((picks.zyx < 0) | (picks.zyx > extent)).any(axis=1).sum()) for picks in at.values())
    if outside:
        total = sum(map(len, at.values()))
        raise InputError(
            f"Run {run}: {outside} of {counted(total, 'particle')} are outside of the tomogram to simulate, which is "
            f"{' x '.join(f'{side:g}' for side in extent)} Å (z, y, x): choose a larger `shape`, or remove them from "
            "the layout."
        )


def _read_layout(layout: LayoutFrom) -> PicksByRun:
    """The picks of the runs of a table or a project."""
    read: Callable[[str], PicksBySpecies]
    if is_table(layout.source):
        table = read_csv(layout.source)
        runs, read = list(table), table.__getitem__
    else:
        project = open_project(layout.source)
        runs, read = project.runs, partial(read_truth, project)
    if unknown := sorted(set(layout.runs) - set(runs)):
        raise InputError(f"{layout.source} has no run {', '.join(unknown)}; it has {', '.join(runs)}.")
    return {run: read(run) for run in layout.runs or runs}


def _files(recipe: SimulationRecipe, layout: Path | None) -> dict[str, list[int]]:
    """Size and time of change of the files that the tomograms are made from, as a project must not mix two versions."""
    named = [layout, recipe.microscope.mtf_file, *recipe.maps.values(), *recipe.structures.values()]
    paths = [Path(name) for name in named if name is not None]
    return {str(p): [p.stat().st_size, p.stat().st_mtime_ns] for p in paths if p.is_file()}


def species_of(names: list[str], recipe: SimulationRecipe) -> list[Species]:
    """The species with these names: the contest's as they are; others with the radius of their matter, weight 1."""
    known = {s.name: s for s in CONTEST_SPECIES}
    maps = structure_maps([valid_name(name, what="Species") for name in names], recipe)
    return [
        known[n] if n in known else Species(n, support_radius(maps[n], voxel_size=recipe.voxel_size)) for n in names
    ]


def _as_one_of(progress: Progress, run: str, i: int, runs: int) -> Progress:
    """The progress of the `i`-th of the runs, as part of the whole: its steps count differently and weigh the same."""

    def report(what: str, done: int, total: int) -> None:
        fraction = (done / total + STEPS.index(what)) / len(STEPS)
        progress(f"Simulating ({run})", round((i + fraction) * PARTS), runs * PARTS)

    return report


def _add_run(
    project: NewProject,
    run: str,
    recipe: SimulationRecipe,
    seed: int,
    at: PicksBySpecies | None,
    progress: Progress = no_progress,
) -> None:
    scene = simulate_run(recipe, seed=seed, at=at, progress=progress)
    parameters = {"tomosoup": version("tomosoup"), **scene.parameters}
    project.add_run(run, SimulatedRun(scene.volumes, scene.truth, scene.labels, parameters, scene.annotated))


def _in_processes(
    project: NewProject,
    recipe: SimulationRecipe,
    missing: Mapping[str, tuple[int, PicksBySpecies | None]],
    *,
    jobs: int,
    out: str,
    progress: Progress,
) -> None:
    """Make the missing runs, `jobs` at a time. The first that fails stops those that have not begun."""
    # Spawned, as a forked process inherits the locks of torch's threads.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            waiting = [pool.submit(_add_run, project, run, recipe, *how) for run, how in missing.items()]
            for done, future in enumerate(as_completed(waiting), start=1):
                future.result()
                progress("Simulating", done, len(waiting))
        except BrokenProcessPool as error:
            raise InputError(
                f"A simulating process died, perhaps out of memory. Finished runs are kept ({len(project.runs)}): "
                f"repeat the simulation of {out} to resume it, with fewer `jobs` if memory is short."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
