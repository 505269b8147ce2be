"""Small things that many tests use."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# The nets of the tests are tiny: a second thread only waits for the first, here and in processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"
# What is chosen by itself, and so every output, is the same on all CPUs.
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"

import pytest
import torch
from browsing import SWITCHES, Opened

from tomosoup.cli.main import main
from tomosoup.data.project import open_project
from tomosoup.inference.jobs import run_picker
from tomosoup.inference.pick import pick_with
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Event
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import NetOptions
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.project import simulate
from tomosoup.training.options import TrainingRecipe

torch.set_num_threads(1)  # where a plugin was first to import torch

SHARED = Path(__file__).parents[2] / "shared"

TINY_NET = NetOptions(backbone="test_efficientnet", input_slices=3, decoder_widths=(16, 12, 8))
TINY_PLAN = WindowPlan(shape=(16, 64, 64), stride=(16, 32, 32))
TINY_TRAINING = TrainingRecipe(
    net=TINY_NET, windows=TINY_PLAN, epochs=2, warmup_epochs=0.5, batch_size=4, average_decay=0.5, sigma=40.0
)
TINY_SIMULATION = SimulationRecipe(
    shape=(32, 96, 96),
    concentration={"apo-ferritin": 30000.0, "beta-amylase": 15000.0},
    microscope=MicroscopeOptions(tilt_step=6.0),
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The winners' own outputs."""
    folder = SHARED / "reference"
    if not folder.is_dir():
        pytest.skip("the reference outputs are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real picks and maps."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the real data are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def project_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated copick project of three small runs; tests that write work on a copy."""
    folder = tmp_path_factory.mktemp("simulated") / "project"
    simulate(folder, TINY_SIMULATION, runs=3)
    return folder


@pytest.fixture(scope="session")
def checkpoint(project_folder: Path) -> Checkpoint:
    """An untrained net of the right form."""
    species = open_project(project_folder).species
    torch.manual_seed(0)
    net = build_net(TINY_NET, classes=len(species))
    torch.nn.init.normal_(net.head.weight, std=5.0)  # heads start small; this one is to find something
    return Checkpoint(
        weights=net.state_dict(),
        architecture=TINY_NET,
        species=species,
        voxel_size=10.0,
        windows=TINY_PLAN,
        thresholds={s.name: 0.4 for s in species},
        history=(Event(step="made by a test"),),
    )


@pytest.fixture
def project(project_folder: Path, tmp_path: Path) -> Path:
    """A copy of the simulated project that a test may write to."""
    return copied(project_folder, tmp_path / "project")


def copied(project: Path, copy: Path) -> Path:
    """A copy of a copick project whose configuration names its own folders."""
    shutil.copytree(project, copy)
    config = json.loads((copy / "copick_config.json").read_text())
    config |= {f"{part}_root": f"local://{copy / part}" for part in ("static", "overlay")}
    (copy / "copick_config.json").write_text(json.dumps(config))
    return copy


@pytest.fixture
def model(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.fixture
def picked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that nets have been run on in this process."""
    runs: list[str] = []

    def noted(nets: Any, tomogram: Any, *rest: Any, **options: Any) -> Any:
        runs.append(tomogram.run)
        return pick_with(nets, tomogram, *rest, **options)

    monkeypatch.setattr(run_picker, "pick_with", noted)
    return runs


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail with one sentence; returns the sentence."""

    def run(*words: object, code: int = 1) -> str:
        with pytest.raises(SystemExit) as end:
            main([str(w) for w in words])
        assert end.value.code == code
        said = capsys.readouterr().err
        assert "Traceback" not in said
        (sentence,) = [line for line in said.splitlines() if line.startswith("tomosoup: ")]
        return sentence

    return run


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that must fail with code 1, its lines joined."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return " ".join(re.sub("[│┃]", " ", said).split())


def start(*words: object) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    code = "from tomosoup.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
    )


# Projects on S3, against a real server on loopback.

S3_KEYS = {"key": "someone", "secret": "something"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an S3 server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server: str) -> Iterator[Any]:
    """Another program that sees the storage: a plain client, empty buckets `tomograms` and `picks`."""
    import boto3
    import requests

    requests.post(f"{server}/moto-api/reset", timeout=30)
    names = {
        "aws_access_key_id": S3_KEYS["key"],
        "aws_secret_access_key": S3_KEYS["secret"],
        "region_name": "us-east-1",
    }
    client = boto3.client("s3", endpoint_url=server, **names)
    for bucket in ("tomograms", "picks"):
        client.create_bucket(Bucket=bucket)
    yield client
    client.close()


@pytest.fixture
def trust(server: str) -> Iterator[Callable[[bool], object]]:
    """Call it with False, and the server knows nobody's key any more, until it is called with True or the test ends."""
    import requests

    def set_trust(yes: bool) -> object:
        return requests.post(f"{server}/moto-api/reset-auth", data=b"1e9" if yes else b"0", timeout=30)

    yield set_trust
    set_trust(True)


@pytest.fixture
def s3_config(server: str, s3: Any, project_folder: Path, tmp_path: Path) -> Path:
    """The simulated project with its tomograms and true picks in one bucket, and its overlay, empty, in another."""
    static = project_folder / "static"
    for file in filter(Path.is_file, static.rglob("*")):
        s3.put_object(Bucket="tomograms", Key=f"a/project/{file.relative_to(static)}", Body=file.read_bytes())
    arguments = {**S3_KEYS, "endpoint_url": server}
    said = json.loads((project_folder / "copick_config.json").read_text()) | {
        "static_root": "s3://tomograms/a/project",
        "static_fs_args": arguments,
        "overlay_root": "s3://picks/mine",
        "overlay_fs_args": arguments,
    }
    (tmp_path / "s3.json").write_text(json.dumps(said))
    return tmp_path / "s3.json"


def keys(s3: Any, bucket: str) -> set[str]:
    """What a bucket holds."""
    return {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def changed(config: Path, **entries: Any) -> Path:
    """A configuration with other entries."""
    config.write_text(json.dumps(json.loads(config.read_text()) | entries))
    return config


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on the path (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=SWITCHES.split())
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(browser: Any) -> Opened:
    return Opened(browser)


@pytest.fixture
def opened(pages: Opened) -> Iterator[Opened]:
    """Opens pages; in the end none may have complained or asked for anything."""
    pages.trouble.clear()
    yield pages
    assert pages.trouble == []
