"""Projects on S3-compatible storage, against a real server on loopback: read, picked, gone on with, refused."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import S3_KEYS, changed, keys, refused

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick import remote
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.jobs import run_picker
from tomosoup.inference.jobs.job import begin_job
from tomosoup.inference.jobs.run_picker import RunPicker

ANY = DataOptions()
DONE = {"settings.json", "run_000.json", "run_001.json", "run_002.json"}
PLACES = Picks(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([0.9, 0.25]))


def write(project: Any, picks: dict[str, Picks]) -> None:
    assert "run_000" in project.runs
    copick_files.write_picks(project.root.get_run("run_000"), picks, PickSet("alice", "1"))


def test_a_project_on_s3_reads_as_on_a_disk(s3_config: Path, project_folder: Path) -> None:
    there, here = open_project(s3_config), open_project(project_folder)
    assert (there.runs, there.species) == (here.runs, here.species)
    for run in here.runs:
        far, near = select_tomogram(there, run, ANY), select_tomogram(here, run, ANY)
        assert (far.shape, far.voxel_size) == (near.shape, near.voxel_size)
        torch.testing.assert_close(far.slices(3, 7), near.slices(3, 7))
        torch.testing.assert_close(far.read().data, near.read().data)
        true = read_truth(here, run)
        assert {n: p.zyx.tolist() for n, p in read_truth(there, run).items()} == {
            n: p.zyx.tolist() for n, p in true.items()
        }


def test_voxels_on_s3_are_not_read_before_they_are_asked_for(s3_config: Path, s3: Any, project_folder: Path) -> None:
    tomogram = select_tomogram(open_project(s3_config), "run_000", ANY)
    for key in keys(s3, "tomograms"):
        if "run_001" in key and "VoxelSpacing" in key:
            s3.copy_object(
                Bucket="tomograms",
                Key=key.replace("run_001", "run_000"),
                CopySource={"Bucket": "tomograms", "Key": key},
            )
    other = select_tomogram(open_project(project_folder), "run_001", ANY)
    torch.testing.assert_close(tomogram.read().data, other.read().data)


def test_pick_threshold_and_score_work_on_s3_as_on_a_disk(
    s3_config: Path, model: Path, s3: Any, project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = tmp_path / "local.json"
    local.write_text(
        json.dumps(json.loads((project_folder / "copick_config.json").read_text()) | {"overlay_root": f"{tmp_path}/o"})
    )
    scores = []
    for project in (local, s3_config):
        csv = tmp_path / f"{project.stem}.csv"
        main(f"pick {project} --model {model} --runs run_000 --threshold 0.1 --output {csv}".split())
        main(f"threshold {project} --threshold 0.14 --output {csv} --overwrite".split())
        capsys.readouterr()
        main(f"score {project} {project} --json".split())
        scores.append(json.loads(capsys.readouterr().out))
    assert scores[0] == scores[1]
    assert scores[1]["runs"] == ["run_000"]
    near, far = (read_csv(tmp_path / f"{p.stem}.csv") for p in (local, s3_config))
    assert sum(len(p) for picks in near.values() for p in picks.values()) > 0
    stored = {run: open_project(s3_config).pick_sets(run)["tomosoup", "0"]() for run in far}
    for run, picks in near.items():
        for name, found in picks.items():
            np.testing.assert_array_equal(far[run][name].score, found.score)
            np.testing.assert_allclose(stored[run][name].zyx, found.zyx, atol=1e-2)
            np.testing.assert_allclose(stored[run][name].score, found.score, atol=1e-5)
    assert not any("tomosoup" in key for key in keys(s3, "tomograms"))


@pytest.fixture
def picking(s3_config: Path, model: Path, tmp_path: Path) -> list[str]:
    """The command, but for options."""
    return ["pick", str(s3_config), "--model", str(model), "--threshold", "0.14", "--output", str(tmp_path / "p.csv")]


def records(s3: Any) -> set[str]:
    """The files of the session's records, without the fingerprint of its settings; all records are of one."""
    names = {key.removeprefix("mine/tomosoup/0/") for key in keys(s3, "picks") if key.startswith("mine/tomosoup/")}
    assert len({name.split("/")[0].removesuffix("-failed") for name in names if "/" in name}) <= 1
    return {name.rpartition("/")[2] for name in names}


def test_picking_on_s3_goes_on_with_what_is_left(
    picking: list[str], s3: Any, picked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (chunk,) = [key for key in keys(s3, "tomograms") if "run_001" in key and key.endswith("wbp.zarr/0/0/0/0")]
    voxels = s3.get_object(Bucket="tomograms", Key=chunk)["Body"].read()
    s3.delete_object(Bucket="tomograms", Key=chunk)
    assert "1 of 3 runs could not be picked" in refused(picking, capsys)
    assert records(s3) == {"settings.json", "failures.json", "run_000.json", "run_001.json", "run_002.json"}
    failures = json.loads(s3.get_object(Bucket="picks", Key="mine/tomosoup/0/failures.json")["Body"].read())
    assert "run_001/wbp lacks chunk" in failures["run_001"]["error"]
    assert set(read_csv(tmp_path / "p.csv")) == {"run_000", "run_002"}

    s3.put_object(Bucket="tomograms", Key=chunk, Body=voxels)
    picked.clear()
    main(picking)
    assert picked == ["run_001"]
    assert records(s3) == DONE
    assert set(read_csv(tmp_path / "p.csv")) == {"run_000", "run_001", "run_002"}
    main(picking)
    assert picked == ["run_001"]
    assert "Picked before, and kept: 3 of 3 runs" in capsys.readouterr().out


def test_settings_are_never_mixed_in_a_session_on_s3(
    picking: list[str], s3_config: Path, s3: Any, picked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    picking += ["--runs", "run_000"]
    main(picking)
    other = [*picking, "--threshold", "0.15"]
    assert "made with other settings (thresholds): give the same options" in refused(other, capsys)
    assert picked == ["run_000"]
    main([*other, "--overwrite"])
    assert picked == ["run_000", "run_000"]
    assert records(s3) == {"settings.json", "run_000.json"}
    scores = [p.score for p in open_project(s3_config).pick_sets("run_000")["tomosoup", "0"]().values()]
    assert np.concatenate(scores).min() >= 0.15

    main(f"threshold {s3_config} --threshold 0.2".split())
    main([*picking, "--threshold", "0.2", "--output", str(s3_config.parent / "again.csv")])  # as if picked with it
    assert picked == ["run_000", "run_000"]


def test_storage_that_takes_nothing_any_more_ends_the_command_and_the_same_finishes(
    picking: list[str],
    picked: list[str],
    trust: Callable[[bool], object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pick = run_picker.pick_with

    def pick_and_refuse(nets: Any, tomogram: Any, *rest: Any, **options: Any) -> Any:
        found = pick(nets, tomogram, *rest, **options)
        trust(tomogram.run != "run_001")
        return found

    monkeypatch.setattr(run_picker, "pick_with", pick_and_refuse)
    assert "folder of records picks/mine/tomosoup/0 is refused" in refused(picking, capsys)
    assert picked == ["run_000", "run_001"]  # not run_002, of which nothing could be kept
    assert not (tmp_path / "p.csv").exists()
    trust(True)
    picked.clear()
    monkeypatch.setattr(run_picker, "pick_with", pick)
    main(picking)
    assert picked == ["run_001", "run_002"]


def test_a_bucket_that_goes_while_runs_are_picked_is_not_made_again(
    s3_config: Path, model: Path, s3: Any, picked: list[str]
) -> None:
    job = begin_job(s3_config, [model], ["run_000"])
    bench = RunPicker(job)
    tomogram = bench.open("run_000")
    for key in keys(s3, "picks"):
        s3.delete_object(Bucket="picks", Key=key)
    s3.delete_bucket(Bucket="picks")
    outcome = bench.pick(tomogram)
    assert picked == ["run_000"]
    assert "The records of session 0 were removed while this command ran" in outcome.error
    assert outcome.final
    with pytest.raises(InputError, match="folder of records picks/mine/tomosoup/0 does not exist"):
        job.store.session.begin({"plan": 1})
    assert {b["Name"] for b in s3.list_buckets()["Buckets"]} == {"tomograms"}


def test_what_other_programs_write_and_delete_on_s3_is_seen_at_once(s3_config: Path, s3: Any) -> None:
    first, second = open_project(s3_config), open_project(s3_config)
    write(first, {"apo-ferritin": PLACES, "ribosome": PLACES})
    assert set(second.pick_sets("run_000")["alice", "1"]()) == {"apo-ferritin", "ribosome"}
    (key,) = [key for key in keys(s3, "picks") if "ribosome" in key]
    body = s3.get_object(Bucket="picks", Key=key)["Body"].read()
    s3.delete_object(Bucket="picks", Key=key)
    assert set(open_project(s3_config).pick_sets("run_000")["alice", "1"]()) == {"apo-ferritin"}
    s3.put_object(Bucket="picks", Key=key.replace("alice", "bob"), Body=body)
    assert ("bob", "1") in open_project(s3_config).pick_sets("run_000")
    assert ("bob", "1") in first.pick_sets("run_000")


def test_a_second_write_to_s3_takes_the_place_of_the_first(s3_config: Path, s3: Any) -> None:
    write(open_project(s3_config), {"apo-ferritin": PLACES, "ribosome": PLACES})
    project = open_project(s3_config)
    write(project, {"apo-ferritin": PLACES.above(0.5)})
    picks = project.pick_sets("run_000")["alice", "1"]()
    assert {name: p.score.tolist() for name, p in picks.items()} == {"apo-ferritin": [0.9]}
    assert keys(s3, "picks") == {"mine/ExperimentRuns/run_000/Picks/alice_1_apo-ferritin.json"}


def test_a_write_that_s3_refuses_leaves_the_old_picks(s3_config: Path, trust: Callable[[bool], object]) -> None:
    project = open_project(s3_config)
    write(project, {"ribosome": PLACES})
    trust(False)
    with pytest.raises(InputError, match="picks of run run_000 is refused"):
        write(project, {"ribosome": PLACES.above(0.5)})
    trust(True)
    assert len(open_project(s3_config).pick_sets("run_000")["alice", "1"]()["ribosome"]) == 2


@pytest.mark.parametrize("missing", ["error", "zero"])
def test_voxels_that_s3_refuses_are_not_taken_for_zeros(
    s3_config: Path, trust: Callable[[bool], object], missing: str
) -> None:
    tomogram = select_tomogram(open_project(s3_config), "run_000", DataOptions(missing_chunks=missing))
    trust(False)
    with pytest.raises(InputError, match="Tomogram run_000/wbp is refused"):
        tomogram.slices(0, 4)


def test_a_bucket_that_is_not_there_is_named_and_not_made(
    picking: list[str], s3_config: Path, s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(s3_config, overlay_root="s3://piks/mine")
    said = refused(picking, capsys)
    assert "overlay_root s3://piks/mine does not exist" in said
    assert "check overlay_root" in said
    assert {b["Name"] for b in s3.list_buckets()["Buckets"]} == {"tomograms", "picks"}


def test_a_bucket_that_is_gone_is_not_made_again(s3_config: Path, s3: Any) -> None:
    project = open_project(s3_config)
    assert project.runs
    s3.delete_bucket(Bucket="picks")
    with pytest.raises(InputError, match="The place for picks of run run_000 does not exist"):
        write(project, {"ribosome": PLACES})
    assert {b["Name"] for b in s3.list_buckets()["Buckets"]} == {"tomograms"}


@pytest.mark.parametrize(
    "arguments", ["someone:something", {"endpoint": "x"}, {"endpoint_url": "no URL"}, {"config_kwargs": {"speed": 1}}]
)
def test_arguments_that_s3_cannot_use_get_one_sentence(s3_config: Path, arguments: object) -> None:
    changed(s3_config, overlay_fs_args=arguments)
    with pytest.raises(InputError, match=r"s3.json is not a copick configuration .*\("):
        open_project(s3_config)


def test_a_configuration_that_is_a_list_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InputError, match=r"list.json is not a copick configuration"):
        open_project(tmp_path / "list.json")


def test_a_static_root_without_files_is_named(s3_config: Path) -> None:
    changed(s3_config, static_root="s3://tomograms/a/projekt")
    with pytest.raises(InputError, match="static_root s3://tomograms/a/projekt is empty"):
        open_project(s3_config)


def test_credentials_that_s3_does_not_know_get_one_sentence(
    s3_config: Path, model: Path, trust: Callable[[bool], object], capsys: pytest.CaptureFixture[str]
) -> None:
    trust(False)
    with pytest.raises(SystemExit) as end:
        main(f"pick {s3_config} --model {model} --output {s3_config.parent / 'picks.csv'}".split())
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert said.count("tomosoup: ") == 1
    assert "is refused" in said
    assert "key, secret" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("listening", [False, True], ids=["closed port", "silent server"])
def test_a_server_that_does_not_answer_gets_one_sentence(
    s3_config: Path, listening: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if not listening:
            silent.close()
        changed(s3_config, overlay_fs_args={**S3_KEYS, "endpoint_url": url})
        with pytest.raises(InputError, match=r"overlay_root s3://picks/mine cannot be reached .*endpoint_url"):
            open_project(s3_config)
