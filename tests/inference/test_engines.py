"""Engines: every one gives the plain net's output, and says in a sentence what it cannot do."""

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import timm
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Species
from tomosoup.inference.engines import choice, int8
from tomosoup.inference.engines import onnx_export as onnx_files
from tomosoup.inference.engines import onnxruntime_engine as in_onnxruntime
from tomosoup.inference.engines import openvino_engine as in_openvino
from tomosoup.inference.engines import torch_engine as in_torch
from tomosoup.inference.engines.choice import Choice, choose, cpu_has_bf16
from tomosoup.inference.engines.engine import Engine
from tomosoup.inference.engines.net_cache import prepare
from tomosoup.inference.engines.onnx_export import export_checkpoint, export_onnx
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.fused import accelerate
from tomosoup.models.nets.options import Architecture, NetOptions, UNet3dOptions
from tomosoup.models.window_plan import WindowPlan

WINDOW = (16, 32, 32)


class ThreeStages(nn.Sequential):
    """The smallest backbone there is: every layer of a real one takes long to export."""

    def __init__(self, in_chans: int) -> None:
        super().__init__()
        channels = [in_chans, 8, 12, 16]
        for n, stride in enumerate((4, 2, 2)):
            conv = nn.Conv2d(channels[n], channels[n + 1], 3, stride, 1)
            self.add_module(f"stage{n}", nn.Sequential(conv, nn.BatchNorm2d(channels[n + 1]), nn.SiLU()))
        self.feature_info = [
            {"num_chs": c, "reduction": r, "module": f"stage{n}"}
            for n, (c, r) in enumerate(zip(channels[1:], (4, 8, 16), strict=True))
        ]


@timm.models.register_model
def three_stages(in_chans: int = 3, **_: object) -> ThreeStages:
    """As timm makes its own."""
    return ThreeStages(in_chans)


A1 = NetOptions(backbone="three_stages", input_slices=3, decoder_widths=(8,))
FAMILIES: dict[str, Architecture] = {
    "A1": A1,
    "A1-plain-convolution": A1.model_copy(
        update={"backbone": "three_stages", "head": "plain", "depth_reduction": "convolution", "decoder_widths": (8, 8)}
    ),
    "A2": A1.model_copy(
        update={
            "name": "pyramid_unet",
            "backbone": "three_stages",
            "input_slices": 1,
            "depth_stride_limit": 4,
            "depth_mixing": True,
            "decoder_widths": (8, 8, 8),
        }
    ),
    "B": UNet3dOptions(channels=(4, 6, 8), strides=(2, 2), residual_units=1),
}


def trained(family: str) -> nn.Module:
    """A net of three species whose batch norms have seen something."""
    torch.manual_seed(0)
    net = build_net(FAMILIES[family], classes=3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.ones_(module.weight)
    if family != "B":
        nn.init.normal_(net.head.weight, std=1.0)  # heads start small
    return net.eval()


@cache
def exact(family: str) -> tuple[Tensor, Tensor]:
    """Three windows, and what the plain net makes of them."""
    net = trained(family)
    windows = torch.randn(3, 1, *WINDOW)
    with torch.no_grad():
        return windows, net(windows)


def relative_error(got: Tensor, expected: Tensor) -> float:
    """Of the whole, in the L2 norm."""
    assert got.shape == expected.shape
    assert got.dtype == torch.float32
    return float((got - expected).norm() / expected.norm())


def ready(net: nn.Module, engine: str = "torch", *, batch_size: int = 2, **options: Any) -> Callable[..., Any]:
    """An engine for `net`."""
    recipe = InferenceOptions(engine=engine, **{"device": "cpu", "precision": "fp32"} | options)
    return prepare(net, window=WINDOW, batch_size=batch_size, options=recipe)


@pytest.mark.parametrize("engine", ["torch", "openvino", "onnx"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_engine_gives_the_plain_nets_output_for_any_batch(family: str, engine: str) -> None:
    windows, expected = exact(family)
    run = ready(trained(family), engine)
    assert relative_error(run(windows[:2]), expected[:2]) < 1e-4
    assert relative_error(run(windows[2:]), expected[2:]) < 1e-4
    assert relative_error(torch.cat(list(run.each([windows[:2], windows[2:]]))), expected) < 1e-4
    assert "fp32" in run.description
    with pytest.raises(ValueError, match="Expected 1 to 2 float32 windows"):
        run(windows)
    with pytest.raises(ValueError, match="Expected 1 to 2 float32 windows"):
        run(windows[:, :, :8])


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_an_accelerated_net_runs_on_other_engines_too(engine: str) -> None:
    windows, expected = exact("A1-plain-convolution")
    run = ready(accelerate(trained("A1-plain-convolution"), window=WINDOW), engine)
    assert relative_error(run(windows[:1]), expected[:1]) < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_is_near_and_no_more(family: str) -> None:
    windows, expected = exact(family)
    run = ready(trained(family), precision="bf16")
    assert 1e-5 < relative_error(run(windows[:2]), expected[:2]) < 0.05
    assert "bf16" in run.description


def test_openvino_does_not_report_to_its_makers() -> None:
    ov = in_openvino.openvino()
    assert ov.__version__
    assert sys.modules["openvino_telemetry"] is None


# What is chosen


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend to be another machine."""

    def pretend(
        *, packages: tuple[str, ...] = (), providers: tuple[str, ...] = (), bf16: bool = False, cuda: bool = False
    ) -> None:
        monkeypatch.setattr(choice, "installed", lambda package: package in packages)
        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: [f"{p}ExecutionProvider" for p in providers]
        )
        monkeypatch.setattr(choice, "cpu_has_bf16", lambda: bf16)
        monkeypatch.setattr(choice, "openvino_has_bf16", lambda: bf16)
        here = {"auto": "cuda" if cuda else "cpu"}
        monkeypatch.setattr(choice, "best_device", lambda wanted: torch.device(here.get(wanted, wanted)))

    return pretend


ONNX = ("onnx", "onnxscript", "onnxruntime")


@pytest.mark.parametrize(
    ("has", "options", "chosen"),
    [
        ({}, {}, ("torch", "cpu", "fp32")),
        ({"bf16": True}, {}, ("torch", "cpu", "bf16")),
        ({"packages": ("openvino",)}, {}, ("openvino", "cpu", "fp32")),
        ({"packages": ("openvino",), "bf16": True}, {}, ("openvino", "cpu", "bf16")),
        ({"packages": ("openvino",), "bf16": True}, {"precision": "fp32"}, ("openvino", "cpu", "fp32")),
        ({"packages": ("openvino",)}, {"precision": "bf16"}, ("torch", "cpu", "bf16")),
        ({"packages": ("openvino",)}, {"compiled": True}, ("torch", "cpu", "fp32")),
        ({"packages": ("openvino",), "cuda": True}, {}, ("torch", "cuda", "fp16")),
        ({"packages": ("openvino",), "cuda": True}, {"precision": "bf16"}, ("torch", "cuda", "bf16")),
        ({"packages": ("openvino",), "cuda": True}, {"device": "cpu"}, ("openvino", "cpu", "fp32")),
        ({"packages": ("openvino",), "cuda": True}, {"engine": "openvino"}, ("openvino", "cpu", "fp32")),
        ({}, {"device": "mps"}, ("torch", "mps", "fp32")),
        ({"packages": ONNX, "providers": ("CPU",)}, {"engine": "onnx"}, ("onnx", "cpu", "fp32")),
        ({"packages": ONNX, "providers": ("CUDA", "CPU")}, {"engine": "onnx"}, ("onnx", "cuda", "fp32")),
        (
            {"packages": ONNX, "providers": ("Tensorrt", "CUDA", "CPU")},
            {"engine": "tensorrt"},
            ("tensorrt", "cuda", "fp16"),
        ),
    ],
)
def test_the_choice_follows_what_is_there(
    machine: Callable[..., None], has: dict[str, Any], options: dict[str, Any], chosen: tuple[str, str, str]
) -> None:
    machine(**has)
    found = choose(InferenceOptions(**options))
    assert (found.engine, found.device.type, found.precision) == chosen


@pytest.mark.parametrize(
    ("has", "options", "sentence"),
    [
        ({}, {"engine": "openvino"}, r"requires openvino, not installed here: pip install 'tomosoup\[cpu\]'"),
        ({"packages": ("onnx",)}, {"engine": "onnx"}, r"requires onnxscript, onnxruntime, .*'tomosoup\[onnx\]'"),
        ({"packages": ONNX, "providers": ("CPU",)}, {"engine": "tensorrt"}, "has no TensorRT provider: pip install"),
        ({"packages": ONNX, "providers": ("CPU",)}, {"engine": "onnx", "device": "cuda"}, "has no CUDA provider"),
        ({}, {"precision": "fp16"}, "torch on cpu supports precision fp32, bf16, got fp16: choose one of these"),
        ({"cuda": True}, {"precision": "int8"}, "torch on cuda supports precision .* got int8.*or engine openvino"),
        ({}, {"precision": "int8"}, r"pip install 'tomosoup\[cpu\]'"),
        ({"packages": ("openvino",)}, {"engine": "openvino", "device": "cuda"}, "openvino does not run on cuda"),
        ({"packages": ("openvino",)}, {"engine": "openvino", "precision": "bf16"}, "This CPU has no bf16 products"),
        ({"packages": ("openvino",)}, {"engine": "openvino", "compiled": True}, "`compiled` requires engine torch"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    machine: Callable[..., None], has: dict[str, Any], options: dict[str, Any], sentence: str
) -> None:
    machine(**has)
    with pytest.raises(InputError, match=sentence):
        choose(InferenceOptions(**options))


def test_windows_that_the_net_cannot_take_and_unknown_engines_are_refused() -> None:
    with pytest.raises(InputError, match=r"multiples of \(4, 4, 4\), got \(1, 1, 16, 30, 32\)"):
        prepare(trained("B"), window=(16, 30, 32), batch_size=1, options=InferenceOptions())
    with pytest.raises(ValidationError, match="engine"):
        InferenceOptions(engine="abacus")  # type: ignore[arg-type]


def test_a_cpus_bf16_is_read_from_torch_or_from_its_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not cpu_has_bf16()  # as the tests are run
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    for known in ({"amx_bf16": True}, {"avx512_bf16": True}, {}):
        says = {"architecture": "x86_64", **known}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda says=says: says, raising=False)
        assert cpu_has_bf16(tmp_path / "none") == bool(known)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(choice.platform, "machine", lambda: "x86_64")
    info = tmp_path / "cpuinfo"
    for flags, has in (("fpu avx512_bf16 sse", True), ("fpu amx_bf16", True), ("fpu avx2", False), ("bf16", False)):
        info.write_text(f"flags\t\t: {flags}\n")
        assert cpu_has_bf16(info) == has
    assert not cpu_has_bf16(tmp_path / "none")


# GPUs


ON_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@ON_CUDA
@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"precision": "fp32"}, 2e-3),  # its matrix units multiply in TF32
        ({"precision": "fp16"}, 2e-2),
        ({"precision": "bf16"}, 5e-2),
        ({"precision": "fp16", "compiled": True}, 2e-2),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_gives_the_plain_nets_output(family: str, options: dict[str, Any], most: float) -> None:
    windows, expected = exact(family)
    run = ready(trained(family), device="cuda", **options)
    found = torch.cat([output.clone() for output in run.each([windows[:2], windows[2:]])])
    assert relative_error(found, expected) < most


def test_on_cuda_cudnn_stays_on_and_looks_for_its_fastest_algorithms() -> None:
    def state() -> tuple[bool, bool, bool]:
        cudnn = torch.backends.cudnn
        return cudnn.enabled, cudnn.benchmark, cudnn.deterministic

    for kind, within in (("cuda", (True, True, False)), ("cpu", (True, False, False))):
        with in_torch.tuned(torch.device(kind)):
            assert state() == within
        assert state() == (True, False, False)


def test_an_output_is_waited_for_on_the_gpu_that_computes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on the current one, the first: its stream has nothing to wait for."""
    streams: list[Any] = []

    class Event:
        def record(self, stream: Any = "of the current device") -> None:
            streams.append(stream)

        def synchronize(self) -> None:
            streams.append("waited")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"of {device}")
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda shape, dtype, **_: empty(shape, dtype=dtype))
    finish = in_torch.download(torch.ones(2, dtype=torch.float16), torch.device("cuda:1"))
    assert streams == ["of cuda:1"]
    assert finish().dtype == torch.float32
    assert streams == ["of cuda:1", "waited"]


def test_a_compiled_net_sees_full_batches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def compiled(net: nn.Module, **_: Any) -> Callable[[Tensor], Tensor]:
        return lambda x: seen.append(len(x)) or net(x)

    monkeypatch.setattr(torch, "compile", compiled)
    windows, expected = exact("B")
    run = ready(trained("B"), compiled=True)
    assert relative_error(run(windows[:1]), expected[:1]) < 1e-5
    assert seen == [2]
    assert "compiled" in run.description


def test_on_cuda_a_batch_is_begun_before_the_last_is_waited_for() -> None:
    told: list[str] = []

    def start(windows: Tensor) -> Callable[[], Tensor]:
        told.append(f"begin {int(windows[0, 0, 0, 0, 0])}")
        return lambda: told.append(f"wait {int(windows[0, 0, 0, 0, 0])}") or windows

    engine = Engine(description="", window=(1, 1, 1), batch_size=1, start=start)
    batches = [torch.full((1, 1, 1, 1, 1), float(n)) for n in range(3)]
    assert [float(o) for o in engine.each(batches)] == [0.0, 1.0, 2.0]
    assert told == ["begin 0", "begin 1", "wait 0", "begin 2", "wait 1", "wait 2"]
    assert list(engine.each([])) == []


def test_in_bf16_a_cpus_net_is_bf16_and_its_kernels_have_their_channels_last() -> None:
    net = nn.Sequential(nn.Conv3d(1, 16, 3), nn.BatchNorm3d(16), nn.Conv3d(16, 4, 3))
    weights = [net[i].weight.bfloat16().clone() for i in (0, 2)]
    placed = in_torch.place(net, Choice("torch", torch.device("cpu"), "bf16"))
    assert {p.dtype for p in placed.parameters()} == {torch.bfloat16}
    assert placed[0].weight.stride(1) == placed[2].weight.stride(1) == 1  # of one channel, too
    for i, weight in zip((0, 2), weights, strict=True):
        torch.testing.assert_close(placed[i].weight, weight, rtol=0, atol=0)


def test_tensorrt_knows_the_smallest_and_the_largest_batch_and_falls_back_on_cuda(tmp_path: Path) -> None:
    """Else it would build its kernels, which takes minutes, again for the last batch."""
    kept, second = tmp_path / "kernels", torch.device("cuda:1")
    (name, told), *rest = in_onnxruntime.providers(
        Choice("tensorrt", second, "fp16"), window=WINDOW, batch_size=4, kept=kept
    )
    assert name == "TensorrtExecutionProvider"
    assert rest == [("CUDAExecutionProvider", {"device_id": 1}), "CPUExecutionProvider"]
    shapes = {told[f"trt_profile_{end}_shapes"] for end in ("min", "max")}
    assert shapes == {"window:1x1x16x32x32", "window:4x1x16x32x32"}
    assert (told["device_id"], told["trt_fp16_enable"]) == (1, True)
    assert "trt_bf16_enable" not in told  # which versions of 2025 and before refuse to know
    assert told["trt_engine_cache_path"] == told["trt_timing_cache_path"] == str(kept)
    assert kept.is_dir()
    ((_, forgets), *_) = in_onnxruntime.providers(
        Choice("tensorrt", second, "bf16"), window=WINDOW, batch_size=4, kept=None
    )
    assert forgets["trt_bf16_enable"]
    assert not any("cache" in key or "fp16" in key for key in forgets)


def test_a_provider_that_onnx_runtime_left_out_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It only logs that a library of CUDA is missing, and computes on the CPU."""
    monkeypatch.setattr(choice, "onnx_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(InputError, match="could not start its provider CUDA and would compute on CPU"),
    ):
        ready(trained("B"), "onnx", device="cuda")


def test_onnx_runtime_on_cuda_falls_back_on_the_cpu_and_on_a_cpu_stays_there() -> None:
    on_cuda, on_cpu = (
        in_onnxruntime.providers(Choice("onnx", torch.device(kind), "fp32"), window=WINDOW, batch_size=4, kept=None)
        for kind in ("cuda", "cpu")
    )
    assert on_cuda == [("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"]
    assert on_cpu == ["CPUExecutionProvider"]


# ONNX files


def labels_checkpoint() -> Checkpoint:
    """The smallest net as a checkpoint of three species."""
    return Checkpoint(
        weights=trained("B").state_dict(),
        architecture=FAMILIES["B"],
        species=tuple(Species(name, 60.0) for name in ("a", "b", "c")),
        voxel_size=10.0,
        windows=WindowPlan(shape=WINDOW, stride=WINDOW),
        thresholds={"a": 0.4},
    )


def test_a_checkpoint_as_onnx_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = labels_checkpoint()
    checkpoint.save(tmp_path / "model.safetensors")
    # The weights beside the file, as those of large nets are, found there after the file was renamed.
    monkeypatch.setattr(onnx_files, "LARGEST_FILE", 1000)
    out = tmp_path / "net.onnx"
    words = ["export-onnx", str(tmp_path / "model.safetensors"), "-o", str(out), "--window", "16", "32", "32"]
    main(words)
    said = capsys.readouterr().out
    assert "(batch, 1, 16, 32, 32)" in said
    assert "net.onnx.data" in said
    assert "tomosoup.thresholds" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors", "net.onnx", "net.onnx.data"]
    with pytest.raises(SystemExit):
        main(words)
    assert "--overwrite" in capsys.readouterr().err
    about = {
        p.key: json.loads(p.value) for p in onnx.load(out, load_external_data=False).metadata_props if "." in p.key
    }
    assert [s["name"] for s in about["tomosoup.species"]] == [s.name for s in checkpoint.species]
    assert about["tomosoup.thresholds"] == checkpoint.thresholds
    assert about["tomosoup.voxel_size"] == 10.0
    assert about["tomosoup.normalisation"] == checkpoint.normalisation.model_dump(mode="json")
    assert about["tomosoup.output"] == "logits, background first, then species"
    run = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        windows = torch.randn(count, 1, 16, 32, 32)
        with torch.no_grad():
            expected = checkpoint.net()(windows)
        got = torch.from_numpy(run.run(None, {"window": windows.numpy()})[0])
        assert relative_error(got, expected) < 1e-4


def test_a_batch_of_one_may_be_fixed_and_an_old_file_outlives_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "net.onnx"
    assert export_onnx(trained("B"), out, window=WINDOW, dynamic_batch=False) == [out]
    shape = onnx.load(out).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in shape] == [1, 1, *WINDOW]
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"multiples of \(4, 4, 4\)"):
        export_onnx(trained("B"), out, window=(16, 30, 32))
    monkeypatch.setattr(onnx_files.json, "dumps", lambda _: pytest.fail("full disk"))
    monkeypatch.setattr(onnx_files, "export_graph", lambda *_, **__: pytest.fail("failed"))
    with pytest.raises(pytest.fail.Exception):
        export_onnx(trained("B"), out, window=WINDOW)
    assert out.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_an_export_without_the_packages_names_the_extra(machine: Callable[..., None], tmp_path: Path) -> None:
    machine()
    with pytest.raises(InputError, match=r"'tomosoup\[onnx\]'"):
        export_checkpoint(labels_checkpoint(), tmp_path / "net.onnx")


# int8


def test_int8_is_near_and_wants_calibration() -> None:
    net, (windows, _) = trained("B"), exact("B")
    options = InferenceOptions(precision="int8", device="cpu")
    with pytest.raises(InputError, match="Expected calibration windows of your tomograms"):
        prepare(net, window=WINDOW, batch_size=2, options=options)
    for wrong in (torch.zeros(11, 1, *WINDOW), torch.zeros(12, 1, 16, 16, 32)):
        with pytest.raises(InputError, match="int8 requires 12 or more calibration windows"):
            prepare(net, window=WINDOW, batch_size=2, options=options, calibration=wrong)
    run = prepare(net, window=WINDOW, batch_size=2, options=options, calibration=torch.randn(12, 1, *WINDOW))
    assert "int8" in run.description
    found = int8.compare(run, net, windows)
    assert 1e-4 < found.relative_error < 0.3
    assert found.peaks > 0
    assert found.peak_difference > 0


def test_calibration_on_quiet_windows_is_told_by_loud_ones() -> None:
    """Scales set by windows a hundredth as strong cut off all that is stronger, and the check says so."""
    net = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 2, 3, padding=1))
    windows = torch.randn(2, 1, *WINDOW)
    quiet = int8.quantise(net, torch.randn(12, 1, *WINDOW) / 100, window=WINDOW, batch_size=1)
    good = int8.quantise(net, torch.randn(12, 1, *WINDOW), window=WINDOW, batch_size=1)
    assert int8.compare(quiet, net, windows).relative_error > 0.5
    assert int8.compare(good, net, windows).relative_error < 0.1


def test_the_check_measures_the_whole_and_the_peaks() -> None:
    heatmap = torch.zeros(1, 1, *WINDOW)
    heatmap[0, 0, 8, 8, 8], heatmap[0, 0, 8, 20, 20], heatmap[0, 0, 2, 2, 2] = 0.8, 0.6, 0.03
    changed = heatmap.clone()
    changed[0, 0, 8, 20, 20] = 0.4
    changed[0, 0, 0, 30, 30] = 5.0  # off the peaks
    found = int8.compare(lambda _: changed, lambda _: heatmap, torch.zeros(1, 1, *WINDOW))
    assert found.peaks == 2
    assert found.peak_difference == pytest.approx(0.2)
    power = 0.8**2 + 0.6**2 + 0.03**2
    assert found.relative_error == pytest.approx(((0.2**2 + 25) / power) ** 0.5)
    same = int8.compare(lambda _: heatmap, lambda _: heatmap, torch.zeros(1, 1, *WINDOW))
    assert (same.relative_error, same.peak_difference) == (0, 0)
