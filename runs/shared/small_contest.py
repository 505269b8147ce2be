"""A small copy of the contest for `ablations` and `soups`: its seven tomograms at 20 Å, and a small heatmap model.

Voxels of 20 Å (92 x 315 x 315) halve the contest's tomograms and leave every particle in place. Windows of
16 x 64 x 64 correspond to the 128 of the paper.
"""

from pathlib import Path
from typing import Any

from tomosoup.models.nets.options import NetOptions
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.project import LayoutFrom, simulate
from tomosoup.training.options import TrainingRecipe

SEEDS = (0, 1)
VOXEL = 20.0
"""Å."""
DOSE = 20.0
"""Electrons per Å² over all tilts: few, so that small particles are hard to see."""
UPDATES, BATCH = 120, 8


def simulate_contest(project: Path, picks: Path) -> None:
    """Simulate tomograms with particles at the positions in the contest's table `picks`, unless they exist."""
    if not project.exists():
        microscope = MicroscopeOptions(dose=(DOSE, DOSE))
        simulation = SimulationRecipe(shape=(92, 315, 315), voxel_size=VOXEL, microscope=microscope)
        simulate(project, simulation, runs=LayoutFrom(picks), seed=7)


def heatmap_training(weights: Path, *, stride: tuple[int, int, int], **options: Any) -> TrainingRecipe:
    """The recipe `yu4u` in small: an EfficientNet-Lite0 with the file `weights`, narrow decoders, 120 updates.

    `stride` is that of the validation's windows; `options` are more fields of the recipe.
    """
    return TrainingRecipe(
        net=NetOptions(
            backbone="tf_efficientnet_lite0", backbone_weights=weights, input_slices=5, decoder_widths=(64, 48, 32)
        ),
        windows=WindowPlan(shape=(16, 64, 64), stride=stride, weighting="pyramid"),
        epochs=1,
        crops_per_epoch=UPDATES * BATCH,
        warmup_epochs=0.1,
        batch_size=BATCH,
        learning_rate=2e-3,
        average_decay=0.85,  # averages over 5 % of the training, as 0.999 does in the paper's
        **options,
    )
