"""Soups: one checkpoint whose weights are the mean of several, at the cost of one when it picks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

import torch
from torch import Tensor

from tomosoup.core.errors import InputError
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Souped, runs_seen


def soup(checkpoints: Sequence[Checkpoint], *, weights: Sequence[float] | None = None) -> Checkpoint:
    """The checkpoint with the mean of the weights of several, alike or in the shares that `weights` gives.

    (Model soups: Wortsman et al., arXiv 2203.05482; the 8th place's way to one net out of its folds.) Thresholds
    and signal levels are the mean of the ingredients', where all have them; windows are the first's; calibrations, and
    thresholds on their scale, are left out. The running statistics of a net with batch norm are averaged, too,
    which does not make them those of the averaged net: see `with_statistics`. The order of the ingredients makes no
    difference. Raises `InputError` where nets, species, voxel sizes or the treatment of grey values differ, naming
    the difference, and for weights that are not one each, or not positive.
    """
    if not checkpoints:
        raise InputError("A soup needs at least one checkpoint, got none.")
    shares = [1.0] * len(checkpoints) if weights is None else list(weights)
    if len(shares) != len(checkpoints) or min(shares) <= 0:
        raise InputError(
            f"There are {len(checkpoints)} checkpoints and the weights {', '.join(f'{w:g}' for w in shares)} for them: "
            "give each a positive one."
        )
    for number, other in enumerate(checkpoints[1:], start=2):
        if found := mismatches(checkpoints[0], other):
            raise InputError(f"Checkpoints 1 and {number} cannot be averaged: they differ in {'; '.join(found)}.")
    total = sum(shares)
    first = checkpoints[0]
    mean: dict[str, Tensor] = {}
    for name in first.weights:
        values = [checkpoint.weights[name] for checkpoint in checkpoints]
        whole = sum((v.double() * (s / total) for v, s in zip(values, shares, strict=True)), torch.zeros(()))
        mean[name] = whole.to(values[0].dtype)

    def averaged(own: Sequence[Mapping[str, float]]) -> dict[str, float]:
        names = set.intersection(*map(set, own))
        return {n: sum(values[n] * s for values, s in zip(own, shares, strict=True)) / total for n in names}

    return replace(
        first,
        weights=mean,
        thresholds=averaged([c.thresholds for c in checkpoints]),
        signal_levels=averaged([c.signal_levels for c in checkpoints]),
        mixed_thresholds={},
        averaging_thresholds={},
        calibration={},
        history=(_event(checkpoints, shares),),
    )


def mismatches(a: Checkpoint, b: Checkpoint) -> list[str]:
    """What keeps two checkpoints out of one soup, in words."""
    found = a.differences(b)
    mine, theirs = set(a.weights), set(b.weights)
    if not found and mine != theirs:
        found.append(f"weights that one of them lacks ({', '.join(sorted(mine ^ theirs)[:3])})")
    if a.normalisation != b.normalisation:
        shown = [f"mean {n.mean}, deviation {n.deviation}" for n in (a.normalisation, b.normalisation)]
        found.append(f"the treatment of grey values ({shown[0]} and {shown[1]}; None is each volume's own)")
    return found


def _event(checkpoints: Sequence[Checkpoint], shares: Sequence[float]) -> Souped:
    seen = [runs_seen(c.history) for c in checkpoints]
    trained = frozenset[str]().union(*(s.trained for s in seen))
    held_out = frozenset[str]().union(*(s.held_out for s in seen))
    return Souped(
        tomosoup=version("tomosoup"),
        weights=tuple(shares),
        ingredients=tuple(c.history for c in checkpoints),
        runs=tuple(sorted(trained)),
        # all ingredients chose by this run, and none trained on it
        held_out=min(held_out) if len(held_out) == 1 and not held_out & trained else None,
    )


def greedy_soup(
    checkpoints: Sequence[Checkpoint], score: Callable[[Checkpoint], float]
) -> tuple[Checkpoint, list[tuple[int, float, bool]]]:
    """A soup of those checkpoints that raise a held-out score, tried from the best one down (Wortsman et al., 2022).

    Returns the soup and every step: the checkpoint's position, the score of the soup with it, whether it was kept. The
    first step is the best checkpoint alone. `score` is called once a checkpoint, then once a step. The runs that it is
    measured on have chosen the soup: other runs have to say how good it is.
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
