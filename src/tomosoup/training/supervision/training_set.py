"""What a training gets, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from tomosoup.core.types import Species
from tomosoup.data.options import AnnotatedData, Normalisation
from tomosoup.training.supervision.crops import Example


@dataclass(frozen=True)
class TrainingSet:
    """Annotated tomograms, or parts of them, in memory. Their grey values are normalised."""

    examples: list[Example]
    """To train on."""
    held_out: list[Example]
    """What chooses the best weights and the thresholds; the main tomogram type first."""
    species: tuple[Species, ...]
    normalisation: Normalisation = field(default_factory=Normalisation)
    """What was done to grey values."""
    data: AnnotatedData = field(default_factory=AnnotatedData)
    """Where they are from."""

    @property
    def runs(self) -> tuple[str, ...]:
        """All runs that are trained on, and those beside the first of which parts are held out."""
        first, *others = self.held_out
        return tuple(dict.fromkeys(e.run for e in (*self.examples, *(e for e in others if e.run != first.run))))
