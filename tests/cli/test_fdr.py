"""Probabilities of picks: what `pick` says of its false picks, and picks by their false-discovery rate."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.thresholds import MaxFdr
from tomosoup.core.types import Picks
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.inference.pick import calibrations_for, pick_project
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.second_stage import SecondStage
from tomosoup.review.report.collect import collect
from tomosoup.scoring.calibration import Calibration, expected_false


@pytest.fixture
def calibrated(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """The model with probabilities that are neither near 0 nor near 1 for its picks."""
    path, one = tmp_path / "calibrated.safetensors", checkpoint
    replace(one, pick_calibration={s.name: Calibration(0.1, 5.0) for s in one.species}).save(path)
    return path


def candidates_of(project: Path, session: str) -> dict[str, Picks]:
    return dict(open_project(project).pick_sets("run_000")["tomosoup", f"{session}-candidates"]())


def test_pick_says_how_many_picks_are_expected_to_be_false_and_each_has_its_probability(
    project: Path, calibrated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pick", str(project), "--runs", "run_000", "--session", "f1", "--model", str(calibrated), "--json"]
    main([*words, "--threshold", "0.1", "-o", str(tmp_path / "picks.csv")])
    said = json.loads(capsys.readouterr().out)
    candidates = candidates_of(project, "f1")
    known = calibrations_for(candidates, [load(calibrated)])
    kept = {name: picks.above(0.1) for name, picks in candidates.items()}
    expected = {name: n / len(kept[name]) for name, n in expected_false(kept, known).items() if len(kept[name])}
    assert said["false_discovery_rate"] == pytest.approx(expected)
    assert expected
    with (tmp_path / "picks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        probability = known[row["particle_type"]].probabilities(np.array([float(row["score"])]))[0]
        assert float(row["probability"]) == pytest.approx(probability, abs=6e-4)
    main(["threshold", str(project), "--session", "f1", "--threshold", "0.15"])
    assert "expected to be false)" in capsys.readouterr().out


def test_picks_by_false_discovery_rate_are_the_most_that_keep_to_it(
    project: Path, calibrated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pick", str(project), "--runs", "run_000", "--session", "f2", "--model", str(calibrated)]
    main([*words, "--max-fdr", "0.3"])
    out = capsys.readouterr().out
    assert "expected to be false)" in out
    assert "favour recall" not in out
    project_now, candidates = open_project(project), candidates_of(project, "f2")
    picks = project_now.pick_sets("run_000")["tomosoup", "f2"]()
    known = calibrations_for(candidates, [load(calibrated)])
    kept = 0
    for name, found in candidates.items():
        false = np.sort(1 - known[name].probabilities(found.score))
        rates = np.cumsum(false) / np.arange(1, len(false) + 1)
        assert len(picks.get(name, ())) == int((rates <= 0.3).sum())
        kept += len(picks.get(name, ()))
    assert 0 < kept < sum(map(len, candidates.values()))

    none = [name for name in candidates if not len(picks.get(name, ()))]
    assert ("is certain enough" in out) == bool(none)
    assert not none or f"No candidate of {', '.join(none)} is certain enough for this rate." in out

    main([*words, "--max-fdr", "0.3"])  # the same session: nothing is left to do
    assert "Picked before, and kept: 1 of 1 run" in capsys.readouterr().out
    in_python = pick_project(
        project_now, load(calibrated), thresholds=MaxFdr(0.3), data=DataOptions(runs=("run_000",))
    )["run_000"]
    assert {n: len(p) for n, p in in_python.items() if len(p)} == {n: len(p) for n, p in picks.items() if len(p)}

    shown = collect(project, session="f2").thresholds  # a report opens at the lowest scores that were kept
    lowest = {name: float(p.score.min()) for name, p in picks.items() if len(p)}
    assert {name: shown[name] for name in lowest} == pytest.approx(lowest)
    main(["threshold", str(project), "--session", "f2", "--max-fdr", "0.3"])
    main([*words, "--max-fdr", "0.3"])  # the settings are still those of this command
    assert "Picked before, and kept: 1 of 1 run" in capsys.readouterr().out
    main(["threshold", str(project), "--session", "f2", "--threshold", "0.05"])
    main(["threshold", str(project), "--session", "f2", "--max-fdr", "0.3"])
    again = open_project(project).pick_sets("run_000")["tomosoup", "f2"]()
    assert {n: len(p) for n, p in again.items() if len(p)} == {n: len(p) for n, p in picks.items() if len(p)}


def test_a_rate_that_nothing_keeps_to_says_what_to_do(
    project: Path, calibrated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pick", str(project), "--runs", "run_000", "--session", "f9", "--model", str(calibrated)]
    main([*words, "--max-fdr", "0.000001"])
    assert "threshold` with a higher --max-fdr." in capsys.readouterr().out
    main(["threshold", str(project), "--session", "f9", "--max-fdr", "0.000002"])
    assert "threshold` with a higher --max-fdr." in capsys.readouterr().out
    main(["threshold", str(project), "--session", "f9", "--max-fdr", "0.999"])
    assert "certain enough" not in capsys.readouterr().out


def test_a_rate_needs_probabilities_and_no_thresholds(
    project: Path, model: Path, calibrated: Path, fails: Callable[..., str]
) -> None:
    words = ["pick", project, "--runs", "run_000", "--session", "f3", "--max-fdr"]
    bare, said = model, "no probabilities, which --max-fdr requires: give a --threshold instead"
    assert said in fails(*words, "0.1", "--model", bare)
    assert "leave out --threshold and --for" in fails(
        *words, "0.1", "--threshold", "0.3", "--model", calibrated, code=2
    )
    assert "--max-fdr" in fails(*words, "1.5", "--model", calibrated, code=2)
    assert "leave out --threshold" in fails("threshold", project, "--max-fdr", "0.1", "--threshold", "0.2", code=2)
    main(["pick", str(project), "--runs", "run_000", "--session", "f4", "--model", str(bare)])
    assert "The session has no probabilities" in fails("threshold", project, "--session", "f4", "--max-fdr", "0.1")
    partly = replace(load(calibrated), pick_calibration={"apo-ferritin": Calibration(0.1, 5.0)})
    partly.save(calibrated)
    assert "No particle of beta-amylase was found when the probabilities were set" in fails(
        *words, "0.1", "--model", calibrated
    )
    with pytest.raises(InputError, match="expected a fraction above 0 and below 1"):
        MaxFdr(1.0)


def test_heatmap_and_segmentation_models_together_and_a_bare_second_stage_have_none(calibrated: Path) -> None:
    one = load(calibrated)
    candidates = {s.name: Picks.of([[0.0, 0.0, 0.0]]) for s in one.species}
    soup = replace(load("default-soup"), pick_calibration=one.pick_calibration)
    assert calibrations_for(candidates, [one])
    assert calibrations_for(candidates, [one, soup]) == {}
    assert calibrations_for(candidates, [one, replace(one, pick_calibration={})]) == {}
    second = SecondStage({}, None, one.species, 10.0, 32)  # type: ignore[arg-type]
    assert calibrations_for(candidates, [one], second) == {}
    known = replace(second, pick_calibration={one.species[0].name: Calibration(0.5, 3.0)})
    assert calibrations_for(candidates, [one], known)[one.species[0].name].steepness == pytest.approx(3.0)
    alone = replace(known, species=one.species[:1])  # the others keep the scores of the network
    assert set(calibrations_for(candidates, [one], alone)) == {s.name for s in one.species}
    assert set(calibrations_for(candidates, [one], known)) == {one.species[0].name}
