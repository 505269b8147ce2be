"""One safetensors file that is enough to pick with: weights, net, species, voxel size, windows, thresholds, history."""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tomosoup.core.config import ZYX
from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import written_aside
from tomosoup.core.species import stored_species
from tomosoup.core.thresholds import apply_thresholds, finite_numbers, positive
from tomosoup.core.types import Picks, PicksBySpecies, Species
from tomosoup.data.options import Normalisation
from tomosoup.data.volumes.voxel_size import same_voxel_size
from tomosoup.models.history import History, read_history
from tomosoup.models.named import checkpoint_file
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import Architecture, net_differences, read_architecture, stored_options
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.window_plan import WindowPlan
from tomosoup.scoring.calibration import Calibration, metadata_of, read_calibrations
from tomosoup.scoring.signal_levels import SignalLevels

FORMAT = 1
"""Version of the metadata; a newer one is refused."""
UNBUILT = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)
"""What libraries raise for a net that they cannot build."""
KEY = "tomosoup"
"""The key in the file's metadata with everything but the weights, as JSON."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained net with everything that picking requires."""

    weights: Mapping[str, Tensor]
    architecture: Architecture
    species: tuple[Species, ...]
    voxel_size: float
    """Voxel size (Å) of the tomograms that it was trained on."""
    windows: WindowPlan
    normalisation: Normalisation = field(default_factory=Normalisation)
    """What was done to grey values before the net saw them."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By species name: the lowest score of a pick."""
    mixed_thresholds: Mapping[str, float] = field(default_factory=dict)
    """The same for heatmap and segmentation models that pick together, on the scale of `calibration`."""
    averaging_thresholds: Mapping[str, float] = field(default_factory=dict)
    """By species name: the threshold with the best F1, for subtomogram averaging; empty before tuning."""
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    """By species name: the conversion of heights in maps to probabilities, for heatmap and segmentation models
    together."""
    pick_calibration: Mapping[str, Calibration] = field(default_factory=dict)
    """By species name: the conversion of a pick's score to the probability that it is a particle."""
    signal_levels: SignalLevels = field(default_factory=SignalLevels)
    """How high the best picks score in the tomograms that set the thresholds."""
    history: History = ()
    """What made these weights, oldest first: recipe, runs, scores, versions."""

    @property
    def segments_voxels(self) -> bool:
        """Whether the net gives each voxel's species (logits, background first) in place of heatmaps."""
        return self.architecture.predicts == "labels"

    @property
    def channels(self) -> tuple[Species | None, ...]:
        """The species of each channel of the output, without displacements; None is the background, which is first."""
        return (None, *self.species) if self.segments_voxels else self.species

    @property
    def cell(self) -> ZYX:
        """Voxels (z, y, x) that share one prediction of the net, where it predicts centres."""
        with torch.device("meta"):
            return build_net(self.architecture.given_weights(), classes=len(self.species)).cell

    def keep(self, picks: PicksBySpecies) -> dict[str, Picks]:
        """The picks that reach this checkpoint's `thresholds`; species without a threshold keep all."""
        return apply_thresholds(picks, self.thresholds)

    def net(self) -> TomoNet:
        """The net in eval mode: `(b, 1, z, y, x)` -> `(b, c, z, y, x)`, its raw output, by `channels`.

        This is one heatmap per species or, if it `segments_voxels`, logits with the background first.

        Raises `InputError` where weights and net do not fit each other.
        """
        architecture = self.architecture.given_weights()
        try:
            with torch.device("meta"):  # a net that claims to be huge takes no memory yet
                net = build_net(architecture, classes=len(self.species))
        except UNBUILT as error:
            raise InputError(f"The checkpoint's net cannot be built ({first_line(error)}).") from error
        if wrong := dict(shapes_of(net.state_dict()).items() ^ shapes_of(self.weights).items()):
            raise InputError(
                f"The checkpoint's weights do not fit its net {self.architecture.name} (see {min(wrong)}): the file "
                "was changed, or made by another version."
            )
        weights = {n: w.float() if w.is_floating_point() else w for n, w in self.weights.items()}
        net.load_state_dict({name: weight.clone() for name, weight in weights.items()}, assign=True)
        if any(t.is_meta for t in (*net.parameters(), *net.buffers())):  # some are not in the file
            net = build_net(architecture, classes=len(self.species))
            net.load_state_dict(weights)
        return net.eval()

    def halved(self) -> Checkpoint:
        """The same with its kernels in half precision, for half a file; norms and biases stay as they are."""
        return replace(self, weights={n: w.half() if w.ndim > 1 else w for n, w in self.weights.items()})

    def metadata(self) -> dict[str, Any]:
        """All but the weights, in JSON's types."""
        return {
            "format": FORMAT,
            "architecture": stored_options(self.architecture),
            "species": [asdict(s) for s in self.species],
            "voxel_size": self.voxel_size,
            "windows": self.windows.model_dump(mode="json"),
            "normalisation": self.normalisation.model_dump(mode="json"),
            "thresholds": dict(self.thresholds),
            "mixed_thresholds": dict(self.mixed_thresholds),
            "calibration": metadata_of(self.calibration),
            "signal_levels": self.signal_levels.record(),
            "history": [event.record() for event in self.history],
            **({"averaging_thresholds": dict(self.averaging_thresholds)} if self.averaging_thresholds else {}),
            **({"pick_calibration": metadata_of(self.pick_calibration)} if self.pick_calibration else {}),
        }

    def fingerprint(self) -> str:
        """SHA-256 of all that the picks above the floor depend on: not thresholds, probabilities, history."""
        without = {"thresholds", "mixed_thresholds", "averaging_thresholds", "pick_calibration", "history"}
        metadata = {key: value for key, value in self.metadata().items() if key not in without}
        digest = sha256(json.dumps(metadata, sort_keys=True).encode())
        for name, weight in sorted(self.weights.items()):
            digest.update(name.encode())
            digest.update(weight.contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the checkpoint; an old file of this name is replaced only once the new one is whole."""
        metadata = {KEY: json.dumps(self.metadata())}
        with written_aside(Path(path)) as aside:
            save_file({k: v.contiguous() for k, v in self.weights.items()}, aside, metadata=metadata)

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], metadata: Mapping[str, Any], *, source: str) -> Checkpoint:
        """The checkpoint that a file's `metadata` describes. Raises `InputError`, naming `source`, where it is none."""
        try:
            if metadata["format"] > FORMAT:
                raise InputError(
                    f"{source} was written by a newer tomosoup (format {metadata['format']}, this one reads {FORMAT}): "
                    "update."
                )
            return cls(
                weights=weights,
                architecture=read_architecture(metadata["architecture"], source=source),
                species=stored_species(metadata["species"]),
                voxel_size=positive(metadata["voxel_size"]),
                windows=WindowPlan.of(metadata["windows"], source=source),
                normalisation=Normalisation.of(metadata.get("normalisation", {}), source=source),
                thresholds=finite_numbers(metadata["thresholds"]),
                mixed_thresholds=finite_numbers(metadata.get("mixed_thresholds", {})),
                averaging_thresholds=finite_numbers(metadata.get("averaging_thresholds", {})),
                calibration=read_calibrations(metadata.get("calibration", {})),
                pick_calibration=read_calibrations(metadata.get("pick_calibration", {})),
                signal_levels=SignalLevels.of(metadata),
                history=read_history(metadata["history"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{source} holds tensors but is not a tomosoup checkpoint (its metadata lacks or garbles "
                f"{first_line(error)}): "
                "expected a file that `tomosoup train` wrote."
            ) from error

    def differences(self, other: Checkpoint) -> list[str]:
        """What keeps two checkpoints' weights from being exchanged or averaged: net, species or voxel size, in words.

        Options that act in training alone (dropout, drop path, where the first weights came from) make no difference.
        """
        found = net_differences(self.architecture, other.architecture)
        if self.species != other.species:
            mine, theirs = (", ".join(f"{s.name} {s.radius:g} Å" for s in c.species) for c in (self, other))
            weights = " in their weights in the score" if mine == theirs else ""
            found.append(f"species{weights} ({mine} and {theirs})")
        if not same_voxel_size(self.voxel_size, other.voxel_size):
            found.append(f"voxel size ({self.voxel_size:g} and {other.voxel_size:g} Å)")
        return found


def shapes_of(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of each weight; of stored ones without reading them."""
    return weights.shapes if isinstance(weights, StoredWeights) else {k: tuple(v.shape) for k, v in weights.items()}


@dataclass(frozen=True)
class StoredWeights(Mapping[str, Tensor]):
    """Weights that stay in their file until one is asked for: an ensemble of many nets needs memory for one."""

    path: Path
    shapes: dict[str, tuple[int, ...]]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.shapes:
            raise KeyError(name)
        with safe_open(self.path, framework="pt") as file:
            return cast("Tensor", file.get_tensor(name))

    def items(self) -> ItemsView[str, Tensor]:
        """All of them, read at once."""
        return load_file(self.path).items()

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint; its weights are read when they are used. No code is run from the file.

    "default" and "default-soup" are the models that ship with tomosoup. Raises `InputError` for a file that is missing,
    not a tomosoup checkpoint, or made by a newer version.
    """
    path = checkpoint_file(path)
    if not path.is_file():
        raise InputError(f"There is no checkpoint at {path}: expected a .safetensors file that `tomosoup train` wrote.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a checkpoint ({error}): expected a file of `tomosoup train`.") from error
    try:
        stored = json.loads(metadata.get(KEY, "{}"))
    except (ValueError, RecursionError):
        stored = {}
    return Checkpoint.of(StoredWeights(path, shapes), stored, source=str(path))
