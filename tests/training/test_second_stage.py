"""A second stage looks at the crops around candidates and changes their scores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.cli.main import main
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.data.pick_store.reading import read_picks
from tomosoup.inference.readout.second_stage import crops_around, rescored
from tomosoup.models.nets.candidate_classifier import CandidateClassifier
from tomosoup.models.nets.options import ClassifierOptions
from tomosoup.models.second_stage import SecondStage, load_second_stage
from tomosoup.training.second_stage.candidates import PickedRun, classes_of
from tomosoup.training.second_stage.options import SecondStageOptions
from tomosoup.training.second_stage.train import fit, training_batches

SMALL, LARGE = Species("small", 40.0, 1.0), Species("large", 90.0, 1.0)
NET = ClassifierOptions(widths=(8, 8, 8, 8))
OPTIONS = SecondStageOptions(crop=24, updates=60, batch_size=12, learning_rate=3e-3, net=NET)


def run_of_balls(name: str, seed: int) -> PickedRun:
    """Dark balls of two sizes in noise; every ball, and as many empty positions, is a candidate of both species."""
    random = np.random.default_rng(seed)
    size = 96
    grid = np.stack(np.meshgrid(*[np.arange(size) * 10.0] * 3, indexing="ij"), axis=-1)
    centres = random.permutation(np.stack(np.meshgrid(*[[160.0, 480.0, 800.0]] * 3), axis=-1).reshape(-1, 3))[:18]
    data = random.normal(0, 0.5, (size,) * 3)
    for centre, kind in zip(centres[:12], [SMALL, LARGE] * 6, strict=True):
        data -= 3.0 * (np.linalg.norm(grid - centre, axis=-1) < kind.radius)
    volume = Volume(torch.from_numpy(data).float(), 10.0, (0.0, 0.0, 0.0))
    truth = {"small": Picks.of(centres[:12:2]), "large": Picks.of(centres[1:12:2])}
    return PickedRun(name, volume, {"small": Picks.of(centres), "large": Picks.of(centres)}, truth)


def second_stage(species: tuple[Species, ...], net: CandidateClassifier, *, crop: int = 24) -> SecondStage:
    return SecondStage(net.state_dict(), NET, species, 10.0, crop)


def test_a_classifier_of_candidates_puts_the_right_ones_before_the_others() -> None:
    species = (SMALL, LARGE)
    net = fit([run_of_balls("a", 0), run_of_balls("b", 1)], species, OPTIONS, device=torch.device("cpu"))
    new = run_of_balls("c", 2)
    found = rescored(new.candidates, new.volume, second_stage(species, net), device=torch.device("cpu"))
    for name in ("small", "large"):
        first = {tuple(at) for at in found[name].zyx[:6]}
        assert first == {tuple(at) for at in new.truth[name].zyx}


def test_a_score_is_multiplied_by_the_probability_of_its_species_and_no_candidate_is_lost() -> None:
    torch.manual_seed(1)
    net = CandidateClassifier(NET, classes=2).eval()
    run = run_of_balls("a", 0)
    scores = np.linspace(1.0, 0.1, len(run.candidates["large"]))
    candidates = {"large": Picks(run.candidates["large"].zyx, scores), "stranger": Picks.of([[10.0, 10.0, 10.0]])}
    found = rescored(candidates, run.volume, second_stage((SMALL, LARGE), net), device=torch.device("cpu"))
    standard = (run.volume.data - run.volume.data.mean()) / run.volume.data.std(correction=0)
    for at, score in zip(candidates["large"].zyx, scores, strict=True):
        z, y, x = (int(i / 10) for i in at)
        crop = torch.zeros(24, 24, 24)
        inside = standard[max(z - 12, 0) : z + 12, max(y - 12, 0) : y + 12, max(x - 12, 0) : x + 12]
        crop[24 - inside.shape[0] :, 24 - inside.shape[1] :, 24 - inside.shape[2] :] = inside
        if min(z, y, x) >= 12 and max(z, y, x) > 96 - 12:
            continue  # zeros stand at the other end
        with torch.inference_mode():
            probability = net(crop[None, None]).softmax(dim=1)[0, 2]
        (i,) = np.flatnonzero((found["large"].zyx == at).all(axis=1))
        assert found["large"].score[i] == pytest.approx(score * float(probability), rel=1e-4)
    assert sorted(map(tuple, found["large"].zyx)) == sorted(map(tuple, candidates["large"].zyx))
    assert (np.diff(found["large"].score) <= 0).all()
    assert found["stranger"] is candidates["stranger"]


def test_a_position_is_of_the_species_that_it_hits_or_of_none() -> None:
    truth = {"small": Picks.of([[0.0, 0.0, 0.0]]), "large": Picks.of([[0.0, 0.0, 50.0]])}
    positions = np.array([[0.0, 0.0, x] for x in (-20.0, -21.0, 10.0, 25.0, 95.0, 96.0)])
    assert classes_of(positions, truth, (SMALL, LARGE)).tolist() == [1, 0, 1, 2, 2, 0]


def test_a_batch_has_every_class_equally_often_and_crops_about_their_positions() -> None:
    run = run_of_balls("a", 0)
    crops, classes = next(training_batches([run], (SMALL, LARGE), OPTIONS))
    assert torch.bincount(classes).tolist() == [4, 4, 4]
    middle = crops[:, 0, 10:14, 10:14, 10:14].mean(dim=(1, 2, 3))
    assert (middle[classes == 0] > -1).all()
    assert (middle[classes > 0] < -2).all()


def test_a_crop_that_reaches_outside_has_zeros_there() -> None:
    volume = Volume(torch.ones(8, 8, 8), 10.0, (0.0, 0.0, 0.0))
    (crops,) = crops_around(volume, np.array([[0.0, 0.0, 70.0]]), 8)
    assert crops[0, 0, 4:, 4:, :5].min() == 1
    assert crops.sum() == 4 * 4 * 5


def test_the_command_trains_a_second_stage_and_pick_uses_its_scores_and_thresholds(
    project: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second, picking = tmp_path / "second.safetensors", ["pick", str(project), "--model", str(model)]
    tiny = ["--updates", "3", "--batch-size", "6", "--crop", "16", "--net.widths", "8", "8", "8", "8"]
    main(["second-stage", str(project), "--model", str(model), "-o", str(second), *tiny])
    assert "with the second stage and" in capsys.readouterr().out
    made = load_second_stage(second)
    assert made.history[-1].held_out == "run_000"
    main([*picking, "--session", "one"])
    main([*picking, "--session", "two", "--second-stage", str(second)])
    for name, candidates in read_picks(project, "tomosoup/one-candidates")["run_001"].items():
        after = read_picks(project, "tomosoup/two-candidates")["run_001"][name]
        before = {tuple(at): score for at, score in zip(candidates.zyx.round(3), candidates.score, strict=True)}
        assert len(after) == len(candidates)
        assert all(s < before[tuple(at)] for at, s in zip(after.zyx.round(3), after.score, strict=True))
    kept = read_picks(project, "tomosoup/two").get("run_001", {})
    for name, threshold in made.thresholds.items():
        expected = read_picks(project, "tomosoup/two-candidates")["run_001"][name].above(threshold)
        assert len(kept.get(name, ())) == len(expected)


def test_what_is_no_second_stage_or_has_nothing_to_learn_from_is_refused(
    project: Path, model: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    assert "is not a second stage" in fails("pick", project, "--model", model, "--second-stage", model)
    assert "There is no" in fails("pick", project, "--model", model, "--second-stage", tmp_path / "none")
    one_run = ["second-stage", project, "--model", model, "-o", tmp_path / "s.safetensors", "--runs", "run_000"]
    assert "two or more annotated runs" in fails(*one_run)
    assert not (tmp_path / "s.safetensors").exists()
    assert "brings its own thresholds" in fails("tune", project, "--model", model, "--second-stage", model)
