"""What every net promises."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from safetensors.torch import save_file
from small_models import A1, A2, A2_OTHER, CHANGES

from tomosoup.core.errors import InputError
from tomosoup.core.types import Species
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.blocks.attention import Attention
from tomosoup.models.nets.blocks.joint_pyramid import JointPyramid, SeparableBlock
from tomosoup.models.nets.blocks.slice_encoder import SliceEncoder, SlicePicker, backbone_of, depth_step
from tomosoup.models.nets.blocks.timm_backbone import timm_backbone
from tomosoup.models.nets.build import NETS, build_net
from tomosoup.models.nets.options import NetOptions, PyramidOptions, net_differences, read_architecture
from tomosoup.models.nets.tomo_net import HaloNet, TomoNet
from tomosoup.models.nets.unet3d import UNet3d
from tomosoup.models.window_plan import WindowPlan
from tomosoup.training.options import TrainingRecipe

BESIDES = {"heatmaps": 0, "labels": 1, "centres": 3}
"""Channels of an output that are no species."""


@pytest.fixture(scope="module", params=CHANGES.values(), ids=CHANGES.keys())
def net(request: pytest.FixtureRequest) -> TomoNet:
    """A net of five outputs; a test that changes it works on a copy."""
    torch.manual_seed(0)
    built = build_net(request.param, classes=5 - BESIDES[request.param.predicts])
    # Batch norm as after some training: ResNets start with weights of 0 that let no gradient through.
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.ones_(module.weight)
        if isinstance(module, Attention):  # its few units may all be dead at the start, by chance
            torch.nn.init.ones_(module.channel[1].bias)
    return built.eval()


@torch.inference_mode()
def test_output_has_the_size_of_the_input_and_a_channel_a_class(net: TomoNet) -> None:
    least = tuple(max(8, m) for m in net.multiple)  # instance norm needs more than one voxel a map
    for shape in ((max(16, least[0]), 64, 64), (32, 32, 96), least):
        assert net(torch.randn(2, 1, *shape)).shape == (2, 5, *shape)


@torch.inference_mode()
def test_a_halo_gives_the_slices_that_zeros_stand_for(net: TomoNet) -> None:
    depth = max(16, net.multiple[0])
    x = torch.randn(1, 1, depth, 64, 64)
    padded = F.pad(x, (0, 0, 0, 0, net.halo, net.halo))
    torch.testing.assert_close(net(padded, halo=net.halo), net(x), atol=1e-5, rtol=1e-4)
    between = torch.randn_like(padded)
    between[:, :, net.halo : net.halo + depth] = x
    with_halo = HaloNet(net, net.halo)(between)
    torch.testing.assert_close(with_halo, net(between, halo=net.halo))
    assert torch.equal(with_halo, net(x)) is (net.halo == 0)
    with pytest.raises(InputError, match="choose another window shape"):
        HaloNet(net, net.halo).check((1, 1, depth + 1 + 2 * net.halo, 64, 64))


@torch.inference_mode()
def test_windows_of_a_batch_do_not_see_each_other(net: TomoNet) -> None:
    x = torch.randn(2, 1, max(16, net.multiple[0]), 32, 64)
    torch.testing.assert_close(net(x)[1:], net(x[1:]), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(net(x), net(x))


def test_other_sizes_are_refused_with_the_multiples(net: TomoNet) -> None:
    for shape in ((1, 1, 16, 64, 62), (1, 1, 14, 64, 64), (1, 2, 16, 64, 64), (16, 64, 64)):
        with pytest.raises(InputError, match=rf"multiples of \({', '.join(map(str, net.multiple))}\)"):
            net(torch.zeros(shape))


def test_a_training_step_reaches_every_learned_weight(net: TomoNet) -> None:
    net = copy.deepcopy(net).train()
    net(torch.randn(2, 1, 32, 64, 64)).square().mean().backward()
    idle = [n for n, p in net.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not idle


def test_a_new_net_that_predicts_heatmaps_is_quiet(net: TomoNet) -> None:
    if isinstance(net, UNet3d) or net.cell != (1, 1, 1):
        return  # logits, MONAI's net as it is, or displacements
    assert float(net(torch.randn(1, 1, max(16, net.multiple[0]), 64, 64)).detach().std()) < 0.3


def test_the_head_of_the_recipe_yu4u_starts_as_torch_does_and_those_of_our_recipes_start_small() -> None:
    """A convolution of 256 inputs: weights and bias uniform within 1 / sqrt(256), whose deviation is that / sqrt(3)."""
    options = {name: TrainingRecipe.read(name).net for name in ("yu4u", "yu4u-planes", "small", "best")}
    assert {name: net.small_head for name, net in options.items()} == {  # type: ignore[union-attr]
        "yu4u": False, "yu4u-planes": False, "small": True, "best": True
    }  # fmt: skip
    narrow = (
        options["yu4u"]
        .given_weights()
        .model_copy(update={"backbone": "test_efficientnet", "decoder_widths": (8, 8, 256)})
    )
    head = build_net(narrow, classes=6).head
    assert head.weight.shape == (384, 256, 1, 1, 1)
    for values in (head.weight.detach(), head.bias.detach()):
        assert 0.95 / 16 < float(values.abs().max()) <= 1 / 16
        assert float(values.std()) == pytest.approx(1 / 16 / 3**0.5, rel=0.1)
    small = build_net(narrow.model_copy(update={"small_head": True}), classes=6).head
    assert float(small.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert not small.bias.any()
    assert NetOptions.of({"name": "shuffle_unet"}, source="an old checkpoint").small_head
    assert not net_differences(narrow, narrow.model_copy(update={"small_head": True}))


def test_each_slice_sees_its_neighbours_and_zeros_past_the_ends() -> None:
    picker = build_net(NetOptions(backbone="test_efficientnet", decoder_widths=(8, 8, 8)), classes=1).encoder.slices
    x = torch.randn(1, 1, 4, 2, 2)
    seen = picker(x)
    assert seen.shape == (4, 5, 2, 2)
    torch.testing.assert_close(seen[1, :, 0, 0], torch.cat([torch.zeros(1), x[0, 0, :4, 0, 0]]))


def test_real_neighbours_are_those_of_the_whole_volume() -> None:
    picker, x = SlicePicker(5), torch.randn(1, 1, 12, 4, 6)
    torch.testing.assert_close(picker(x[:, :, 2:10], halo=2), picker(x)[4:8])


def test_slices_are_picked_as_by_the_published_convolution() -> None:
    picker, x = SlicePicker(5), torch.randn(3, 1, 8, 4, 6)
    torch.nn.init.normal_(picker.weight)
    by_formula = F.conv3d(x, picker.weight, padding=(2, 0, 0))
    torch.testing.assert_close(picker(x), by_formula.transpose(1, 2).flatten(0, 1))


def test_an_unknown_backbone_and_too_many_widths_are_refused() -> None:
    with pytest.raises(InputError, match="timm cannot make backbone 'nonsense'"):
        build_net(NetOptions(backbone="nonsense"), classes=1)
    with pytest.raises(InputError, match=r"5 feature stages for 4 decoder widths, got .* with 4"):
        build_net(NetOptions(backbone="edgenext_xx_small", decoder_widths=(8, 8, 8, 8)), classes=1)


def test_the_nets_are_all_in_the_contract() -> None:
    assert {recipe.name for recipe in CHANGES.values()} == set(NETS)


@torch.inference_mode()
def test_the_bundled_models_backbone_is_timms() -> None:
    """Names of weights, first weights' spread, and, of trained norms, every map."""
    recipe = NetOptions(backbone="starnet_s100", input_slices=3)
    (ours, stages), (timms, same_stages) = backbone_of(recipe), timm_backbone(recipe)
    assert stages == same_stages
    first, other = (torch.stack([w.std() for w in m.parameters() if w.ndim > 1]) for m in (ours, timms))
    torch.testing.assert_close(first, other, rtol=0.3, atol=0)
    for module in timms.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
    ours.load_state_dict(timms.state_dict())
    x = y = torch.randn(1, 3, 64, 64)
    assert list(ours) == list(timms)
    for name in ours:
        x, y = ours.eval()[name](x), timms.eval()[name](y)
        assert torch.equal(x, y), name


@torch.inference_mode()
def test_average_pooling_takes_the_mean_of_the_slices_and_mixing_of_three() -> None:
    x = torch.randn(2, 3, 8, 4, 4)
    pooled = depth_step(A1, channels=3, ratio=2)(x)
    torch.testing.assert_close(pooled, (x[:, :, ::2] + x[:, :, 1::2]) / 2)
    mixed = depth_step(A2, channels=3, ratio=1)(x)
    torch.testing.assert_close(mixed[:, :, 1:-1], (x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]) / 3)
    torch.testing.assert_close(depth_step(A1, channels=3, ratio=1)(x), x)
    strided = depth_step(CHANGES["A1-convolution"], channels=3, ratio=2)
    assert strided(x).shape == pooled.shape
    assert not torch.equal(strided(x), pooled)


def test_depths_follow_the_papers_strides() -> None:
    def strides(**changes: object) -> list[tuple[int, int, int]]:
        return [s.stride for s in SliceEncoder(NetOptions(**changes)).stages]  # type: ignore[arg-type]

    assert strides(backbone="convnext_atto") == [(4, 4, 4), (8, 8, 8), (16, 16, 16), (16, 32, 32)]
    assert [s[0] for s in strides(backbone="resnet10t")] == [2, 4, 8, 16, 16]
    assert [s[0] for s in strides(backbone="resnet10t", depth_stride_limit=4)] == [2, 4, 4, 4, 4]


@torch.inference_mode()
def test_the_tattaka_net_has_the_parameters_and_shapes_that_its_parts_add_up_to() -> None:
    recipe = TrainingRecipe.read("tattaka")
    with torch.device("meta"):  # shapes alone: no memory, no arithmetic
        net = build_net(recipe.net.model_copy(update={"pretrained": False}), classes=6).eval()
    assert net.multiple == (4, 32, 32)
    assert [(s.channels, s.stride) for s in net.encoder.stages] == [
        (64, (2, 2, 2)),
        (256, (4, 4, 4)),
        (512, (4, 8, 8)),
        (1024, (4, 16, 16)),
        (2048, (4, 32, 32)),
    ]
    with torch.device("meta"):
        plain = timm.create_model("resnetrs50", num_classes=0, in_chans=1)
    backbone = sum(p.numel() for p in plain.parameters())
    norm = 2  # weights of a batch norm for each channel

    def conv_block(inputs: int, outputs: int) -> int:
        return 27 * inputs * outputs + norm * outputs

    def attention(channels: int) -> int:
        hidden = max(8, channels // 16)
        return 2 * channels * hidden + hidden + channels + channels + 1

    joint = sum(conv_block(c, 256) for c in (512, 1024, 2048))
    depthwise, pointwise = 27 * 768 + norm * 768, 768 * 256 + norm * 256
    blocks = sum(conv_block(i, o) + attention(o) for i, o in ((4 * 256, 256), (256 + 256, 128), (128 + 64, 64)))
    head = 27 * 64 * 6 + 6
    assert sum(p.numel() for p in net.parameters()) == (
        1 + backbone + joint + 4 * (depthwise + pointwise) + blocks + head  # 1: the weight that picks slices
    )
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> None:
        net.get_submodule(name).register_forward_hook(lambda _, __, out: shapes.update({name: tuple(out.shape[1:])}))

    for name in ("pyramid", "blocks.0", "blocks.1", "blocks.2", "head"):
        net.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: shapes.update({name: out.shape[1:]})
        )
    net(torch.empty(1, 1, *recipe.windows.shape, device="meta"))
    assert shapes == {
        "pyramid": (1024, 8, 16, 16),
        "blocks.0": (256, 8, 16, 16),
        "blocks.1": (128, 8, 32, 32),
        "blocks.2": (64, 16, 64, 64),
        "head": (6, 32, 128, 128),
    }


def test_a_batch_norm_stands_between_the_two_convolutions_of_a_separable_one_as_in_fastfcn() -> None:
    block = SeparableBlock(6, 4, dilation=2, norm=True)
    kinds = [type(module).__name__ for module in block]
    assert kinds == ["Conv3x3x3", "BatchNorm3d", "Conv3d", "BatchNorm3d", "ReLU"]
    assert block[0].groups == block[1].num_features == 6
    x = torch.randn(2, 6, 3, 9, 9)
    between = F.conv3d(x, block[0].weight, padding=(1, 2, 2), dilation=(1, 2, 2), groups=6)
    normed = F.batch_norm(between, None, None, training=True)
    expected = F.relu(F.batch_norm(F.conv3d(normed, block[2].weight), None, None, training=True))
    torch.testing.assert_close(block(x), expected)


def test_each_open_choice_of_the_pyramid_net_adds_the_weights_of_its_parts() -> None:
    def parameters(**options: object) -> int:
        net = build_net(A2.model_copy(update={"pyramid": PyramidOptions.of(options, source="a test")}), classes=5)
        return sum(p.numel() for p in net.parameters())

    usual, norm = parameters(), 2
    widths, inputs = (12, 10, 8), (32, 12 + 32, 10 + 32)  # of the blocks of A2; test_resnet's two finest maps join them
    assert parameters(separable_norm=True) - usual == 4 * norm * 24
    assert parameters(convolutions=2) - usual == sum(27 * w * w + norm * w for w in widths)
    assert parameters(head="1x1x1") - usual == -26 * 8 * 5

    def attention(channels: int, least: int = 8) -> int:
        hidden = max(least, channels // 16)
        return 2 * channels * hidden + hidden + channels + channels + 1

    assert parameters(attention="none") - usual == -sum(map(attention, widths))
    assert parameters(attention="before") - usual == sum(map(attention, inputs)) - sum(map(attention, widths))
    assert parameters(attention="both") - usual == sum(map(attention, inputs))
    assert parameters(attention_least=1) - usual == sum(attention(w, 1) - attention(w) for w in widths)
    branches = (32 * 8 + norm * 8) + 3 * (27 * 32 * 8 + norm * 8) + (32 * 8 + 8)
    assert parameters(aspp=True) - usual == branches + 5 * 8 * 32 + norm * 32
    for same in ({"attention_form": "max"}, {"interpolation": "nearest"}, {"interpolation": "trilinear-corners"}):
        assert parameters(**same) == usual


@torch.inference_mode()
def test_a_checkpoint_without_the_open_choices_gives_what_it_gave() -> None:
    """Its metadata, as version 0.1.0 wrote it, know none of them."""
    today = Checkpoint({}, A2, (Species("ribosome", 150.0),), 10.0, WindowPlan())
    stored = today.metadata()["architecture"]
    assert set(stored) == {
        *("name", "backbone", "pretrained", "backbone_weights", "input_slices", "decoder_widths", "head"),
        *("depth_stride_limit", "depth_reduction", "depth_mixing", "drop_path"),
    }
    assert read_architecture(stored, source="a file") == A2
    torch.manual_seed(0)
    net = build_net(A2, classes=1).eval()
    assert {name for name in net.state_dict() if name.startswith("pyramid.branches.0.")} >= {
        "pyramid.branches.0.0.weight",
        "pyramid.branches.0.1.weight",
        "pyramid.branches.0.2.running_mean",
    }
    other = A2.model_copy(update={"mixing_kernel": "3x3x3", "pyramid": A2_OTHER})
    changed = replace(today, architecture=other)
    assert changed.metadata()["architecture"]["pyramid"]["attention"] == "both"
    assert read_architecture(changed.metadata()["architecture"], source="a file") == other
    assert changed.fingerprint() != today.fingerprint()
    assert "net.pyramid.aspp (False and True)" in today.differences(changed)


@torch.inference_mode()
def test_mixing_averages_along_z_or_over_the_whole_cube() -> None:
    x = torch.randn(2, 3, 8, 4, 4)
    cube = depth_step(A2.model_copy(update={"mixing_kernel": "3x3x3"}), channels=3, ratio=1)(x)
    torch.testing.assert_close(cube, F.avg_pool3d(x, 3, stride=1, padding=1))
    line = depth_step(A2, channels=3, ratio=1)(x)
    torch.testing.assert_close(line, F.avg_pool3d(x, (3, 1, 1), stride=1, padding=(1, 0, 0)))


@torch.inference_mode()
def test_attention_scales_by_channel_and_by_place() -> None:
    attention, x = Attention(4), torch.randn(1, 4, 2, 3, 3)
    by_channel, by_place = attention.channel(x), attention.spatial(x)
    assert by_channel.shape == (1, 4, 1, 1, 1)
    assert by_place.shape == (1, 1, 2, 3, 3)
    torch.testing.assert_close(attention(x), x * (by_channel + by_place))
    attention.form = "max"
    torch.testing.assert_close(attention(x), torch.maximum(x * by_channel, x * by_place))


@torch.inference_mode()
def test_the_joint_pyramid_has_the_finest_maps_size() -> None:
    pyramid = JointPyramid([3, 4, 5], 6).eval()
    maps = [torch.randn(1, c, 4, n, n) for c, n in ((3, 16), (4, 8), (5, 4))]
    assert pyramid(maps).shape == (1, 24, 4, 16, 16)


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_backbone_weights_come_from_a_local_file(tmp_path: Path, ending: str) -> None:
    timm_model = timm.create_model("test_resnet")
    state = {k: v + 0.25 if v.is_floating_point() else v for k, v in timm_model.state_dict().items()}
    file = tmp_path / f"weights{ending}"
    save_file(state, file) if ending == ".safetensors" else torch.save(state, file)
    recipe = A1.model_copy(update={"backbone_weights": file})
    loaded = build_net(recipe, classes=2).encoder.backbone.state_dict()
    for key, value in state.items():
        if key in loaded and loaded[key].shape == value.shape and "conv1.0" not in key:
            torch.testing.assert_close(loaded[key], value)
    assert loaded["conv1.0.weight"].shape[1] == 3
    torch.testing.assert_close(loaded["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])


def test_backbone_weights_that_cannot_be_had_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(InputError, match=r"could not be downloaded \(no network\): connect to the internet once"):
        build_net(A1.model_copy(update={"pretrained": True}), classes=2)
    monkeypatch.undo()
    file = tmp_path / "w.pth"
    for content, wrong in ((b"", "cannot be read as weights"), (b"hello", "cannot be read as weights")):
        file.write_bytes(content)
        with pytest.raises(InputError, match=wrong):
            build_net(A1.model_copy(update={"backbone_weights": file}), classes=2)
    torch.save({"x": torch.zeros(1)}, file)
    with pytest.raises(InputError, match="does not hold the weights of 'test_resnet'"):
        build_net(A1.model_copy(update={"backbone_weights": file}), classes=2)
    torch.save([torch.zeros(1)], file)
    with pytest.raises(InputError, match="holds no table of weights"):
        build_net(A1.model_copy(update={"backbone_weights": file}), classes=2)
    with pytest.raises(InputError, match="There are no backbone weights at"):
        build_net(A1.model_copy(update={"backbone_weights": tmp_path / "none.pth"}), classes=2)


@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "hiera_tiny_224", "swin_tiny_patch4_window7_224"])
def test_a_backbone_that_has_no_stages_to_run_one_by_one_is_refused(backbone: str) -> None:
    with pytest.raises(InputError, match=rf"Backbone '{backbone}' cannot run stage by stage"):
        build_net(A1.model_copy(update={"backbone": backbone}), classes=1)


def test_depth_strides_are_powers_of_two() -> None:
    with pytest.raises(ValidationError, match="depth_stride_limit must be a power of two"):
        NetOptions(depth_stride_limit=12)


def test_decoder_widths_that_do_not_fit_the_pyramid_are_refused() -> None:
    with pytest.raises(InputError, match="there are 3 upsampling blocks: expected 4 decoder widths"):
        build_net(A2.model_copy(update={"decoder_widths": (8, 8)}), classes=1)
