"""Weights for other species than they were trained on: what fine-tuning starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.core.types import Species
from tomosoup.models.checkpoint import Checkpoint, shapes_of
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import Architecture


def for_species(start: Checkpoint, species: Sequence[Species]) -> Checkpoint:
    """The checkpoint in a net for `species`: all its weights but the rows of the output are as they were.

    A species that the checkpoint knows by name keeps its rows; one that it does not know has a new net's, random.
    Thresholds and calibration belong to the old weights and are left behind. Raises `InputError` where inner layers,
    too, are as wide as there are species.
    """
    if (species := tuple(species)) == start.species:
        return start
    ahead = int(start.segments_voxels)  # nets that label voxels have the background first
    names = [s.name for s in start.species]
    known = [i for i, s in enumerate(species) if s.name in names]
    kept = [*range(ahead), *(names.index(species[i].name) + ahead for i in known)]
    places = [*range(ahead), *(i + ahead for i in known)]
    fresh = build_net(start.architecture.given_weights(), classes=len(species)).state_dict()
    axes = class_axes(start.architecture)
    if any(w.shape != fresh[name].shape and not axes[name] for name, w in start.weights.items()):
        raise InputError(
            f"The net of the weights to start from has layers as narrow as its {len(names)} species and no room for "
            f"{len(species)}: start from a checkpoint with larger net.decoder-widths."
        )
    weights = {}
    for name, new in fresh.items():
        old, by_class = start.weights[name].to(new.dtype), axes[name]
        weights[name] = new.clone() if by_class else old
        if by_class:
            here = _rows(new.shape, by_class, places, classes=len(species) + ahead)
            weights[name][here] = old[_rows(old.shape, by_class, kept, classes=len(names) + ahead)]
    tuned = {"thresholds": {}, "mixed_thresholds": {}, "averaging_thresholds": {}, "calibration": {}}
    return replace(start, weights=weights, species=species, **tuned)


def class_axes(architecture: Architecture) -> Mapping[str, Sequence[int]]:
    """By the name of each weight, the axes that are longer in a net for more classes."""
    with torch.device("meta"):
        nets = (build_net(architecture.given_weights(), classes=n).state_dict() for n in (1, 2))
        few, more = map(shapes_of, nets)
    return {name: [axis for axis, n in enumerate(few[name]) if n != more[name][axis]] for name in few}


def _rows(shape: Sequence[int], axes: Sequence[int], chosen: Sequence[int], *, classes: int) -> tuple[Tensor, ...]:
    """Index of the entries of the `chosen` classes along `axes`, all along the others.

    Along such an axis each of the `classes` has equally many entries, one class after the other.
    """
    along = [torch.arange(n) for n in shape]
    for axis in axes:
        along[axis] = along[axis].reshape(classes, -1)[list(chosen)].flatten()
    return torch.meshgrid(*along, indexing="ij")
