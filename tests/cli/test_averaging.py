"""Picks for averaging: other thresholds than those for recall, stored beside them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomosoup.cli.main import main
from tomosoup.core.types import Picks, Species
from tomosoup.data.project import open_project
from tomosoup.inference.ensemble import averaging_thresholds as of_models
from tomosoup.models.checkpoint import load
from tomosoup.scoring.matching import match
from tomosoup.training.tune import averaging_thresholds, tune_thresholds

A = Species("a", 50.0, 1.0)


def test_thresholds_for_averaging_balance_false_and_missed_picks() -> None:
    rng = np.random.default_rng(0)
    truth = {"a": Picks.of(np.arange(40.0)[:, None] * [500.0, 0, 0])}
    false = np.arange(200.0)[:, None] * [500.0, 0, 0] + [0, 5000.0, 0]
    scores = np.concatenate([rng.uniform(0.4, 1.0, 40), rng.uniform(0.0, 0.7, 200)])
    picks = {"a": Picks(np.concatenate([truth["a"].zyx, false]), scores)}
    folds = [("r", picks, truth)]
    (threshold,) = averaging_thresholds(folds, [A]).values()
    recall = tune_thresholds(folds, [A], resamples=1)["a"].threshold
    assert threshold > recall
    f1 = {t: match(picks["a"].above(t), truth["a"], distance=25.0).f_beta(1.0) for t in scores}
    assert f1[threshold] == max(f1.values())
    assert averaging_thresholds([("r", {"a": Picks(false, scores[40:])}, truth)], [A]) == {"a": 0.5}


def test_a_checkpoint_keeps_them_and_its_fingerprint(model: Path, tmp_path: Path) -> None:
    before = load(model)
    assert "averaging_thresholds" not in before.metadata()
    replace(before, averaging_thresholds={"apo-ferritin": 0.2}).save(tmp_path / "m.safetensors")
    after = load(tmp_path / "m.safetensors")
    assert after.averaging_thresholds == {"apo-ferritin": 0.2}
    assert after.fingerprint() == before.fingerprint()


def test_models_share_the_mean_of_their_thresholds(model: Path) -> None:
    one = load(model)
    low, high = (replace(one, averaging_thresholds={s.name: t for s in one.species}) for t in (0.2, 0.4))
    assert of_models([low, high]) == {s.name: pytest.approx(0.3) for s in one.species}


def test_picks_for_averaging_pass_the_thresholds_that_were_tuned_for_it(
    project: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    words = ["pick", project, "--runs", "run_000", "--session", "1", "--for", "averaging", "--model"]
    assert "set them with `tomosoup tune --for averaging`, or give --threshold" in refused(*words, model)
    tuned = tmp_path / "m.safetensors"
    one = load(model)
    replace(one, averaging_thresholds={s.name: 0.15 for s in one.species}).save(tuned)
    main([str(word) for word in (*words, tuned)])
    assert "favour recall" not in capsys.readouterr().out
    sets = open_project(project).pick_sets("run_000")
    picks = {name: len(found) for name, found in sets["tomosoup", "1"]().items()}
    candidates = sets["tomosoup", "1-candidates"]()
    assert picks == {name: len(found.above(0.15)) for name, found in candidates.items()}
    main(["threshold", str(project), "--session", "1", "--threshold", "0.05"])
    assert "replace those of the session" in capsys.readouterr().out
    main(["threshold", str(project), "--session", "1", "--for", "averaging", "--model", str(tuned)])
    again = open_project(project).pick_sets("run_000")["tomosoup", "1"]()
    assert {name: len(found) for name, found in again.items()} == picks


def test_picks_for_recall_say_that_many_are_false(
    project: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = load(model)
    low = tmp_path / "low.safetensors"
    replace(one, thresholds={s.name: 0.1 for s in one.species}).save(low)
    main(["pick", str(project), "--runs", "run_000", "--model", str(low)])
    assert "thresholds favour recall: expect many false picks" in capsys.readouterr().out
    main(["pick", str(project), "--runs", "run_000", "--model", str(low), "--threshold", "0.12", "--overwrite"])
    assert "favour recall" not in capsys.readouterr().out
