"""Measures the size of a report page of a full-size run: noise, that compresses worst, with 8,000 candidates a species.

python -m benchmarks.speed.report_size OUT.html
"""

import time
from pathlib import Path

import numpy as np
import torch

from runs.shared.command import run_script
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.review.report.collect import Report, ReportOptions, RunReport
from tomosoup.review.report.page import write_page
from tomosoup.review.report.slice_atlas import atlas
from tomosoup.review.report.sources import PickSource
from tomosoup.scoring.calibration import Calibration
from tomosoup.scoring.matched_picks import MatchedPicks
from tomosoup.scoring.matching import MATCH_RADII

SHAPE = (184, 630, 630)
CANDIDATES, PARTICLES = 8000, 100


def anywhere(number: int, numbers: np.random.Generator) -> np.ndarray:
    """Positions `(number, 3)` in Å."""
    return numbers.uniform(0, 10, (number, 3)) * np.array(SHAPE)


def found(kind: Species, numbers: np.random.Generator) -> MatchedPicks:
    """Candidates with scores of a net's precision, and particles, anywhere."""
    scores = numbers.random(CANDIDATES, dtype=np.float32).astype(float)
    picks, truth = Picks(anywhere(CANDIDATES, numbers), scores), Picks.of(anywhere(PARTICLES, numbers))
    return MatchedPicks.of(picks, truth, distance=MATCH_RADII * kind.radius)


def full_size(page: Path) -> Report:
    """The report of a run of noise."""
    numbers = np.random.default_rng(0)
    noise = torch.from_numpy(numbers.standard_normal(SHAPE, dtype=np.float32))
    picture = atlas(Volume(noise, 10.0, (5.0, 5.0, 5.0)), voxels=ReportOptions().voxels)
    matched = {s.name: found(s, numbers) for s in CONTEST_SPECIES}
    calibrations = {s.name: Calibration(0.8, 5.0) for s in CONTEST_SPECIES}
    run = RunReport("noise", True, matched, picture, calibrations)
    thresholds = {s.name: 0.5 for s in CONTEST_SPECIES}
    numbers_of = tuple(range(len(CONTEST_SPECIES)))
    return Report("noise", PickSource(page, "0"), CONTEST_SPECIES, numbers_of, thresholds, (run,))


def main(page: Path) -> None:
    """Write the page and print its size."""
    began = time.monotonic()
    report = full_size(page)
    write_page(page, report)
    picture = report.runs[0].volume
    assert picture
    print(f"{SHAPE} -> {picture.shape}, JPEG {len(picture.jpeg) / 1e6:.1f} MB")
    print(f"page {page.stat().st_size / 1e6:.1f} MB, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    run_script(main, description=__doc__)
