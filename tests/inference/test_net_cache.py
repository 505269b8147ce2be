"""Nets are made ready once, for their windows, on the engine that repays; what was chosen is told."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.core.types import Volume
from tomosoup.data.project import open_project
from tomosoup.inference.engines import choice
from tomosoup.inference.engines.net_cache import WORTH_PREPARING, Nets, prepare, some_windows
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.pick import pick, pick_project
from tomosoup.inference.sliding_window import heatmap_slabs, predict_heatmap
from tomosoup.inference.tiling.slabs import whole
from tomosoup.inference.tiling.windows import window_regions
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.window_plan import WindowPlan


def test_a_net_is_made_ready_once_for_all_runs_and_again_for_another(
    checkpoint: Checkpoint, project_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Checkpoint] = []
    build = Checkpoint.net
    monkeypatch.setattr(Checkpoint, "net", lambda model: built.append(model) or build(model))
    told: list[str] = []
    pick_project(open_project(project_folder), [checkpoint], nets=Nets(log=told.append))
    assert len(built) == 1
    assert told == [f"Engine: torch {torch.__version__} on cpu, fp32, 1 thread"]
    volume = Volume(torch.randn(16, 64, 64), 10.0)
    nets = Nets()
    plan = WindowPlan(shape=(16, 96, 96), stride=(16, 96, 96), border="inside")
    first, windows = nets.ready(checkpoint, plan, volume)
    assert windows.shape == (16, 64, 64)  # cut down to the volume
    assert nets.ready(checkpoint, plan, volume)[0] is first
    assert nets.ready(checkpoint, plan, Volume(torch.randn(16, 96, 64), 10.0))[0] is not first


@pytest.mark.parametrize(("compiled", "made"), [(True, 2), (False, 4)])
def test_nets_that_take_long_to_make_are_kept_for_the_next_tomogram(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, *, compiled: bool, made: int
) -> None:
    built: list[object] = []

    def spy(net: torch.nn.Module, **options: object) -> object:
        built.append(net)
        return prepare(net, **{**options, "options": InferenceOptions(engine="torch")})  # type: ignore[arg-type]

    monkeypatch.setattr("tomosoup.inference.engines.net_cache.prepare", spy)
    nets, other = Nets(InferenceOptions(compiled=compiled)), replace(checkpoint)
    for _ in range(2):
        for model in (checkpoint, other):
            nets.ready(model, checkpoint.windows, Volume(torch.randn(16, 64, 64), 10.0))
    assert len(built) == made


def test_a_ready_nets_map_is_the_nets_own(checkpoint: Checkpoint) -> None:
    volume = Volume(torch.randn(20, 70, 64), 10.0)
    engine, windows = Nets().ready(checkpoint, checkpoint.windows, volume)
    wanted = predict_heatmap(checkpoint.net(), volume, plan=checkpoint.windows).data
    torch.testing.assert_close(
        whole(heatmap_slabs(engine, volume, plan=windows), volume).data, wanted, atol=1e-5, rtol=1e-4
    )


def test_openvino_is_taken_where_net_and_tomogram_repay_it_or_it_is_named(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[InferenceOptions] = []

    def spy(net: torch.nn.Module, **options: object) -> object:
        asked.append(options["options"])  # type: ignore[arg-type]
        return prepare(net, **{**options, "options": InferenceOptions(engine="torch")})  # type: ignore[arg-type]

    monkeypatch.setattr("tomosoup.inference.engines.net_cache.prepare", spy)
    monkeypatch.setattr(choice, "installed", lambda _: True)

    parameters = sum(p.numel() for p in checkpoint.net().parameters())

    class Large(Volume):
        """So many slices that its windows repay OpenVINO."""

        @property
        def shape(self) -> tuple[int, int, int]:
            return WORTH_PREPARING // parameters // 64**2 + 1, 64, 64

    small = Volume(torch.zeros(16, 64, 64), 10.0)
    large = Large(torch.zeros(1, 1, 1), 10.0)
    for volume, inference, least, wanted in (
        (small, InferenceOptions(), parameters, "torch"),
        (large, InferenceOptions(), parameters, "auto"),
        (large, InferenceOptions(), parameters + 1, "torch"),
        (small, InferenceOptions(engine="openvino"), parameters, "openvino"),
        (large, InferenceOptions(engine="torch"), parameters, "torch"),
    ):
        monkeypatch.setattr("tomosoup.inference.engines.net_cache.LARGE", least)
        Nets(inference).ready(checkpoint, checkpoint.windows, volume)
        assert asked[-1].engine == wanted


def test_what_is_not_here_is_refused_before_anything_is_read(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="There is no device 'cuda' here"):
        pick(Volume(torch.randn(16, 64, 64), 10.0), checkpoint, inference=InferenceOptions(device="cuda"))
    monkeypatch.setattr(choice, "installed", lambda _: False)
    with pytest.raises(InputError, match=r"pip install 'tomosoup\[cpu\]'"):
        Nets(InferenceOptions(engine="openvino"))


def test_windows_to_calibrate_by_are_the_plans_and_differ() -> None:
    volume = Volume(torch.randn(40, 100, 90), 10.0)
    plan = WindowPlan(shape=(16, 32, 32), stride=(16, 32, 32))
    samples = some_windows(volume, plan, 12)
    assert samples.shape == (12, 1, 16, 32, 32)
    assert len({float(s.sum()) for s in samples}) == 12
    assert len(some_windows(volume, plan, 10_000)) == len(window_regions(volume.shape, plan))


def test_int8_says_what_it_does_to_the_heatmap(checkpoint: Checkpoint) -> None:
    pytest.importorskip("nncf")
    told: list[str] = []
    nets = Nets(InferenceOptions(precision="int8"), log=told.append)
    plan = WindowPlan(shape=(16, 32, 32), stride=(16, 16, 16))
    nets.ready(checkpoint, plan, Volume(torch.randn(48, 80, 80), 10.0))
    assert "int8" in told[0]
    assert "int8 changes the output of this net by" in told[1]
    assert "0.0%" not in told[1]


def test_windows_larger_than_the_volume_by_the_nets_stride_are_mirrored(checkpoint: Checkpoint) -> None:
    volume = Volume(torch.randn(20, 70, 90), 10.0)
    plan = WindowPlan(shape=(16, 1024, 1024), stride=(8, 768, 768), border="inside")
    engine, windows = Nets().ready(checkpoint, plan, volume)
    assert windows.shape == (16, 96, 96)
    heatmap = whole(heatmap_slabs(engine, volume, plan=windows), volume)
    assert heatmap.shape == (20, 70, 90)
    torch.testing.assert_close(
        heatmap.data, predict_heatmap(checkpoint.net(), volume, plan=plan).data, atol=1e-5, rtol=1e-4
    )
