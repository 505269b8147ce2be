"""A backbone of timm as layers to run one after another."""

from __future__ import annotations

import logging
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models._features import FeatureListNet
from torch import Tensor, nn

from tomosoup.core.errors import InputError, first_line
from tomosoup.models.nets.options import NetOptions


def timm_backbone(recipe: NetOptions) -> tuple[nn.ModuleDict, dict[str, tuple[int, int]]]:
    """The layers, and the name of each that ends a stage -> its channels, and its stride in the plane.

    Raises `InputError` for an unknown backbone, for one that cannot run stage by stage, and for weights that cannot be
    had.
    """
    model = _timm_model(recipe)
    layers = _stages_of(model, recipe)
    stages = [(stage["num_chs"], stage["reduction"]) for stage in model.feature_info]
    return layers, dict(zip(layers.return_layers, stages, strict=True))


def _stages_of(backbone: Any, recipe: NetOptions) -> FeatureListNet:
    """The backbone as a list of stages, tried on a small image. Raises `InputError` if it cannot run stage by stage.

    On the device `meta`, where nets of files are made, it is not tried: it was when it was trained, and a trial there
    takes many times as long.
    """
    info = list(backbone.feature_info)
    # Stages with names like "blocks.1" are inside a sequential container, which must be opened.
    nested = any("." in stage["module"] for stage in info)
    try:
        stages = FeatureListNet(backbone, out_indices=tuple(range(len(info))), flatten_sequential=nested).eval()
        image = torch.zeros(1, recipe.input_slices, 64, 64)
        with torch.no_grad():
            maps = [] if image.is_meta else stages(image)
        fits = image.is_meta or all(
            m.shape == (1, i["num_chs"], 64 // i["reduction"], 64 // i["reduction"])
            for m, i in zip(maps, info, strict=True)
        )
    except (AssertionError, RuntimeError, ValueError, TypeError, LookupError, AttributeError):
        fits = False
    if not fits:
        raise InputError(
            f"Backbone {recipe.backbone!r} cannot run stage by stage on images of any size: choose a convolutional "
            "one (convnext, resnet, efficientnet, mobilenet, ...)."
        )
    return stages.train()


def _timm_model(recipe: NetOptions) -> Any:
    local = {"state_dict": _read_weights(recipe.backbone_weights)} if recipe.backbone_weights else None
    log = logging.getLogger("timm")
    level = log.level
    log.setLevel(logging.WARNING)  # it logs each step of loading weights
    try:
        model = timm.create_model(
            recipe.backbone,
            pretrained=recipe.pretrained or bool(local),
            pretrained_cfg_overlay=local,
            in_chans=recipe.input_slices,
            **({"drop_path_rate": recipe.drop_path} if recipe.drop_path else {}),
        )
    except OSError as error:
        raise InputError(
            f"The ImageNet weights of {recipe.backbone!r} could not be downloaded ({first_line(error)}): "
            "connect to the internet once, give a file as `net.backbone_weights`, or set `net.pretrained` to false."
        ) from error
    except (RuntimeError, TypeError) as error:
        if local:
            raise InputError(
                f"{recipe.backbone_weights} does not hold the weights of {recipe.backbone!r} as timm names them "
                f"({str(error).splitlines()[-1].strip()[:200]}): give the file of this backbone."
            ) from error
        raise InputError(f"timm cannot make backbone {recipe.backbone!r} ({error}); see timm.list_models().") from error
    finally:
        log.setLevel(level)
    if not hasattr(model, "feature_info"):
        raise InputError(
            f"Backbone {recipe.backbone!r} has no feature stages: choose one that timm lists as features_only."
        )
    return model


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read the weights of a backbone from a .safetensors or torch file, without running code from it."""
    if not path.is_file():
        raise InputError(f"There are no backbone weights at {path}: expected a .safetensors or .pth file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError, LookupError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as weights ({first_line(error)}): expected tensors by name, saved as "
            ".safetensors or by torch.save."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} holds no table of weights: expected tensors by name.")
    return state
