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

from tomosoup.checkpoints import Checkpoint
from tomosoup.errors import InputError, first_line
from tomosoup.nets import build_net
from tomosoup.recipes.data import Normalisation
from tomosoup.recipes.species import CONTEST_SPECIES
from tomosoup.recipes.training import TrainingRecipe

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
CONTEST_DATA = {"kind": "denoised", "voxel_size": 10.012444, "first_voxel": -0.5}
"""What A1 was trained on. Where voxel 0 stands belongs to the data: the contest's folders are opened so by themselves,
and `--first-voxel -0.5` opens copies of them elsewhere so."""
AVERAGED, PLAIN = "model_ema.module.", "model."
"""Where in the published Lightning files the averaged and the last weights stand."""


def convert(path: str | Path) -> Checkpoint:
    """A Lightning checkpoint of the 4th place's net A1 -> our checkpoint, the averaged weights if it holds them.

    Species in the authors' order, the grey values' constants, voxel size and windows are theirs; they published no
    thresholds. Only tensors and plain values are read, never code. Raises `InputError` for a file that is missing,
    holds anything else, or does not hold this net's weights.
    """
    path = Path(path)
    state = read_state(path)
    prefix = next((p for p in (AVERAGED, PLAIN, "") if f"{p}segmentation_head.weight" in state), None)
    if prefix is None:
        raise InputError(
            f"{path} does not hold the 4th place's net A1 (no weight called segmentation_head.weight, behind "
            f"{AVERAGED!r}, {PLAIN!r} or nothing): expected one of the .ckpt files that its authors published."
        )
    recipe = TrainingRecipe.read("yu4u")
    architecture = recipe.net.model_copy(update={"pretrained": False})
    expected = build_net(architecture, classes=len(A1_SPECIES)).state_dict()
    weights = {our_name(key.removeprefix(prefix)): value for key, value in state.items() if key.startswith(prefix)}
    for name, value in expected.items():
        if name not in weights or weights[name].shape != value.shape:
            found = tuple(weights[name].shape) if name in weights else "nothing"
            raise InputError(
                f"{path} holds another net than A1 with ConvNeXt Nano and six species: at {name} expected "
                f"{tuple(value.shape)}, got {found}."
            )
    by_name = {s.name: s for s in CONTEST_SPECIES}
    return Checkpoint(
        weights={name: weights[name] for name in expected},
        architecture=architecture,
        species=tuple(by_name[name] for name in A1_SPECIES),
        voxel_size=CONTEST_DATA["voxel_size"],  # type: ignore[arg-type]
        windows=recipe.windows,
        normalisation=A1_NORMALISATION,
        history=(
            {
                "step": "convert",
                "tomosoup": version("tomosoup"),
                "file": path.name,
                "averaged": prefix == AVERAGED,
                "data": CONTEST_DATA,
            },
        ),
    )


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
