"""An annotation session in a napari viewer: layers, boxes, where it looks. Nothing here imports napari or Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tomosoup.core.errors import InputError, counted
from tomosoup.core.types import NO_PICKS, Array, PicksBySpecies
from tomosoup.review.annotate.boxes import Box, beyond
from tomosoup.review.annotate.ranking import ranked_runs
from tomosoup.review.annotate.session import AnnotationSession, joined
from tomosoup.review.annotate.stored import save
from tomosoup.review.napari_layers import add_layers, edited_picks, image_layer, points_layer
from tomosoup.scoring.matching import first_hits

CURRENT, CONFIRMED = "#f0e442", "#009e73"
"""Colours of the box to annotate and of confirmed ones."""
ASIDE = 0.01
"""Voxels by which outlines are off along z: napari draws none where it stands just between two of them."""
MARGIN = 0.1
"""The fraction of the view around a box."""


@dataclass
class AnnotationWindow:
    """What the viewer shows of a session. Its methods return a sentence for the user."""

    viewer: Any
    work: AnnotationSession
    user: str
    session: str
    """copick user and session of what is saved."""
    run: str = ""
    box: Box | None = None
    """The box to annotate."""
    layers: list[Any] = field(default_factory=list)
    """The layers of the run."""
    given: PicksBySpecies = field(default_factory=dict)
    """The picks that the layers showed at first, and those that were confirmed since."""
    saved: bool = True
    """Whether all confirmed boxes are saved."""
    warned: bool = False
    """Whether the user has heard that changes will be lost."""
    closing: bool = False
    """Whether the user has heard that confirmed boxes will be lost."""

    def show(self, run: str) -> None:
        """Show a run with the session's picks, in place of the one before."""
        self.remove()
        volume, before = self.work.tomograms[run].read(), set(self.viewer.layers)
        self.given, self.run, self.warned = self.work.shown(run), run, False
        points = [
            points_layer(self.given[s.name], s, i, volume, role="picks", name="picks")
            for i, s in enumerate(self.work.project.species)
        ]
        add_layers(self.viewer, [image_layer(volume, run), *points])
        self.layers = [layer for layer in self.viewer.layers if layer not in before]
        self._draw_boxes()

    def next(self) -> str:
        """Go to the first suggested box."""
        self._need_picks()
        if text := self.would_lose("go to the next box"):
            return text
        found = self.work.suggestions()
        if not found:
            return "All boxes are confirmed."
        first, runs = found[0], ranked_runs(found)
        self.go(first.box)
        if self.work.order == "random":
            return f"{first.box}, chosen at random: about {first.corrections:.1f} corrections expected."
        if not any(runs.values()):
            return f"{first.box}. The model has no doubts: this box is the one nearest to the centre."
        most = ", ".join(f"{run} {n:.0f}" for run, n in [*runs.items()][:3])
        return f"{first.box}: about {first.corrections:.1f} corrections expected. Most in: {most}."

    def here(self) -> str:
        """Choose the box in the centre of the view."""
        z, _, _ = self.viewer.dims.point[-3:]
        y, x = self.viewer.scene.camera.center[-2:]
        box = self.work.box_at(self.run, (float(z), float(y), float(x)))
        if box is None:
            return "The centre of the view is outside of the tomogram."
        self.box = box
        self._draw_boxes()
        return f"{box}{': confirmed before' if box in self.work.confirmed else ''}"

    def go(self, box: Box) -> None:
        """Look at a box: its central slice fills the view."""
        if box.run != self.run:
            self.show(box.run)
        self.box, grid = box, self.work.tomograms[box.run]
        z, y, x = grid.to_angstrom(box.centre_vox)
        self.viewer.dims.set_point(range(self.viewer.dims.ndim - 3, self.viewer.dims.ndim), (z, y, x))
        self._draw_boxes()
        self.viewer.reset_view(layers=self._own("boxes")[-1:], margin=MARGIN)

    def confirm(self) -> str:
        """All particles in the box are marked, and nothing else."""
        self._need_picks()
        if self.box is None or self.box.run != self.run:
            raise InputError("Choose a box first: the next one, or the one in the centre of the view.")
        picks, grid, box = edited_picks(self._own()), self.work.tomograms[self.run], self.box
        number = self.work.confirm(box, picks)
        outside, inside = beyond(self.given, [box], grid), box.kept(picks, grid)
        self.given = {name: joined([outside.get(name, NO_PICKS), found]) for name, found in inside.items()}
        self.saved = self.warned = self.closing = False
        self._draw_boxes()
        return f"{box}: {counted(number, 'particle')}. Boxes confirmed: {len(self.work.confirmed)}."

    def reopen(self) -> str:
        """Take back the confirmation of the box."""
        if self.box not in self.work.confirmed:
            return "This box is not confirmed."
        self.work.reopen(self.box)
        self.saved = False
        self._draw_boxes()
        return f"{self.box}: not confirmed any more."

    def species(self, number: int) -> str:
        """Add particles of a species, by its number from 1, from now on."""
        points = self._own("picks")
        if not 1 <= number <= len(points):
            return f"Species have the numbers 1 to {len(points)}."
        layer = points[number - 1]
        self.viewer.layers.selection.active = layer
        layer.mode = "add"
        return f"Click to add {layer.metadata['species']}."

    def refresh(self) -> str:
        """Show the model's latest picks in the run."""
        if text := self.would_lose("show the new picks"):
            return text
        self.show(self.run)
        return f"{self.run}: {counted(sum(map(len, self.given.values())), 'pick')}."

    def save(self) -> str:
        """Write what is confirmed to copick."""
        total = save(self.work, user=self.user, session=self.session)
        self.saved = True
        found = ", ".join(f"{name} {n}" for name, n in total.items())
        return f"Saved as {self.user}/{self.session}: {found}."

    def changed(self) -> bool:
        """Whether picks were changed since they were shown or confirmed."""
        now = edited_picks(self._own())
        return any(not _same(now.get(name, NO_PICKS).zyx, found.zyx) for name, found in self.given.items())

    def _own(self, *roles: str) -> list[Any]:
        """The layers of the run that the user has not removed; those with one of these roles, if any are named."""
        own = [layer for layer in self.layers if layer in self.viewer.layers]
        return [layer for layer in own if layer.metadata.get("role") in roles] if roles else own

    def would_lose(self, action: str) -> str:
        """What to tell the user before unconfirmed changes are dropped; empty if none are, or at the second time."""
        if not self.layers or self.warned or not self.changed():
            return ""
        self.warned = True
        return f"Changes are not confirmed: confirm the box, or {action} once more to drop them."

    def would_lose_boxes(self) -> str:
        """What to tell the user before another session is opened; empty if all is saved, or at the second time."""
        if self.saved or self.closing:
            return ""
        self.closing = True
        return "Confirmed boxes are not saved: save them, or open once more to drop them."

    def remove(self) -> None:
        """Take the layers out of the viewer."""
        for layer in self._own():
            self.viewer.layers.remove(layer)

    def _need_picks(self) -> None:
        """Raises `InputError` while the first picks are not there: boxes would look empty."""
        if not self.work.candidates:
            raise InputError("The runs are not picked yet: wait for the progress bar.")

    def _draw_boxes(self) -> None:
        """Outline the box and the confirmed ones of the run in each of their slices."""
        for layer in self._own("boxes"):
            self.viewer.layers.remove(layer)
        active = self.viewer.layers.selection.active
        own = [box for box in self.work.confirmed if box.run == self.run and box != self.box]
        self._outline(own, "confirmed boxes", CONFIRMED)
        if self.box and self.box.run == self.run:
            self._outline([self.box], "box", CONFIRMED if self.box in self.work.confirmed else CURRENT)
        if points := self._own("picks"):
            self.viewer.layers.selection.active = active if active in points else points[0]

    def _outline(self, boxes: Iterable[Box], name: str, colour: str) -> None:
        """A layer with the outlines of boxes, below the picks; none without boxes."""
        if not (shapes := [rectangle for box in boxes for rectangle in outlines(box)]):
            return
        grid = self.work.tomograms[self.run]
        layer = self.viewer.add_shapes(
            shapes,
            shape_type="rectangle",
            name=name,
            edge_color=colour,
            face_color="transparent",
            edge_width=1,
            scale=(grid.voxel_size,) * 3,
            translate=np.add(grid.origin, (ASIDE * grid.voxel_size, 0, 0)),
            units=("angstrom",) * 3,
            metadata={"role": "boxes"},
        )
        layer.editable = False
        self.layers.append(layer)
        if points := self._own("picks"):
            self.viewer.layers.move(self.viewer.layers.index(layer), self.viewer.layers.index(points[0]))


def outlines(box: Box) -> list[Array]:
    """A rectangle `(4, 3)` (voxels) around the box in each of its slices."""
    (_, y0, x0), (_, y1, x1) = (np.array(at) - 0.5 for at in (box.start, box.stop))
    return [np.array([(z, y0, x0), (z, y0, x1), (z, y1, x1), (z, y1, x0)]) for z in range(box.start[0], box.stop[0])]


def _same(one: Array, other: Array) -> bool:
    """Whether two sets of positions `(n, 3)` are the same, in any order, to 0.01 Å."""
    return len(one) == len(other) and bool((first_hits(one, other, distance=0.01) < len(one)).all())
