"""Thresholds from cross-validation: out-of-fold picks, their intervals, where they are stored."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import torch

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Searched, Slices, Species, Volume
from tomosoup.data.options import AnnotatedData, DataOptions, RegionOptions, TuningData
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truths
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.inference.ensemble import all_thresholds
from tomosoup.inference.options.picking import PeakOptions, PickingPlan
from tomosoup.inference.pick import pick, pick_project
from tomosoup.inference.readout.noise_scaling import noise_corrected
from tomosoup.inference.tiling.symmetries import VIEWS
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import Trained, held_out_run
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import UNet3dOptions
from tomosoup.scoring.bootstrap import bootstrap, interval
from tomosoup.scoring.matched_picks import MatchedPicks, RankedPicks
from tomosoup.scoring.matching import match
from tomosoup.scoring.signal_levels import SignalLevels, measured_levels
from tomosoup.scoring.thresholds import best_thresholds, calibrate, steady_threshold
from tomosoup.training.run.out_of_fold import Fold, OutOfFold, out_of_fold
from tomosoup.training.supervision.targets import gaussian_targets, label_targets
from tomosoup.training.tune import pairs_of, tune, tune_thresholds, with_thresholds

SPECIES = (Species("a", 20.0), Species("b", 20.0))
LOW = PickingPlan(peaks=PeakOptions(floor=1e-3))


def made_up(random: np.random.Generator, *, particles: int, good: float = 0.7) -> tuple[Picks, Picks]:
    """True particles far apart; a share of them is picked with high scores, and false picks with lower ones."""
    truth = np.stack(np.meshgrid(*[np.arange(10) * 100.0] * 3), axis=-1).reshape(-1, 3)[:particles]
    hit = truth[: round(good * particles)]
    false = hit[0] + random.uniform(30, 45, (4 * particles, 3))
    score = np.concatenate([random.normal(0.6, 0.1, len(hit)), random.normal(0.3, 0.1, len(false))]).clip(0.01, 1)
    return Picks(np.vstack([hit, false]), score), Picks.of(truth)


def folds(count: int = 3, *, particles: int = 30) -> list[Fold]:
    random = np.random.default_rng(0)
    pairs = [made_up(random, particles=particles) for _ in range(count)]
    return [(f"run_{i}", {"a": p}, {"a": t}) for i, (p, t) in enumerate(pairs)]


def test_the_threshold_is_the_f4_best_of_all_folds_together() -> None:
    data = folds()
    tuned = tune_thresholds(data, SPECIES[:1], resamples=200)["a"]
    expected, result = best_thresholds([(p, t) for _, p, t in data], SPECIES[:1])
    assert tuned.threshold == expected["a"]
    assert tuned.f4 == pytest.approx(result.species["a"].f_beta())
    assert tuned.particles == 90
    assert tuned.interval[0] <= tuned.threshold <= tuned.interval[1]
    assert tuned.f4_interval[0] < tuned.f4 < tuned.f4_interval[1]


def test_intervals_shrink_with_more_data_and_come_again_with_the_seed() -> None:
    few, many = (
        tune_thresholds(folds(n, particles=p), SPECIES[:1], resamples=300)["a"] for n, p in ((3, 8), (12, 100))
    )
    assert few.few is False  # 24 particles
    width = [t.f4_interval[1] - t.f4_interval[0] for t in (few, many)]
    assert width[1] < 0.5 * width[0]
    again = tune_thresholds(folds(3, particles=8), SPECIES[:1], resamples=300)["a"]
    assert again == few
    assert tune_thresholds(folds(3, particles=8), SPECIES[:1], resamples=300, seed=1)["a"] != few


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """The F4 at a fixed threshold, over fresh tomograms: 95 % intervals, 60 times."""
    long_run = [match(p.above(0.45), t, distance=10) for p, t in (made_up_draw(s) for s in range(1000, 1400))]
    true_f4 = sum(long_run[1:], long_run[0]).f_beta()
    inside = 0
    for seed in range(60):
        pairs = [made_up_draw(seed * 7 + i) for i in range(7)]
        data: list[Fold] = [(f"run_{i}", {"a": picks}, {"a": truth}) for i, (picks, truth) in enumerate(pairs)]
        low, high = at_fixed_threshold(data, 0.45)
        inside += low <= true_f4 <= high
    assert 48 <= inside <= 60


def made_up_draw(seed: int) -> tuple[Picks, Picks]:
    """A tomogram whose number of hit particles is itself drawn."""
    random = np.random.default_rng(seed)
    return made_up(random, particles=20, good=float(random.binomial(20, 0.7)) / 20)


def at_fixed_threshold(data: list[Fold], threshold: float) -> tuple[float, float]:
    """Interval of the F4 at a threshold that was not tuned."""
    runs = [[MatchedPicks.of(picks["a"], truth["a"], distance=10)] for _, picks, truth in data]
    return interval(np.array([sample.at(threshold).f_beta() for sample in bootstrap(runs, resamples=100, seed=0)]))


def test_the_same_picks_in_more_views_are_no_more_evidence() -> None:
    data = folds(2, particles=9)
    four = [fold for fold in data for _ in range(4)]
    once, more = (tune_thresholds(d, SPECIES[:1], resamples=50)["a"] for d in (data, four))
    assert once.few
    assert more == once


def test_a_species_that_nothing_hit_keeps_a_threshold_and_says_so() -> None:
    far = [(run, {"b": Picks.of([[9e9, 0, 0]])}, {"b": Picks.of([[0, 0, 0]])}) for run, _, _ in folds()]
    tuned = tune_thresholds(far, SPECIES[1:], resamples=20)["b"]
    assert (tuned.threshold, tuned.f4, tuned.particles, tuned.few) == (0.5, 0.0, 3, True)


def test_a_fold_counts_only_for_the_species_that_its_nets_know() -> None:
    data = folds()
    others: list[Fold] = [(f"other_{i}", {}, truth) for i, (_, _, truth) in enumerate(data)]
    assert tune_thresholds([*data, *others], SPECIES[:1], resamples=20) == tune_thresholds(
        data, SPECIES[:1], resamples=20
    )
    assert tune_thresholds(data, SPECIES, resamples=20)["b"].particles == 0


def test_a_margin_gives_the_laxer_threshold_of_training_and_its_interval() -> None:
    strict, soft = (tune_thresholds(folds(), SPECIES[:1], margin=s, resamples=60)["a"] for s in (0.0, 0.1))
    ranked = RankedPicks.of(MatchedPicks.of(picks["a"], truth["a"], distance=10.0) for _, picks, truth in folds())
    assert soft.threshold == steady_threshold(ranked, margin=0.1)
    assert soft.threshold < strict.threshold
    for tuned in (strict, soft):
        assert tuned.interval[0] <= tuned.threshold <= tuned.interval[1]


def models_of(checkpoint: Checkpoint) -> list[Checkpoint]:
    """As trained with each of two runs held out."""
    return [replace(checkpoint, history=(Trained(held_out=run),)) for run in ("run_000", "run_002")]


def test_each_model_picks_the_run_that_it_held_out(checkpoint: Checkpoint, project_folder: Path) -> None:
    project = open_project(project_folder)
    plan = LOW.model_copy(update={"noise_correction": 0.0})
    both = out_of_fold(project, models_of(checkpoint), plan=plan)
    assert both.signal_levels == SignalLevels()
    assert [run for run, _, _ in both.folds] == ["run_000", "run_002"]
    expected = pick(select_tomogram(project, "run_002", AnnotatedData()).read(), checkpoint, plan=plan)
    for name, picks in both.folds[1][1].items():
        assert both.peaks[1][1][name] is picks  # heatmaps are read by their peaks
        np.testing.assert_allclose(picks.zyx, expected[name].zyx)
        np.testing.assert_allclose(picks.score, expected[name].score)


@pytest.fixture(scope="module")
def found(checkpoint: Checkpoint, project_folder: Path) -> OutOfFold:
    """The out-of-fold picks of two models."""
    return out_of_fold(open_project(project_folder), models_of(checkpoint), plan=LOW)


def test_tune_gives_the_thresholds_of_the_out_of_fold_picks(
    checkpoint: Checkpoint, project_folder: Path, found: OutOfFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, asked = models_of(checkpoint), list[dict[str, Any]]()
    thresholds = {
        margin: tune_thresholds(found.folds, checkpoint.species, margin=margin, resamples=5) for margin in (0.0, 0.1)
    }
    assert thresholds[0.0] != thresholds[0.1]
    monkeypatch.setattr("tomosoup.training.tune.tune_thresholds", partial(tune_thresholds, resamples=5))
    for margin, expected in thresholds.items():
        tuned = tune(project_folder, models, plan=LOW, threshold_margin=margin)
        for after, before in zip(tuned, models, strict=True):
            assert after.thresholds == {name: t.threshold for name, t in expected.items()}
            assert after.signal_levels == found.signal_levels
            assert after.calibration == calibrate(pairs_of(found.peaks), checkpoint.species)
            assert after.pick_calibration == calibrate(pairs_of(found.folds), checkpoint.species)
            assert after.history[:-1] == before.history
            assert after.weights is before.weights
        monkeypatch.setattr("tomosoup.training.tune.out_of_fold", lambda *_, **given: asked.append(given) or found)
    tune(project_folder, models, plan=LOW, region=RegionOptions(mask="mask.mrc"))
    assert [given["region"].mask for given in asked] == [None, str(Path("mask.mrc").absolute())]


def test_the_quieter_run_is_made_as_loud_as_both_are_on_average(found: OutOfFold) -> None:
    raw = [picks for _, picks, _ in found.peaks]
    size = found.signal_levels.volume
    assert size is not None
    assert found.signal_levels == measured_levels([(picks, size) for picks in raw])
    scaled = [noise_corrected(picks, found.signal_levels, volume=size, power=LOW.noise_correction) for picks in raw]
    gains = []
    for (_, picks, _), before, after in zip(found.folds, raw, scaled, strict=True):
        for name in picks:
            np.testing.assert_array_equal(picks[name].score, after[name].score)
        gains.append(max(picks[name].score.max() / before[name].score.max() for name in picks))
    assert min(gains) == 1 < max(gains)


def test_models_that_held_out_the_same_run_pick_it_together(checkpoint: Checkpoint, project_folder: Path) -> None:
    project = open_project(project_folder)
    a = models_of(checkpoint)[0]
    b = replace(a, weights={k: -v if "head" in k else v for k, v in a.weights.items()})
    (found,) = out_of_fold(project, [a, b], plan=LOW).folds
    expected = pick(select_tomogram(project, "run_000", AnnotatedData()).read(), [a, b], plan=LOW)
    assert {name: len(picks) for name, picks in found[1].items()} == {n: len(p) for n, p in expected.items()}
    with pytest.raises(InputError, match="Models are tuned with equal weights"):
        out_of_fold(project, [a, b], plan=LOW.model_copy(update={"model_weights": (1.0, 2.0)}))


def test_with_a_mask_only_what_is_in_it_is_shown_and_counted(
    checkpoint: Checkpoint,
    project_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = open_project(project_folder)
    inside = np.zeros(select_tomogram(project, "run_000", DataOptions()).shape, np.int8)
    inside[:, :48] = 1
    mrcfile.write(tmp_path / "m.mrc", inside, voxel_size=10)
    runs = iter(["run_000", "run_002"])
    truths = {run: read_truths(project, AnnotatedData(runs=(run,)))[run] for run in ("run_000", "run_002")}

    def all_true(shown: Slices, *_: object, **__: object) -> Volume:
        assert isinstance(shown, Searched)
        assert shown.where.numpy().tolist() == (inside > 0).tolist()
        grid = Volume(torch.zeros(shown.shape), shown.voxel_size, shown.origin)
        return gaussian_targets(truths[next(runs)], checkpoint.species, grid, sigma=20.0)

    monkeypatch.setattr("tomosoup.training.run.out_of_fold.ensemble_heatmap", all_true)
    paths = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for path, model in zip(paths, models_of(checkpoint), strict=True):
        model.save(path)
    words = ["--mask", str(tmp_path / "m.mrc"), "--dry-run", "--resamples", "5", "--json"]
    main(["tune", str(project_folder), "--model", *map(str, paths), *words])
    tuned = json.loads(capsys.readouterr().out)["species"]
    for one in checkpoint.species:
        wanted = sum(int((of[one.name].zyx[:, 1] < 480).sum()) for of in truths.values() if one.name in of)
        assert tuned[one.name]["particles"] == wanted


@pytest.mark.parametrize("name", ["flip_z", "turn_90", "antitranspose+flip_z"])
def test_picks_of_a_view_are_in_the_tomograms_own_frame(
    checkpoint: Checkpoint, project_folder: Path, name: str
) -> None:
    """As if the tomogram was turned first, picked, and each pick looked up in the turned numbers of its voxels."""
    project, view = open_project(project_folder), VIEWS[name]
    whole = LOW.model_copy(update={"peaks": PeakOptions(floor=1e-3, refine=False), "noise_correction": 0.0})
    _, (_, found, _) = out_of_fold(
        project, models_of(checkpoint)[:1], plan=whole.model_copy(update={"views": (name,)})
    ).folds
    volume = select_tomogram(project, "run_000", AnnotatedData()).read()
    turned = Volume(view.apply(volume.data), volume.voxel_size, volume.origin)
    numbers = view.apply(torch.arange(volume.data.numel()).reshape(volume.shape))
    for species, picks in pick(turned, checkpoint, plan=whole).items():
        at = turned.to_voxel(picks.zyx).round().astype(int)
        expected = volume.to_angstrom(np.stack(np.unravel_index(numbers[tuple(at.T)].numpy(), volume.shape), axis=-1))
        assert len(picks) > 5
        assert {tuple(zyx) for zyx in found[species].zyx.round(3)} == {tuple(zyx) for zyx in expected.round(3)}


def test_what_has_no_held_out_run_is_refused(checkpoint: Checkpoint, project_folder: Path) -> None:
    with pytest.raises(InputError, match="names no held-out run, so none of its picks are out of fold"):
        held_out_run(checkpoint.history)
    with pytest.raises(InputError, match="There is no view sideways; expected all, or some of identity, flip_x"):
        out_of_fold(
            open_project(project_folder), models_of(checkpoint), plan=LOW.model_copy(update={"views": ("sideways",)})
        )


def test_thresholds_are_stored_with_where_they_come_from(checkpoint: Checkpoint) -> None:
    species = checkpoint.species
    data = [(run, {s.name: p["a"] for s in species}, {s.name: t["a"] for s in species}) for run, p, t in folds()]
    tuned = tune_thresholds(data, species, resamples=20)
    found = OutOfFold(data, data, SignalLevels({species[0].name: (0.9,), "unknown": (1.0,)}))
    (stored,) = with_thresholds([checkpoint], tuned, found)
    assert stored.thresholds == {s.name: tuned[s.name].threshold for s in species}
    assert stored.signal_levels == SignalLevels({species[0].name: (0.9,)})
    assert stored.history[-1].runs == ("run_0", "run_1", "run_2")
    assert stored.history[:-1] == checkpoint.history


def test_the_command_trains_all_folds_and_tunes_them(
    project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.safetensors"
    words = ["train", project_folder, "--output", out, "--all-folds", "--epochs", 1, "--batch-size", 2, "--sigma", 40]
    words += ["--net.backbone", "test_efficientnet", "--net.input-slices", 1, "--net.decoder-widths", 8, 8, 8]
    words += ["--windows.shape", 16, 32, 32, "--windows.stride", 16, 32, 32, "--crops-per-epoch", 2]
    main([str(w) for w in words])
    files = [tmp_path / f"m-fold{i}.safetensors" for i in range(3)]
    assert [load(f).history[-1].held_out for f in files] == ["run_000", "run_001", "run_002"]
    files[1].unlink()
    before = files[0].read_bytes()
    main([*map(str, words), "--resume"])  # only what is missing
    assert files[0].read_bytes() == before
    assert load(files[1]).history[-1].held_out == "run_001"
    assert capsys.readouterr().out.count("trained before") == 2
    with pytest.raises(SystemExit):
        main([*map(str, words), "--resume", "--learning-rate", "1e-5"])
    assert "m-fold0.safetensors exists and was trained with another recipe" in capsys.readouterr().err
    main(["tune", str(project_folder), "--model", *map(str, files), "--peaks.floor", "1e-4", "--resamples", "20"])
    said = capsys.readouterr().out
    assert "Thresholds, and F4 of these picks" in said
    assert "Stored in" in said
    again = [load(f) for f in files]
    assert all(m.thresholds == again[0].thresholds for m in again)
    assert all(m.history[-1].step == "tune" for m in again)
    assert "Few true particles for" in said or all(t >= 20 for t in counts(project_folder))
    stored = files[0].read_bytes()
    main(
        ["tune", str(project_folder), "--model", *map(str, files), "--dry-run", "--resamples", "5", "--softness", "0.1"]
    )
    assert files[0].read_bytes() == stored


def counts(project_folder: Path) -> list[int]:
    """True particles a species, over all runs."""
    truths = read_truths(open_project(project_folder), AnnotatedData())
    return [sum(len(truth[name]) for truth in truths.values()) for name in ("apo-ferritin", "beta-amylase")]


def test_both_systems_are_calibrated_alone_and_then_tuned_together(
    checkpoint: Checkpoint,
    project_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nets that know the truth but for noise: heatmaps of height 0.4, logits of labels; each misses other particles."""
    project = open_project(project_folder)
    maps: dict[float, tuple[torch.Tensor, torch.Tensor]] = {}
    for number, (run, truth) in enumerate(read_truths(project, AnnotatedData()).items()):
        volume = standardise(select_tomogram(project, run, AnnotatedData()).read())
        part = [{n: Picks.of(p.zyx[np.arange(len(p)) % 4 != k]) for n, p in truth.items()} for k in (0, 1)]
        noise = torch.Generator().manual_seed(number)
        heat = 0.4 * gaussian_targets(part[0], project.species, volume, sigma=40.0).data
        heat += 0.05 * torch.randn(heat.shape, generator=noise)
        labels = label_targets(part[1], project.species, volume).data[0].long()
        logits = 4 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 0).float()
        maps[float(volume.data.flatten()[7])] = heat, logits

    def told(model: Checkpoint, source: Slices, **_: object) -> list[Volume]:
        heat, logits = maps[float(source.slices(0, 1).flatten()[7])]
        return [Volume(logits if model.segments_voxels else heat, source.voxel_size, source.origin)]

    monkeypatch.setattr("tomosoup.inference.ensemble.heatmap_slabs", told)
    monkeypatch.setattr("tomosoup.inference.ensemble.Nets.ready", lambda _, model, plan, __: (model, plan))
    recipe = UNet3dOptions(channels=(4, 6), strides=(2,), residual_units=1)
    files: dict[str, list[str]] = {"heat": [], "label": []}
    for run in project.runs:
        history = (Trained(held_out=run, runs=tuple(r for r in project.runs if r != run)),)
        heat_model = replace(checkpoint, history=history, thresholds={})
        label_model = replace(heat_model, architecture=recipe, weights=build_net(recipe, classes=2).state_dict())
        for kind, model in (("heat", heat_model), ("label", label_model)):
            model.save(tmp_path / f"{kind}-{run}.safetensors")
            files[kind].append(str(tmp_path / f"{kind}-{run}.safetensors"))
    tune_all = ["tune", str(project_folder), "--resamples", "20", "--model"]
    with pytest.raises(SystemExit):
        main([*tune_all, *files["heat"], *files["label"]])
    assert (
        "run `tomosoup tune` on the heatmap models alone and on the segmentation models alone"
        in capsys.readouterr().err
    )
    for kind in ("heat", "label"):
        main([*tune_all, *files[kind]])
        assert set(load(files[kind][0]).calibration) == {s.name for s in project.species}
    heat, label = load(files["heat"][0]), load(files["label"][0])
    assert 0.1 < heat.calibration["apo-ferritin"].centre < 0.4
    alone = [m.history[-1].thresholds["apo-ferritin"]["f4"] for m in (heat, label)]
    main([*tune_all, *files["heat"], *files["label"]])
    mixed = load(files["label"][2])
    assert mixed.history[-1].thresholds["apo-ferritin"]["f4"] > max(alone) + 0.1  # what one misses the other finds
    assert mixed.calibration == label.calibration
    assert mixed.thresholds == load(files["label"][1]).thresholds == label.thresholds  # for picking alone, as before
    assert all_thresholds([load(files["heat"][0]), mixed]) == mixed.mixed_thresholds != mixed.thresholds
    assert all_thresholds([heat, label]) == {}  # tuned apart only: nothing on the common scale yet
    assert all_thresholds([mixed]) == mixed.thresholds
    picks = pick_project(project, [load(files["heat"][0]), mixed], data=DataOptions(runs=("run_000",)))
    assert len(picks["run_000"]["apo-ferritin"])


def test_models_of_other_tomograms_pick_all_annotated_runs_together(
    checkpoint: Checkpoint, project_folder: Path
) -> None:
    project = open_project(project_folder)
    models = [replace(checkpoint, history=(Trained(held_out=run),)) for run in ("elsewhere", "run_000")]
    with pytest.raises(InputError, match=r"The models held out elsewhere, which .* `all_runs`"):
        out_of_fold(project, models, plan=LOW)
    everything = out_of_fold(project, models, data=TuningData(all_runs=True), plan=LOW)
    assert [run for run, _, _ in everything.folds] == list(project.runs)
    one = out_of_fold(project, models, data=TuningData(all_runs=True, runs=("run_002",)), plan=LOW)
    expected = pick(select_tomogram(project, "run_002", AnnotatedData()).read(), models, plan=LOW)
    for name, picks in one.folds[0][1].items():
        np.testing.assert_allclose(picks.zyx, expected[name].zyx)


def test_a_model_by_name_gets_its_thresholds_in_a_new_file(
    checkpoint: Checkpoint, project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", str(project_folder), "--runs", "run_000", "--all-runs", "--resamples", "5"]
    with pytest.raises(SystemExit):
        main([*words, "--model", "default"])
    assert "got default: give it alone, with an --output" in " ".join(capsys.readouterr().err.split())
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    checkpoint.save(old)
    before = old.read_bytes()
    with pytest.raises(SystemExit):
        main([*words, "--model", str(old), str(old), "--output", str(new)])
    assert "one --model alone" in " ".join(capsys.readouterr().err.split())
    main([*words, "--model", str(old), "--output", str(new)])
    assert old.read_bytes() == before
    assert load(new).history[-1].record()["runs"] == ["run_000"]
    with pytest.raises(SystemExit):
        main([*words, "--model", str(old), "--output", str(new)])
    main([*words, "--model", str(old), "--output", str(new), "--overwrite"])


def test_species_without_particles_keep_their_thresholds_and_unknown_ones_are_named(
    checkpoint: Checkpoint, project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {s.name: 0.123 for s in checkpoint.species}
    first, *others = own
    model, truth = tmp_path / "model.safetensors", tmp_path / "truth.csv"
    replace(checkpoint, thresholds=own).save(model)
    header, rows = "experiment,particle_type,x,y,z", [f"run_000,{name},100,100,100" for name in (first, "strange")]
    words = [
        "tune",
        str(project_folder),
        "--all-runs",
        "--truth",
        str(truth),
        "--resamples",
        "5",
        "--model",
        str(model),
    ]
    truth.write_text("\n".join([header, rows[1]]))
    before = model.read_bytes()
    with pytest.raises(SystemExit):
        main(words)
    assert f"The true picks are of strange, and the models know {first}" in " ".join(capsys.readouterr().err.split())
    assert model.read_bytes() == before
    truth.write_text("\n".join([header, *rows]))
    main(words)
    assert "The models do not know strange" in " ".join(capsys.readouterr().out.split())
    assert others
    assert {name: load(model).thresholds[name] for name in others} == dict.fromkeys(others, 0.123)
