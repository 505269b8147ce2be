"""What every net promises, and that net A1 is the winners' net."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tomosoup.errors import InputError
from tomosoup.nets import NETS, build_net
from tomosoup.recipes.training import NetRecipe

SMALL = {"decoder_widths": (16, 12, 8), "input_slices": 3}
RECIPES = [
    NetRecipe(name=name, backbone=backbone, **SMALL)
    for name in NETS
    for backbone in ("mobilenetv3_small_050", "resnet10t", "edgenext_xx_small")
] + [NetRecipe(backbone="resnet10t", decoder_widths=(12, 10, 8, 6), input_slices=1)]


@pytest.fixture(params=RECIPES, ids=lambda r: f"{r.name}-{r.backbone}-{len(r.decoder_widths)}")
def net(request: pytest.FixtureRequest) -> torch.nn.Module:
    built = build_net(request.param, classes=5)
    # Batch norm as after some training: ResNets start with weights of 0 that let no gradient through.
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.ones_(module.weight)
    return built.eval()


@torch.inference_mode()
def test_output_has_the_size_of_the_input_and_a_channel_a_class(net: torch.nn.Module) -> None:
    for shape in ((16, 64, 64), (32, 32, 96)):
        assert net(torch.randn(2, 1, *shape)).shape == (2, 5, *shape)


@torch.inference_mode()
def test_windows_of_a_batch_do_not_see_each_other(net: torch.nn.Module) -> None:
    x = torch.randn(2, 1, 16, 32, 64)
    torch.testing.assert_close(net(x)[1:], net(x[1:]), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(net(x), net(x))


@pytest.mark.parametrize("shape", [(1, 1, 16, 64, 60), (1, 1, 12, 64, 64), (1, 2, 16, 64, 64), (16, 64, 64)])
def test_other_sizes_are_refused_with_the_multiples(net: torch.nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"multiples of \(16, 32, 32\)"):
        net(torch.zeros(shape))


def test_a_training_step_reaches_every_learned_weight(net: torch.nn.Module) -> None:
    net.train()
    net(torch.randn(2, 1, 32, 64, 64)).square().mean().backward()
    idle = [n for n, p in net.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not idle


def test_a_new_net_is_quiet(net: torch.nn.Module) -> None:
    assert float(net(torch.randn(1, 1, 16, 64, 64)).detach().std()) < 0.3


def test_each_slice_sees_its_neighbours_and_zeros_past_the_ends() -> None:
    picker = build_net(NetRecipe(backbone="mobilenetv3_small_050", decoder_widths=(8, 8, 8)), classes=1).encoder.slices
    x = torch.randn(1, 1, 4, 2, 2)
    seen = picker(x)
    assert seen.shape == (1, 5, 4, 2, 2)
    torch.testing.assert_close(seen[0, :, 1, 0, 0], torch.cat([torch.zeros(1), x[0, 0, :4, 0, 0]]))


def test_an_unknown_backbone_and_too_many_widths_are_refused() -> None:
    with pytest.raises(InputError, match="timm cannot make backbone 'nonsense'"):
        build_net(NetRecipe(backbone="nonsense"), classes=1)
    with pytest.raises(InputError, match="4 feature stages and the decoder's 4 widths need 5"):
        build_net(NetRecipe(backbone="edgenext_xx_small", decoder_widths=(8, 8, 8, 8)), classes=1)


def ours(key: str) -> str:
    """Our name of a weight in the 4th place's checkpoints."""
    key = re.sub(r"^backbone\.", "encoder.backbone.", key).replace("stem.conv", "encoder.slices")
    key = key.replace("segmentation_head", "head").replace("conv3ds", "skips").replace(".block.", ".")
    return re.sub(r"decoder\.blocks\.(\d)\.conv(\d)", lambda m: f"steps.{m[1]}.{int(m[2]) - 1}", key)


@torch.inference_mode()
def test_the_full_size_net_is_the_winners_net(reference: Path) -> None:
    spec = importlib.util.spec_from_file_location("pseudo_random_state", reference / "pseudo_random_state.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state: dict[str, Tensor] = module.pseudo_random_state(
        json.loads((reference / "yu4u_state_dict.json").read_text()), 0
    )
    net = build_net(NetRecipe(), classes=6).eval()
    assert sum(p.numel() for p in net.parameters()) == 147_402_697
    state["stem.conv.weight"] = net.encoder.slices.weight
    net.load_state_dict({ours(key): value for key, value in state.items()})
    window = np.random.default_rng(0).standard_normal((1, 1, 16, 128, 128)).astype(np.float32)
    output = net(torch.from_numpy(window))[0]
    expected = np.load(reference / "yu4u_seed0.npz")
    scale = np.abs(expected["output"]).max()
    assert np.abs(output[:, ::3, ::7, ::7].numpy() - expected["output"]).max() < 1e-4 * scale
    assert float(output.mean()) == pytest.approx(float(expected["mean"]), rel=1e-4)
    assert float(output.std()) == pytest.approx(float(expected["std"]), rel=1e-4)
