"""Projects on S3-compatible storage, against a real server on loopback."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
import requests
import torch
from moto.server import ThreadedMotoServer

from tomosoup.checkpoints import Checkpoint
from tomosoup.cli import main
from tomosoup.errors import InputError
from tomosoup.io import copick_files, remote
from tomosoup.io.project import open_project
from tomosoup.io.selection import read_truth, select_tomogram
from tomosoup.io.tables import read_csv
from tomosoup.recipes.data import DataRecipe
from tomosoup.types import Picks

ANY = DataRecipe()
KEYS = {"key": "someone", "secret": "something"}
PLACES = Picks(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([0.9, 0.25]))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an S3 server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server: str) -> Iterator[Any]:
    """Another program that sees the storage: a plain client, empty buckets `tomograms` and `picks`."""
    requests.post(f"{server}/moto-api/reset", timeout=30)
    names = {"aws_access_key_id": KEYS["key"], "aws_secret_access_key": KEYS["secret"], "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=server, **names)
    for bucket in ("tomograms", "picks"):
        client.create_bucket(Bucket=bucket)
    yield client
    client.close()


@pytest.fixture
def refuse(server: str) -> Iterator[Callable[[], object]]:
    """Call it, and the server knows nobody's key any more, until the test ends."""
    yield lambda: requests.post(f"{server}/moto-api/reset-auth", data=b"0", timeout=30)
    requests.post(f"{server}/moto-api/reset-auth", data=b"1e9", timeout=30)


@pytest.fixture
def config(server: str, s3: Any, project_folder: Path, tmp_path: Path) -> Path:
    """The simulated project with its tomograms and true picks in one bucket, and its overlay, empty, in another."""
    static = project_folder / "static"
    for file in filter(Path.is_file, static.rglob("*")):
        s3.put_object(Bucket="tomograms", Key=f"a/project/{file.relative_to(static)}", Body=file.read_bytes())
    arguments = {**KEYS, "endpoint_url": server}
    said = json.loads((project_folder / "copick_config.json").read_text()) | {
        "static_root": "s3://tomograms/a/project",
        "static_fs_args": arguments,
        "overlay_root": "s3://picks/mine",
        "overlay_fs_args": arguments,
    }
    (tmp_path / "copick_config.json").write_text(json.dumps(said))
    return tmp_path / "copick_config.json"


@pytest.fixture
def model(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def changed(config: Path, **entries: Any) -> Path:
    config.write_text(json.dumps(json.loads(config.read_text()) | entries))
    return config


def keys(s3: Any, bucket: str) -> set[str]:
    return {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def write(project: Any, picks: dict[str, Picks]) -> None:
    assert "run_000" in project.runs
    copick_files.write_picks(project.root.get_run("run_000"), picks, user="alice", session="1")


def test_a_project_on_s3_reads_as_on_a_disk(config: Path, project_folder: Path) -> None:
    there, here = open_project(config), open_project(project_folder)
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


def test_voxels_on_s3_are_not_read_before_they_are_asked_for(config: Path, s3: Any, project_folder: Path) -> None:
    tomogram = select_tomogram(open_project(config), "run_000", ANY)
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
    config: Path, model: Path, s3: Any, project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = tmp_path / "local.json"
    local.write_text(
        json.dumps(json.loads((project_folder / "copick_config.json").read_text()) | {"overlay_root": f"{tmp_path}/o"})
    )
    scores = []
    for project in (local, config):
        csv = tmp_path / f"{project.stem}.csv"
        main(f"pick {project} --model {model} --runs run_000 run_001 --output {csv}".split())
        main(f"threshold {project} --threshold 0.6 --output {csv} --overwrite".split())
        capsys.readouterr()
        main(f"score {project} {project} --json".split())
        scores.append(json.loads(capsys.readouterr().out))
    assert scores[0] == scores[1]
    assert scores[1]["runs"] == ["run_000", "run_001"]
    near, far = (read_csv(tmp_path / f"{p.stem}.csv") for p in (local, config))
    assert sum(len(p) for picks in near.values() for p in picks.values()) > 0
    stored = {run: open_project(config).pick_sets(run)["tomosoup", "0"]() for run in far}
    for run, picks in near.items():
        for name, found in picks.items():
            np.testing.assert_array_equal(far[run][name].score, found.score)
            np.testing.assert_allclose(stored[run][name].zyx, found.zyx, atol=1e-2)
            np.testing.assert_allclose(stored[run][name].score, found.score, atol=1e-5)
    assert not any("tomosoup" in key for key in keys(s3, "tomograms"))


def test_what_other_programs_write_and_delete_on_s3_is_seen_at_once(config: Path, s3: Any) -> None:
    first, second = open_project(config), open_project(config)
    write(first, {"apo-ferritin": PLACES, "ribosome": PLACES})
    assert set(second.pick_sets("run_000")["alice", "1"]()) == {"apo-ferritin", "ribosome"}
    (key,) = [key for key in keys(s3, "picks") if "ribosome" in key]
    body = s3.get_object(Bucket="picks", Key=key)["Body"].read()
    s3.delete_object(Bucket="picks", Key=key)
    assert set(open_project(config).pick_sets("run_000")["alice", "1"]()) == {"apo-ferritin"}
    s3.put_object(Bucket="picks", Key=key.replace("alice", "bob"), Body=body)
    assert ("bob", "1") in open_project(config).pick_sets("run_000")
    assert ("bob", "1") in first.pick_sets("run_000")


def test_a_second_write_to_s3_takes_the_place_of_the_first(config: Path, s3: Any) -> None:
    write(open_project(config), {"apo-ferritin": PLACES, "ribosome": PLACES})
    project = open_project(config)
    write(project, {"apo-ferritin": PLACES.above(0.5)})
    picks = project.pick_sets("run_000")["alice", "1"]()
    assert {name: p.score.tolist() for name, p in picks.items()} == {"apo-ferritin": [0.9]}
    assert keys(s3, "picks") == {"mine/ExperimentRuns/run_000/Picks/alice_1_apo-ferritin.json"}


def test_a_write_that_s3_refuses_leaves_the_old_picks(config: Path, s3: Any, refuse: Callable[[], object]) -> None:
    project = open_project(config)
    write(project, {"ribosome": PLACES})
    refuse()
    with pytest.raises(InputError, match="picks of run run_000 is refused by the server"):
        write(project, {"ribosome": PLACES.above(0.5)})
    requests.post(f"{s3.meta.endpoint_url}/moto-api/reset-auth", data=b"1e9", timeout=30)
    assert len(open_project(config).pick_sets("run_000")["alice", "1"]()["ribosome"]) == 2


def test_voxels_that_s3_refuses_are_not_taken_for_zeros(config: Path, refuse: Callable[[], object]) -> None:
    tomogram = select_tomogram(open_project(config), "run_000", ANY)
    refuse()
    with pytest.raises(InputError, match="Tomogram run_000/wbp is refused by the server"):
        tomogram.slices(0, 4)


def test_a_bucket_that_is_not_there_is_named_and_not_made(config: Path, s3: Any) -> None:
    changed(config, overlay_root="s3://piks/mine")
    with pytest.raises(InputError, match=r"overlay_root s3://piks/mine does not exist .*: check overlay_root"):
        open_project(config)
    assert {b["Name"] for b in s3.list_buckets()["Buckets"]} == {"tomograms", "picks"}


def test_a_static_root_without_files_is_named(config: Path) -> None:
    changed(config, static_root="s3://tomograms/a/projekt")
    with pytest.raises(InputError, match="static_root s3://tomograms/a/projekt is empty"):
        open_project(config)


def test_credentials_that_s3_does_not_know_get_one_sentence(
    config: Path, model: Path, refuse: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    refuse()
    with pytest.raises(SystemExit) as end:
        main(f"pick {config} --model {model} --output {config.parent / 'picks.csv'}".split())
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert said.count("tomosoup: ") == 1
    assert "is refused by the server" in said
    assert "key, secret" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("listening", [False, True], ids=["closed port", "silent server"])
def test_a_server_that_does_not_answer_gets_one_sentence(
    config: Path, listening: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if not listening:
            silent.close()
        changed(config, overlay_fs_args={**KEYS, "endpoint_url": url})
        with pytest.raises(InputError, match=r"overlay_root s3://picks/mine cannot be reached .*endpoint_url"):
            open_project(config)
