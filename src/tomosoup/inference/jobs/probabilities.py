"""Probabilities of picks: copick has no place for them, so records keep what gives them from scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tomosoup.core.types import Picks, PicksBySpecies
from tomosoup.data.formats.tables.picks_csv import Notes
from tomosoup.scoring.calibration import Calibration, expected_false, metadata_of, read_calibrations

CALIBRATION, FALSE = "pick_calibration", "expected_false"
"""The keys in the record of a run: its calibrations, and the number of its picks that are expected to be false."""


def recorded(calibrations: Mapping[str, Calibration], picks: PicksBySpecies) -> dict[str, Any]:
    """What the record of a run keeps of the probabilities of its picks; nothing where they are not known."""
    if not calibrations:
        return {}
    return {CALIBRATION: metadata_of(calibrations), FALSE: expected_false(picks, calibrations)}


def calibrations_in(record: Mapping[str, Any]) -> dict[str, Calibration]:
    """The calibrations of a run by species; empty where its record has none, or none that can be read."""
    try:
        return read_calibrations(record.get(CALIBRATION, {}))
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def probability_columns(records: Mapping[str, Mapping[str, Any]]) -> list[Notes]:
    """The column of a table of picks with their probabilities, empty for picks without one; none without any."""
    if not any(CALIBRATION in record for record in records.values()):
        return []
    known: dict[str, dict[str, Calibration]] = {}

    def texts(run: str, name: str, picks: Picks) -> list[str]:
        if run not in known:
            known[run] = calibrations_in(records.get(run, {}))
        calibration = known[run].get(name)
        if calibration is None:
            return [""] * len(picks)
        return [f"{p:.3f}" for p in calibration.probabilities(picks.score).tolist()]

    return [("probability", texts)]


def false_discovery_rates(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The fraction of all picks that is expected to be false, by species, from the records of their runs.

    Species with picks in a run whose record has no probabilities for them are left out.
    """
    picks, false, unknown = dict[str, int](), dict[str, float](), set[str]()
    for record in records:
        for name, number in record.get("picks", {}).items():
            if not number:
                continue
            if name not in record.get(FALSE, {}):
                unknown.add(name)
                continue
            picks[name] = picks.get(name, 0) + number
            false[name] = false.get(name, 0.0) + record[FALSE][name]
    return {name: false[name] / number for name, number in picks.items() if name not in unknown}
