"""Soups: one checkpoint whose weights are the mean of several. It picks at the cost of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

import torch
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Souped, runs_seen
from tomosoup.scoring.signal_levels import mean_levels


def soup(checkpoints: Sequence[Checkpoint], *, weights: Sequence[float] | None = None) -> Checkpoint:
    """The checkpoint with the mean of the weights of several (model soups: Wortsman et al., arXiv 2203.05482).

    The 8th place made one net of its folds so. The order of the checkpoints makes no difference. Thresholds and signal
    levels are averaged, too, where all checkpoints have them; windows are the first one's. Calibrations, and thresholds
    on their scale, are left out. Averaged statistics of batch norms are not those of the averaged net:
    `training.run.batch_norm.with_statistics` estimates them.

    Args:
        weights: Of each checkpoint in the mean, positive; by default all are equal.

    Raises `InputError` where nets, species, voxel sizes or the scaling of grey values differ, naming the difference,
    and for weights that are not positive, one for each checkpoint.
    """
    if not checkpoints:
        raise InputError("A soup needs at least one checkpoint, got none.")
    parts = [1.0] * len(checkpoints) if weights is None else list(weights)
    if len(parts) != len(checkpoints) or min(parts) <= 0:
        raise InputError(
            f"Expected one positive weight for each checkpoint ({len(checkpoints)}), got "
            f"{', '.join(f'{w:g}' for w in parts)}."
        )
    for number, other in enumerate(checkpoints[1:], start=2):
        if found := mismatches(checkpoints[0], other):
            raise InputError(f"Checkpoints 1 and {number} cannot be averaged: they differ in {'; '.join(found)}.")
    total = sum(parts)
    first = checkpoints[0]
    mean: dict[str, Tensor] = {}
    for name in first.weights:
        values = [checkpoint.weights[name] for checkpoint in checkpoints]
        whole = sum((v.double() * (p / total) for v, p in zip(values, parts, strict=True)), torch.zeros(()))
        mean[name] = whole.to(values[0].dtype)

    def averaged(own: Sequence[Mapping[str, float]]) -> dict[str, float]:
        names = set.intersection(*map(set, own))
        return {n: sum(values[n] * p for values, p in zip(own, parts, strict=True)) / total for n in names}

    levels = [checkpoint.signal_levels for checkpoint in checkpoints]
    in_all = set.intersection(*(set(one.scores) for one in levels))
    return replace(
        first,
        weights=mean,
        thresholds=averaged([c.thresholds for c in checkpoints]),
        signal_levels=mean_levels([one.of_species(in_all) for one in levels], parts),
        mixed_thresholds={},
        averaging_thresholds={},
        calibration={},
        pick_calibration={},
        history=(_event(checkpoints, parts),),
    )


def mismatches(a: Checkpoint, b: Checkpoint) -> list[str]:
    """The differences that keep two checkpoints from being averaged, in words."""
    found = a.differences(b)
    mine, theirs = set(a.weights), set(b.weights)
    if not found and mine != theirs:
        found.append(f"weights that one of them lacks ({', '.join(sorted(mine ^ theirs)[:3])})")
    if a.normalisation != b.normalisation:
        shown = [f"mean {n.mean}, standard deviation {n.deviation}" for n in (a.normalisation, b.normalisation)]
        found.append(f"the scaling of grey values ({shown[0]} and {shown[1]}; None is each volume's own)")
    return found


def _event(checkpoints: Sequence[Checkpoint], weights: Sequence[float]) -> Souped:
    seen = [runs_seen(c.history) for c in checkpoints]
    trained = frozenset[str]().union(*(s.trained for s in seen))
    held_out = frozenset[str]().union(*(s.held_out for s in seen))
    return Souped(
        tomosoup=version("tomosoup"),
        weights=tuple(weights),
        ingredients=tuple(c.history for c in checkpoints),
        runs=tuple(sorted(trained)),
        # This run chose the weights of all ingredients, and none trained on it.
        held_out=min(held_out) if len(held_out) == 1 and not held_out & trained else None,
    )


def greedy_soup(
    checkpoints: Sequence[Checkpoint], score: Callable[[Checkpoint], float]
) -> tuple[Checkpoint, list[tuple[int, float, bool]]]:
    """A soup of the checkpoints that raise a held-out score, tried from the best one down (Wortsman et al., 2022).

    Returns the soup and every step: the position of the checkpoint, the score of the soup with it, and whether it was
    kept. The first step is the best checkpoint alone. `score` is called once for each checkpoint, then once for each
    step. Its runs have chosen the soup, so only other runs can say how good the soup is.
    """
    if not checkpoints:
        raise InputError("A soup needs at least one checkpoint, got none.")
    alone = [score(soup([checkpoint])) for checkpoint in checkpoints]
    first, *rest = sorted(range(len(checkpoints)), key=lambda i: (-alone[i], i))
    kept, best, steps = [first], alone[first], [(first, alone[first], True)]
    for number in rest:
        tried = score(soup([checkpoints[i] for i in (*kept, number)]))
        steps.append((number, tried, tried > best))
        if tried > best:
            kept, best = [*kept, number], tried
    return soup([checkpoints[i] for i in kept]), steps
