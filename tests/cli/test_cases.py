"""Files of other programs that once went wrong without a word: what each case's commands give today.

The cases lie beside the repository; each is a folder with files and the commands (`cmd.sh`). Their `tomosoup` is this
process, which saves its start.
"""

import os
import select
import shutil
import subprocess
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
import torch
from conftest import SHARED, TINY_NET, TINY_PLAN

from tomosoup.cli.main import main
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.models import named
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.build import build_net

CASES = SHARED / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")

CLIENT = """#!/bin/bash
printf '%s\\0' "$PWD" "$(basename "$0")" "$(test "$1" = - && cat)" "$@" > {0}/request
echo > {0}/ask
read -r code < {0}/answer
cat {0}/out; cat {0}/err >&2
exit "$code"
"""


@dataclass(frozen=True)
class Said:
    """What a case's commands printed, and the folder in which they ran."""

    text: str
    folder: Path

    @property
    def words(self) -> str:
        """The text in one line, as tables break it."""
        return " ".join("".join(" " if c in "│┃" else c for c in self.text).split())

    def rows(self, name: str = "out.csv") -> list[list[str]]:
        """The rows of a table that was written: run, x, y, z, score."""
        rows = [line.split(",") for line in (self.folder / name).read_text().splitlines()[1:]]
        return [[run, *values] for run, _, *values in rows]


def answer(place: Path) -> None:
    """Run a command, or a script, in this process; its output and exit code go to the shell that asked."""
    folder, program, script, *words = (place / "request").read_text().split("\0")[:-1]
    out, err, code = StringIO(), StringIO(), 0
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        try:
            if program == "python":
                exec(script, {})
            else:
                main(words)
        except SystemExit as end:
            code = int(end.code or 0)
    (place / "out").write_text(out.getvalue())
    (place / "err").write_text(err.getvalue())
    (place / "answer").write_text(f"{code}\n")


@pytest.fixture(scope="module")
def quick_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny net in place of the bundled models."""
    folder = tmp_path_factory.mktemp("shipped")
    torch.manual_seed(0)
    net = build_net(TINY_NET, classes=len(CONTEST_SPECIES))
    torch.nn.init.normal_(net.head.weight, std=5.0)
    limits = {s.name: 0.1 for s in CONTEST_SPECIES}
    Checkpoint(net.state_dict(), TINY_NET, CONTEST_SPECIES, 10.0, TINY_PLAN, thresholds=limits).save(
        folder / "default.safetensors"
    )
    return folder


@pytest.fixture
def run_case(tmp_path: Path, quick_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Said]:
    """Run the commands of a case on a copy of its folder."""
    monkeypatch.setattr(named, "SHIPPED", quick_model)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("ask", "answer"):
        os.mkfifo(tmp_path / name)
    for name in ("tomosoup", "python"):
        (tmp_path / name).write_text(CLIENT.format(tmp_path))
        (tmp_path / name).chmod(0o755)

    def run(name: str) -> Said:
        folder = Path(shutil.copytree(CASES / name, tmp_path / name))
        script = (folder / "cmd.sh").read_text().replace("tomosoup.io.", "tomosoup.data.volumes.")
        here = {"T": f"{tmp_path}/tomosoup", "PYTHON": f"{tmp_path}/python"}
        asked = os.open(tmp_path / "ask", os.O_RDWR)
        with (tmp_path / "said").open("w+") as said:
            shell = subprocess.Popen(
                ["bash", "-c", script], cwd=folder, env={**os.environ, **here}, stdout=said, stderr=subprocess.STDOUT
            )
            while shell.poll() is None:
                if select.select([asked], [], [], 0.02)[0]:
                    os.read(asked, 1)
                    answer(tmp_path)
            said.seek(0)
            text = said.read()
        os.close(asked)
        assert "Traceback" not in text, text
        return Said(text, folder)

    return run


Check = Callable[[Said], None]


def says(*sentences: str) -> Check:
    """All of these are said."""

    def check(said: Said) -> None:
        for sentence in sentences:
            assert sentence in said.words

    return check


def positions(*expected: str) -> Check:
    """These picks are in the table: run,x,y,z."""

    def check(said: Said) -> None:
        assert [",".join(row[:4]) for row in said.rows()] == list(expected)

    return check


def names(said: Said) -> None:
    """Names stay as they are written, in a table of several and in one of each alone."""
    assert [row[0] for row in said.rows()] == ["1.1", "1.10"]
    last = [line.split(",")[0] for line in said.text.splitlines() if ",ribosome," in line]
    assert last == ["00255", "12E3", "TRUE"]


def edits_stay(said: Said) -> None:
    """The second command refuses; the table is as somebody left it."""
    assert "out.csv has changed since tomosoup wrote it" in said.words
    assert len(said.rows()) == 1


def scores(said: Said) -> None:
    """The scores are those of a column with another name."""
    assert [row[4] for row in said.rows()] == ["0.43", "0.33"]
    assert [row[4] for row in said.rows("out2.csv")] == ["0.9"]


def all_are_picked(said: Said) -> None:
    """Three files are three runs, for check and for pick."""
    assert "3 runs of 8 x 16 x 16 voxels" in said.words
    assert " in 3 runs: " in said.words


def dots_are_read(said: Said) -> None:
    """No chunk is missing for check, nor for pick."""
    assert "1 run of 8 x 16 x 16 voxels of 10 Å" in said.words
    assert "lacks chunk" not in said.words


RIGHT: dict[str, Check] = {
    "csv_edits_lost": edits_stay,
    "files_left_out": all_are_picked,
    "import_outside": says("2 of 2 picks lie outside their tomogram (TS_01): check --pixel-size"),
    "messages": says(
        "names.json: copick does not accept the species name 'my_protein': leave out spaces, underscores",
        "relative.json has no runs: expected ExperimentRuns, with a folder a run, in /static or /overlay; static and "
        "overlay count from the current folder: write them as whole paths.",
        "my_user_1_ribosome.json is not named USER_SESSION_OBJECT.json",
        "vol/TS_01.mrc is one volume, and a project is the folder that holds it: give vol and --runs TS_01.",
        "vol has no tomogram of run TS_99 (it has TS_01)",
        "TS_01.cbox has no scores",
        "semi.csv is separated by semicolons: save it with commas",
        "voxels are 1.000 Å, which many programs write when they do not know the size",
        "thinnest along y (64 x 16 x 64 voxels along x, y, z)",
        "1000 bytes follow its voxels: check that the copy is whole",
    ),
    "mrc_axes": says("plain (8, 16, 16) [[ 2 5 11]] perm (8, 16, 16) [[ 2 5 11]]"),
    "mrc_stamp": says("stamp: 1 warning, 2 notes", "nomap: 1 warning, 2 notes"),
    "optics_groups": positions("TS_01,105,205,55", "TS_02,105,205,55"),
    "relion5_binning": says("half of the unbinned size", "off by up to half a voxel", "--tomograms"),
    "relion5_import_list": says("give it ribosome_import.star", "ribosome_import/TS_02.star"),
    "relion_rec_prefix": says("--name 'rec_{run}={run}'", "back.csv: 1 run, 1 ribosome", "TS_01 is rec_TS_01"),
    "scores_dropped": scores,
    "species_underscore": says(
        "vol/species.csv: copick does not accept the species names 'my_protein', '70S ribosome'",
        "write my-protein, 70S-ribosome",
    ),
    "star_concatenated": positions("TS_01,585,535,175", "TS_01,385,535,175", "TS_02,585,535,175", "TS_02,385,535,175"),
    "star_magnification": positions("TS_01,105,205,55", "TS_01,405,605,155"),
    "star_numeric_names": names,
    "zarr_dot_separator": dots_are_read,
    "zarr_v3": says("1 run of 32 x 96 x 96 voxels of 10 Å"),
}


@pytest.mark.parametrize("name", sorted(p.parent.name for p in CASES.glob("*/cmd.sh")))
def test_the_commands_of_a_case_say_and_write_what_is_right(name: str, run_case: Callable[[str], Said]) -> None:
    RIGHT[name](run_case(name))


FAULTS = CASES / "faults"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("train {0}/vol --recipe {0}/digits.toml --output {0}/m.safetensors", "digits.toml holds a number"),
        ("pick {0}/vol --plan {0}/digits.toml --output {0}/p.csv", "digits.toml holds a number"),
        ("simulate {0}/sim --recipe {0}/digits.toml", "digits.toml holds a number"),
        ("train {0}/vol --output {0}/m.safetensors", "species.csv"),
    ],
)
def test_a_hostile_file_is_one_short_sentence(
    command: str, sentence: str, tmp_path: Path, fails: Callable[..., str]
) -> None:
    shutil.copytree(CASES / "csv_edits_lost/vol", tmp_path / "vol")
    shutil.copy(FAULTS / "digits.toml", tmp_path)
    shutil.copy(FAULTS / "species_long_sentence.csv", tmp_path / "vol/species.csv")
    said = fails(*command.format(tmp_path).split(), code=2 if "digits" in command else 1)
    assert sentence in said
    assert len(said) < 600
