"""The file of a second stage: a classifier of candidates, and what it takes to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import written_aside
from tomosoup.core.species import stored_species
from tomosoup.core.thresholds import finite_numbers, positive
from tomosoup.core.types import Species
from tomosoup.models.history import History, read_history
from tomosoup.models.nets.candidate_classifier import CandidateClassifier
from tomosoup.models.nets.options import ClassifierOptions
from tomosoup.scoring.calibration import Calibration, metadata_of, read_calibrations

KEY = "tomosoup_second_stage"
"""Where in the file's metadata everything but the weights stands, as JSON."""


@dataclass(frozen=True)
class SecondStage:
    """A classifier that looks again at the candidates of other models, and the thresholds of the scores it gives."""

    weights: Mapping[str, Tensor]
    net: ClassifierOptions
    species: tuple[Species, ...]
    voxel_size: float
    """Å a voxel of its crops."""
    crop: int
    """Voxels of a crop along each axis."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By species name: the F4-best score after the second stage, a little lower as `steady_threshold` says."""
    averaging_thresholds: Mapping[str, float] = field(default_factory=dict)
    """By species name: the F1-best one."""
    pick_calibration: Mapping[str, Calibration] = field(default_factory=dict)
    """By species name: the conversion of a score after the second stage to the probability of a particle."""
    history: History = ()

    def classifier(self) -> CandidateClassifier:
        """The net in eval mode. Raises `InputError` where weights and net do not fit each other."""
        net = CandidateClassifier(self.net, classes=len(self.species))
        try:
            net.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            raise InputError(
                "The weights of the second stage do not fit its net: the file was changed, or made by another version."
            ) from error
        return net.eval()

    def metadata(self) -> dict[str, Any]:
        """All but the weights, in JSON's types."""
        return {
            "net": self.net.model_dump(mode="json"),
            "species": [asdict(s) for s in self.species],
            "voxel_size": self.voxel_size,
            "crop": self.crop,
            "thresholds": dict(self.thresholds),
            "averaging_thresholds": dict(self.averaging_thresholds),
            "pick_calibration": metadata_of(self.pick_calibration),
            "history": [event.record() for event in self.history],
        }

    def fingerprint(self) -> str:
        """SHA-256 of what scores depend on: everything but thresholds, probabilities and history."""
        without = {"thresholds", "averaging_thresholds", "pick_calibration", "history"}
        metadata = {key: value for key, value in self.metadata().items() if key not in without}
        digest = sha256(json.dumps(metadata, sort_keys=True).encode())
        for name in sorted(self.weights):
            digest.update(self.weights[name].contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the file; an old one of this name is replaced only once the new one is whole."""
        with written_aside(Path(path)) as aside:
            weights = {name: weight.contiguous() for name, weight in self.weights.items()}
            save_file(weights, aside, metadata={KEY: json.dumps(self.metadata())})


def load_second_stage(path: str | Path) -> SecondStage:
    """Read a second stage; no code is run from the file. Raises `InputError` where the file is missing or is none."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no second stage at {path}: expected a file that `tomosoup second-stage` wrote.")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[KEY])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return SecondStage(
            weights=weights,
            net=ClassifierOptions.of(about["net"], source=str(path)),
            species=stored_species(about["species"]),
            voxel_size=positive(about["voxel_size"]),
            crop=int(positive(about["crop"])),
            thresholds=finite_numbers(about["thresholds"]),
            averaging_thresholds=finite_numbers(about["averaging_thresholds"]),
            pick_calibration=read_calibrations(about.get("pick_calibration", {})),
            history=read_history(about["history"]),
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} is not a second stage (its metadata lacks or garbles {first_line(error)}): expected a file that "
            "`tomosoup second-stage` wrote."
        ) from error
