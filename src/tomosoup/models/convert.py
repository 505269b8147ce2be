"""What the contest's winners published, as checkpoints of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.data.options import Normalisation
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Converted
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import Architecture, NetOptions, UNet3dOptions
from tomosoup.models.window_plan import WindowPlan

A1_SPECIES = (
    "apo-ferritin",
    "beta-galactosidase",
    "ribosome",
    "thyroglobulin",
    "virus-like-particle",
    "beta-amylase",
)
"""Channels of the 4th place's net A1, in its authors' order: beta-amylase, which is not scored, comes last (their
training program, github.com/yu4u/kaggle-czii-4th)."""
A1_NORMALISATION = Normalisation(mean=5.2577832e-08, deviation=7.199929e-06)
"""Of the contest's training tomograms, kind denoised."""
A1_WINDOWS = WindowPlan(weighting="pyramid")
"""Their inference."""
CONTEST_VOXEL_SIZE = 10.012444
"""Å a voxel of the contest's tomograms, on whose `denoised` kind the nets were trained."""
A1_FIRST_VOXEL, SOUP_FIRST_VOXEL = -0.5, 0.0
"""Where the two teams read the centre of voxel 0, in voxels. A1's is where this data has it, and where the contest's
folders are opened; the 8th place reads picks half a voxel further, and `first_voxel=0` gives its coordinates."""
AVERAGED, PLAIN = "model_ema.module.", "model."
"""Where in the published Lightning files of A1 the averaged and the last weights stand."""
SOUPS = {
    "tiny": UNet3dOptions(channels=(32, 64, 128, 128), residual_units=1, dropout=0.3),
    "medium": UNet3dOptions(channels=(32, 64, 128, 256), residual_units=2, dropout=0.3),
    "big": UNet3dOptions(channels=(32, 96, 256, 384), residual_units=2, dropout=0.2),
}
"""The 8th place's nets."""
SOUP_WINDOWS = WindowPlan(shape=(160, 384, 384), stride=(120, 288, 288), weighting="gaussian", border="inside")
"""Their inference: overlap a quarter."""
SOUP_AVERAGED = "ema_model.module."
"""Where in their files the averaged weights stand, behind nothing or behind `PLAIN` the others."""


def convert(path: str | Path) -> Checkpoint:
    """A file that the 4th or the 8th place published -> our checkpoint, the averaged weights if it holds them.

    The 4th place's are Lightning checkpoints of net A1; species in the authors' order, the grey values' constants,
    voxel size and windows are theirs. The 8th place's are soups of 3D U-Nets, bare or under "state_dict"; each volume
    is standardised by itself. Neither published thresholds. Only tensors and plain values are read, never code. Raises
    `InputError` for a file that is missing, holds anything else, or holds another net.
    """
    path = Path(path)
    state = read_state(path)
    if (prefix := _prefix(state, "segmentation_head.weight", AVERAGED, PLAIN, "")) is not None:
        return _convert_a1(path, state, prefix)
    if (prefix := _prefix(state, "model.0.conv.unit0.conv.weight", SOUP_AVERAGED, PLAIN, "")) is not None:
        return _convert_soup(path, state, prefix)
    raise InputError(
        f"{path} holds neither the 4th place's net A1 (no weight segmentation_head.weight) nor an 8th place's 3D U-Net "
        "(no weight model.0.conv.unit0.conv.weight): expected one of the .ckpt or .pth files that they published."
    )


def _prefix(state: Mapping[str, Tensor], key: str, *prefixes: str) -> str | None:
    """The first prefix (it may be empty) behind which `key` stands."""
    return next((prefix for prefix in prefixes if f"{prefix}{key}" in state), None)


def _convert_a1(path: Path, state: Mapping[str, Tensor], prefix: str) -> Checkpoint:
    architecture = NetOptions()
    weights = {our_name(key.removeprefix(prefix)): value for key, value in state.items() if key.startswith(prefix)}
    by_name = {s.name: s for s in CONTEST_SPECIES}
    return Checkpoint(
        weights=_fitting(path, weights, architecture, classes=len(A1_SPECIES)),
        architecture=architecture,
        species=tuple(by_name[name] for name in A1_SPECIES),
        voxel_size=CONTEST_VOXEL_SIZE,
        windows=A1_WINDOWS,
        normalisation=A1_NORMALISATION,
        history=(_event(path, "4th place's net A1", averaged=prefix == AVERAGED, first_voxel=A1_FIRST_VOXEL),),
    )


def _convert_soup(path: Path, state: Mapping[str, Tensor], prefix: str) -> Checkpoint:
    weights = {f"unet.{k.removeprefix(prefix)}": v for k, v in state.items() if k.startswith(prefix)}
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    classes = len(CONTEST_SPECIES)
    for name, architecture in SOUPS.items():
        expected = build_net(architecture, classes=classes).state_dict()
        if {k: tuple(v.shape) for k, v in expected.items()}.items() <= shapes.items():
            return Checkpoint(
                weights={k: weights[k] for k in expected},
                architecture=architecture,
                species=CONTEST_SPECIES,
                voxel_size=CONTEST_VOXEL_SIZE,
                windows=SOUP_WINDOWS,
                history=(
                    _event(
                        path,
                        f"8th place's {name} 3D U-Net",
                        averaged=prefix == SOUP_AVERAGED,
                        first_voxel=SOUP_FIRST_VOXEL,
                    ),
                ),
            )
    raise InputError(f"{path} holds a 3D U-Net that is none of the 8th place's ({', '.join(SOUPS)}, 7 outputs).")


def _event(path: Path, net: str, *, averaged: bool, first_voxel: float) -> Converted:
    return Converted(
        tomosoup=version("tomosoup"),
        file=path.name,
        net=net,
        averaged=averaged,
        data={"kind": "denoised", "voxel_size": CONTEST_VOXEL_SIZE, "first_voxel": first_voxel},
    )


def _fitting(
    path: Path, weights: Mapping[str, Tensor], architecture: Architecture, *, classes: int
) -> dict[str, Tensor]:
    """Those of the weights that the net has. Raises `InputError` where one is missing or of another shape."""
    expected = build_net(architecture, classes=classes).state_dict()
    for name, value in expected.items():
        if name not in weights or weights[name].shape != value.shape:
            found = tuple(weights[name].shape) if name in weights else "nothing"
            raise InputError(
                f"{path} holds another net than A1 with ConvNeXt Nano and six species: at {name} expected "
                f"{tuple(value.shape)}, got {found}."
            )
    return {name: weights[name] for name in expected}


def our_name(key: str) -> str:
    """Our name of a weight of the published net A1."""
    key = re.sub(r"^backbone\.", "encoder.backbone.", key).replace("stem.conv", "encoder.slices")
    key = key.replace("segmentation_head", "head").replace("conv3ds", "skips").replace(".block.", ".")
    return re.sub(r"decoder\.blocks\.(\d)\.conv(\d)", lambda m: f"steps.{m[1]}.{int(m[2]) - 1}", key)


def read_state(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a torch file by name, bare or under "state_dict"."""
    if not path.is_file():
        raise InputError(f"There is no file {path}: expected weights that the contest's winners published.")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except UnpicklingError as error:
        raise InputError(
            f"{path} wants {_refused(error)} to be run or made, which was refused: a file of weights may hold tensors "
            "and plain values only. If you trust where it is from, open it there and save its state_dict alone."
        ) from error
    except (RuntimeError, EOFError, ValueError, LookupError, OSError) as error:
        raise InputError(
            f"{path} is not a torch file ({first_line(error)}): expected published weights (.ckpt, .pth)."
        ) from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path} holds no table of weights: expected tensors by name, bare or under 'state_dict'.")
    return state


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _refused(error: UnpicklingError) -> str:
    """The name of what the file asked for, out of torch's message."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return found[1] if found else "code"
