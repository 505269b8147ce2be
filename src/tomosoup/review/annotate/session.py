"""Annotate, train, repeat, without a window: what is confirmed, what a model finds, where to look next."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np

from tomosoup.core.config import ZYX
from tomosoup.core.progress import Progress, no_progress, part
from tomosoup.core.types import NO_PICKS, Picks, PicksBySpecies
from tomosoup.data.options import DataOptions
from tomosoup.data.project import CopickProject
from tomosoup.data.tomogram import Tomogram, chosen_runs, select_tomogram
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.sliding_window import expect_denoised, unlike_training
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.review.annotate.boxes import BOX, Box, beyond, boxes_of
from tomosoup.review.annotate.fine_tuning import BESIDE, fine_tune
from tomosoup.review.annotate.ranking import Order, Suggestion, ranked, shuffled, view_picks, with_probabilities
from tomosoup.training.options import Execution, TrainingRecipe

LIKELY = 0.5
"""Picks with this probability, or a higher one, are shown."""


@dataclass
class AnnotationSession:
    """Some runs of a copick project, the boxes that a user has confirmed in them, and a model.

    A round is: `suggestions`, `confirm` some boxes, `pick` with what `fine_tune` returns.
    """

    project: CopickProject
    start: Checkpoint
    """The model that every fine-tuning starts from."""
    folder: Path
    """For the fine-tuned models: round-1.safetensors, ..."""
    data: DataOptions = field(default_factory=DataOptions)
    """The runs to annotate, and the tomogram of each."""
    box: ZYX = BOX
    """About the voxels of a box (z, y, x)."""
    views: tuple[str, ...] = ()
    """In-plane views (`IN_PLANE`) to compare with the tomogram as it is. Each takes as long as picking."""
    order: Order = "random"
    """Of the suggested boxes."""
    nets: Nets = field(default_factory=Nets)
    model: Checkpoint = field(init=False)
    """The model that found the candidates."""
    confirmed: dict[Box, PicksBySpecies] = field(default_factory=dict)
    """Boxes -> all their particles, in Å."""
    candidates: Mapping[str, PicksBySpecies] = field(default_factory=dict)
    """What the model finds in each run."""
    probable: Mapping[str, PicksBySpecies] = field(default_factory=dict)
    """The same, with probabilities as scores, over all views."""

    def __post_init__(self) -> None:
        self.start = self.model = named_for(self.project, [self.start])[0]

    @cached_property
    def tomograms(self) -> dict[str, Tomogram]:
        """The tomogram of each run, by name. Raises `InputError` where none or several could be meant."""
        return {run: select_tomogram(self.project, run, self.data) for run in chosen_runs(self.project, self.data)}

    @cached_property
    def boxes(self) -> list[Box]:
        """The boxes of all runs."""
        return [box for run, tomogram in self.tomograms.items() for box in boxes_of(run, tomogram.grid, self.box)]

    def box_at(self, run: str, zyx: tuple[float, float, float]) -> Box | None:
        """The box of a run that holds a position (Å)."""
        own = (box for box in self.boxes if box.run == run)
        return next((box for box in own if box.holds(zyx, self.tomograms[run])[0]), None)

    def pick(self, model: Checkpoint | None = None, *, progress: Progress = no_progress) -> None:
        """Pick all runs, in all views, with a new model or once more with the last one."""
        model = model or self.model
        species, total = self.project.species, len(self.tomograms) * (1 + len(self.views))
        candidates, probable = {}, {}
        for i, (run, tomogram) in enumerate(self.tomograms.items()):
            members = []
            for j, view in enumerate(("identity", *self.views)):
                own = part(progress, i * (1 + len(self.views)) + j, total, what=f"Picking {run}")
                members.append(view_picks(tomogram, model, view, nets=self.nets, progress=own))
            candidates[run] = {s.name: members[0].get(s.name, NO_PICKS) for s in species}
            probable[run] = with_probabilities(members, model, species)
        self.model, self.candidates, self.probable = model, candidates, probable

    @property
    def remark(self) -> str:
        """What to tell the user of a tomogram type that the model was not trained on; else empty."""
        types = (tomogram.tomo_type for tomogram in self.tomograms.values())
        texts = (unlike_training(name, [self.model]) for name in types if not expect_denoised([self.model], name))
        return next(filter(None, texts), "")

    def shown(self, run: str) -> dict[str, Picks]:
        """The picks of a run: the confirmed ones in confirmed boxes, elsewhere those that are likely right.

        So they need the fewest corrections; the model's thresholds, which favour recall, would show many false ones.
        """
        tomogram = self.tomograms[run]
        own = {box: picks for box, picks in list(self.confirmed.items()) if box.run == run}
        likely = {name: picks.above(LIKELY) for name, picks in self.probable.get(run, {}).items()}
        found = beyond(likely, own, tomogram)
        parts = [found, *own.values()]
        return {s.name: joined([one[s.name] for one in parts if s.name in one]) for s in self.project.species}

    def suggestions(self) -> list[Suggestion]:
        """The boxes that are not confirmed, in the session's order."""
        grids = {run: tomogram.grid for run, tomogram in self.tomograms.items()}
        found = ranked(self.probable, (box for box in self.boxes if box not in self.confirmed), grids)
        return shuffled(found, self.boxes) if self.order == "random" else found

    def confirm(self, box: Box, picks: PicksBySpecies) -> int:
        """All particles in a box are marked: those of `picks`, the run's picks as they are now; others are left out.

        Returns their number. A box without any is an example of background.
        """
        self.confirmed[box] = box.kept(picks, self.tomograms[box.run])
        return sum(map(len, self.confirmed[box].values()))

    def reopen(self, box: Box) -> None:
        """A box is not confirmed any more."""
        self.confirmed.pop(box, None)

    def fine_tune(
        self,
        *,
        recipe: TrainingRecipe | None = None,
        execution: Execution = Execution(),  # noqa: B008 - immutable
        progress: Progress = no_progress,
    ) -> Checkpoint:
        """Train on the confirmed boxes, from the session's first model; write and return the new model.

        Picks close beside a box count as they are shown now. Raises `InputError` like `fine_tuning.fine_tune`.
        """
        known = {
            box: box.kept(self.shown(box.run), self.tomograms[box.run], margin=BESIDE) for box in list(self.confirmed)
        }
        file = self._new_file()
        with _removed_on_failure(training := file.with_suffix(".training")):
            made = fine_tune(
                self.start,
                known,
                self.tomograms,
                self.project.species,
                folder=training,
                recipe=recipe,
                execution=execution,
                progress=progress,
            )
        made.save(file)
        return made

    def _new_file(self) -> Path:
        """The first of round-1.safetensors, round-2.safetensors, ... that is free, with the folder of its training."""
        files = (self.folder / f"round-{number}.safetensors" for number in count(1))
        return next(f for f in files if not f.exists() and not f.with_suffix(".training").exists())


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """A training that failed or was cancelled leaves no folder."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def joined(parts: list[Picks]) -> Picks:
    """Picks of one species as one set, without orientations."""
    if not parts:
        return NO_PICKS
    return Picks(np.concatenate([p.zyx for p in parts]), np.concatenate([p.score for p in parts]))


def confirmed_in(confirmed: Mapping[Box, PicksBySpecies], run: str) -> dict[str, Picks]:
    """The particles of all confirmed boxes of a run."""
    own = [picks for box, picks in confirmed.items() if box.run == run]
    names = dict.fromkeys(name for picks in own for name in picks)
    return {name: joined([picks[name] for picks in own if name in picks]) for name in names}
