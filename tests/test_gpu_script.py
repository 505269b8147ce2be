"""The script for a GPU: its parts on tiny nets, and its way with parts that fail."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from runs.gpu import budget
from runs.gpu.budget import Part, Setting, measure
from runs.gpu.parts import parts
from runs.gpu.rows import Row, kept, table


def test_a_part_that_fails_hangs_or_dies_costs_its_own_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "PRELOADED", [])  # its imports take longer than these parts
    monkeypatch.setattr(budget, "LEAST", 0.1)
    works = {"raises": 60, "dies": 60, "hangs": 3, "good": 60, "missing": 60}
    chosen = [Part(name, f"gpu_parts.{name}", seconds) for name, seconds in works.items()]
    rows = measure(chosen, tmp_path, small=True, seconds=600)
    assert [(row.part, row.note) for row in rows] == [
        ("good", ""),
        ("raises", "failed: RuntimeError: CUDA out of memory."),
        ("good", ""),
        ("dies", "failed: its process ended with code 7"),
        ("hangs", "stopped after 3 s"),
        ("good", ""),
        ("missing", "failed: AttributeError: module 'gpu_parts' has no attribute 'missing'."),
    ]
    saved = json.loads((tmp_path / "results.json").read_text())
    assert [Row(**row) for row in saved] == rows
    assert (tmp_path / "table.md").read_text() == table(rows)
    assert 0 < float(rows[0].figures["seconds"]) < 60
    late = measure([Part("good", "gpu_parts.good", 60)], tmp_path, small=True, seconds=0)
    assert late == [Row("good", "", "", note="not started: no time was left")]


def test_a_row_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text('{"part": "a", "what": "b", "how": "c"}\n{"part": "d", "wh')
    assert kept(tmp_path / "rows") == [Row("a", "b", "c")]
    assert kept(tmp_path / "none") == []


def test_the_table_is_markdown_whatever_a_message_holds() -> None:
    lines = table([Row("a", "b", "c", {"seconds": 1.23456, "unit": "x"}, note="1 | 2\n3")]).splitlines()
    assert lines[0] == "| part | what | how | result |"
    assert lines[2] == "| a | b | c | seconds 1.23, unit x, 1 / 2 3 |"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first part puts what the others read."""
    return tmp_path_factory.mktemp("gpu")


KNOWN = {part.name: part for part in parts()}


@pytest.mark.parametrize(
    "name",
    [
        "machine",
        "parity yu4u",
        "pick yu4u",
        "pick 4 soups",
        "simulate",  # the next three read what it makes
        "updates yu4u",
        "updates soup-big",
        "train tattaka",
        "compiled yu4u",
    ],
)
def test_a_part_runs_on_a_cpu(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda net, **_: net)  # a compiler takes a minute
    rows: list[Row] = []
    # Without an end there is time for a second tomogram.
    KNOWN[name].run(Setting(folder, small=True, **{} if name == "pick yu4u" else {"ends": 0.0}), rows.append)
    assert rows
    assert ("seconds a tomogram" in rows[0].figures) is (name == "pick yu4u")
    for row in rows:
        assert "failed" not in row.note, row
        assert all(math.isfinite(figure) for figure in row.figures.values() if not isinstance(figure, str))
        errors = [row.figures[key] for key in row.figures if "error" in key]
        assert all(0 <= error < (5e-2 if "bf16" in row.how else 1e-4) for error in errors)  # type: ignore[operator]


def test_an_engine_that_is_not_here_is_a_row(tmp_path: Path) -> None:
    rows: list[Any] = []
    KNOWN["tensorrt yu4u"].run(Setting(tmp_path, small=True), rows.append)
    assert [row.note.partition(":")[0] for row in rows] == ["failed", "failed"]


def test_parts_have_names_of_their_own_and_trainings_follow_the_simulation() -> None:
    names = list(KNOWN)
    assert names[0] == "machine"
    assert names.index("simulate") < min(names.index(name) for name in names if name.startswith(("updates", "train")))
    assert len(names) == len(parts())
