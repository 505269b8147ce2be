"""The F4 of a model on every level."""

from pathlib import Path

from runs.quality.detection_limits.levels import LEVELS
from runs.shared.candidates import candidates, with_noise_correction
from runs.shared.saved_picks import write_json
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.models.checkpoint import load
from tomosoup.scoring.score import score
from tomosoup.scoring.thresholds import best_thresholds


def measure(out: Path, model: str) -> None:
    """Pick every level with a model and score it: with the model's thresholds, and with the best ones for the level.

    Prints F4 without noise correction, with it, and with the best thresholds.
    """
    checkpoint, stem = load(model), Path(model).stem
    for level in LEVELS:
        if (out / level.name).exists():
            project = open_project(out / level.name)
            picks = candidates(out / "picks" / stem / level.name, project, checkpoint)
            truth = {run: read_truth(project, run) for run in picks}
            uncorrected, kept = (
                {run: apply_thresholds(found, checkpoint.thresholds) for run, found in some.items()}
                for some in (picks, with_noise_correction(picks, project, checkpoint))
            )
            best = best_thresholds([(picks[run], truth[run]) for run in picks], project.species)[1]
            now = score(kept, truth, project.species)
            write_json(out / "model" / f"{stem}-{level.name}.json", {
                "f4": now.weighted, "runs": [score({r: k}, truth, project.species).weighted for r, k in kept.items()],
                "best": best.weighted,
                "species": {n: [m.f_beta(), best.species[n].f_beta()] for n, m in now.species.items()},
            })  # fmt: skip
            before = score(uncorrected, truth, project.species).weighted
            print(level.name, f"{before:.3f} {now.weighted:.3f} {best.weighted:.3f}", flush=True)
