"""What one looks at: the overview picture and the demo around it."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from conftest import TINY_SIMULATION
from small_models import TINY_RECIPE

from tomosoup.cli.commands.demo import run_demo
from tomosoup.cli.options.demo import DemoCommand
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.models.checkpoint import load
from tomosoup.models.history import last_training
from tomosoup.review.overview import COLOURS, draw_overview
from tomosoup.scoring.score import score

SPECIES = (Species("dot", 60.0),)


def draw(path: Path, found: list[list[float]], true: list[list[float]]) -> np.ndarray:
    """The overview of a grey volume, as an image."""
    picks, truth = {"dot": Picks.of(found)}, {"dot": Picks.of(true)}
    result = score({"r": picks}, {"r": truth}, SPECIES)
    volume = Volume(torch.rand(30, 60, 60), 10.0)
    draw_overview(path, volume, picks=picks, truth=truth, species=SPECIES, score=result, title="t")
    image: np.ndarray = matplotlib.image.imread(path)
    return image


def coloured(image: np.ndarray) -> int:
    """Pixels in the colour of the first species."""
    colour = [int(COLOURS[0][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return int((np.abs(image[..., :3] - colour).max(axis=-1) < 0.1).sum())


def test_found_missed_and_false_particles_are_drawn_apart(tmp_path: Path) -> None:
    here = [[100.0, 300.0, 300.0]]  # on the first slice
    none = coloured(draw(tmp_path / "a.png", [], [[10000.0, 0, 0]]))
    hit, missed = coloured(draw(tmp_path / "a.png", here, here)), coloured(draw(tmp_path / "a.png", [], here))
    false = coloured(draw(tmp_path / "a.png", here, []))
    assert hit > missed > none  # a dashed circle is less ink
    assert none < false < hit
    assert [f.name for f in tmp_path.iterdir()] == ["a.png"]


def test_the_demo_scores_a_run_that_nothing_was_tuned_on(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY_RECIPE)
    out = tmp_path / "demo"
    options = DemoCommand(out=out, train=True, runs=4, recipe=str(tmp_path / "tiny.toml"), simulation=TINY_SIMULATION)
    result = run_demo(options)
    assert result.runs == ("run_003",)
    training = last_training(load(out / "model.safetensors").history)
    assert training.runs == ("run_000", "run_001")
    assert training.held_out == "run_002"
    assert set(read_csv(out / "picks.csv")) <= {"run_003"}
    assert matplotlib.image.imread(out / "overview.png").std() > 0
    with pytest.raises(InputError, match="exists already: choose another folder, or replace an earlier demo"):
        run_demo(options)
