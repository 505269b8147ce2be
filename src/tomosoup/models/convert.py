"""What the contest's winners published, as checkpoints of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.data.options import Normalisation
from tomosoup.models.checkpoint import Checkpoint, shapes_of
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
"""Channels of the 4th place's net `yu4u`, in its authors' order: beta-amylase, which is not scored, comes last (their
training program, github.com/yu4u/kaggle-czii-4th)."""
CONTEST_VOXEL_SIZE = 10.012444
"""Voxel size (Å) of the contest's tomograms. The nets were trained on those of type `denoised`."""
FIRST = 6
"""Number of a file's weights that a message names."""


@dataclass(frozen=True)
class Layout:
    """How the published files of a team store a net, and how the team uses it: one entry in `LAYOUTS` for each."""

    key: str
    """A weight that only these files have, by the authors' name."""
    prefixes: tuple[str, ...]
    """What may stand before the names; the averaged weights, if a file has them, behind the first."""
    our_name: Callable[[str], str]
    """The authors' name of a weight, without the prefix -> ours."""
    nets: Mapping[str, Architecture]
    """The nets that such a file may hold, by what they are called."""
    species: tuple[str, ...]
    """The contest's species in the order of the net's channels."""
    windows: WindowPlan
    """Of the authors' inference."""
    first_voxel: float
    """Where the authors read the centre of voxel 0, in voxels. -0.5 is where this data has it, and where the contest's
    folders are opened; the 8th place reads picks half a voxel further, and `first_voxel=0` gives its coordinates."""
    normalisation: Normalisation = field(default_factory=Normalisation)


def our_name_of_a1(key: str) -> str:
    """Our name for a weight of the published net `yu4u`."""
    key = re.sub(r"^backbone\.", "encoder.backbone.", key).replace("stem.conv", "encoder.slices")
    key = key.replace("segmentation_head", "head").replace("conv3ds", "skips").replace(".block.", ".")
    return re.sub(r"decoder\.blocks\.(\d)\.conv(\d)", lambda m: f"steps.{m[1]}.{int(m[2]) - 1}", key)


LAYOUTS = {
    "the 4th place's net yu4u": Layout(
        key="segmentation_head.weight",
        prefixes=("model_ema.module.", "model.", ""),
        our_name=our_name_of_a1,
        nets={"4th place's net yu4u": NetOptions()},
        species=A1_SPECIES,
        windows=WindowPlan(weighting="pyramid"),
        first_voxel=-0.5,
        # Of the contest's training tomograms, kind denoised.
        normalisation=Normalisation(mean=5.2577832e-08, deviation=7.199929e-06),
    ),
    "an 8th place's 3D U-Net": Layout(
        key="model.0.conv.unit0.conv.weight",
        prefixes=("ema_model.module.", "model.", ""),
        our_name=lambda key: f"unet.{key}",
        nets={
            "8th place's tiny 3D U-Net": UNet3dOptions(channels=(32, 64, 128, 128), residual_units=1, dropout=0.3),
            "8th place's medium 3D U-Net": UNet3dOptions(channels=(32, 64, 128, 256), residual_units=2, dropout=0.3),
            "8th place's big 3D U-Net": UNet3dOptions(channels=(32, 96, 256, 384), residual_units=2, dropout=0.2),
        },
        species=tuple(s.name for s in CONTEST_SPECIES),
        windows=WindowPlan(shape=(160, 384, 384), stride=(120, 288, 288), weighting="gaussian", border="inside"),
        first_voxel=0.0,
    ),
}
"""Layouts of published files. We could not read the program of the 4th place's second net (`tattaka`). Once the names
in its files are known, one more `Layout` with a map of names is enough."""


def convert(path: str | Path) -> Checkpoint:
    """A file that the 4th or the 8th place published -> our checkpoint, the averaged weights if it holds them.

    The 4th place's are Lightning checkpoints of net `yu4u`; species in the authors' order, the grey values' constants,
    voxel size and windows are theirs. The 8th place's are soups of 3D U-Nets, bare or under "state_dict"; each volume
    is standardised by itself. No file holds thresholds. Only tensors and plain values are read, never code. Raises
    `InputError` for a file that is missing, holds anything else, or holds another net; it names the weights that were
    expected and those that the file has.
    """
    path = Path(path)
    state = read_state(path)
    for what, layout in LAYOUTS.items():
        for prefix in layout.prefixes:
            if f"{prefix}{layout.key}" in state:
                return _converted(path, state, what, prefix)
    expected = " or ".join(f"{layout.key} ({what})" for what, layout in LAYOUTS.items())
    raise InputError(
        f"{path} holds none of the nets that can be converted: expected the weight {expected}, got "
        f"{_described(state)}. If the 4th or the 8th place published this file, report these names."
    )


def _converted(path: Path, state: Mapping[str, Tensor], what: str, prefix: str) -> Checkpoint:
    """The checkpoint of a file whose layout is known. Raises `InputError` where it is none of the layout's nets."""
    layout, by_name = LAYOUTS[what], {s.name: s for s in CONTEST_SPECIES}
    weights = {layout.our_name(k.removeprefix(prefix)): v for k, v in state.items() if k.startswith(prefix)}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    differences = []
    for net, architecture in layout.nets.items():
        with torch.device("meta"):  # its shapes alone are wanted
            built = build_net(architecture.given_weights(), classes=len(layout.species))
        expected = shapes_of(built.state_dict())
        if expected.items() <= found.items():
            event = Converted(
                tomosoup=version("tomosoup"),
                file=path.name,
                net=net,
                averaged=prefix == layout.prefixes[0],
                data={"kind": "denoised", "voxel_size": CONTEST_VOXEL_SIZE, "first_voxel": layout.first_voxel},
            )
            return Checkpoint(
                weights={name: weights[name] for name in expected},
                architecture=architecture,
                species=tuple(by_name[name] for name in layout.species),
                voxel_size=CONTEST_VOXEL_SIZE,
                windows=layout.windows,
                normalisation=layout.normalisation,
                history=(event,),
            )
        differences.append(f"from the {net} in {_difference(expected, found)}")
    raise InputError(
        f"{path} was taken for {what} with six species, as it has {prefix}{layout.key}, but differs "
        f"{'; '.join(differences)}. It holds {_described(state)}."
    )


def _difference(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> str:
    """How many weights are missing, of another shape or not known, and the first of each."""
    missing = [f"{name} {shape}" for name, shape in expected.items() if name not in found]
    other = [f"{n} {s}, got {found[n]}" for n, s in expected.items() if n in found and found[n] != s]
    unknown = [f"{name} {shape}" for name, shape in found.items() if name not in expected]
    parts = (
        (missing, "missing"),
        (other, "of another shape"),
        (unknown, "not known"),
    )
    said = [f"{len(names)} {what} (the first is {names[0]})" for names, what in parts if names]
    return f"{len(expected)} weights: {', '.join(said)}"


def _described(state: Mapping[str, Tensor]) -> str:
    """How many weights a file holds, and the names and shapes of the first."""
    first = ", ".join(f"{name} {tuple(value.shape)}" for name, value in list(state.items())[:FIRST])
    values = sum(value.numel() for value in state.values())
    return f"{len(state)} tensors of {values:,} values{f', the first {first}' if first else ''}"


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
        raise InputError(f"{path} is not a torch file: expected published weights (.ckpt, .pth).") from error
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
