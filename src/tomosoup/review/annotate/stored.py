"""Confirmed boxes in copick: their picks as a pick set, and a mask of where they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tomosoup.core.errors import InputError
from tomosoup.core.types import NO_PICKS, Volume
from tomosoup.data.copick.files import write_picks
from tomosoup.data.copick.maps import ANNOTATED, OWN_USER, CopickMaps, map_store
from tomosoup.data.copick.masks.mask import read_mask
from tomosoup.data.copick.roots import run_of
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.tomogram import Tomogram
from tomosoup.review.annotate.boxes import Box
from tomosoup.review.annotate.session import AnnotationSession, confirmed_in
from tomosoup.review.napari_layers import check_free


def mask_name(session: str) -> str:
    """The copick segmentation of the boxes that were confirmed in a session."""
    return f"{ANNOTATED}:{OWN_USER}/{session}"


def resume(work: AnnotationSession, *, user: str, session: str) -> int:
    """Confirm again what was saved as `user`/`session`; returns the number of boxes.

    Raises `InputError` where the set holds other picks than those of confirmed boxes, where it was made with boxes of
    another size, and for names that copick cannot keep.
    """
    store, before = _store(work, session), len(work.confirmed)
    for run, tomogram in work.tomograms.items():
        if not store.has(tomogram, [ANNOTATED]):
            check_free(work.project, run, user=user, session=session)
            continue
        inside = read_mask(mask_name(session), run, tomogram.grid, work.project).inside
        boxes = [box for box in work.boxes if box.run == run and inside[box.region].all()]
        if sum(inside[box.region].size for box in boxes) != inside.sum():
            raise InputError(
                f"Run {run}: session {session} was annotated in boxes of another size: choose that size, or another "
                "`session`."
            )
        picks = work.project.pick_sets(run).get(PickSet(user, session), dict)()
        for box in boxes:
            work.confirm(box, picks)
    return len(work.confirmed) - before


def save(work: AnnotationSession, *, user: str, session: str) -> dict[str, int]:
    """Write the particles of all confirmed boxes as `user`/`session`, and the mask of the boxes.

    Returns the number of particles by species. What an earlier `save` wrote of this session is replaced. After an error
    it can be called again.
    """
    store, total = _store(work, session), dict.fromkeys((s.name for s in work.project.species), 0)
    confirmed = {run: [box for box in work.confirmed if box.run == run] for run in work.tomograms}
    known = {run for run, tomogram in work.tomograms.items() if store.has(tomogram, [ANNOTATED])}
    touched = [run for run in work.tomograms if confirmed[run] or run in known]
    for run in touched:  # before anything is written
        check_free(work.project, run, user=user, session=session, overwrite=run in known)
    for run in touched:
        found, target = confirmed_in(work.confirmed, run), PickSet(user, session)
        picks = {name: found.get(name, NO_PICKS) for name in total} if confirmed[run] else {}
        write_picks(run_of(work.project.root, run), picks, target)
        try:
            _write_mask(store, work.tomograms[run], confirmed[run])
        except (InputError, OSError):
            if run not in known:  # picks without a mask would be taken for those of another program
                write_picks(run_of(work.project.root, run), {}, target)
            raise
        total |= {name: total[name] + len(p) for name, p in picks.items()}
    return total


def _write_mask(store: CopickMaps, tomogram: Tomogram, boxes: Sequence[Box]) -> None:
    """Write the mask of these boxes; without boxes there is none."""
    if not boxes:
        store.remove(tomogram, [ANNOTATED])
        return
    inside = torch.zeros((1, *tomogram.shape), dtype=torch.uint8)
    for box in boxes:
        inside[0][box.region] = 1
    store.write(tomogram, Volume(inside, tomogram.voxel_size, tomogram.origin), [ANNOTATED])


def _store(work: AnnotationSession, session: str) -> CopickMaps:
    store = map_store(work.project, None, session)
    assert isinstance(store, CopickMaps)  # without a folder it is
    return store
