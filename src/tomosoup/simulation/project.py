"""Projects of simulated runs: several at once, resumed after a kill, the same whatever the number of processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from tomosoup.cli.options.commands import SimulateCommand
from tomosoup.core.errors import InputError
from tomosoup.core.progress import Progress, no_progress
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, PicksBySpecies, Species
from tomosoup.data.copick.files import valid_name
from tomosoup.data.formats.csv_tables import read_csv
from tomosoup.data.new_project import NewProject, SimulatedRun, new_project
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.simulation.options import SimulationRecipe
from tomosoup.simulation.simulate import STEPS, simulate, structure_maps
from tomosoup.simulation.specimen.density_maps import support_radius

RUNS_A_SEED = 100_000
"""Projects of neighbouring seeds share no run unless they have more runs than this."""
PARTS = 100
"""Parts of a run that its progress is told in, a half for each of its steps."""


def simulate_project(options: SimulateCommand, *, progress: Progress = no_progress) -> list[str]:
    """Simulate a project as the `simulate` command is told; returns the names of its runs.

    The folder appears once all runs are written; runs that an earlier, stopped call with the same options has finished
    are not made again. Raises `InputError` as `simulate` does, where the folder exists, and where a process dies.
    """
    recipe = options.simulation
    names, layouts = _layouts(options)
    settings = options.model_dump(mode="json", exclude={"out", "jobs", "overwrite", "recipe"})
    with new_project(
        options.out,
        species_of(names, recipe),
        contest=options.contest,
        overwrite=options.overwrite,
        settings={"tomosoup": version("tomosoup"), **settings, "files": _files(options)},
    ) as project:
        missing = {
            run: (options.seed * RUNS_A_SEED + i, at)
            for i, (run, at) in enumerate(layouts.items())
            if run not in project.runs
        }
        if options.jobs == 1:
            for i, (run, (seed, at)) in enumerate(missing.items()):
                _add_run(project, run, recipe, seed, at, _one_of(progress, run, i, len(missing)))
        else:
            _in_processes(project, recipe, missing, jobs=options.jobs, out=str(options.out), progress=progress)
    return list(layouts)


def _layouts(options: SimulateCommand) -> tuple[list[str], dict[str, PicksBySpecies | None]]:
    """The project's species, and its runs with the places of each species in them, or None for random ones.

    Every run has every species, if only with no particles: labels count them, in this order.
    """
    if not options.layout_from:
        return [*options.simulation.concentrations], {f"run_{i:03d}": None for i in range(options.runs)}
    given = dict(_like(options))
    names = sorted({name for at in given.values() for name in at})
    return names, {run: {name: at.get(name, Picks.of([])) for name in names} for run, at in given.items()}


def _files(options: SimulateCommand) -> dict[str, list[int]]:
    """Size and time of change of the files that the tomograms are made from: a project is not to mix two versions."""
    recipe = options.simulation
    named = [options.layout_from, recipe.microscope.mtf_file, *recipe.maps.values(), *recipe.structures.values()]
    paths = [Path(name) for name in named if name is not None]
    return {str(p): [p.stat().st_size, p.stat().st_mtime_ns] for p in paths if p.is_file()}


def species_of(names: list[str], recipe: SimulationRecipe) -> list[Species]:
    """The contest's species by their names; the radius of others is that of their matter."""
    known = {s.name: s for s in CONTEST_SPECIES}
    maps = structure_maps([valid_name(name, what="Species") for name in names], recipe)
    return [
        known[n] if n in known else Species(n, support_radius(maps[n], voxel_size=recipe.voxel_size)) for n in names
    ]


def _one_of(progress: Progress, run: str, i: int, runs: int) -> Progress:
    """The progress of the `i`-th of the runs, told as part of the whole."""

    def report(what: str, done: int, total: int) -> None:
        share = (done / total + STEPS.index(what)) / len(STEPS)
        progress(f"Simulating ({run})", round((i + share) * PARTS), runs * PARTS)

    return report


def _add_run(
    project: NewProject,
    run: str,
    recipe: SimulationRecipe,
    seed: int,
    at: PicksBySpecies | None,
    progress: Progress = no_progress,
) -> None:
    scene = simulate(recipe, seed=seed, at=at, progress=progress)
    parameters = {"tomosoup": version("tomosoup"), **scene.parameters}
    project.add_run(run, SimulatedRun(scene.volumes, scene.truth, scene.labels, parameters))


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
                f"A simulating process died (out of memory?); {len(project.runs)} finished runs are kept: run the same "
                f"command again to go on with {out}, perhaps with fewer --jobs."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _like(options: SimulateCommand) -> Iterator[tuple[str, dict[str, Picks]]]:
    """The runs of a table or a project, species by species, as layouts."""
    assert options.layout_from is not None
    read: Callable[[str], dict[str, Picks]]
    if options.layout_from.suffix == ".csv":
        table = read_csv(options.layout_from)
        runs, read = list(table), table.__getitem__
    else:
        project = open_project(options.layout_from)
        runs, read = project.runs, lambda run: dict(read_truth(project, run, None))
    if unknown := sorted(set(options.layout_runs) - set(runs)):
        raise InputError(f"{options.layout_from} has no run {', '.join(unknown)}; it has {', '.join(runs)}.")
    # In the contest's frame voxel 0 stands a voxel before where `simulate` has it: there the tomogram is to give way.
    shift = options.simulation.voxel_size if options.contest else 0.0
    for run in options.layout_runs or runs:
        yield run, {name: replace(p, zyx=p.zyx + shift) for name, p in read(run).items()}
