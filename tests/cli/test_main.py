"""The command line: the whole path, and one clear sentence for each bad input."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import zarr
from conftest import start
from small_models import TINY_RECIPE

from tomosoup.cli.arguments.parse import parse
from tomosoup.cli.main import main
from tomosoup.cli.options.train import TrainCommand
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth

CROWDED = "[concentration]\napo-ferritin = 30000\n"


def test_the_whole_path_from_nothing_to_a_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scene.toml").write_text(CROWDED)
    (tmp_path / "tiny.toml").write_text(TINY_RECIPE)
    sim, model, picks = tmp_path / "sim", tmp_path / "m.safetensors", tmp_path / "picks.csv"
    simulated = f"simulate {sim} --runs 2 --shape 32 96 96 --seed 3 --microscope.tilt-step 10"
    main([*simulated.split(), "--recipe", f"{tmp_path}/scene.toml"])
    main(f"train {sim} --recipe {tmp_path}/tiny.toml --fold 1 --output {model}".split())
    main(f"pick {sim} --model {model} --output {picks} --runs run_001 --peaks.floor 1e-3 --threshold 1e-3".split())
    capsys.readouterr()
    main(f"score {picks} {sim} --json".split())
    scored = json.loads(capsys.readouterr().out)
    assert scored["runs"] == ["run_001"]
    assert scored["left_out"] == ["run_000"]
    counts = scored["species"]["apo-ferritin"]
    truth = read_truth(open_project(sim), "run_001")["apo-ferritin"]
    assert counts["tp"] + counts["fn"] == len(truth)
    table = pd.read_csv(picks)
    assert list(table.columns) == ["experiment", "particle_type", "x", "y", "z", "score"]
    assert counts["tp"] + counts["fp"] == len(table)
    assert len(table) > 0
    main(f"score {sim} {sim} --json".split())  # the picks in copick are those in the CSV
    assert json.loads(capsys.readouterr().out)["species"] == scored["species"]


def test_picks_and_candidates_are_in_copick_with_their_scores(project: Path, model: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "p.csv", tmp_path / "again.csv"
    main(f"pick {project} --model {model} --output {out} --threshold 0.14 --submission {tmp_path}/s.csv".split())
    sets = open_project(project).pick_sets("run_000")
    picks, candidates = sets["tomosoup", "0"](), sets["tomosoup", "0-candidates"]()
    for name, found in picks.items():
        assert len(found) < len(candidates[name])
        assert found.score.min() >= 0.14
        np.testing.assert_allclose(candidates[name].above(0.14).zyx, found.zyx)
        table = read_csv(out)["run_000"][name]
        np.testing.assert_allclose(np.sort(table.score), np.sort(found.score), rtol=1e-5)
    assert list(pd.read_csv(tmp_path / "s.csv").columns) == ["id", "experiment", "particle_type", "x", "y", "z"]

    main(f"threshold {project} --threshold 0.1 apo-ferritin=0.16 --output {again}".split())
    picks = open_project(project).pick_sets("run_000")["tomosoup", "0"]()
    np.testing.assert_allclose(picks["apo-ferritin"].zyx, candidates["apo-ferritin"].above(0.16).zyx)
    np.testing.assert_allclose(picks["beta-amylase"].zyx, candidates["beta-amylase"].above(0.1).zyx)
    after = [open_project(project).pick_sets(run)["tomosoup", "0"]() for run in ("run_000", "run_001", "run_002")]
    assert len(pd.read_csv(again)) == sum(len(found) for run in after for found in run.values())


def test_a_folder_that_is_not_ours_is_not_written_to(model: Path, tmp_path: Path, project: Path) -> None:
    volume = zarr.open(str(next(project.rglob("run_000/**/wbp.zarr"))), mode="r")["0"][:]
    (tmp_path / "mrc").mkdir()
    mrcfile.write(tmp_path / "mrc" / "t1.mrc", volume, voxel_size=10.0)
    main(f"pick {tmp_path / 'mrc'} --model {model} --output {tmp_path / 'p.csv'}".split())
    assert [f.name for f in (tmp_path / "mrc").iterdir()] == ["t1.mrc"]
    beside = open_project(tmp_path / "p.copick")
    assert set(beside.pick_sets("t1")) == {("tomosoup", "0"), ("tomosoup", "0-candidates")}


def test_scoring_tables_prints_what_the_contest_would(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(f"score {real_data}/czii_predictions_five_runs.csv {real_data}/czii_train_picks.csv".split())
    said = capsys.readouterr().out
    assert "0.7827" in said
    assert "TS_6_6" in said  # left out, and said so
    main(
        ["score", str(real_data / "czii_predictions_seven_runs.csv"), str(real_data / "czii_train_picks.csv"), "--json"]
    )
    assert json.loads(capsys.readouterr().out)["score"] == pytest.approx(0.4044677, abs=1e-6)


def test_all_species_count_as_in_the_contest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "one.csv"
    table.write_text("experiment,particle_type,x,y,z\nr,ribosome,100,200,300\n")
    for option, expected in (([], 1.0), (["--all-species"], 1 / 7)):
        main(["score", str(table), str(table), *option, "--json"])
        assert json.loads(capsys.readouterr().out)["score"] == pytest.approx(expected)


@pytest.mark.parametrize("command", ["train", "pick"])
def test_no_project_at_the_path(fails: Callable[..., str], model: Path, tmp_path: Path, command: str) -> None:
    option = ["--output", tmp_path / "o.safetensors"] if command == "train" else ["--model", model]
    assert "There is no project at" in fails(command, tmp_path / "nowhere", *option)


def test_species_that_the_project_does_not_list(fails: Callable[..., str], project: Path, model: Path) -> None:
    config = json.loads((project / "copick_config.json").read_text())
    config["pickable_objects"] = config["pickable_objects"][:1]
    (project / "copick_config.json").write_text(json.dumps(config))
    assert "The model finds beta-amylase, which" in fails("pick", project, "--model", model)


def test_species_of_which_the_truth_knows_nothing(fails: Callable[..., str], tmp_path: Path, project: Path) -> None:
    (tmp_path / "p.csv").write_text("experiment,particle_type,x,y,z\nrun_000,unicorn,1,2,3\n")
    assert "unicorn" in fails("score", tmp_path / "p.csv", project)


@pytest.mark.parametrize("listed", [False, True])
def test_species_that_are_assumed_are_said(capsys: pytest.CaptureFixture[str], tmp_path: Path, listed: bool) -> None:
    folder = tmp_path / "mrc"
    folder.mkdir()
    mrcfile.write(folder / "t1.mrc", np.zeros((8, 8, 8), dtype=np.float32), voxel_size=10.0)
    (folder / "picks.csv").write_text("experiment,particle_type,x,y,z\nt1,ribosome,10,20,30\n")
    if listed:
        (folder / "species.csv").write_text("name,radius,weight\nribosome,120,1\n")
    main(["score", str(folder / "picks.csv"), str(folder)])
    scored = capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["train", str(folder), "--output", str(tmp_path / "m.safetensors")])
    for said in (scored, capsys.readouterr().out):
        assert (f"{folder / 'species.csv'} is missing, so the species are the contest's six" in said) is not listed


def test_a_checkpoint_that_is_none(fails: Callable[..., str], project: Path, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"not tensors")
    assert "is not a checkpoint" in fails("pick", project, "--model", tmp_path / "m.safetensors")


def test_outputs_that_cannot_be_made(fails: Callable[..., str], project: Path, model: Path, tmp_path: Path) -> None:
    assert "exists already" in fails("simulate", project)
    assert "got the folder" in fails("pick", project, "--model", model, "--output", tmp_path)
    assert "one of its parent folders is a file" in fails(
        "pick", project, "--model", model, "--output", model / "p.csv"
    )
    assert "leave out spaces, underscores" in fails("pick", project, "--model", model, "--session", "a_b")
    assert "exists already: choose another folder, or replace an earlier demo" in fails("demo", project)


TRAIN = ["train", "x", "--output", "y"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nonsense"], "There is no command 'nonsense'; expected one of demo, simulate"),
        (["pik", "x"], "There is no command 'pik'; did you mean pick?"),
        (["simulate", "x", "--recipe", "nonsense"], "There is no recipe 'nonsense'"),
        (["simulate", "x", "--recipe", "no.toml"], "Expected a recipe file at no.toml"),
        ([*TRAIN, "--validate-every", "4"], "--epochs (14) must be a multiple of --validate-every (4)"),
        ([*TRAIN, "--fold", "1", "--all-folds"], "--fold and --all-folds exclude each other: leave one of them out."),
        ([*TRAIN, "--recipe", "tattaka", "--sigma", "40"], "--sigma and --sigma-by-radius exclude each other"),
        ([*TRAIN, "--net.channels", "1", "2"], "--net.channels does not go with the chosen net"),
        (["pick", "x", "--shard", "3"], "--shard: expected I/N with I from 1 to N, such as 3/20, got 3."),
        (["pick", "x", "--shard", "1/2", "--cluster", "local"], "--cluster and --shard exclude each other"),
        (["pick", "x", "--shard", "1/2", "--overwrite"], "--overwrite removes the picks of a session"),
        (["simulate", "x", "--no-such-option", "3"], "There is no option --no-such-option: "),
        (["pick", "x", "--modle", "a"], "There is no option --modle: did you mean --model?"),
        (["pick", "x", "--no-tomo-typ"], "There is no option --no-tomo-typ: did you mean --no-tomo-type?"),
        (["simulate", "x", "--runs", "0"], "--runs: expected 1 or more, got 0."),
        (["simulate", "x", "--runs", "many"], "--runs: expected a whole number, got 'many'."),
        (["simulate", "x", "--runs"], "--runs: expected 1 value (N), got none."),
        (["simulate", "x", "--shape", "3", "4"], "--shape: expected 3 values (Z Y X), got 2."),
        (
            ["simulate", "x", "--concentration", "ribosome", "-1"],
            "--concentration ribosome: expected 0 or more, got -1.",
        ),
        (["simulate", "x", "--maps", "ribosome"], "--maps: expected SPECIES FILE ..., got ribosome."),
        (
            ["pick", "x", "--engine", "fast"],
            "--engine: expected one of auto, torch, openvino, onnx or tensorrt, got 'fast'",
        ),
        (["pick", "x", "--overwrite=maybe"], "--overwrite takes no value, got maybe"),
        (["pick", "x", "y"], "Unexpected 'y': expected `tomosoup pick PROJECT`, then options."),
        (
            ["pick", "--model", "a", "x"],
            "PROJECT is missing: expected `tomosoup pick PROJECT`, then options (`tomosoup pick --help`",
        ),
        (["threshold", "x"], "--threshold is missing: give a score"),
        (["train", "x"], "--output FILE is missing"),
        (["import", "--format", "csv", "-o", "x"], "FILE is missing"),
    ],
)
def test_words_that_cannot_be_meant(fails: Callable[..., str], words: list[str], says: str) -> None:
    said = fails(*words, code=2)
    assert says in said
    assert "http" not in said


def test_an_option_that_a_recipe_sets_can_be_unset() -> None:
    recipe = parse(TrainCommand, "train", [*TRAIN[1:], "--recipe", "tattaka"])[0].training
    own = parse(TrainCommand, "train", [*TRAIN[1:], "--recipe", "tattaka", "--no-sigma-by-radius", "--sigma", "40"])[
        0
    ].training
    assert (recipe.sigma, recipe.sigma_by_radius is None) == (None, False)
    assert (own.sigma, own.sigma_by_radius) == (40.0, None)


def interrupt_when(process: subprocess.Popen[str], ready: Callable[[], bool]) -> str:
    """Ctrl-C as soon as `ready`; returns what the process said."""
    with process:
        try:
            while not ready() and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    return said


def test_ctrl_c_in_training_says_how_to_go_on(project: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY_RECIPE.replace("epochs = 2", "epochs = 1000"))
    words = ["train", project, "--recipe", tmp_path / "tiny.toml", "--output", tmp_path / "m.safetensors"]
    said = interrupt_when(start(*words), (tmp_path / "m.training" / "last.ckpt").exists)
    assert "Resume it with --resume" in said
    assert not (tmp_path / "m.safetensors").exists()


def test_training_over_an_unfinished_one_must_be_asked_for(
    fails: Callable[..., str], project: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.training").mkdir()
    (tmp_path / "m.training" / "last.ckpt").touch()
    said = fails("train", project, "--output", tmp_path / "m.safetensors")
    assert "set --resume to finish it, or --overwrite to start again" in said


def test_ctrl_c_in_picking_keeps_the_finished_runs(project: Path, model: Path, tmp_path: Path) -> None:
    words = ["pick", project, "--model", model, "--output", tmp_path / "p.csv", "--stride", "2", "8", "8"]
    first = project / "overlay/ExperimentRuns/run_000/Picks/tomosoup_0_beta-amylase.json"
    said = interrupt_when(start(*words), first.exists)
    assert "the finished runs are in" in said
    assert not (tmp_path / "p.csv").exists()
    assert ("tomosoup", "0") in open_project(project).pick_sets("run_000")
    assert ("tomosoup", "0") not in open_project(project).pick_sets("run_002")
    assert not list(project.rglob(".tomosoup*"))


def test_a_project_is_not_simulated_over_the_folder_one_is_in(
    fails: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "cannot replace the current folder" in fails("simulate", ".")


def test_a_score_that_is_no_number_is_named_by_its_line(fails: Callable[..., str], tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("experiment,particle_type,x,y,z,score\nr,ribosome,1,2,3,0.5\nr,ribosome,1,2,3,high\n")
    assert "p.csv, line 3: expected a number in the column score, got 'high'" in fails("score", table, table)


def test_a_broken_pick_file_is_named(fails: Callable[..., str], project: Path) -> None:
    file = next(project.rglob("Picks/*.json"))
    file.write_text("{broken")
    assert f"{file.name} is not a copick pick file" in fails("score", project, project, "--picks-set", "simulation/0")


def test_other_plans_give_other_picks_and_unknown_ones_are_named(
    fails: Callable[..., str], project: Path, model: Path, tmp_path: Path
) -> None:
    words = ["pick", project, "--model", model, "--runs", "run_001", "--peaks.floor", "1e-3", "--threshold", "1e-3"]
    for plan in ("as-trained", "paper", "paper-unweighted"):
        main([str(w) for w in (*words, "--output", tmp_path / f"{plan}.csv", "--plan", plan, "--session", plan)])
    tables = [read_csv(tmp_path / f"{plan}.csv")["run_001"] for plan in ("as-trained", "paper", "paper-unweighted")]
    whole = (tables[1]["apo-ferritin"].zyx - 5.0) / 10.0
    np.testing.assert_allclose(whole, whole.round(), atol=1e-4)
    refined = (tables[0]["apo-ferritin"].zyx - 5.0) / 10.0
    assert not np.allclose(refined, refined.round(), atol=1e-3)
    assert len({len(t["apo-ferritin"]) for t in tables} | {t["apo-ferritin"].score.sum() for t in tables}) > 3
    said = fails(*words, "--output", tmp_path / "x.csv", "--plan", "hurry", code=2)
    assert "no plan 'hurry'; take one of as-trained, paper, paper-fewer-windows, paper-unweighted, planes, soup" in said


def test_an_ensemble_is_weighted_from_the_command_line(
    fails: Callable[..., str], project: Path, model: Path, tmp_path: Path
) -> None:
    words = ["pick", project, "--model", model, model, "--runs", "run_001", "--output", tmp_path / "p.csv"]
    main([str(w) for w in (*words, "--model-weights", 2, 1)])
    assert (tmp_path / "p.csv").is_file()
    assert "got 1 weight for 2 models" in fails(*words, "--overwrite", "--model-weights", 1)


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "tomosoup", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tomosoup ")


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        ("score {0}/none.csv {0}/none.csv", "input", 1),
        ("score {0}/none.csv --wrong", "option", 2),
        ("import {0}/t.csv --format csv -o {0}/t.csv", "exists", 1),
    ],
)
def test_a_failure_is_one_sentence_and_a_code_for_programs(
    words: str, code: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("experiment,particle_type,x,y,z\n")
    with pytest.raises(SystemExit) as end:
        main([*words.format(tmp_path).split(), "--json"])
    assert end.value.code == status
    said = capsys.readouterr()
    assert json.loads(said.out)["error"] == {"code": code, "text": said.err.removeprefix("tomosoup: ").strip()}
