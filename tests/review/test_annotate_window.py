"""The plugin of napari: its manifest, an annotation session on a real viewer model, and the widget on a display."""

import os
import re
import sys
import time
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_TRAINING

from tomosoup.cli.embedded.napari_sample import sample_layers
from tomosoup.core.errors import InputError
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.project import CopickProject, open_project
from tomosoup.data.truth import read_truth
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.review.annotate.session import AnnotationSession
from tomosoup.review.annotate.window import AnnotationWindow, outlines
from tomosoup.training.options import TrainingRecipe

RUN, SIZE = "run_001", (16, 48, 48)
NAME = "apo-ferritin"
MANIFEST = "tomosoup.cli.embedded:napari.yaml"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """napari warns while it is imported and drawn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def window(project: Path, checkpoint: Checkpoint) -> AnnotationWindow:
    """A session of one run in a viewer without a window, with the true picks as the model's."""
    components = pytest.importorskip("napari.components")
    opened = open_project(project)
    assert isinstance(opened, CopickProject)
    work = AnnotationSession(opened, checkpoint, folder=project / "models", box=SIZE)
    work.candidates = work.probable = {RUN: read_truth(opened, RUN), "run_000": {}, "run_002": {}}
    made = AnnotationWindow(components.ViewerModel(), work, "napari", "a")
    made.show(RUN)
    return made


def layer_of(window: AnnotationWindow, name: str = NAME) -> Any:
    """The layer of a species' picks."""
    return next(one for one in window.layers if one.metadata.get("species") == name)


def add(window: AnnotationWindow, zyx_vox: Any) -> None:
    """A click at a position in voxels."""
    layer_of(window).add(np.asarray(zyx_vox, dtype=float))


def drawn(window: AnnotationWindow) -> list[Any]:
    """The shapes of the boxes."""
    return [shape for layer in window.viewer.layers if layer.metadata.get("role") == "boxes" for shape in layer.data]


def test_the_manifest_is_valid_and_installed() -> None:
    npe2 = pytest.importorskip("npe2")
    root = Path(__file__).parents[2]
    points = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points["napari.manifest"] == {"tomosoup": MANIFEST}
    module, _, name = MANIFEST.partition(":")
    manifest = npe2.PluginManifest.from_file(root / "src" / Path(*module.split(".")) / name)
    for command in manifest.contributions.commands:  # imports of the window need Qt
        place, _, name = command.python_name.partition(":")
        source = (root / "src" / Path(*place.split("."))).with_suffix(".py").read_text()
        assert re.search(rf"^(class|def) {name}\b", source, flags=re.MULTILINE)
    widgets = manifest.contributions.widgets
    assert [widget.display_name for widget in widgets] == ["Annotate and train"]


def test_the_sample_has_its_tomogram_and_its_particles() -> None:
    image, *points = sample_layers()
    assert image[0].shape == (64, 224, 224)
    assert any(len(data) for data, options, _ in points if options["metadata"]["role"] == "other")


def test_the_next_place_fills_the_view_and_is_outlined_in_its_slices(window: AnnotationWindow) -> None:
    assert "chosen at random" in window.next()
    window.work.order = "corrections"
    said = window.next()
    box = window.box
    assert box is not None
    assert "nearest to the centre" in said
    grid = window.work.tomograms[box.run]
    z, y, x = grid.to_angstrom(box.centre_vox)
    assert window.viewer.dims.point[0] == pytest.approx(z, abs=grid.voxel_size)
    assert window.viewer.scene.camera.center[-2:] == pytest.approx((y, x), abs=grid.voxel_size)
    (layer,) = window._own("boxes")
    elsewhere = box.start[0] - 1 if box.start[0] else box.stop[0]
    for at, shown in ((box.start[0], 1), (box.start[0] + 0.5, 1), (box.stop[0] - 1, 1), (elsewhere, 0)):
        window.viewer.dims.set_point(0, at * grid.voxel_size + grid.origin[0])
        assert layer._data_view._displayed.sum() == shown
    assert all(set(shape[:, 1]) == {box.start[1] - 0.5, box.stop[1] - 0.5} for shape in outlines(box))


def test_corrected_picks_of_a_box_are_confirmed(window: AnnotationWindow) -> None:
    with pytest.raises(InputError, match="Choose a box first"):
        window.confirm()
    grid = window.work.tomograms[RUN]
    box = next(box for box in window.work.boxes if box.run == RUN and len(box.kept(window.given, grid)[NAME]))
    window.go(box)
    before = len(box.kept(window.given, grid)[NAME])
    layer = layer_of(window)
    layer.selected_data = {int(np.flatnonzero(box.holds(window.given[NAME].zyx, grid))[0])}
    layer.remove_selected()
    for place in (box.centre_vox, box.centre_vox + 2.0):
        add(window, place)
    window.confirm()
    assert len(window.work.confirmed[box][NAME]) == before + 1
    assert not window.changed()
    window.show(RUN)
    assert len(box.kept(window.given, grid)[NAME]) == before + 1


def test_unconfirmed_changes_are_lost_only_after_a_warning(window: AnnotationWindow) -> None:
    window.next()
    box = window.box
    assert box is not None
    window.go(next(box for box in window.work.boxes if box.run == RUN))
    first = window.box
    add(window, (3.0, 4.0, 5.0))
    assert "Changes are not confirmed" in window.next()
    assert window.box == first
    window.next()
    assert window.box == box
    window.show(RUN)
    window.go(first)  # type: ignore[arg-type]
    add(window, (3.0, 4.0, 5.0))
    window.confirm()
    window.next()
    assert window.box != first  # nothing to warn of


def test_confirmed_boxes_are_lost_only_after_a_warning(window: AnnotationWindow) -> None:
    assert not window.would_lose_boxes()
    window.next()
    window.confirm()
    assert "Confirmed boxes are not saved" in window.would_lose_boxes()
    assert not window.would_lose_boxes()
    window.confirm()
    assert window.would_lose_boxes()


def test_nothing_is_confirmed_before_the_runs_are_picked(window: AnnotationWindow) -> None:
    window.here()
    window.work.candidates = {}
    for action in (window.next, window.confirm):
        with pytest.raises(InputError, match="The runs are not picked yet"):
            action()


def test_the_box_in_the_centre_of_the_view_can_be_chosen(window: AnnotationWindow) -> None:
    grid = window.work.tomograms[RUN]
    z, y, x = grid.to_angstrom((20.0, 60.0, 10.0))
    window.viewer.dims.set_point(0, z)
    window.viewer.scene.camera.center = (0.0, y, x)
    window.here()
    assert window.box is not None
    assert (window.box.run, window.box.start) == (RUN, (16, 48, 0))
    window.viewer.scene.camera.center = (0.0, -500.0, x)
    assert "outside" in window.here()


def test_species_are_chosen_by_number(window: AnnotationWindow) -> None:
    assert "beta-amylase" in window.species(2)
    assert window.viewer.layers.selection.active is layer_of(window, "beta-amylase")
    assert layer_of(window, "beta-amylase").mode == "add"
    assert "1 to 2" in window.species(3)


def test_what_is_confirmed_is_saved(window: AnnotationWindow) -> None:
    window.go(next(box for box in window.work.boxes if box.run == RUN))
    add(window, (3.0, 4.0, 5.0))
    window.confirm()
    window.save()
    (zyx,) = open_project(window.work.project.path).pick_sets(RUN)[PickSet("napari", "a")]()[NAME].zyx[-1:]
    np.testing.assert_allclose(zyx, window.work.tomograms[RUN].to_angstrom((3.0, 4.0, 5.0)))


def test_a_removed_layer_is_no_source_of_particles(window: AnnotationWindow) -> None:
    window.go(next(box for box in window.work.boxes if box.run == RUN))
    window.viewer.layers.remove(layer_of(window))
    assert window.changed()
    window.confirm()
    assert NAME not in window.work.confirmed[window.box]  # type: ignore[index]


def test_two_llvms_never_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)
    pytest.importorskip("napari")
    from tomosoup.review.annotate.widget import keep_one_llvm

    monkeypatch.delitem(sys.modules, "triton", raising=False)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    for maps, kept in (("/usr/lib/libLLVM.so.19", True), ("/usr/lib/libGL.so.1", False)):
        monkeypatch.delitem(sys.modules, "triton", raising=False)
        monkeypatch.setattr(Path, "read_text", lambda _, maps=maps: maps)
        keep_one_llvm()
        assert ("triton" in sys.modules) is kept
    monkeypatch.delitem(sys.modules, "triton", raising=False)


def test_the_widget_picks_trains_and_cancels_in_the_background(
    project: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.environ.get("DISPLAY"):
        pytest.skip("there is no display; Qt's offscreen platform has no OpenGL")
    pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)
    napari = pytest.importorskip("napari")
    from tomosoup.review.annotate.widget import KEYS, AnnotationWidget

    monkeypatch.setattr(TrainingRecipe, "read", classmethod(lambda *_: TINY_TRAINING))
    viewer = napari.Viewer(show=False)
    widget = AnnotationWidget(viewer)
    viewer.window.add_dock_widget(widget)

    def press(text: str) -> str:
        key = next(k for k in viewer.keymap if str(k) == KEYS[text].replace("-", "+"))
        viewer.keymap[key](viewer)
        return str(widget.message.value)

    def wait() -> str:
        end = time.monotonic() + 300
        while widget.busy and time.monotonic() < end:
            napari.qt.get_qapp().processEvents()
            time.sleep(0.02)
        assert not widget.busy
        return str(widget.message.value)

    assert press("Next place") == "Open a project first."
    widget.project.value, widget.model.value = project / "copick_config.json", str(model)
    widget.open_button.changed.emit(True)
    assert "Runs: 3" in widget.message.value
    assert "All runs are picked" in wait()
    work = widget.window.work
    truth, own = read_truth(work.project, RUN), [box for box in work.boxes if box.run == RUN]
    press("Fine-tune")
    assert "Particles are in 0 of the confirmed boxes" in wait()
    work.confirm(own[0], truth)
    other = next(box for box in work.boxes if box.run == "run_000")
    work.confirm(other, read_truth(work.project, "run_000"))
    press("Fine-tune")
    assert "Cancel the work in the background first" in press("Fine-tune")
    press("Cancel")
    assert wait() == "Cancelled."
    assert work.model is work.start
    press("Fine-tune")
    assert "The new model has picked all runs" in wait()
    assert work.model is not work.start
    press("Save")
    assert "chosen at random" in press("Next place")
    widget.order.value = "most corrections first"
    assert "chosen at random" not in press("Next place")
    viewer.close()
    assert PickSet("napari", "annotated-0") in open_project(project).pick_sets(RUN)
