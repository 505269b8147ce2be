"""Measures which rule sets thresholds best from one annotated run: F4 on eight further simulated runs.

    python -m runs.quality.thresholds DEMO

DEMO is the folder that `tomosoup demo` made: its run_006 sets the thresholds. The eight runs chose nothing:
The margin of `scoring.thresholds` was chosen on eight others, of the simulator's first form.
"""

from pathlib import Path

import tomosoup
from runs.shared.command import run_script
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.data.options import DataOptions
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.scoring.score import score
from tomosoup.scoring.thresholds import best_thresholds, steady_thresholds
from tomosoup.simulation.simulate import simulate_run

SEEDS = range(100, 108)


def main(demo: Path) -> None:
    """Print weighted F4, and that of each species, for each rule."""
    project, checkpoint = tomosoup.open_project(demo / "project"), tomosoup.load(demo / "model.safetensors")
    seen = select_tomogram(project, "run_006", DataOptions()).read()
    pair = tomosoup.pick(seen, checkpoint), read_truth(project, "run_006")
    recipe = tomosoup.SimulationRecipe.read("simulated")
    scenes = {str(seed): simulate_run(recipe, seed=seed) for seed in SEEDS}
    picks = {run: tomosoup.pick(scene.volume, checkpoint) for run, scene in scenes.items()}
    truth = {run: scene.truth for run, scene in scenes.items()}
    species = checkpoint.species
    rules = {
        "best on run_006": best_thresholds([pair], species)[0],
        "steady on run_006": steady_thresholds([pair], species),
        "best on the eight": best_thresholds([(picks[r], truth[r]) for r in picks], species)[0],
    }
    for name, thresholds in rules.items():
        kept = {run: apply_thresholds(found, thresholds) for run, found in picks.items()}
        result = score(kept, truth, species)
        by_species = "  ".join(f"{n} {m.f_beta():.3f}" for n, m in result.species.items())
        print(f"{name:<18} weighted {result.weighted:.3f}  {by_species}")


if __name__ == "__main__":
    run_script(main, description=__doc__)
