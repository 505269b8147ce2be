"""The examples for workflow engines: what they pick and export."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import starfile

from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.volumes.mrc import write_mrc

WORKFLOWS = Path(__file__).parents[2] / "workflows"


@pytest.fixture
def tomograms(project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two MRC files, beside which the engines run; they find this environment's programs."""
    folder = tmp_path / "my tomograms"
    folder.mkdir()
    for run in ("run_000", "run_001"):
        volume = select_tomogram(open_project(project_folder), run, DataOptions()).read()
        write_mrc(folder / f"{run}.mrc", volume, label="")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    return folder


def check_results(folder: Path) -> None:
    picks = read_csv(folder / "picks.csv")
    assert sorted(picks) == ["run_000", "run_001"]
    for name in {name for of_run in picks.values() for name in of_run}:
        particles = starfile.read(folder / "relion5" / f"{name}.star")
        assert len(particles) == sum(len(of_run.get(name, ())) for of_run in picks.values())


def test_snakemake_picks_in_jobs_and_does_nothing_twice(tomograms: Path, model: Path) -> None:
    config = [f"project={tomograms}", "shards=2", f"pick=--model '{model}' --threshold 0.1", "output=found"]
    call = [sys.executable, "-m", "snakemake", "--snakefile", WORKFLOWS / "Snakefile", "--cores", "1", "--config"]
    subprocess.run([*call, *config], check=True, capture_output=True)
    check_results(Path("found"))
    again = subprocess.run([*call, *config], check=True, capture_output=True, text=True)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_the_scripts_of_the_nextflow_example_pick(tomograms: Path, model: Path) -> None:
    """Nextflow itself cannot be installed from a package registry, so its scripts run without it."""
    values = {
        "project": tomograms, "output": Path("found").absolute(), "task.cpus": 1, "params.shards": 2,
        "params.pick": f"--model '{model}' --threshold 0.1",
    }  # fmt: skip
    pick, relion = re.findall(r'"""(.*?)"""', (WORKFLOWS / "main.nf").read_text(), flags=re.DOTALL)
    for script, shard in ((pick, 1), (pick, 2), (relion, 0)):
        given = {**values, "shard": shard}
        filled = re.sub(r"\$\{([\w.]+)\}", lambda name, given=given: str(given[name[1]]), script)
        subprocess.run(["bash", "-eu", "-c", filled], check=True, capture_output=True)
    check_results(Path("found"))
