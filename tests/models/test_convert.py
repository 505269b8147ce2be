"""The winners' own files become our checkpoints, and nothing in them is run."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from small_models import A2

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.convert import A1_SPECIES, LAYOUTS, Layout, convert
from tomosoup.models.history import Converted
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import NetOptions
from tomosoup.models.window_plan import WindowPlan


@pytest.fixture(scope="module")
def random_state(reference: Path) -> ModuleType:
    """The program that draws the reference weights."""
    spec = importlib.util.spec_from_file_location("pseudo_random_state", reference / "pseudo_random_state.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def converted(
    reference: Path, random_state: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkpoint]:
    """A file as the authors published them, through the command line, and read back."""
    folder = tmp_path_factory.mktemp("published")
    shapes = json.loads((reference / "yu4u_state_dict.json").read_text())
    averaged = random_state.pseudo_random_state(shapes, 0)
    averaged["stem.conv.weight"] = torch.eye(5).reshape(5, 1, 5, 1, 1)
    last = {key: value.new_zeros(()).expand(value.shape) for key, value in averaged.items()}
    state = {f"model.{k}": v for k, v in last.items()} | {f"model_ema.module.{k}": v for k, v in averaged.items()}
    file, output = folder / "fold2.ckpt", folder / "a1.safetensors"
    torch.save({"epoch": 63, "pytorch-lightning_version": "2.4.0", "state_dict": state}, file)
    main(["convert", str(file), "--output", str(output)])
    yield load(output)
    file.unlink()
    output.unlink()


@torch.inference_mode()
def test_the_converted_net_is_the_winners_net(converted: Checkpoint, reference: Path) -> None:
    net = converted.net()
    assert sum(p.numel() for p in net.parameters()) == 147_402_697
    window = np.random.default_rng(0).standard_normal((1, 1, 16, 128, 128)).astype(np.float32)
    output = net(torch.from_numpy(window))[0]
    expected = np.load(reference / "yu4u_seed0.npz")
    scale = np.abs(expected["output"]).max()
    assert np.abs(output[:, ::3, ::7, ::7].numpy() - expected["output"]).max() < 1e-4 * scale
    assert float(output.mean()) == pytest.approx(float(expected["mean"]), rel=1e-4)
    assert float(output.std()) == pytest.approx(float(expected["std"]), rel=1e-4)


def test_the_converted_checkpoint_says_how_it_is_used(converted: Checkpoint) -> None:
    assert [s.name for s in converted.species] == [
        "apo-ferritin",
        "beta-galactosidase",
        "ribosome",
        "thyroglobulin",
        "virus-like-particle",
        "beta-amylase",
    ]
    assert [s.weight for s in converted.species] == [1, 2, 1, 2, 1, 0]
    assert (converted.normalisation.mean, converted.normalisation.deviation) == (5.2577832e-08, 7.199929e-06)
    assert converted.voxel_size == pytest.approx(10.012, abs=1e-3)
    assert converted.windows.shape == (16, 128, 128)
    assert converted.windows.stride == (8, 48, 48)
    (event,) = converted.history
    assert isinstance(event, Converted)
    assert event.averaged
    assert event.data["first_voxel"] == -0.5


@pytest.mark.parametrize(
    ("name", "parameters", "bare"),
    [
        ("tiny", 1_489_474, True),
        ("tiny", 1_489_474, False),
        ("medium", 4_536_742, False),
        ("big", 11_752_774, False),
    ],
)
@torch.inference_mode()
def test_the_converted_soups_are_the_winners_nets(
    reference: Path, random_state: ModuleType, tmp_path: Path, name: str, parameters: int, bare: bool
) -> None:
    shapes = json.loads((reference / "soup_state_dicts.json").read_text())[name]
    state = random_state.pseudo_random_state(shapes, 0)
    torch.save(state if bare else {"state_dict": state, "epoch": 3}, tmp_path / "soup.pth")
    main(["convert", str(tmp_path / "soup.pth"), "--output", str(tmp_path / "soup.safetensors")])
    checkpoint = load(tmp_path / "soup.safetensors")
    net = checkpoint.net()
    assert sum(p.numel() for p in net.parameters()) == parameters
    window = np.random.default_rng(0).standard_normal((1, 1, 32, 64, 64)).astype(np.float32)
    output = net(torch.from_numpy(window))[0, :, ::5, ::5, ::5].numpy()
    expected = np.load(reference / f"soup_{name}_seed0.npz")["output"]
    assert np.abs(output - expected).max() < 1e-4 * np.abs(expected).max()
    assert checkpoint.segments_voxels
    assert [s.name for s in checkpoint.species] == [s.name for s in CONTEST_SPECIES]
    (event,) = checkpoint.history
    assert isinstance(event, Converted)
    assert event.averaged is (name == "big")
    assert checkpoint.windows.shape == (160, 384, 384)


class Evil:
    """Runs when it is unpickled, if it may."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("open('/tmp/tomosoup-was-here', 'w')",)


def test_code_in_a_published_file_is_refused_by_name_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": Evil()}, tmp_path / "bad.ckpt")
    with pytest.raises(InputError, match=r"wants eval to be run or made, which was refused"):
        convert(tmp_path / "bad.ckpt")
    assert not Path("/tmp/tomosoup-was-here").exists()


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    with pytest.raises(InputError, match="There is no file"):
        convert(path)
    for content in (b"", b"hello, this is text", b"PK\x03\x04 cut off"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"is not a torch file|to be run or made"):
            convert(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="holds no table of weights"):
        convert(path)


def test_a_file_of_an_unknown_layout_is_described_so_that_it_can_be_reported(tmp_path: Path) -> None:
    path = tmp_path / "tattaka.ckpt"
    state = {f"model.encoder.layer{i}.weight": torch.zeros(i + 1, 3) for i in range(9)}
    torch.save({"state_dict": state}, path)
    with pytest.raises(InputError) as told:
        convert(path)
    said = str(told.value)
    for name in ("segmentation_head.weight", "model.0.conv.unit0.conv.weight", "9 tensors of 135 values"):
        assert name in said
    assert "model.encoder.layer0.weight (1, 3), model.encoder.layer1.weight (2, 3)" in said
    assert "layer5" in said
    assert "layer6" not in said
    assert "report these names" in said


def test_a_map_of_names_is_all_that_another_net_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it will be for the 4th place's second net, once the names in its authors' files are known."""
    layout = Layout(
        key="jpu.inputs.0.0.weight",
        prefixes=("ema.", ""),
        our_name=lambda key: key.replace("jpu", "pyramid").replace("final", "head"),
        nets={"4th place's net A2": A2},
        species=A1_SPECIES,
        windows=WindowPlan(shape=(32, 128, 128), stride=(16, 48, 48)),
        first_voxel=-0.5,
    )
    monkeypatch.setitem(LAYOUTS, "the 4th place's net A2", layout)
    net = build_net(A2, classes=6).eval()
    state = {k.replace("pyramid", "jpu").replace("head", "final"): v for k, v in net.state_dict().items()}
    torch.save({"state_dict": {f"ema.{k}": v for k, v in state.items()}}, tmp_path / "a2.ckpt")
    converted = convert(tmp_path / "a2.ckpt")
    assert converted.architecture == A2
    assert tuple(s.name for s in converted.species) == A1_SPECIES
    window = torch.randn(1, 1, 16, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(converted.net()(window), net(window))


def test_a_file_that_holds_a_similar_net_is_told_by_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    state = {"segmentation_head.weight": torch.zeros(2), "stem.conv.weight": torch.zeros(5, 1, 5, 1, 1)}
    torch.save({"state_dict": {f"model.{k}": v for k, v in (state | {"extra": torch.zeros(3)}).items()}}, path)
    with pytest.raises(InputError, match="was taken for the 4th place's net yu4u with six species") as told:
        convert(path)
    with torch.device("meta"):
        expected = len(build_net(NetOptions(), classes=6).state_dict())
    assert f"in {expected} weights: {expected - 2} missing (the first is encoder." in str(told.value)
    assert "1 of another shape (the first is head.weight (384, 256, 1, 1, 1), got (2,))" in str(told.value)
    assert "1 not known (the first is extra (3,))" in str(told.value)
    torch.save({"model.0.conv.unit0.conv.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"an 8th place's 3D U-Net .*tiny.*medium.*big 3D U-Net in \d+ weights"):
        convert(path)
