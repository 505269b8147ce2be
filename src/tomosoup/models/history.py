"""What made a checkpoint, step by step, and which runs it has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tomosoup.core.config import problem
from tomosoup.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Event:
    """A step in the making of a checkpoint. Of a step that this version does not know, `rest` holds the whole record.

    Checkpoint files store events as JSON; `record` and `read_history` translate.
    """

    step: str
    tomosoup: str | None = None
    """Version that took the step."""
    rest: Mapping[str, Any] = field(default_factory=dict)
    """Entries of the record that this version does not know, in JSON's types."""

    def record(self) -> dict[str, Any]:
        """The event in JSON's types, as checkpoint files store it."""
        known = {f.name: _in_json(getattr(self, f.name)) for f in fields(self) if f.name != "rest"}
        return {name: value for name, value in known.items() if value is not None} | dict(self.rest)


History = tuple[Event, ...]
"""Events, oldest first."""


@dataclass(frozen=True, kw_only=True)
class Trained(Event):
    """A training. Its step is `pretrain` where it ran on another project than the training that followed."""

    step: str = "train"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """The `TrainingRecipe`, in JSON's types, under the option names of the version that trained."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The `AnnotatedData`, likewise."""
    runs: tuple[str, ...] = ()
    """Runs trained on."""
    held_out: str
    """The run that chose the best weights."""
    epoch: int | None = None
    """The epoch of these weights, from 1."""
    f4: float | None = None
    """Weighted F4 on the held-out run at its best thresholds."""
    loss: float | None = None
    """Loss on the held-out run."""
    dice: float | None = None
    """Mean Dice of the species on the held-out run, where the training's validation finds it."""
    f4_by_species: Mapping[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Tuned(Event):
    """Thresholds were set by cross-validation."""

    step: str = "tune"
    runs: tuple[str, ...] = ()
    """Held-out runs whose picks set the thresholds."""
    thresholds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By species: threshold, its interval, and the F4 there."""


@dataclass(frozen=True, kw_only=True)
class Souped(Event):
    """The weights of several checkpoints were averaged."""

    step: str = "soup"
    weights: tuple[float, ...] = ()
    """Of each ingredient in the mean."""
    ingredients: tuple[History, ...] = ()
    """The history of each ingredient."""
    runs: tuple[str, ...] = ()
    """Runs that any ingredient was trained on."""
    held_out: str | None = None
    """The run that all ingredients held out, where there is one that none was trained on."""
    chosen_on: tuple[str, ...] | None = None
    """Runs that chose ingredients or thresholds."""
    f4: float | None = None
    """Weighted F4 on those runs at their best thresholds."""


@dataclass(frozen=True, kw_only=True)
class Converted(Event):
    """Published weights were read."""

    step: str = "convert"
    file: str
    net: str
    averaged: bool
    """Whether these are the average of the weights over the training."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The tomograms that the net was trained on: tomogram type (`kind`), voxel size (Å), first voxel's centre."""


STEPS: Mapping[str, type[Event]] = {
    "train": Trained,
    "pretrain": Trained,
    "tune": Tuned,
    "soup": Souped,
    "convert": Converted,
}


def read_history(records: Iterable[Mapping[str, Any]]) -> History:
    """The events of these JSON records. Raises `TypeError` or `ValueError` for what is no list of such records."""
    if not isinstance(records, list | tuple):
        raise TypeError("history")
    return tuple(map(_read_event, records))


def _read_event(record: Mapping[str, Any]) -> Event:
    """The event of a record, each of whose entries is of its field's type."""
    if not isinstance(record, Mapping):
        raise TypeError("history")
    step = str(record.get("step", ""))
    event = STEPS.get(step, Event)
    names = {f.name for f in fields(event)} - {"rest"}
    known: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in record.items() if name in names
    }
    if "ingredients" in known:
        known["ingredients"] = tuple(map(read_history, known["ingredients"]))
    rest = {name: value for name, value in record.items() if name not in names}
    known |= {"step": step, "rest": rest}
    try:
        return TypeAdapter(event).validate_python(known)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("history", step, *first["loc"])))
        raise ValueError(f"{where}: {problem(first)}") from error


def _in_json(value: Any) -> Any:
    if isinstance(value, Event):
        return value.record()
    return [_in_json(v) for v in value] if isinstance(value, tuple) else value


@dataclass(frozen=True)
class SeenRuns:
    """Runs that a checkpoint was trained on, and runs that chose among weights (epochs, ingredients)."""

    trained: frozenset[str]
    held_out: frozenset[str]


def runs_seen(history: History) -> SeenRuns:
    """The runs of the checkpoint's own project that it has seen. Pretraining was on another project."""
    trained: set[str] = set()
    held_out: set[str] = set()
    for event in history:
        if isinstance(event, Trained) and event.step == "train":
            trained |= set(event.runs)
            held_out.add(event.held_out)
        if isinstance(event, Souped):
            held_out |= set(event.chosen_on or ())
            for ingredient in map(runs_seen, event.ingredients):
                trained |= ingredient.trained
                held_out |= ingredient.held_out
    return SeenRuns(frozenset(trained), frozenset(held_out))


def runs_named(history: History) -> frozenset[str]:
    """All runs that a checkpoint has to do with: trained on, held out, chosen or tuned on, also in pretraining."""
    named: set[str] = set()
    for event in history:
        if isinstance(event, Trained | Tuned | Souped):
            named |= set(event.runs)
        if isinstance(event, Trained | Souped) and event.held_out:
            named.add(event.held_out)
        if isinstance(event, Souped):
            named |= set(event.chosen_on or ()).union(*map(runs_named, event.ingredients))
    return frozenset(named)


def held_out_run(history: History) -> str:
    """The run that a checkpoint's training held out. Raises `InputError` where its history names none."""
    for event in reversed(history):
        if isinstance(event, Trained | Souped) and event.held_out is not None:
            if event.held_out in runs_seen(history).trained:
                raise InputError(
                    f"A model started from weights that were trained on the run it held out ({event.held_out}), so its "
                    "picks there are not out of fold: tune with other models, or set thresholds yourself when you pick."
                )
            return event.held_out
    raise InputError(
        "A model's history names no held-out run, so none of its picks are out of fold: tune with checkpoints that "
        "`tomosoup train` made, or set thresholds yourself when you pick."
    )


def last_training(history: History) -> Trained:
    """The last training on the checkpoint's own project; tuning may have followed. Raises `InputError` without one."""
    for event in reversed(history):
        if isinstance(event, Trained) and event.step == "train":
            return event
    raise InputError("A checkpoint's history names no training: expected one that `tomosoup train` made.")


def tomogram_types(history: History) -> frozenset[str]:
    """The tomogram types that the last training learnt from; empty where the history does not name them."""
    for event in reversed(history):
        if isinstance(event, Souped):
            return frozenset[str]().union(*map(tomogram_types, event.ingredients))
        if isinstance(event, Trained | Converted):
            main = event.data.get("tomo_type", event.data.get("kind"))  # kind: version 0.1.0
            recipe = event.recipe if isinstance(event, Trained) else {}
            others = recipe.get("extra_tomo_types", recipe.get("also_kinds", ()))
            return frozenset({main, *others}) if main else frozenset()
    return frozenset()


def first_training(history: History) -> Trained | None:
    """The oldest training, pretraining included; of a soup, that of its first ingredient."""
    events = list(history)
    for event in events:
        if isinstance(event, Trained):
            return event
        if isinstance(event, Souped):
            events += [e for ingredient in event.ingredients[:1] for e in ingredient]
    return None
