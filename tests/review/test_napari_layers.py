"""Runs as layers of napari, and corrected layers as picks again; a real viewer model, without a window."""

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refused

from tomosoup.cli.commands import view as view_command
from tomosoup.cli.options.view import ViewCommand
from tomosoup.core.errors import InputError
from tomosoup.core.thresholds import Thresholds
from tomosoup.core.types import Picks
from tomosoup.data.copick.files import COLOURS, write_picks
from tomosoup.data.copick.roots import run_of
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.pick_store.pick_set import PickSet
from tomosoup.data.project import CopickProject, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.review.napari_layers import add_layers, edited_picks, run_layers, save_layers, show_above

RUN = "run_001"
NAMES = ("apo-ferritin", "beta-amylase")


@pytest.fixture(scope="module")
def viewer_model() -> Any:
    """napari's viewer without a window."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari's own, while it is imported
        components = pytest.importorskip("napari.components")
        return components.ViewerModel


@pytest.fixture
def found() -> dict[str, Picks]:
    """Picks of each species with scores."""
    rng = np.random.default_rng(1)
    return {name: Picks(rng.uniform(20, 300, (5, 3)), np.linspace(0.2, 0.9, 5)) for name in NAMES}


@pytest.fixture
def opened(project: Path, found: dict[str, Picks]) -> CopickProject:
    """The project with picks of tomosoup in a run, and candidates."""
    made = open_project(project)
    assert isinstance(made, CopickProject)
    run = run_of(made.root, RUN)
    write_picks(run, found, PickSet("tomosoup", "0-candidates"))
    write_picks(run, {name: p.above(0.5) for name, p in found.items()}, PickSet("tomosoup", "0"))
    return made


@pytest.fixture
def viewer(viewer_model: Any, opened: CopickProject) -> Any:
    made = viewer_model()
    add_layers(made, run_layers(opened, RUN))
    return made


def test_all_layers_share_the_frame_of_the_volume(viewer: Any, opened: CopickProject, found: dict[str, Picks]) -> None:
    volume = select_tomogram(opened, RUN, DataOptions()).read()
    image = viewer.layers[RUN]
    np.testing.assert_array_equal(image.data, volume.data.numpy())
    assert image.data_to_world((0, 0, 0)) == pytest.approx((5.0, 5.0, 5.0))  # half a voxel after copick's origin
    truth = opened.pick_sets(RUN)["simulation", "0"]()["beta-amylase"]
    for name, points in (
        ("beta-amylase simulation/0", truth),
        ("beta-amylase picks", found["beta-amylase"].above(0.5)),
    ):
        layer = viewer.layers[name]
        np.testing.assert_allclose([layer.data_to_world(p) for p in layer.data], points.zyx, atol=1e-9)
        np.testing.assert_allclose(layer.features["score"], points.score)
        assert tuple(layer.scale) == tuple(image.scale)  # a step of the slider is a slice


def test_the_contests_half_voxel_is_kept(viewer_model: Any, opened: CopickProject) -> None:
    made = viewer_model()
    add_layers(made, run_layers(opened, RUN, data=DataOptions(first_voxel=-0.5)))
    assert made.layers[RUN].data_to_world((0, 0, 0)) == pytest.approx((-5.0, -5.0, -5.0))
    layer = made.layers["beta-amylase picks"]
    zyx = opened.pick_sets(RUN)["tomosoup", "0"]()["beta-amylase"].zyx
    np.testing.assert_allclose([layer.data_to_world(p) for p in layer.data], zyx, atol=1e-9)


def test_points_are_spheres_of_their_species_in_its_colour(viewer: Any, opened: CopickProject) -> None:
    for i, kind in enumerate(opened.species):
        layer = viewer.layers[f"{kind.name} picks"]
        np.testing.assert_allclose(layer.size * layer.scale[0] / 2, kind.radius)
        rgb = np.frombuffer(bytes.fromhex(COLOURS[i][1:]), np.uint8) / 255
        np.testing.assert_allclose(layer.border_color[:, :3], np.tile(rgb, (len(layer.data), 1)), atol=1e-6)
    kind = opened.species[0]
    layer = viewer.layers[f"{kind.name} picks"]
    centre = np.array(layer.data_to_world(layer.data[0]))
    layer.data = layer.data[:1]
    for away, radius in ((0.0, kind.radius), (0.6 * kind.radius, 0.8 * kind.radius)):
        viewer.dims.set_point(0, centre[0] + away)
        drawn = layer._view_size * layer.scale[0] / 2
        assert drawn == pytest.approx([radius], rel=0.1)  # a slice is as deep as a voxel
    viewer.dims.set_point(0, centre[0] + 1.2 * kind.radius)
    assert len(layer._view_size) == 0


def test_candidates_are_there_hidden_and_by_their_scores(viewer_model: Any, viewer: Any, opened: CopickProject) -> None:
    layer = viewer.layers["apo-ferritin tomosoup/0-candidates"]
    assert not layer.visible
    assert layer.face_color_mode == "colormap"
    show_above(viewer, 0.5)
    assert list(layer.shown) == [False, False, True, True, True]
    assert viewer.layers["apo-ferritin picks"].shown.all()
    other = viewer_model()
    add_layers(other, run_layers(opened, RUN, thresholds=Thresholds(by_species={"apo-ferritin": 0.8})))
    assert other.layers["apo-ferritin tomosoup/0-candidates"].shown.sum() == 1


def test_moved_added_and_deleted_picks_go_to_a_new_session(viewer: Any, opened: CopickProject) -> None:
    layer = viewer.layers["apo-ferritin picks"]
    before = opened.pick_sets(RUN)["tomosoup", "0"]()
    layer.selected_data = {0}
    layer.remove_selected()
    moved = layer.data.copy()
    moved[0] += (0, 1, 0)
    layer.data = moved
    layer.add(layer.world_to_data((100.0, 120.0, 140.0)))
    save_layers(viewer, opened, RUN, user="alice", session="edited-0")
    after = open_project(opened.path).pick_sets(RUN)
    saved = after["alice", "edited-0"]()
    second, third = before["apo-ferritin"].zyx[1:]
    expected = [np.add(second, (0, 10, 0)), third, (100, 120, 140)]
    np.testing.assert_allclose(saved["apo-ferritin"].zyx, expected, atol=1e-9)
    np.testing.assert_allclose(saved["apo-ferritin"].score, [*before["apo-ferritin"].score[1:], 1.0])
    np.testing.assert_allclose(saved["beta-amylase"].zyx, before["beta-amylase"].zyx, atol=1e-9)
    assert {name: len(p) for name, p in after["tomosoup", "0"]().items()} == dict.fromkeys(NAMES, 3)  # untouched


def test_orientations_survive_and_new_points_have_none(viewer_model: Any, opened: CopickProject) -> None:
    made = viewer_model()
    add_layers(made, run_layers(opened, RUN, picks_set="simulation/0"))
    truth = opened.pick_sets(RUN)["simulation", "0"]()["beta-amylase"]
    assert truth.rotations is not None
    layer = made.layers["beta-amylase picks"]
    layer.selected_data = {0}
    layer.remove_selected()
    layer.add([[1.0, 2.0, 3.0]])
    turned = edited_picks(made)["beta-amylase"].rotations
    assert turned is not None
    np.testing.assert_allclose(turned, [*truth.rotations[1:], np.eye(3)], atol=1e-9)


def test_a_run_without_picks_is_annotated_from_nothing(viewer_model: Any, project: Path) -> None:
    opened, made = open_project(project), viewer_model()
    add_layers(made, run_layers(opened, "run_000"))
    made.layers["beta-amylase picks"].add([[3.0, 4.0, 5.0]])
    saved = save_layers(made, opened, "run_000", user="alice", session="1")
    assert {name: len(p) for name, p in saved.items()} == {"apo-ferritin": 0, "beta-amylase": 1}


def test_what_cannot_be_saved_is_told_and_leaves_nothing(viewer: Any, opened: CopickProject) -> None:
    def save(**other: Any) -> None:
        save_layers(viewer, opened, RUN, **{"user": "alice", "session": "1", **other})

    sets = set(opened.pick_sets(RUN))
    with pytest.raises(InputError, match="simulation/0 already: choose another `session`"):
        save(user="simulation", session="0")
    with pytest.raises(InputError, match="choose another `user`"):
        save(user="tomosoup")
    with pytest.raises(InputError, match="leave out spaces"):
        save(session="a_b")
    with pytest.raises(InputError, match="holds picks to save"):
        save_layers([viewer.layers[RUN]], opened, RUN, user="alice", session="1")
    viewer.layers["beta-amylase picks"].metadata["species"] = "unicorn"
    with pytest.raises(InputError, match=r"unicorn, which the project does not list: add them to the pickable objects"):
        save()
    viewer.layers["beta-amylase picks"].metadata["species"] = "beta-amylase"
    viewer.layers["beta-amylase picks"].features["score"] = "high"
    with pytest.raises(InputError, match="positions or scores that are not numbers"):
        save()
    viewer.layers["beta-amylase picks"].metadata["species"] = "apo-ferritin"
    with pytest.raises(InputError, match="Two layers hold picks of apo-ferritin"):
        save()
    assert set(open_project(opened.path).pick_sets(RUN)) == sets


def test_saving_twice_replaces_only_what_was_saved_here(viewer: Any, opened: CopickProject, tmp_path: Path) -> None:
    options = ViewCommand(project=opened.path, run=RUN, user="alice", output=tmp_path / "p.csv")
    saver = view_command.saver_for(options, opened, RUN)
    assert saver.copick_set == "alice/edited-0"
    assert "6 picks saved" in saver(viewer)
    viewer.layers["beta-amylase picks"].add([[3.0, 4.0, 5.0]])
    assert "7 picks saved" in saver(viewer)
    assert len(read_csv(tmp_path / "p.csv")[RUN]["beta-amylase"]) == 4
    assert view_command.saver_for(options, opened, RUN).copick_set == "alice/edited-0-2"
    taken = ViewCommand(project=opened.path, run=RUN, user="alice", session="edited-0")
    with pytest.raises(InputError, match="alice/edited-0 already"):
        view_command.saver_for(taken, opened, RUN)


def test_sets_that_are_not_there_are_named(opened: CopickProject) -> None:
    with pytest.raises(InputError, match="has no run nowhere; its runs are run_000"):
        run_layers(opened, "nowhere")
    with pytest.raises(InputError, match="choose one of them with `picks_set`"):
        run_layers(opened, RUN, picks_set="x/y")
    with pytest.raises(InputError, match="has no picks x/y; it has"):
        run_layers(opened, RUN, truth_set="x/y")


def test_without_napari_or_a_display_it_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "napari", None)
    assert "pip install 'tomosoup[view]'" in refused(["view", str(project)], capsys)


def test_the_window_saves_by_its_key(opened: CopickProject) -> None:
    if not os.environ.get("DISPLAY"):
        pytest.skip("there is no display; Qt's offscreen platform has no OpenGL")
    pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        napari = pytest.importorskip("napari")
        window = napari.Viewer(show=False)
        saver = view_command.saver_for(ViewCommand(project=opened.path, run=RUN), opened, RUN)
        add_layers(window, run_layers(opened, RUN))
        view_command.add_controls(window, saver)
        key = next(k for k in window.keymap if str(k) == "Alt+S")
        window.keymap[key](window)
        window.close()
    assert ("napari", "edited-0") in open_project(opened.path).pick_sets(RUN)
