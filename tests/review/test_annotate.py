"""Annotate, train, repeat, without a window: boxes, where to look next, training on boxes alone, what is saved."""

from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY_TRAINING

from tomosoup.core.errors import InputError
from tomosoup.core.types import Grid, Picks, Species, Volume
from tomosoup.data.copick.files import write_picks
from tomosoup.data.copick.maps import CopickMaps
from tomosoup.data.copick.masks.mask import read_mask
from tomosoup.data.copick.roots import run_of
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.project import CopickProject, open_project
from tomosoup.data.truth import read_truth
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.data.volumes.resampling import resampled
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.pick import pick
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import Trained, last_training
from tomosoup.review.annotate import fine_tuning
from tomosoup.review.annotate.boxes import Box, boxes_of
from tomosoup.review.annotate.ranking import ranked, ranked_runs, view_picks, with_probabilities
from tomosoup.review.annotate.session import AnnotationSession
from tomosoup.review.annotate.stored import mask_name, resume, save
from tomosoup.scoring.calibration import Calibration
from tomosoup.scoring.signal_levels import SignalLevels
from tomosoup.training.supervision.crops import Example
from tomosoup.training.supervision.training_set import TrainingSet

RUN, SIZE = "run_001", (16, 48, 48)
NAME = "apo-ferritin"
LOW = 0.08
"""A threshold that some picks of an untrained net pass."""


def session(folder: Path, checkpoint: Checkpoint, **options: object) -> AnnotationSession:
    project = open_project(folder)
    assert isinstance(project, CopickProject)
    return AnnotationSession(project, checkpoint, folder=folder / "models", **{"box": SIZE, **options})  # type: ignore[arg-type]


@pytest.fixture
def work(project: Path, checkpoint: Checkpoint) -> AnnotationSession:
    return session(project, checkpoint)


@pytest.fixture
def truth(project: Path) -> dict[str, Picks]:
    return read_truth(project, RUN)


def test_every_voxel_and_position_is_in_one_box() -> None:
    grid = Grid(8.0, (4.0, -4.0, 0.0), (40, 100, 97))
    boxes = boxes_of("a", grid, (16, 48, 48))
    covered = np.zeros(grid.shape, dtype=int)
    for box in boxes:
        covered[box.region] += 1
        assert all(2 / 3 <= (b - a) / s <= 4 / 3 for a, b, s in zip(box.start, box.stop, SIZE, strict=True))
    assert (covered == 1).all()
    random = np.random.default_rng(0)
    zyx = grid.to_angstrom(random.uniform(-0.5, np.array(grid.shape) - 0.5, (500, 3)))
    held = np.sum([box.holds(zyx, grid) for box in boxes], axis=0)
    assert (held == 1).all()
    assert len(boxes_of("a", grid, (64, 128, 128))) == 1  # as large as a smaller tomogram


def test_the_margin_of_a_box_is_in_angstrom() -> None:
    grid, box = Grid(10.0, (0.0, 0.0, 0.0), (32, 32, 32)), Box("a", (16, 0, 0), (32, 32, 32))
    picks = {"p": Picks.of([(100.0, 50.0, 50.0), (140.0, 50.0, 50.0), (200.0, 50.0, 50.0)])}
    assert len(box.kept(picks, grid)["p"]) == 1
    assert len(box.kept(picks, grid, margin=16.0)["p"]) == 2


def test_a_box_covers_the_same_place_at_another_voxel_size() -> None:
    fine = Volume(torch.zeros(32, 64, 64), 5.0)
    coarse = resampled(fine, 10.0)
    region = Box("a", (16, 0, 32), (32, 32, 64)).on(fine, coarse)
    assert region == (slice(8, 16), slice(0, 16), slice(16, 32))


def test_the_plain_view_has_the_picks_of_pick(work: AnnotationSession) -> None:
    tomogram = work.tomograms[RUN]
    for own, other in zip(
        view_picks(tomogram, work.model, "identity", nets=Nets()).values(),
        pick(tomogram, work.model).values(),
        strict=True,
    ):
        assert len(own) > 3
        np.testing.assert_allclose(own.zyx, other.zyx)
        np.testing.assert_allclose(own.score, other.score)


def test_a_view_is_undone(work: AnnotationSession) -> None:
    volume = work.tomograms[RUN].read()
    mirrored = replace(volume, data=volume.data.flip(-1))
    expected = pick(mirrored, work.model)[NAME]
    seen = view_picks(volume, work.model, "flip_x", nets=Nets())[NAME]
    x = volume.voxel_size * volume.shape[2] - expected.zyx[:, 2]  # voxel faces are at 0 Å
    wanted = np.column_stack((expected.zyx[:, :2], x))
    assert len(seen) == len(wanted) > 3
    order, other = np.lexsort(seen.zyx.round(1).T), np.lexsort(wanted.round(1).T)
    np.testing.assert_allclose(seen.zyx[order], wanted[other], atol=0.5)
    assert not np.array_equal(seen.score, view_picks(volume, work.model, "identity", nets=Nets())[NAME].score)


SPECIES = Species("p", 100.0)
PLACES = np.array([(0.0, 0.0, 0.0), (500.0, 0.0, 0.0)])


def test_a_calibrated_pick_is_doubtful_where_its_probability_is_one_half(checkpoint: Checkpoint) -> None:
    model = replace(checkpoint, species=(SPECIES,), pick_calibration={"p": Calibration(0.4, 8.0)})
    found = with_probabilities([{"p": Picks(PLACES, np.array([0.4, 0.9]))}], model, [SPECIES])["p"]
    at_centre = found.score[np.argmin(found.zyx[:, 0])]
    assert at_centre == pytest.approx(0.5)
    assert found.score.max() > 0.99


def test_without_a_calibration_members_that_disagree_make_doubt(checkpoint: Checkpoint) -> None:
    model = replace(checkpoint, species=(SPECIES,), thresholds={"p": 0.5}, pick_calibration={})
    both = {"p": Picks(PLACES, np.array([0.9, 0.9]))}
    one = {"p": Picks(PLACES[:1] + 20.0, np.array([0.9]))}  # the same particle, by its radius
    found = with_probabilities([both, one], model, [SPECIES])["p"]
    assert sorted(found.score) == pytest.approx([0.5, 1.0])
    low = {"p": Picks(PLACES, np.array([0.2, 0.9]))}
    assert sorted(with_probabilities([low], model, [SPECIES])["p"].score) == [0.0, 1.0]


def test_boxes_with_most_expected_corrections_come_first() -> None:
    grid = Grid(10.0, (0.0, 0.0, 0.0), (16, 32, 32))
    boxes = [box for run in "ab" for box in boxes_of(run, grid, (16, 16, 16))]
    sure = {"p": Picks(np.array([(50.0, 50.0, 50.0)] * 9), np.array([0.99, 0.02] * 4 + [1.0]))}
    doubtful = {"p": Picks(np.array([(50.0, 250.0, 50.0), (50.0, 50.0, 250.0)]), np.array([0.5, 0.8]))}
    found = ranked({"a": sure, "b": doubtful}, boxes, {"a": grid, "b": grid})
    assert [(one.box.run, one.box.start) for one in found[:3]] == [
        ("b", (0, 16, 0)),
        ("b", (0, 0, 16)),
        ("a", (0, 0, 0)),
    ]
    assert [one.corrections for one in found[:3]] == pytest.approx([0.5, 0.2, 0.12])
    assert list(ranked_runs(found)) == ["b", "a"]


def test_without_doubts_the_central_box_comes_first() -> None:
    grid = Grid(10.0, (0.0, 0.0, 0.0), (48, 48, 48))
    assert ranked({}, boxes_of("a", grid, (16, 16, 16)), {"a": grid})[0].box.start == (16, 16, 16)


def test_a_tomogram_type_that_the_model_was_not_trained_on_is_named(project: Path, checkpoint: Checkpoint) -> None:
    assert not session(project, checkpoint).remark
    other = (Trained(held_out="a", data={"tomo_type": "isonetcorrected"}),)
    assert "on isonetcorrected tomograms alone" in session(project, replace(checkpoint, history=other)).remark
    denoised = (Trained(held_out="a", data={"tomo_type": "denoised"}),)
    assert not session(project, replace(checkpoint, history=denoised)).remark  # its tomograms are denoised first


def test_in_random_order_the_next_boxes_stay_the_next_ones(work: AnnotationSession) -> None:
    order = [one.box for one in work.suggestions()]
    assert sorted(order) == sorted(work.boxes)
    assert order != work.boxes
    assert len({box.run for box in order[:8]}) > 1
    for box in order[:3]:
        work.confirm(box, {})
    assert [one.box for one in work.suggestions()] == order[3:]
    work.order = "corrections"
    assert [one.box for one in work.suggestions()] != order[3:]


def test_a_round_picks_suggests_and_keeps_what_is_confirmed(
    project: Path, checkpoint: Checkpoint, truth: dict[str, Picks]
) -> None:
    work = session(project, replace(checkpoint, thresholds=dict.fromkeys(truth, LOW)))
    work.pick()
    box = next(one.box for one in work.suggestions() if one.box.run == RUN)
    grid = work.tomograms[RUN]
    assert len(work.suggestions()) == len(work.boxes) == 3 * 8
    marked = {NAME: Picks.of(grid.to_angstrom([box.centre_vox, box.centre_vox + 200]))}
    assert work.confirm(box, marked) == 1  # the other is outside of the box
    assert box not in [one.box for one in work.suggestions()]
    shown, found = work.shown(RUN), work.candidates[RUN]
    for s in work.project.species:
        inside = box.holds(shown[s.name].zyx, grid)
        assert inside.sum() == (s.name == NAME)
        kept = found[s.name].above(LOW)
        assert (~inside).sum() == (~box.holds(kept.zyx, grid)).sum() > 0
    work.reopen(box)
    assert len(work.shown(RUN)[NAME]) == len(found[NAME].above(LOW))
    assert truth.keys() == work.shown(RUN).keys()


def test_training_sees_confirmed_boxes_alone(
    work: AnnotationSession, truth: dict[str, Picks], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainingSet] = []

    def noted(annotated: TrainingSet, recipe: object, **_: object) -> Checkpoint:
        seen.append(annotated)
        assert recipe.crop_shape == (16, 32, 32)  # type: ignore[attr-defined]
        return work.start

    monkeypatch.setattr(fine_tuning, "train_on", noted)
    grid, own = work.tomograms[RUN], [box for box in work.boxes if box.run == RUN]
    counts = {box: sum(len(p) for p in box.kept(truth, grid).values()) for box in own}
    richest, *others = sorted((box for box in own if counts[box]), key=lambda box: -counts[box])
    empty = next(box for box in work.boxes if box.run == "run_002")
    work.confirm(empty, {})
    for box in (others[0], richest):
        work.confirm(box, truth)
    work.fine_tune(recipe=TINY_TRAINING)
    (annotated,) = seen
    whole = standardise(grid.read()).data
    (held_out,) = annotated.held_out
    chooses, trains = (richest, others[0])
    if (
        held_out.volume.data.shape != whole[chooses.region].shape
        or (held_out.volume.data != whole[chooses.region]).any()
    ):
        chooses, trains = trains, chooses
    torch.testing.assert_close(held_out.volume.data, whole[chooses.region])
    assert sum(map(len, held_out.truth.values())) == counts[chooses]
    assert [e.run for e in annotated.examples] == ["run_002", RUN]
    background, other = annotated.examples
    assert not sum(map(len, background.truth.values()))
    torch.testing.assert_close(other.volume.data, whole[trains.region])
    inside = trains.kept(other.truth, grid)
    for name, found in trains.kept(truth, grid).items():
        np.testing.assert_allclose(np.sort(inside[name].zyx, axis=0), np.sort(found.zyx, axis=0))
    centres = other.volume.to_voxel(np.concatenate([p.zyx for p in inside.values()]))
    assert ((centres > -0.51) & (centres < np.array(SIZE) - 0.49)).all()  # in the box's own frame


def test_held_out_boxes_hold_particles_of_every_species_but_never_all() -> None:
    boxes = [Box("a", (0, 0, 32 * i), (32, 32, 32 * (i + 1))) for i in range(9)]
    many, few, one = np.array([2, 0, 0]), np.array([0, 1, 0]), np.array([1, 0, 1])
    numbers = dict(zip(boxes, [*[many] * 6, few, few, one], strict=True))
    chosen = fine_tuning._about_a_part(numbers)
    assert sum(numbers[box] for box in chosen).tolist() == [4, 1, 0]
    assert not fine_tuning._about_a_part({boxes[0]: many, boxes[1]: few})


def confirmed(work: AnnotationSession, truth: Mapping[str, Picks], number: int) -> list[Box]:
    """Confirm some boxes of the run that hold particles."""
    grid = work.tomograms[RUN]
    holding = [b for b in work.boxes if b.run == RUN and sum(map(len, b.kept(truth, grid).values()))][:number]
    assert len(holding) == number
    for box in holding:
        work.confirm(box, truth)
    return holding


def test_a_fine_tuned_model_is_kept_and_picks_the_projects_species(
    work: AnnotationSession, truth: dict[str, Picks]
) -> None:
    confirmed(work, truth, 3)
    made = work.fine_tune(recipe=TINY_TRAINING)
    assert made.species == work.project.species
    assert load(work.folder / "round-1.safetensors").fingerprint() == made.fingerprint()
    assert last_training(made.history).runs == (RUN,)
    assert made.signal_levels == SignalLevels()  # of boxes with particles they would say nothing about tomograms
    statistics = [name for name in made.weights if "running_" in name]
    assert statistics
    assert all(torch.equal(made.weights[name], work.start.weights[name]) for name in statistics)
    assert work.model is work.start
    work.pick(made)
    assert work.model is made
    assert set(work.candidates) == {"run_000", RUN, "run_002"}


def test_a_cancelled_training_leaves_nothing(work: AnnotationSession, truth: dict[str, Picks]) -> None:
    def progress(what: str, done: int, _: int) -> None:
        if what.startswith("Training") and done:
            raise CancelledError

    confirmed(work, truth, 2)
    with pytest.raises(CancelledError):
        work.fine_tune(recipe=TINY_TRAINING, progress=progress)
    assert not list(work.folder.glob("*"))


def test_training_needs_two_boxes_with_particles(work: AnnotationSession, truth: dict[str, Picks]) -> None:
    (box,) = confirmed(work, truth, 1)
    empty = next(other for other in work.boxes if other != box)
    work.confirm(empty, {})
    with pytest.raises(InputError, match=r"in 1 of the confirmed boxes\. Fine-tuning needs them in at least 2"):
        work.fine_tune(recipe=TINY_TRAINING)


def test_what_is_saved_is_confirmed_again(
    work: AnnotationSession, truth: dict[str, Picks], project: Path, checkpoint: Checkpoint
) -> None:
    holding = confirmed(work, truth, 2)
    empty = next(box for box in work.boxes if box.run == "run_002")
    work.confirm(empty, {})
    total = save(work, user="napari", session="a")
    again = session(project, checkpoint)
    assert resume(again, user="napari", session="a") == 3
    assert again.confirmed.keys() == work.confirmed.keys()
    for box in holding:
        for name, found in work.confirmed[box].items():
            np.testing.assert_allclose(again.confirmed[box][name].zyx, found.zyx, atol=1e-6)
    saved = again.project.pick_sets(RUN)[PickSet("napari", "a")]()
    assert {name: len(p) for name, p in saved.items()} == total
    mask = read_mask(mask_name("a"), RUN, again.tomograms[RUN].grid, again.project)
    assert mask.inside.sum() == sum(mask.inside[box.region].size for box in holding)
    again.reopen(empty)
    save(again, user="napari", session="a")
    last = session(project, checkpoint)
    assert resume(last, user="napari", session="a") == 2
    assert PickSet("napari", "a") not in last.project.pick_sets("run_002")


def test_after_an_error_a_session_can_be_saved_again(
    work: AnnotationSession,
    truth: dict[str, Picks],
    project: Path,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    holding = confirmed(work, truth, 1)
    with monkeypatch.context() as patch:
        patch.setattr(CopickMaps, "write", full)
        with pytest.raises(OSError, match="No space left"):
            save(work, user="napari", session="a")
    assert PickSet("napari", "a") not in work.project.pick_sets(RUN)
    save(work, user="napari", session="a")
    again = session(project, checkpoint)
    resume(again, user="napari", session="a")
    assert list(again.confirmed) == holding


def test_other_picks_and_other_boxes_are_refused(
    work: AnnotationSession, truth: dict[str, Picks], project: Path, checkpoint: Checkpoint
) -> None:
    confirmed(work, truth, 1)
    save(work, user="napari", session="a")
    with pytest.raises(InputError, match="annotated in boxes of another size"):
        resume(session(project, checkpoint, box=(32, 48, 48)), user="napari", session="a")
    write_picks(run_of(work.project.root, RUN), truth, PickSet("napari", "b"))
    for act in (resume, save):
        with pytest.raises(InputError, match="napari/b already: choose another `session`"):
            act(work, user="napari", session="b")
    with pytest.raises(InputError, match="choose another `user`"):
        resume(work, user="tomosoup", session="c")


def test_the_history_names_the_runs_of_all_held_out_boxes(work: AnnotationSession) -> None:
    first = next(iter(work.tomograms.values())).read()
    trained, *held_out = (Example(run, first, {}) for run in ("a", "b", "c", "b"))
    assert TrainingSet([trained], held_out, work.project.species).runs == ("a", "c")
