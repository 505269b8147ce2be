import weakref
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import segmenting
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.runtime import best_device
from tomosoup.core.types import Species, Volume
from tomosoup.data.options import DataOptions, Normalisation
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.ensemble import all_species, all_thresholds, ensemble_heatmap
from tomosoup.inference.options.picking import PeakOptions, PickingPlan, SegmentationOptions
from tomosoup.inference.pick import pick, pick_project, pick_with
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.readout.watershed import labels_to_heatmap
from tomosoup.inference.sliding_window import expect_denoised, predict_heatmap, unlike_training
from tomosoup.inference.tiling.symmetries import VIEWS, View, chosen_views
from tomosoup.inference.tiling.windows import fitted, window_regions
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import Converted, History, Souped, Trained, Tuned
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import NetOptions
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.window_plan import WindowPlan
from tomosoup.scoring.calibration import Calibration
from tomosoup.simulation.denoising.apply import denoise_volume
from tomosoup.simulation.denoising.options import STRENGTH
from tomosoup.simulation.denoising.weights import shipped_denoiser
from tomosoup.training.options import TrainingRecipe

LOW = PickingPlan(peaks=PeakOptions(floor=1e-3))


@pytest.mark.parametrize("shape", [(20, 70, 90), (5, 20, 130), (16, 64, 64)])
def test_any_size_can_be_picked_also_below_a_window(checkpoint: Checkpoint, shape: tuple[int, int, int]) -> None:
    volume = Volume(torch.randn(shape), 10.0, (5.0, 5.0, 5.0))
    picks = pick(volume, checkpoint, plan=LOW)
    assert list(picks) == [s.name for s in checkpoint.species]
    for found in picks.values():
        assert len(found)
        inside = volume.to_voxel(found.zyx)
        assert (inside > -0.51).all()
        assert (inside < np.array(shape) - 0.49).all()


def test_an_ensemble_of_one_net_twice_is_that_net(checkpoint: Checkpoint) -> None:
    volume = Volume(torch.randn(16, 64, 96), 10.0)
    alone, twice = pick(volume, checkpoint, plan=LOW), pick(volume, [checkpoint, checkpoint], plan=LOW)
    for name, found in alone.items():
        np.testing.assert_allclose(twice[name].zyx, found.zyx, atol=1e-2)
        np.testing.assert_allclose(twice[name].score, found.score, rtol=1e-5)


def test_an_ensemble_maps_channels_by_name(checkpoint: Checkpoint) -> None:
    volume = Volume(torch.randn(16, 64, 64), 10.0)
    checkpoint = replace(checkpoint, species=tuple(replace(s, radius=60.0) for s in checkpoint.species))
    swapped = replace(checkpoint, species=checkpoint.species[::-1])
    alone, other = pick(volume, checkpoint, plan=LOW), pick(volume, swapped, plan=LOW)
    a, b = (s.name for s in checkpoint.species)
    np.testing.assert_allclose(alone[a].zyx, other[b].zyx)
    both = pick(volume, [checkpoint, swapped], plan=LOW)
    np.testing.assert_allclose(both[a].score, both[b].score, rtol=1e-5)  # both are the mean of the two channels


def alone(volume: Volume, model: Checkpoint) -> Tensor:
    """A model's heatmap, its species in the order of the names."""
    heatmap = predict_heatmap(model.net(), standardise(volume), plan=model.windows).data
    return heatmap[np.argsort([s.name for s in model.species])]


def test_an_ensemble_is_the_weighted_mean_whatever_net_window_and_order(checkpoint: Checkpoint) -> None:
    other_net = NetOptions(
        name="pyramid_unet", backbone="test_resnet", input_slices=1, depth_stride_limit=4, decoder_widths=(8, 8, 8, 8)
    )
    net = build_net(other_net, classes=2)
    torch.nn.init.normal_(net.head.weight)
    other = replace(
        checkpoint,
        weights=net.state_dict(),
        architecture=other_net,
        windows=WindowPlan(shape=(32, 32, 96), stride=(16, 16, 48), weighting="pyramid"),
        species=checkpoint.species[::-1],
    )
    volume = Volume(torch.randn(18, 40, 70), 10.0)
    mean = ensemble_heatmap(volume, [checkpoint, other], plan=PickingPlan(model_weights=(3.0, 1.0)))
    expected = 0.75 * alone(volume, checkpoint) + 0.25 * alone(volume, other)
    torch.testing.assert_close(mean.data, expected, atol=1e-5, rtol=1e-4)


def test_a_species_is_averaged_over_the_models_that_know_it(checkpoint: Checkpoint) -> None:
    only = replace(checkpoint, species=(Species("ribosome", 150.0), checkpoint.species[1]))
    volume = Volume(torch.randn(16, 64, 64), 10.0)
    first, shared, second = ensemble_heatmap(volume, [checkpoint, only]).data
    own = predict_heatmap(checkpoint.net(), standardise(volume), plan=checkpoint.windows).data
    for channel, expected in ((first, own[0]), (shared, own[1]), (second, own[0])):
        torch.testing.assert_close(channel, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("labels", [False, True])
def test_with_all_views_a_turned_volume_gives_the_turned_map(checkpoint: Checkpoint, labels: bool) -> None:
    """To the rounding of sixteen predictions, for both systems; with one view alone it does not."""
    volume = Volume(torch.randn(16, 32, 32), 10.0)
    small = WindowPlan(shape=(16, 32, 32), stride=(16, 32, 32))
    checkpoint = segmenting(checkpoint, seed=1) if labels else replace(checkpoint, windows=small)
    for views, agree in (("all",), True), ((), False):
        nets, plan = Nets(), PickingPlan(views=views)
        heatmap = ensemble_heatmap(volume, [checkpoint], plan=plan, nets=nets).data
        for name in ("flip_x", "flip_y", "transpose", "turn_90+flip_z"):
            turned = replace(volume, data=VIEWS[name].apply(volume.data))
            other = ensemble_heatmap(turned, [checkpoint], plan=plan, nets=nets).data
            assert torch.allclose(VIEWS[name].apply(heatmap), other, atol=1e-5, rtol=1e-3) is agree, name


def test_the_plan_soup_is_the_8th_places_windows_and_views() -> None:
    plan = PickingPlan.read("soup")
    four = [View(), View(flips=(-2,)), View(flips=(-1,)), View(transpose=True)]
    assert chosen_views(plan.views) == four
    assert chosen_views(("flip_x", "flip_x")) == [View(), View(flips=(-1,))]
    own = WindowPlan(shape=(160, 384, 384), stride=(1, 1, 1), border="inside")
    assert plan.windows(own).stride == (120, 288, 288)
    assert plan.windows(own).border == "inside"


def test_nets_that_label_voxels_have_their_logits_averaged(checkpoint: Checkpoint) -> None:
    a, b = (segmenting(checkpoint, seed=seed) for seed in (1, 2))
    volume = Volume(torch.randn(20, 40, 50), 10.0)
    logits = [predict_heatmap(m.net(), standardise(volume), plan=m.windows).data for m in (a, b)]
    expected = ((logits[0] + logits[1]) / 2).softmax(dim=0)[1:]
    torch.testing.assert_close(ensemble_heatmap(volume, [a, b]).data, expected, atol=1e-5, rtol=1e-4)
    assert list(pick(volume, [a, b])) == [s.name for s in checkpoint.species]


def test_probabilities_can_be_read_by_the_peaks_of_their_smoothed_maps(checkpoint: Checkpoint) -> None:
    model, volume = segmenting(checkpoint, seed=1), Volume(torch.randn(20, 64, 64), 10.0)
    chances = ensemble_heatmap(volume, [model])
    expected = find_peaks(labels_to_heatmap(chances, model.species), model.species)
    found = pick(volume, model, plan=PickingPlan(segmentation=SegmentationOptions(method="peaks")))
    other = pick(volume, model)
    for name, picks in expected.items():
        np.testing.assert_allclose(found[name].zyx, picks.zyx)
        assert len(other[name]) != len(picks)


def test_both_systems_are_averaged_on_one_scale(checkpoint: Checkpoint) -> None:
    """Each map goes through its own calibration, probabilities as smoothed; shares are those of the models."""
    a, b = (s.name for s in checkpoint.species)
    heat = replace(checkpoint, calibration={a: Calibration(0.3, 4.0), b: Calibration(0.5, 2.0)})
    label = replace(segmenting(checkpoint, seed=1), calibration={a: Calibration(0.1, 3.0), b: Calibration(0.2, 6.0)})
    volume = Volume(torch.randn(16, 48, 40), 10.0)
    mixed = ensemble_heatmap(volume, [heat, label, label], plan=PickingPlan(model_weights=(1.0, 2.0, 1.0)))
    smooth = labels_to_heatmap(ensemble_heatmap(volume, [label]), checkpoint.species)
    for c, name in enumerate((a, b)):
        mine = heat.calibration[name].apply(ensemble_heatmap(volume, [heat]).data[c])
        theirs = label.calibration[name].apply(smooth.data[c])
        torch.testing.assert_close(mixed.data[c], mine / 4 + theirs * 3 / 4, atol=1e-5, rtol=1e-4)
    assert list(pick(volume, [heat, label])) == [a, b]


def test_both_systems_align_species_by_name(checkpoint: Checkpoint) -> None:
    scale = {name: Calibration(0.3, 4.0) for name in ("apo-ferritin", "beta-amylase", "ribosome")}
    heat = replace(checkpoint, calibration=scale)
    other = replace(segmenting(checkpoint, seed=1), calibration=scale)
    other = replace(other, species=(checkpoint.species[1], Species("ribosome", 150.0)))
    volume = Volume(torch.randn(16, 48, 40), 10.0)
    first, both, last = ensemble_heatmap(volume, [heat, other]).data
    own = scale["ribosome"].apply(ensemble_heatmap(volume, [heat]).data)
    theirs = scale["ribosome"].apply(labels_to_heatmap(ensemble_heatmap(volume, [other]), other.species).data)
    torch.testing.assert_close(first, own[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(both, (own[1] + theirs[0]) / 2, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(last, theirs[1], atol=1e-5, rtol=1e-4)


def test_a_system_that_never_hit_a_species_has_no_say_in_it(checkpoint: Checkpoint) -> None:
    a, b = (s.name for s in checkpoint.species)
    heat = replace(checkpoint, calibration={a: Calibration(0.3, 4.0), b: Calibration(0.5, 2.0)})
    label = replace(segmenting(checkpoint, seed=1), calibration={a: Calibration(0.1, 3.0)})
    volume = Volume(torch.randn(16, 48, 40), 10.0)
    mixed = ensemble_heatmap(volume, [heat, label])
    own = heat.calibration[b].apply(ensemble_heatmap(volume, [heat]).data[1])
    torch.testing.assert_close(mixed.data[1], own, atol=1e-6, rtol=1e-5)
    neither = ensemble_heatmap(volume, [replace(heat, calibration=label.calibration), label])
    assert not neither.data[1].any()
    assert not len(pick(volume, [replace(heat, calibration=label.calibration), label])[b])


def test_both_systems_without_a_scale_are_not_averaged(checkpoint: Checkpoint) -> None:
    with pytest.raises(InputError, match="a heatmap model has none: run `tomosoup tune` on the heatmap models alone"):
        pick(Volume(torch.randn(16, 64, 64), 10.0), [checkpoint, segmenting(checkpoint, seed=1)])
    turned = replace(segmenting(checkpoint, seed=1), species=checkpoint.species[::-1])
    with pytest.raises(InputError, match="need the same species in the same order"):
        pick(Volume(torch.randn(16, 64, 64), 10.0), [turned, segmenting(checkpoint, seed=1)])


def test_windows_inside_a_small_volume_are_cut_down_to_it() -> None:
    seen = []

    class Net(TomoNet):
        multiple = (4, 4, 4)

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor, **_: int) -> Tensor:
            seen.append(tuple(x.shape[2:]))
            return x * self.weight

    plan = WindowPlan(shape=(160, 64, 64), stride=(120, 48, 48), weighting="gaussian", border="inside")
    volume = Volume(torch.randn(30, 40, 100), 10.0)
    torch.testing.assert_close(predict_heatmap(Net(), volume, plan=plan).data[0], volume.data, atol=1e-5, rtol=1e-5)
    assert set(seen) == {(32, 40, 64)}


def test_a_stride_that_would_leave_gaps_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(InputError, match=r"The plan: a stride of \(16, 96, 96\) leaves gaps between windows of"):
        pick(Volume(torch.randn(16, 64, 64), 10.0), checkpoint, plan=PickingPlan(stride=(16, 96, 96)))


def test_weights_must_be_one_a_model(checkpoint: Checkpoint) -> None:
    with pytest.raises(InputError, match=r"Expected one weight for each model .*, got 2 weights for 1 model"):
        pick(Volume(torch.randn(16, 64, 64), 10.0), checkpoint, plan=PickingPlan(model_weights=(1.0, 2.0)))


def test_a_checkpoints_own_normalisation_is_used(checkpoint: Checkpoint) -> None:
    constants = replace(checkpoint, normalisation=Normalisation(mean=2.0, deviation=4.0))
    volume = Volume(torch.randn(16, 64, 64) * 3 + 1, 10.0)
    shown = replace(volume, data=(volume.data - 2) / 4)
    expected = predict_heatmap(checkpoint.net(), shown, plan=checkpoint.windows).data
    torch.testing.assert_close(ensemble_heatmap(volume, [constants]).data, expected)
    with pytest.raises(
        InputError, match=r"grey values is \S+ and the checkpoint expects about 4: pick tomograms of the"
    ):
        pick(replace(volume, data=volume.data * 1e-6), constants)


def test_only_one_models_weights_are_in_memory_at_a_time(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []
    build = Checkpoint.net

    def counted(model: Checkpoint) -> torch.nn.Module:
        built = build(model)
        nets.append(weakref.ref(built))
        alive.append(sum(net() is not None for net in nets))
        return built

    nets: list[weakref.ref[torch.nn.Module]] = []
    checkpoint.save(tmp_path / "m.safetensors")
    monkeypatch.setattr(Checkpoint, "net", counted)
    models = [load(tmp_path / "m.safetensors") for _ in range(4)]
    assert all(not isinstance(m.weights, dict) for m in models)  # they are still in the file
    ensemble_heatmap(Volume(torch.randn(16, 64, 64), 10.0), models)
    assert len(alive) == 4
    assert max(alive) == 1


def test_the_papers_plans_lay_the_papers_windows() -> None:
    shallow, deep = WindowPlan(shape=(16, 128, 128)), WindowPlan(shape=(32, 128, 128))
    paper = PickingPlan.read("paper")
    how = {"weighting": "pyramid", "border": "centred"}
    assert paper.windows(shallow) == WindowPlan(shape=(16, 128, 128), stride=(8, 48, 48), **how)
    assert paper.windows(deep) == WindowPlan(shape=(32, 128, 128), stride=(16, 48, 48), **how)
    full = (184, 630, 630)
    for plan, layers, first in ((shallow, 22, 0), (deep, 11, -4)):
        regions = window_regions(full, paper.windows(plan))
        assert len(regions) == layers * 12 * 12
        assert regions[0][0].start == first
        assert regions[-1][0].stop == 184 - first
        assert regions[-1][1].stop == regions[-1][2].stop == 656
    assert len(window_regions(full, PickingPlan.read("paper-fewer-windows").windows(shallow))) == 22 * 9 * 9
    assert PickingPlan.read("paper-unweighted").windows(shallow).weighting == "none"
    assert round(paper.peaks.separation / 10.012) * 2 + 1 == 7
    assert not paper.peaks.refine
    own = WindowPlan(shape=(16, 64, 64), stride=(4, 5, 6))
    assert PickingPlan.read("as-trained").windows(own) == own
    assert PickingPlan.names() == ["as-trained", "paper", "paper-fewer-windows", "paper-unweighted", "planes", "soup"]


def test_whole_planes_are_one_window_a_layer_and_wider_volumes_overlap() -> None:
    planes = PickingPlan.read("planes").windows(TrainingRecipe.read("small").windows)
    assert PickingPlan.read("paper").windows(planes).shape == (16, 128, 128)
    full = fitted(planes, (184, 630, 630), multiple=(16, 32, 32))
    assert full.shape == (16, 640, 640)
    assert len(window_regions((184, 630, 630), full)) == 22
    wide = fitted(planes, (16, 1500, 630), multiple=(16, 32, 32))
    rows = [region[1] for region in window_regions((16, 1500, 630), wide)]
    assert [(r.start, r.stop) for r in rows] == [(0, 1024), (476, 1500)]


def test_the_papers_coordinates_come_out_of_the_paper_plan() -> None:
    """A peak at index i of the contest's tomograms stands at (i + 0.5 - 1.0) * 10.012 Å."""
    data = torch.zeros(1, 12, 12, 12)
    data[0, 4, 5, 6] = 1.0
    heatmap = Volume(data, 10.012, (-0.5 * 10.012,) * 3)
    (found,) = find_peaks(heatmap, [Species("a", 60.0)], peaks=PickingPlan.read("paper").peaks).values()
    np.testing.assert_allclose(found.zyx, [[(i + 0.5 - 1.0) * 10.012 for i in (4, 5, 6)]])


@pytest.mark.parametrize("shape", [(64, 64), (0, 64, 64), (1, 16, 64, 64)])
def test_what_is_no_volume_is_refused(checkpoint: Checkpoint, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"Expected a volume \(z, y, x\)"):
        pick(Volume(torch.zeros(shape), 10.0), checkpoint)


def test_species_that_disagree_are_named_and_thresholds_averaged(checkpoint: Checkpoint) -> None:
    other = replace(checkpoint, species=(Species("apo-ferritin", 61.0),), thresholds={"apo-ferritin": 0.2})
    with pytest.raises(InputError, match="different radii or weights for apo-ferritin"):
        all_species([checkpoint, other])
    assert all_thresholds([checkpoint, other]) == pytest.approx({"apo-ferritin": 0.3, "beta-amylase": 0.4})


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(InputError, match="There is no device 'warp'"):
        best_device("warp")
    assert best_device("cpu").type == "cpu"


def test_progress_reaches_its_end_over_runs_and_models(checkpoint: Checkpoint, project_folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    pick_project(
        open_project(project_folder),
        [checkpoint, checkpoint],
        data=DataOptions(runs=("run_000", "run_001")),
        progress=lambda _, done, total: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1]
    assert all(a <= b for (a, _), (b, _) in pairwise(seen))


@pytest.mark.parametrize("segments", [False, True])
def test_the_mean_over_views_is_that_of_their_maps_turned_back(checkpoint: Checkpoint, segments: bool) -> None:
    volume = Volume(torch.randn(16, 64, 96), 10.0)
    model = segmenting(checkpoint, seed=1) if segments else checkpoint
    views = [VIEWS[name] for name in ("identity", "flip_x", "turn_90+flip_z")]
    shown = standardise(volume)
    maps = [
        view.undo(predict_heatmap(model.net(), replace(shown, data=view.apply(shown.data)), plan=model.windows).data)
        for view in views
    ]
    mean = torch.stack(maps).mean(dim=0)
    expected = mean.softmax(dim=0)[1:] if segments else mean
    found = ensemble_heatmap(volume, [model], plan=PickingPlan(views=("flip_x", "turn_90+flip_z"))).data
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, ensemble_heatmap(volume, [model]).data, atol=1e-3, rtol=1e-2)


def test_an_array_without_a_voxel_size_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(InputError, match=r"got ndarray: .* give `Volume\(array, voxel_size\)`"):
        pick(np.zeros((16, 64, 64)), checkpoint)  # type: ignore[arg-type]


def test_a_checkpoint_keeps_the_picks_that_reach_its_thresholds(checkpoint: Checkpoint) -> None:
    picks = pick(Volume(torch.randn(16, 64, 64), 10.0), checkpoint, plan=LOW)
    a, b = (s.name for s in checkpoint.species)
    threshold = float(np.median(picks[a].score))
    kept = replace(checkpoint, thresholds={a: threshold}).keep(picks)
    assert 0 < len(kept[a]) < len(picks[a])
    assert (kept[a].score >= threshold).all()
    assert len(kept[b]) == len(picks[b])


DENOISED = (Trained(held_out="a", data={"tomo_type": "denoised"}),)
BOTH = (Trained(held_out="a", data={"kind": "denoised"}, recipe={"also_kinds": ["wbp"]}), Tuned())


@pytest.mark.parametrize(
    ("tomo_type", "history", "said"),
    [
        ("wbp", DENOISED, "trained on denoised tomograms alone"),
        (
            "wbp",
            (Converted(file="w", net="n", averaged=False, data={"kind": "denoised"}),),
            "trained on denoised tomograms alone",
        ),
        ("isonetcorrected", BOTH, "trained on denoised and wbp tomograms alone"),
        ("isonetcorrected", (Souped(ingredients=(DENOISED, BOTH)),), "trained on denoised and wbp tomograms alone"),
        ("wbp", BOTH, ""),
        ("denoised", DENOISED, ""),
        ("wbp-denoised-denoiset-ctfdeconv", DENOISED, ""),  # the portal's name
        ("filtered", DENOISED, ""),  # may be anything
        ("wbp", (Trained(held_out="a"),), ""),  # the only type of a project
        ("wbp", (), ""),
    ],
)
def test_a_tomogram_type_that_a_model_was_not_trained_on_is_named(
    checkpoint: Checkpoint, tomo_type: str, history: History, said: str
) -> None:
    text = unlike_training(tomo_type, [checkpoint, replace(checkpoint, history=history)])
    assert said in text
    assert bool(said) == bool(text)


def test_the_message_about_the_tomogram_type_comes_once(project: Path, checkpoint: Checkpoint) -> None:
    heard: list[str] = []
    opened, nets = open_project(project), Nets(log=heard.append)
    model = replace(checkpoint, history=(Trained(held_out="a", data={"tomo_type": "isonetcorrected"}),))
    for run in opened.runs[:2]:
        pick_with(nets, select_tomogram(opened, run, DataOptions(tomo_type="wbp")), [model], plan=LOW)
    assert [text for text in heard if "of the type wbp" in text] == [
        "The tomograms are of the type wbp, and a model was trained on isonetcorrected tomograms alone: it "
        "may find few particles or none. Pick that type, denoise this one, or train on it."
    ]


@pytest.mark.parametrize(
    ("tomo_type", "histories", "expected"),
    [
        ("wbp", [DENOISED, DENOISED], True),
        ("ctfdeconvolved", [DENOISED], True),
        ("denoised", [DENOISED], False),
        ("isonetcorrected", [DENOISED], False),  # a net has removed its noise
        ("filtered", [DENOISED], False),  # may be anything
        ("wbp", [DENOISED, BOTH], False),
        ("wbp", [DENOISED, ()], False),
        ("", [DENOISED], False),
    ],
)
def test_models_of_denoised_tomograms_alone_expect_others_to_be_denoised(
    checkpoint: Checkpoint, tomo_type: str, histories: list[History], expected: bool
) -> None:
    assert expect_denoised([replace(checkpoint, history=h) for h in histories], tomo_type) is expected


def test_tomograms_that_are_not_denoised_are_denoised_for_models_that_expect_it(
    project: Path, checkpoint: Checkpoint
) -> None:
    model, heard = replace(checkpoint, history=DENOISED), list[str]()
    tomogram = select_tomogram(open_project(project), "run_000", DataOptions(tomo_type="wbp"))
    made = denoise_volume(replace(shipped_denoiser(), strength=STRENGTH), tomogram.read())
    found = pick_with(Nets(log=heard.append), tomogram, [model], plan=LOW)
    always, never = (LOW.model_copy(update={"denoise": choice}) for choice in ("always", "never"))
    expected = pick(made, model, plan=LOW)  # a volume has no type
    asked = pick(tomogram.read(), model, plan=always)
    raw = pick(tomogram, model, plan=never)
    for name, picks in expected.items():
        assert len(picks)
        for same in (found, asked):
            np.testing.assert_allclose(same[name].zyx, picks.zyx, atol=1e-2)
            np.testing.assert_allclose(same[name].score, picks.score, rtol=1e-4)
        assert len(raw[name]) != len(picks) or not np.allclose(raw[name].score, picks.score, rtol=1e-2)
    assert [text for text in heard if "denoised" in text] == ["The tomograms are denoised before they are picked."]
    heatmap = ensemble_heatmap(tomogram, [model], plan=LOW).data
    torch.testing.assert_close(heatmap, ensemble_heatmap(made, [model], plan=LOW).data, rtol=1e-3, atol=1e-4)
