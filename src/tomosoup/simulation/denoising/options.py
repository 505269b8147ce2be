"""How a denoiser is trained. Importing this needs no torch."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Lt, MultipleOf

from tomosoup.core.config import Count, Options
from tomosoup.simulation.options.ranges import NotNegative, Positive

STRENGTH = 0.9
"""That gives particles in simulated tomograms the contrast of real ones (docs/simulation/like-real.md)."""
Width = Annotated[int, Ge(1)]


class Noise2NoiseOptions(Options):
    """The training of a denoiser on half-set tomograms."""

    updates: Count = 6000
    """Number of updates of the weights."""
    batch_size: Count = 2
    """Crops per update."""
    crop: Annotated[int, Ge(16), MultipleOf(8)] = 64
    """Side of a crop in voxels, a multiple of 8."""
    widths: tuple[Width, Width, Width] = (24, 32, 48)
    """Channels of a new network at 1/2, 1/4 and 1/8 of the resolution. A training that starts from weights has theirs.
    """
    learning_rate: Positive = 2e-3
    """Learning rate after the warm-up; it then falls along half a cosine."""
    warmup: NotNegative = 100
    """Updates in which the learning rate rises from 0."""
    weight_decay: NotNegative = 1e-4
    """Weight decay of AdamW."""
    clip: Annotated[float, Gt(0)] = 1.0
    """Largest norm of the gradient."""
    average_decay: Annotated[float, Ge(0), Lt(1)] = 0.998
    """Decay of the moving average of the weights, which is what is saved; in the first updates it is shorter."""
    report_every: Count = 250
    """Updates between two reports of the error on crops that are not trained on."""
    seed: Annotated[int, Ge(0)] = 0
    """Random seed of the weights and the crops."""
