"""Small things that many tests use."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tomosoup.checkpoints import Checkpoint
from tomosoup.engines import choice
from tomosoup.io.project import open_project
from tomosoup.nets import build_net
from tomosoup.recipes.commands import SimulateCommand
from tomosoup.recipes.nets import NetRecipe
from tomosoup.recipes.picking import WindowPlan
from tomosoup.recipes.simulation import MicroscopeRecipe, SimulationRecipe
from tomosoup.recipes.training import TrainingRecipe
from tomosoup.simulation.projects import simulate_project

# The nets of the tests are tiny: a second thread only waits for the first.
torch.set_num_threads(1)

SHARED = Path(__file__).parents[2] / "shared"

TINY_NET = NetRecipe(backbone="mobilenetv3_small_050", input_slices=3, decoder_widths=(16, 12, 8))
TINY_PLAN = WindowPlan(shape=(16, 64, 64), stride=(16, 32, 32))
TINY_TRAINING = TrainingRecipe(
    net=TINY_NET, windows=TINY_PLAN, epochs=2, warmup_epochs=0.5, batch_size=4, average_decay=0.5, sigma=40.0
)
TINY_SIMULATION = SimulationRecipe(
    shape=(32, 96, 96),
    concentration={"apo-ferritin": 30000.0, "beta-amylase": 15000.0},
    microscope=MicroscopeRecipe(tilt_step=6.0),
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is chosen by itself, and so every output, is the same on all CPUs."""
    monkeypatch.setattr(choice, "cpu_has_bf16", lambda: False)
    monkeypatch.setattr(choice, "openvino_has_bf16", lambda: False)


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
    simulate_project(SimulateCommand(out=folder, runs=3, simulation=TINY_SIMULATION))
    return folder


@pytest.fixture(scope="session")
def checkpoint(project_folder: Path) -> Checkpoint:
    """An untrained net of the right form."""
    species = open_project(project_folder).species
    torch.manual_seed(0)
    net = build_net(TINY_NET, classes=len(species))
    torch.nn.init.normal_(net.head.weight, std=3.0)  # heads start quiet; this one is to find something
    return Checkpoint(
        weights=net.state_dict(),
        architecture=TINY_NET,
        species=species,
        voxel_size=10.0,
        windows=TINY_PLAN,
        thresholds={s.name: 0.4 for s in species},
        history=({"step": "made by a test"},),
    )


@pytest.fixture
def project(project_folder: Path, tmp_path: Path) -> Path:
    """A copy of the simulated project that a test may write to."""
    copy = tmp_path / "project"
    shutil.copytree(project_folder, copy)
    config = json.loads((copy / "copick_config.json").read_text())
    config |= {f"{part}_root": f"local://{copy / part}" for part in ("static", "overlay")}
    (copy / "copick_config.json").write_text(json.dumps(config))
    return copy


@pytest.fixture
def model(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def start(*words: object) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    code = "from tomosoup.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
