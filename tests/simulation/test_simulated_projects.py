import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import copick
import mrcfile
import numpy as np
import psutil
import pytest
import torch
from conftest import start
from density import HANDED, PERFECT, correlation
from scipy import ndimage

import tomosoup
from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.new_project import unfinished
from tomosoup.data.project import open_project
from tomosoup.simulation import project as projects
from tomosoup.simulation.options.microscope import MicroscopeOptions, ReconstructionOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.options.specimen import LayoutOptions, SampleOptions
from tomosoup.simulation.project import LayoutFrom, simulate
from tomosoup.simulation.simulate import Scene
from tomosoup.simulation.specimen.density_maps import centred

QUICK = SimulationRecipe(
    shape=(24, 48, 48), concentration={"apo-ferritin": 40000.0}, microscope=MicroscopeOptions(tilt_step=10.0)
)
PICKS = """\
experiment,particle_type,x,y,z
TS_1,apo-ferritin,123.4,210.5,111.1
TS_1,apo-ferritin,300.25,100.0,120.0
TS_2,beta-amylase,200.0,200.0,95.5
"""


def made(folder: Path, **options: object) -> Path:
    simulate(folder, options.pop("simulation", QUICK), **options)
    return folder


def test_python_simulates_and_checks_a_project(tmp_path: Path) -> None:
    project = tomosoup.simulate(tmp_path / "p", QUICK, runs=1)
    assert project.runs == ["run_000"]
    assert not tomosoup.check(project).failed


def voxels(folder: Path, run: str) -> dict[str, np.ndarray]:
    """The tomograms of a run, by kind, as copick reads them."""
    (spacing,) = copick.from_file(str(folder / "copick_config.json")).get_run(run).voxel_spacings
    return {t.tomo_type: t.numpy() for t in spacing.tomograms}


def same(one: Path, other: Path) -> bool:
    """Whether two projects hold the same runs, voxels and picks."""
    a, b = open_project(one), open_project(other)
    for run in a.runs:
        for kind, data in voxels(one, run).items():
            if not np.array_equal(data, voxels(other, run)[kind]):
                return False
        for key, read in a.pick_sets(run).items():
            theirs = b.pick_sets(run)[key]()
            if any(not np.array_equal(p.zyx, theirs[name].zyx) for name, p in read().items()):
                return False
    return a.runs == b.runs


def test_a_project_holds_multiscale_tomograms_and_parameters(tmp_path: Path) -> None:
    kinds = ReconstructionOptions(tomo_types=("denoised", "wbp"), half_sets=True)
    folder = made(tmp_path / "p", runs=1, seed=3, simulation=QUICK.model_copy(update={"reconstruction": kinds}))
    (spacing,) = copick.from_file(str(folder / "copick_config.json")).get_run("run_000").voxel_spacings
    assert {t.tomo_type for t in spacing.tomograms} == {"denoised", "wbp", "wbp-half1", "wbp-half2"}
    tomogram = spacing.get_tomograms("wbp")[0]
    assert tomogram.numpy(zarr_group="0").shape == (24, 48, 48)
    assert tomogram.numpy(zarr_group="1").shape == (12, 24, 24)
    parameters = json.loads((folder / "static" / "ExperimentRuns" / "run_000" / "simulation.json").read_text())
    assert parameters["seed"] == 300_000
    assert SimulationRecipe.of(parameters["recipe"], source="x").microscope == QUICK.microscope
    assert parameters["acquisition"]["angles"] == [-60, -50, -40, -30, -20, -10, 0, 10, 20, 30, 40, 50, 60]


def test_putting_the_map_back_by_copicks_transforms_gives_the_tomogram(tmp_path: Path) -> None:
    path = tmp_path / "handed.mrc"
    mrcfile.write(path, HANDED.numpy(), voxel_size=10.0)
    clear = PERFECT.model_copy(update={"dose": (1e6, 1e6), "tilt_limit": (88.0, 88.0), "tilt_step": 1.0})
    recipe = SimulationRecipe(
        shape=(48, 64, 64),
        concentration={"a": 20000.0},
        maps={"a": path},
        map_mass={"a": 200.0},
        microscope=clear,
        sample=SampleOptions(thickness=(10.0, 10.0)),
        layout=LayoutOptions(depth={"a": (0.5, 0.15)}),
    )
    root = copick.from_file(str(made(tmp_path / "p", runs=1, simulation=recipe) / "copick_config.json"))
    run = root.get_run("run_000")
    picks = run.get_picks(object_name="a", user_id="simulation", session_id="0")[0]
    points, transforms = picks.numpy()
    assert len(points) == 4

    def put_back(density: np.ndarray) -> torch.Tensor:
        """The map, x and z swapped to copick's order, drawn at every pick: p = R m + location."""
        volume = np.zeros((64, 64, 48))
        grid = np.stack(np.indices(volume.shape), axis=-1) * 10.0 + 5.0
        for point, transform in zip(points, transforms, strict=True):
            on_map = (grid - point - transform[:3, 3]) @ transform[:3, :3] / 10.0 + density.shape[0] // 2
            volume += ndimage.map_coordinates(density.transpose(2, 1, 0), np.moveaxis(on_map, -1, 0), order=1)
        return torch.from_numpy(volume.transpose(2, 1, 0).copy())

    tomogram = -torch.from_numpy(voxels(tmp_path / "p", "run_000")["wbp"]).double()
    about_its_mass = centred(HANDED.double().numpy()).double().numpy()
    right = correlation(put_back(about_its_mass), tomogram)
    mirrored = [correlation(put_back(np.flip(about_its_mass, axis)), tomogram) for axis in range(3)]
    assert right > 0.95
    assert max(mirrored) < right - 0.2


def test_labels_are_a_segmentation_whose_values_are_the_objects(tmp_path: Path) -> None:
    recipe = QUICK.model_copy(update={"concentration": {"apo-ferritin": 40000.0, "beta-amylase": 40000.0}})
    folder = made(tmp_path / "p", runs=1, simulation=recipe)
    root = copick.from_file(str(folder / "copick_config.json"))
    (segmentation,) = root.get_run("run_000").segmentations
    assert (segmentation.name, segmentation.is_multilabel, segmentation.user_id) == ("particles", True, "simulation")
    labels = segmentation.numpy()
    assert labels.shape == (24, 48, 48)
    for thing in root.pickable_objects:
        (picks,) = root.get_run("run_000").get_picks(object_name=thing.name)
        zyx = (picks.numpy()[0][:, ::-1] / 10.0 - 0.5).round().astype(int)
        assert len(zyx) == 2
        assert (labels[tuple(zyx.T)] == thing.label).all()
    assert set(np.unique(labels)) == {0, 1, 2}


@pytest.mark.parametrize("order", [("apo-ferritin", "beta-amylase"), ("beta-amylase", "apo-ferritin")], ids=str)
def test_labels_of_twins_are_the_objects_whatever_species_a_run_has(tmp_path: Path, order: tuple[str, ...]) -> None:
    both = QUICK.model_copy(update={"concentration": dict.fromkeys(order, 40000.0)})
    first = made(tmp_path / "first", runs=1, simulation=both)
    (tmp_path / "picks.csv").write_text(PICKS)
    for like in (first, tmp_path / "picks.csv"):
        folder = made(tmp_path / f"like-{like.stem}", runs=LayoutFrom(like))
        root = copick.from_file(str(folder / "copick_config.json"))
        for run in root.runs:
            labels = run.segmentations[0].numpy()
            there = {t.label for t in root.pickable_objects for p in run.get_picks(object_name=t.name) if p.points}
            assert set(np.unique(labels)) == {0} | there
            for thing in root.pickable_objects:
                (picks,) = run.get_picks(object_name=thing.name)
                zyx = (np.array([p[::-1] for p in picks.numpy()[0]]).reshape(-1, 3) / 10.0 - 0.5).round().astype(int)
                assert (labels[tuple(zyx.T)] == thing.label).all()


def test_any_number_of_jobs_makes_the_same_project(tmp_path: Path) -> None:
    one, two = (made(tmp_path / str(jobs), runs=3, jobs=jobs) for jobs in (1, 2))
    assert same(one, two)
    assert len(open_project(two).runs) == 3
    assert not np.array_equal(voxels(two, "run_000")["wbp"], voxels(two, "run_001")["wbp"])


def test_a_killed_command_resumes_with_what_it_had_finished(tmp_path: Path) -> None:
    words = ["--runs", "6", "--shape", "24", "64", "64", "--recipe", quick(tmp_path)]
    runs = unfinished(tmp_path / "p") / "static" / "ExperimentRuns"
    with start("simulate", tmp_path / "p", *words) as process:
        while not list(runs.glob("[!.]*")) and process.poll() is None:
            time.sleep(0.005)
        process.kill()
    before = {p.parent.name: p.stat().st_mtime_ns for p in runs.glob("*/simulation.json")}
    assert 0 < len(before) < 6
    assert not (tmp_path / "p").exists()

    with pytest.raises(InputError, match="unfinished project with other settings: use those to resume it, or drop"):
        made(tmp_path / "p", runs=2)
    main(["simulate", str(tmp_path / "p"), *words])
    after = {p.parent.name: p.stat().st_mtime_ns for p in (tmp_path / "p").rglob("simulation.json")}
    assert len(after) == 6
    assert {run: after[run] for run in before} == before
    assert not unfinished(tmp_path / "p").exists()
    main(["simulate", str(tmp_path / "whole"), *words])
    assert same(tmp_path / "p", tmp_path / "whole")


def test_what_is_unfinished_can_be_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_before_run(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "p", runs=3)
    assert unfinished(tmp_path / "p").is_dir()
    monkeypatch.undo()
    folder = made(tmp_path / "p", runs=2, seed=1, overwrite=True)
    assert open_project(folder).runs == ["run_000", "run_001"]
    seeds = {json.loads(file.read_text())["seed"] for file in folder.rglob("simulation.json")}
    assert seeds == {100_000, 100_001}
    assert not unfinished(tmp_path / "p").exists()


def test_files_that_others_left_in_what_is_unfinished_do_not_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_before_run(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "p", runs=2)
    monkeypatch.undo()
    (unfinished(tmp_path / "p") / ".DS_Store").touch()
    assert open_project(made(tmp_path / "p", runs=2)).runs == ["run_000", "run_001"]


def test_a_changed_file_is_another_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mrc"
    mrcfile.write(path, HANDED.numpy(), voxel_size=10.0)
    recipe = QUICK.model_copy(update={"maps": {"a": path}, "concentration": {"a": 20000.0}})
    stop_before_run(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "p", runs=2, simulation=recipe)
    monkeypatch.undo()
    mrcfile.write(path, 2 * HANDED.numpy(), voxel_size=10.0, overwrite=True)
    with pytest.raises(InputError, match="unfinished project with other settings"):
        made(tmp_path / "p", runs=2, simulation=recipe)


def test_a_species_that_copick_cannot_name_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"copick does not accept the species name 'my_protein': leave out spaces, underscores"
    ):
        made(tmp_path / "p", simulation=QUICK.model_copy(update={"maps": {"my_protein": tmp_path / "a.mrc"}}))
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_command_says_that_it_resumes_and_leaves_its_finished_runs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_before_run(1, monkeypatch)
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", str(tmp_path / "p"), "--runs", "2", "--shape", "24", "48", "48", "--recipe", quick(tmp_path)])
    assert stopped.value.code == 130
    assert "Simulating stopped; the same command resumes after the last finished run" in capsys.readouterr().err
    assert sorted(f.name for f in tmp_path.iterdir()) == [".p.unfinished", "quick.toml"]
    assert not list((tmp_path / ".p.unfinished").glob(".*"))


def quick(folder: Path) -> str:
    """A recipe file of a run that takes no time."""
    path = folder / "quick.toml"
    path.write_text("[concentration]\napo-ferritin = 40000.0\n[microscope]\ntilt_step = 20.0\n")
    return str(path)


def stop_before_run(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C as soon as so many runs are made."""
    calls = []

    def stopped(*args: object, **options: object) -> Scene:
        calls.append(1)
        if len(calls) > number:
            raise KeyboardInterrupt
        return original(*args, **options)

    original = projects.simulate_run
    monkeypatch.setattr(projects, "simulate_run", stopped)


def test_a_process_that_dies_is_told_in_a_sentence(tmp_path: Path, fails: Callable[..., str]) -> None:
    over = threading.Event()

    def kill_all() -> None:
        while not over.wait(0.05):
            for child in psutil.Process().children():
                with suppress(psutil.Error):
                    if "spawn_main" in " ".join(child.cmdline()):
                        child.kill()

    words = ["--runs", 3, "--jobs", 2, "--recipe", quick(tmp_path), "--shape", 24, 48, 48]
    with ThreadPoolExecutor(1) as thread:
        killing = thread.submit(kill_all)
        said = fails("simulate", tmp_path / "p", *words)
        over.set()
        killing.result()
    assert "A simulating process died, perhaps out of memory. Finished runs are kept (0)" in said


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_first_run_that_fails_leaves_nothing(tmp_path: Path, jobs: int) -> None:
    crowded = QUICK.model_copy(update={"concentration": {"ribosome": 300000.0}})
    with pytest.raises(InputError, match=r"Only \d+ of \d+ ribosome particles fit"):
        made(tmp_path / "p", runs=2, jobs=jobs, simulation=crowded)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("contest", [False, True])
def test_twins_have_their_particles_exactly_where_the_table_says(tmp_path: Path, contest: bool) -> None:
    (tmp_path / "picks.csv").write_text(PICKS)
    folder = made(tmp_path / "p", runs=LayoutFrom(tmp_path / "picks.csv"), contest=contest)
    project = open_project(folder)
    assert project.runs == ["TS_1", "TS_2"]
    for run, wanted in read_csv(tmp_path / "picks.csv").items():
        (read,) = project.pick_sets(run).values()
        for name, picks in wanted.items():
            np.testing.assert_allclose(read()[name].zyx, picks.zyx, atol=1e-6)


@pytest.mark.parametrize("contest", [False, True])
def test_a_twins_particle_is_where_its_pick_says_by_the_layouts_rule(tmp_path: Path, contest: bool) -> None:
    (tmp_path / "picks.csv").write_text(PICKS)
    microscope = PERFECT.model_copy(update={"dose": (1e5, 1e5)})
    recipe = QUICK.model_copy(update={"microscope": microscope, "sample": SampleOptions(thickness=(100.0, 100.0))})
    folder = made(
        tmp_path / "p", runs=LayoutFrom(tmp_path / "picks.csv", ("TS_2",)), contest=contest, simulation=recipe
    )
    project = open_project(folder)
    (listing,) = project.listings("TS_2")
    dark = -np.asarray(listing.open()[0])
    expected = np.array([95.5, 200.0, 200.0]) / 10.0 - project.first_voxel
    found = ndimage.center_of_mass(np.where(dark > 0.5 * dark.max(), dark, 0.0))
    np.testing.assert_allclose(found, expected, atol=1.0)


def test_particles_outside_of_the_tomogram_to_simulate_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "picks.csv").write_text(PICKS + "TS_2,apo-ferritin,200,200,5000\nTS_2,apo-ferritin,-1,200,95\n")
    with pytest.raises(InputError, match=r"Run TS_2: 2 of \d+ particles are outside of the tomogram to simulate"):
        made(tmp_path / "p", runs=LayoutFrom(tmp_path / "picks.csv"))
    assert not (tmp_path / "p").exists()


def test_a_project_can_have_twins_too(tmp_path: Path) -> None:
    first = made(tmp_path / "first", runs=2)
    twins = made(tmp_path / "twins", runs=LayoutFrom(first, ("run_001",)), seed=5)
    assert open_project(twins).runs == ["run_001"]
    a, b = (open_project(p).pick_sets("run_001")["simulation", "0"]()["apo-ferritin"] for p in (first, twins))
    np.testing.assert_allclose(a.zyx, b.zyx, atol=1e-6)
    assert not np.array_equal(voxels(first, "run_001")["wbp"], voxels(twins, "run_001")["wbp"])


def test_a_run_that_is_not_there_has_no_twin(tmp_path: Path) -> None:
    (tmp_path / "picks.csv").write_text(PICKS)
    with pytest.raises(InputError, match=r"picks.csv has no run TS_9; it has TS_1, TS_2"):
        made(tmp_path / "p", runs=LayoutFrom(tmp_path / "picks.csv", ("TS_9",)))
