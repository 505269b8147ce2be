"""The history of a checkpoint: records of earlier versions come back as they were, and say which runs were seen."""

import json

import pytest
from safetensors import safe_open

from tomosoup.core.errors import InputError
from tomosoup.models.checkpoint import KEY, load
from tomosoup.models.history import (
    Event,
    Souped,
    Trained,
    Tuned,
    first_training,
    held_out_run,
    last_training,
    read_history,
    runs_named,
    runs_seen,
)
from tomosoup.models.named import SHIPPED

PRETRAINED = Trained(step="pretrain", recipe={"epochs": 3}, runs=("x",), held_out="y")
TRAINED = Trained(recipe={"epochs": 4}, runs=("a", "b"), held_out="c")


@pytest.mark.parametrize("name", ["default", "default-soup"])
def test_records_of_the_first_version_are_written_as_they_were_read(name: str) -> None:
    with safe_open(SHIPPED / f"{name}.safetensors", framework="pt") as file:
        stored = json.loads(file.metadata()[KEY])["history"]
    history = load(name).history
    assert json.loads(json.dumps([event.record() for event in history])) == stored
    assert last_training(history).held_out == "TS_73_6" if name == "default" else isinstance(history[-3], Souped)


def test_entries_and_steps_of_other_versions_are_kept() -> None:
    records = [{"step": "dream", "of": ["sheep"]}, {"step": "train", "held_out": "c", "moon": "full"}]
    history = read_history(records)
    assert history[0] == Event(step="dream", rest={"of": ["sheep"]})
    assert [event.record().items() >= record.items() for event, record in zip(history, records, strict=True)] == [
        True
    ] * 2


def test_what_is_no_record_is_refused() -> None:
    for records in ([{"step": "train"}], ["train"]):
        with pytest.raises((TypeError, ValueError)):
            read_history(records)  # type: ignore[arg-type]


def test_runs_of_another_project_are_not_seen_and_those_of_ingredients_are() -> None:
    soup = Souped(ingredients=((PRETRAINED, TRAINED), (Trained(runs=("c",), held_out="a"),)), chosen_on=("d",))
    assert runs_seen((PRETRAINED, TRAINED)) == runs_seen((TRAINED,))
    assert runs_seen((soup,)).trained == {"a", "b", "c"}
    assert runs_seen((soup,)).held_out == {"a", "c", "d"}


def test_runs_of_all_steps_are_named_also_of_pretraining_and_tuning() -> None:
    soup = Souped(ingredients=((PRETRAINED, TRAINED), (Trained(runs=("e",), held_out="f"),)), chosen_on=("d",))
    assert runs_named((soup, Tuned(runs=("g",)))) == {"x", "y", "a", "b", "c", "d", "e", "f", "g"}
    assert runs_named((Event(step="made by a test"),)) == frozenset()


def test_the_held_out_run_is_the_last_trainings_unless_an_earlier_one_saw_it() -> None:
    assert held_out_run((PRETRAINED, TRAINED, Event(step="tune"))) == "c"
    with pytest.raises(InputError, match=r"weights that were trained on the run it held out \(c\)"):
        held_out_run((Trained(runs=("c",), held_out="a"), TRAINED))
    with pytest.raises(InputError, match="names no held-out run"):
        held_out_run((Souped(),))


def test_the_first_training_of_a_soup_is_that_of_its_first_ingredient() -> None:
    assert first_training((Souped(ingredients=((PRETRAINED, TRAINED), (TRAINED,))),)) == PRETRAINED
    assert first_training((Event(step="dream"),)) is None
    assert last_training((PRETRAINED, TRAINED, Event(step="tune"))) == TRAINED
    with pytest.raises(InputError, match="names no training"):
        last_training((PRETRAINED,))
