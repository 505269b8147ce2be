"""Picking goes on after whatever happens to it: what is done stays done, what failed is named and tried again."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import mrcfile
import numpy as np
import pytest
import zarr
from conftest import refused, start
from fsspec.implementations.local import LocalFileSystem

from tomosoup.cli.main import main
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.pick_store.reading import read_picks
from tomosoup.data.pick_store.records import fingerprint_of
from tomosoup.data.pick_store.store import PickStore
from tomosoup.data.project import open_project
from tomosoup.models.checkpoint import Checkpoint

RUNS = ["run_000", "run_001", "run_002"]


@pytest.fixture
def picking(project: Path, model: Path, tmp_path: Path) -> list[str]:
    """The command, but for options."""
    return ["pick", str(project), "--model", str(model), "--threshold", "0.14", "--output", str(tmp_path / "p.csv")]


@pytest.fixture(scope="session")
def undisturbed_folder(project_folder: Path, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, picked where nothing happened, and the table."""
    folder = tmp_path_factory.mktemp("undisturbed")
    copy = shutil.copytree(project_folder, folder / "project")
    point(copy, static=copy / "static", overlay=copy / "overlay")
    checkpoint.save(folder / "model.safetensors")
    words = f"pick {copy} --model {folder}/model.safetensors --threshold 0.14 --output {folder}/p.csv"
    main(words.split())
    return folder


@pytest.fixture
def undisturbed(undisturbed_folder: Path) -> bytes:
    """The table of a project where nothing happens."""
    table = (undisturbed_folder / "p.csv").read_bytes()
    assert all(table.count(run.encode()) > 3 for run in RUNS)
    return table


def point(project: Path, **roots: Path | str) -> None:
    """Name other places in a project's configuration."""
    config = json.loads((project / "copick_config.json").read_text())
    config |= {f"{part}_root": root if isinstance(root, str) else f"local://{root}" for part, root in roots.items()}
    (project / "copick_config.json").write_text(json.dumps(config))


def table_of(words: list[str]) -> bytes:
    """The command's table."""
    return Path(words[words.index("--output") + 1]).read_bytes()


def records(project: Path) -> list[str]:
    """The runs that are recorded as done."""
    return sorted(p.stem for p in project.glob("overlay/tomosoup/0/*/*.json") if not p.parent.name.endswith("-failed"))


def chunks_of(run: Path) -> Path:
    """The folder of a run's full-resolution chunks."""
    return next(run.rglob("*.zarr")) / "0"


def test_the_same_command_again_picks_only_what_is_not_done(
    picking: list[str], project: Path, picked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(picking)
    before = (tmp_path / "p.csv").read_bytes()
    assert picked == records(project) == RUNS
    main(picking)
    assert picked == RUNS
    assert "Picked before, and kept: 3 of 3 runs" in capsys.readouterr().out
    next(project.glob("overlay/tomosoup/0/*/run_001.json")).unlink()  # as if killed just before it was recorded
    next(project.glob("overlay/ExperimentRuns/run_001/Picks/tomosoup_0_*.json")).unlink()
    main(picking)
    assert picked == [*RUNS, "run_001"]
    assert (tmp_path / "p.csv").read_bytes() == before
    main([*picking, "--redo", "--runs", "run_000"])
    assert picked == [*RUNS, "run_001", "run_000"]


def test_chosen_species_have_the_picks_that_they_have_among_all(
    picking: list[str], undisturbed: bytes, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, *rows = undisturbed.decode().splitlines()
    name = rows[0].split(",")[1]
    assert "the models do not know it; they know" in refused([*picking, "--species", "ribosom"], capsys)
    main([*picking, "--species", name])
    assert (tmp_path / "p.csv").read_text().splitlines() == [header, *(r for r in rows if r.split(",")[1] == name)]
    for kept in ("tomosoup/0", "tomosoup/0-candidates"):
        assert list(read_picks(project, kept)["run_000"]) == [name]
    assert "made with other settings (species)" in refused(picking, capsys)


def test_settings_are_never_mixed_in_a_session(
    picking: list[str], project: Path, picked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(picking)
    other = [*picking, "--threshold", "0.15"]
    assert "made with other settings (thresholds): give the same options" in refused(other, capsys)
    assert "made with other settings (plan)" in refused([*picking, "--stride", "16", "16", "16"], capsys)
    some = [*other, "--overwrite", "--runs", "run_000", "run_001"]
    assert "also holds picks of run run_002, made with other settings" in refused(some, capsys)
    assert picked == RUNS
    main([*other, "--overwrite"])
    assert picked == [*RUNS, *RUNS]
    assert records(project) == RUNS
    main([*picking[:-2], "--session", "second"])
    assert "second" in {session for _, session in open_project(project).pick_sets("run_000")}

    main(f"threshold {project} --threshold 0.2".split())  # the session's picks are now those of 0.3 ...
    assert "made with other settings (thresholds)" in refused(other, capsys)
    main([*picking[:-2], "--threshold", "0.2"])  # ... as if picked with it
    assert picked == [*RUNS, *RUNS, *RUNS]


def test_a_session_of_version_0_1_0_is_resumed_under_its_own_fingerprint(
    picking: list[str], project: Path, picked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(picking)
    folder = project / "overlay/tomosoup/0"
    content = json.loads((folder / "settings.json").read_text())
    settings, today = content["settings"], fingerprint_of(content["settings"])
    plan = settings["plan"]
    plan["follow_noise"] = plan.pop("noise_correction")  # names of version 0.1.0
    plan["labels"] = plan.pop("segmentation")
    plan["labels"]["by"] = plan["labels"].pop("method")
    (folder / "settings.json").write_text(json.dumps(content))
    (folder / today).rename(folder / fingerprint_of(settings))
    main(picking)
    assert picked == RUNS
    main([*picking, "--redo", "--runs", "run_000"])
    assert picked == [*RUNS, "run_000"]
    assert "made with other settings (plan)" in refused([*picking, "--stride", "16", "16", "16"], capsys)


def test_files_and_picks_of_others_are_kept_unless_told(
    picking: list[str], project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.csv").write_text("mine")
    assert "p.csv exists already" in refused(picking, capsys)
    assert not (project / "overlay/tomosoup").exists()
    (tmp_path / "p.csv").unlink()
    main(picking)
    shutil.rmtree(project / "overlay/tomosoup")  # picks of a tomosoup that kept no records
    (tmp_path / "p.csv").unlink()
    assert "run_000, run_001, run_002 has picks tomosoup/0 already: choose" in refused(picking, capsys)
    main([*picking, "--overwrite"])
    assert records(project) == RUNS


def truncate_a_chunk(run: Path) -> None:
    chunk = next(p for p in chunks_of(run).rglob("*") if p.is_file() and p.name[0] != ".")
    chunk.write_bytes(chunk.read_bytes()[: chunk.stat().st_size // 2])


def drop_a_chunk(run: Path) -> None:
    group = zarr.open(str(chunks_of(run).parent), mode="r+")
    voxels = group["0"][:]
    group.create_dataset("0", data=voxels, chunks=(16, 48, 48), overwrite=True, dimension_separator="/")
    next(p for p in chunks_of(run).rglob("*") if p.is_file() and p.name[0] != ".").unlink()


def change_slices(region: slice, value: float) -> Callable[[Path], None]:
    def harm(run: Path) -> None:
        zarr.open(str(chunks_of(run).parent), mode="r+")["0"][region] = value

    return harm


def other_shape(*shape: int) -> Callable[[Path], None]:
    def harm(run: Path) -> None:
        group = zarr.open(str(chunks_of(run).parent), mode="r+")
        del group["0"]
        group.create_dataset("0", shape=shape, dtype="f4")

    return harm


HARMS: dict[str, Callable[[Path], None]] = {
    "cannot be read": truncate_a_chunk,
    "lacks chunk": drop_a_chunk,
    "NaN": change_slices(slice(3, 5), np.nan),
    "contrast": change_slices(slice(None), 7),
    "(0, 4, 4)": other_shape(0, 4, 4),
    "(32, 96)": other_shape(32, 96),
    "its folder holds no tomogram": lambda run: shutil.rmtree(chunks_of(run).parents[1]),
}


def test_bad_runs_are_named_and_cost_the_others_nothing(
    picking: list[str], project: Path, undisturbed: bytes, picked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = project / "static/ExperimentRuns"
    harms = {f"bad-{i}": says for i, says in enumerate(HARMS)}
    for name, says in harms.items():
        HARMS[says](shutil.copytree(runs / "run_001", runs / name))
    said = refused(picking, capsys)
    assert f"{len(harms)} of {len(harms) + 3} runs could not be picked" in said
    failures = json.loads((project / "overlay/tomosoup/0/failures.json").read_text())
    assert list(failures) == list(harms)
    assert all(says in failures[name]["error"] for name, says in harms.items())
    assert all(name in said for name in harms)
    assert table_of(picking) == undisturbed

    for name in harms:
        shutil.rmtree(runs / name)
        shutil.copytree(runs / "run_001", runs / name)
    picked.clear()
    main(picking)
    assert picked == list(harms)
    lines = table_of(picking).decode().splitlines()
    for name in harms:
        mended = [line.replace(name, "run_001") for line in lines if line.startswith(name)]
        assert mended == [line for line in undisturbed.decode().splitlines() if line.startswith("run_001")]
    assert not (project / "overlay/tomosoup/0/failures.json").exists()


def test_missing_chunks_are_zeros_where_one_says_so(picking: list[str], project: Path) -> None:
    drop_a_chunk(project / "static/ExperimentRuns/run_001")
    main([*picking, "--missing-chunks", "zero"])
    assert records(project) == RUNS


def test_one_reason_for_all_runs_is_one_row(picking: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = refused([*picking, "--voxel-size", "78.4"], capsys)
    assert said.count("Voxels of 78.4 Å cannot be resampled to 10 Å") == 1
    assert "3 of 3 runs could not be picked" in said


def test_an_empty_mrc_file_is_named(
    project: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mrc"
    folder.mkdir()
    (folder / "empty.mrc").touch()
    volume = zarr.open(str(chunks_of(project / "static/ExperimentRuns/run_000").parent), mode="r")["0"][:]
    mrcfile.write(folder / "whole.mrc", volume, voxel_size=10.0)
    words = ["pick", str(folder), "--model", str(model), "--output", str(tmp_path / "p.csv")]
    assert "1 of 2 runs could not be picked" in refused(words, capsys)
    failures = json.loads((tmp_path / "p.copick/overlay/tomosoup/0/failures.json").read_text())
    assert "empty.mrc cannot be read as an MRC volume" in failures["empty"]["error"]
    assert set(open_project(tmp_path / "p.copick").pick_sets("whole")) == {
        ("tomosoup", "0"),
        ("tomosoup", "0-candidates"),
    }
    mrcfile.write(folder / "empty.mrc", volume, voxel_size=10.0, overwrite=True)
    main(words)
    lines = (tmp_path / "p.csv").read_text().splitlines()[1:]
    assert [s.replace("empty", "whole") for s in lines if s.startswith("empty")] == [s for s in lines if s[0] == "w"]


class Flaky(LocalFileSystem):
    """A local file system on which reading the chunks of run_001 takes long, or fails a number of times."""

    protocol = "flaky"
    failures = 0
    seconds = 0.0

    def cat_file(self, path: str, *part: int | None, **options: Any) -> bytes:
        if "run_001" in path and re.search(r"/0/[\d./]+$", path):
            time.sleep(Flaky.seconds)
            if Flaky.failures:
                Flaky.failures -= 1
                raise OSError(5, "Input/output error")
        content: bytes = super().cat_file(path, *part, **options)
        return content


@pytest.mark.parametrize("passing", [True, False])
def test_what_a_file_system_refuses_is_tried_again_and_never_read_as_zeros(
    passing: bool,
    picking: list[str],
    project: Path,
    undisturbed: bytes,
    picked: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    point(project, static=f"flaky://{project / 'static'}")
    monkeypatch.setattr(Flaky, "failures", 1 if passing else 10**6)
    picked.clear()
    if passing:
        main(picking)
        assert picked == ["run_000", "run_002", "run_001"]
        assert table_of(picking) == undisturbed
        return
    assert "Input/output error" in refused(picking, capsys)
    assert records(project) == ["run_000", "run_002"]
    Flaky.failures = 0
    main(picking)
    assert picked == ["run_000", "run_002", "run_001"]
    assert table_of(picking) == undisturbed


def test_a_slow_file_system_costs_nothing_but_time(
    picking: list[str], project: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    point(project, static=f"flaky://{project / 'static'}")
    monkeypatch.setattr(Flaky, "seconds", 0.5)
    main(picking)
    assert table_of(picking) == undisturbed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of its own, mounted with the options that it is called with; again for other options."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        again = ["-o", f"remount,{options}"] if os.path.ismount(place) else ["-o", options]
        done = subprocess.run(["mount", "-t", "tmpfs", *again, "tmpfs", place], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this user may not mount a disk ({done.stderr.strip()})")
        return place

    yield mount
    if os.path.ismount(place):
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_ends_the_work_and_room_lets_it_go_on(
    small_disk: Callable[[str], Path],
    picking: list[str],
    project: Path,
    undisturbed: bytes,
    undisturbed_folder: Path,
    tmp_path: Path,
    picked: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    room = sum(
        file.stat().st_size // 4096 + 1
        for file in (undisturbed_folder / "project/overlay").rglob("*")
        if file.is_file()
    )
    point(project, overlay=small_disk(f"size={room * 4096 // 2}"))
    picked.clear()
    said = refused(picking, capsys)
    assert "No space left on device" in said
    assert "were not tried" in said
    assert "run_002" not in picked
    assert not (tmp_path / "p.csv").exists()
    small_disk("size=100m")
    main(picking)
    assert sorted(set(picked)) == RUNS
    assert picked.count("run_000") == 1
    assert table_of(picking) == undisturbed


def test_an_overlay_that_may_not_be_written_is_told_before_anything_is_picked(
    small_disk: Callable[[str], Path],
    picking: list[str],
    project: Path,
    picked: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    point(project, overlay=small_disk("size=1m,ro"))
    assert "Read-only file system" in refused(picking, capsys)
    assert not picked


def test_a_killed_command_goes_on_and_two_at_once_do_no_harm(
    picking: list[str], project: Path, undisturbed: bytes
) -> None:
    slow = ["--stride", "4", "8", "8"]
    with start(*picking, *slow) as killed:
        while not records(project) and killed.poll() is None:
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    done = records(project)
    assert 1 <= len(done) < 3
    files = [*project.glob("overlay/ExperimentRuns/*/Picks/tomosoup_0_*")]
    before = [(file, file.read_bytes(), file.stat().st_mtime_ns) for file in files if file.parts[-3] in done]
    with start(*picking, *slow) as other:
        main([*picking, *slow])
        _, said = other.communicate(timeout=300)
    assert other.returncode == 0, said
    assert records(project) == RUNS
    assert before == [(file, file.read_bytes(), file.stat().st_mtime_ns) for file, *_ in before]
    main([*picking, "--overwrite"])
    assert table_of(picking) == undisturbed


def test_shards_share_the_runs_and_the_last_writes_the_table(
    picking: list[str], undisturbed: bytes, picked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picked.clear()
    main([*picking, "--shard", "2/2"])
    assert picked == ["run_001"]
    assert "Left for other shards: 2 runs" in capsys.readouterr().out
    assert not (tmp_path / "p.csv").exists()
    main([*picking, "--shard", "1/2"])
    assert picked == ["run_001", "run_000", "run_002"]
    assert table_of(picking) == undisturbed


def test_a_shard_answers_for_its_own_runs_and_begins_no_session_anew(
    picking: list[str], project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    HARMS["contrast"](project / "static/ExperimentRuns/run_001")
    assert "1 of 1 run could not be picked" in refused([*picking, "--shard", "2/2"], capsys)
    assert not (tmp_path / "p.csv").exists()
    main([*picking, "--shard", "1/2"])  # ends well, and writes what there is
    assert set(read_csv(tmp_path / "p.csv")) == {"run_000", "run_002"}
    with pytest.raises(SystemExit) as end:
        main([*picking, "--shard", "1/2", "--overwrite"])
    assert end.value.code == 2
    assert "--overwrite removes the picks of a session" in capsys.readouterr().err


def test_a_store_travels_without_what_it_has_open(project: Path) -> None:
    import pickle

    store = PickStore(project / "copick_config.json", "0", "abc")
    assert store.root.runs
    assert vars(pickle.loads(pickle.dumps(store))) == {
        "config": project / "copick_config.json",
        "name": "0",
        "fingerprint": "abc",
    }
