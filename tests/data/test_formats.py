"""Picks in other programs' formats: what those programs' own rules and readers make of ours, and ours of theirs."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import dynamotable
import emfile
import eulerangles
import numpy as np
import pandas as pd
import pytest
import starfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imodmodel import ImodModel
from imodmodel.models import Contour, Object, ObjectHeader
from pyStarDB import sp_pystardb
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from tomosoup.cli.main import main
from tomosoup.cli.options.exchange import FormatName
from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Grid, Picks, Volume
from tomosoup.data.formats.base import Block, Details, Frame
from tomosoup.data.formats.geometry.euler_angles import (
    dynamo_angles,
    flipped,
    from_dynamo,
    from_motive,
    from_relion,
    mean_rotations,
    motive_angles,
    relion_angles,
)
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.name_template import Template
from tomosoup.data.formats.programs import stopgap
from tomosoup.data.new_project import SimulatedRun, new_project
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram

SHAPE, VOXEL, BINNING = (6, 9, 12), 10.0, 4
BRIGHT = (4, 2, 7)
"""The voxel (z, y, x) that a pick is on."""
GRID = Grid(VOXEL, (5.0, 5.0, 5.0), SHAPE)
DETAILS = Details({"r 1": GRID, "r1": GRID}, CONTEST_SPECIES, pixel_size=VOXEL / BINNING, file="picks.cmm")
SCORED = {name for name, form in FORMATS.items() if form.scored}
TURNED = {name for name, form in FORMATS.items() if form.turned}


def xyz(table: pd.DataFrame, *columns: str) -> Any:
    return table[list(columns)].to_numpy(dtype=float)


def centre() -> Any:
    return np.array(SHAPE[::-1]) / 2


def read_coordinates(path: Path) -> Any:
    return xyz(starfile.read(path), *(f"rlnCoordinate{a}" for a in "XYZ"))


def read_cbox(path: Path) -> Any:
    boxes = sp_pystardb.StarFile(str(path))["cryolo"]
    corner = xyz(boxes, "_CoordinateX", "_CoordinateY", "_CoordinateZ")
    return corner + xyz(boxes, "_Width", "_Height", "_Depth") * [0.5, 0.5, 0]


def read_cmm(path: Path) -> Any:
    markers = ElementTree.parse(path).iter("marker")
    return np.array([[float(m.get(axis, "")) for axis in "xyz"] for m in markers])


def text_points(path: Path) -> Any:
    rows = [line.split() for line in path.read_text().splitlines()]
    return np.array([row[:3] for row in rows if row[3:4] == ["-1"]], dtype=float)


INDEX: dict[str, Callable[[Path], Any]] = {
    "relion4": lambda path: read_coordinates(path) / BINNING,
    "relion5": lambda path: (
        xyz(starfile.read(path), *(f"rlnCenteredCoordinate{a}Angst" for a in "XYZ")) / VOXEL + centre()
    ),
    "warp": read_coordinates,
    "m": lambda path: xyz(starfile.read(path), *(f"wrpCoordinate{a}1" for a in "XYZ")) / VOXEL,
    "dynamo": lambda path: xyz(dynamotable.read(str(path)), "x", "y", "z") - 0.5,
    "stopgap": lambda path: sum(xyz(starfile.read(path), *names) for names in (stopgap.POSITIONS, stopgap.SHIFTS)) - 1,
    "tom": lambda path: emfile.read(path)[1][0][:, 7:10] + emfile.read(path)[1][0][:, 10:13] - 1,
    "chimerax": lambda path: read_cmm(path) / VOXEL,
    "imod": lambda path: ImodModel.from_file(path).objects[0].contours[0].points - [0.5, 0.5, 0],
    "imod-text": lambda path: text_points(path) - [0.5, 0.5, 0],
    "model2point": lambda path: np.loadtxt(path, ndmin=2) - [0.5, 0.5, 0],
    "napari": lambda path: xyz(pd.read_csv(path), "axis-2", "axis-1", "axis-0"),
    "xyz": lambda path: np.loadtxt(path, ndmin=2),
    "eman2": lambda path: np.array([b[:3] for b in json.loads(path.read_text())["boxes_3d"]]) / BINNING + centre(),
    "cryolo": lambda path: np.loadtxt(path, ndmin=2),
    "cryolo-cbox": read_cbox,
}
"""The voxel index (x, y, z; 0 is the first's centre) by each program's own rule, from a reader that is not ours."""


@pytest.fixture(scope="module", params=[False, True], ids=["copick", "contest"])
def bright(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one tomogram with a single bright voxel, and a true pick on it."""
    data = torch.zeros(SHAPE)
    data[BRIGHT] = 1
    volume = Volume(data, VOXEL, (5.0, 5.0, 5.0))
    folder = tmp_path_factory.mktemp("bright") / "p"
    with new_project(folder, CONTEST_SPECIES, contest=request.param) as project:
        truth = {"ribosome": Picks.of(volume.to_angstrom([BRIGHT]))}
        project.add_run("r1", SimulatedRun({"denoised": volume}, truth))
    return folder


@pytest.mark.parametrize("name", INDEX)
def test_a_pick_lands_on_the_same_voxel_in_the_other_program(name: str, bright: Path, tmp_path: Path) -> None:
    chosen = "contest/0" if (bright / "overlay/ExperimentRuns").is_dir() else "simulation/0"
    file = tmp_path / f"r1{FORMATS[name].endings[0]}"
    options = f"--picks-set {chosen} --format {name} --pixel-size {VOXEL / BINNING}"
    main(f"export {bright} {options} -o {tmp_path}/{{run}}{file.suffix}".split())
    np.testing.assert_allclose(INDEX[name](file), [BRIGHT[::-1]], atol=1e-4)
    x, y, z = np.rint(INDEX[name](file)[0]).astype(int)
    assert select_tomogram(open_project(bright), "r1", DataOptions()).read().data[z, y, x] == 1


def test_every_format_that_counts_voxels_is_held_to_its_programs_rule() -> None:
    assert {name for name, form in FORMATS.items() if form.frame.first_voxel is not None} == set(INDEX)
    assert set(FORMATS) == set(get_args(FormatName))


places = st.floats(-500, 5000).map(lambda x: round(x, 3))
picks_of_any_kind = st.integers(1, 6).flatmap(
    lambda n: st.builds(
        lambda zyx, score, quaternions: Picks(
            np.array(zyx).reshape(-1, 3), np.array(score), flipped(Rotation.from_quat(quaternions).as_matrix())
        ),
        st.lists(st.tuples(places, places, places), min_size=n, max_size=n),
        st.lists(st.floats(0, 1).map(lambda x: round(x, 4)), min_size=n, max_size=n),
        st.lists(st.tuples(st.floats(0.1, 1), *[st.floats(-1, 1)] * 3), min_size=n, max_size=n),
    )
)


def there_and_back(name: str, picks: Picks, folder: Path) -> tuple[Block, Picks]:
    """What a file of this format that holds picks is read as, in our frame."""
    form = FORMATS[name]
    where = form.frame.there(picks.zyx, GRID, pixel_size=DETAILS.pixel_size)
    block = Block("r1", "ribosome", Picks(where, picks.score, picks.rotations, np.round(100 * picks.score, 1)))
    for ending, content in form.encode([block], DETAILS).items():
        (folder / f"picks{ending}").write_bytes(content)
    told = Details(pixel_size=DETAILS.pixel_size if form.frame.unit == "pixel" else None)
    (read,) = form.decode(folder / f"picks{form.endings[0]}", told)
    here = form.frame.here(
        read.picks.zyx, GRID, pixel_size=told.pixel_size or read.pixel_size, fractions=read.fractions
    )
    return read, Picks(here, read.picks.score, read.picks.rotations, read.picks.mask_distance)


@pytest.mark.parametrize("name", FORMATS)
def test_picks_come_back_from_a_file(name: str, tmp_path: Path) -> None:
    @settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(picks_of_any_kind)
    def run(picks: Picks) -> None:
        block, back = there_and_back(name, picks, tmp_path)
        np.testing.assert_allclose(back.zyx, picks.zyx, atol=0.02, rtol=1e-5)
        np.testing.assert_allclose(back.score, picks.score if name in SCORED else 1, atol=1e-6)
        if name in TURNED:
            np.testing.assert_allclose(back.rotations, picks.rotations, atol=1e-5)
        else:
            assert back.rotations is None
        if FORMATS[name].measured:
            np.testing.assert_allclose(back.mask_distance, np.round(100 * picks.score, 1))
        else:
            assert back.mask_distance is None
        assert block.species == ("ribosome" if FORMATS[name].several_species or name == "copick" else None)

    run()


@pytest.mark.parametrize("frame", [form.frame for form in FORMATS.values()] + [Frame("voxel", (1, 2, 3), centred=True)])
def test_a_frame_undoes_itself(frame: Frame) -> None:
    zyx = np.random.default_rng(0).normal(size=(5, 3)) * 100
    back = frame.here(frame.there(zyx, GRID, pixel_size=2.5), GRID, pixel_size=2.5 if frame.unit == "pixel" else None)
    np.testing.assert_allclose(back, zyx)


# Orientations


def some_rotations(n: int = 20) -> Any:
    return flipped(Rotation.random(n, random_state=np.random.default_rng(1)).as_matrix())


def test_angles_are_those_of_eulerangles() -> None:
    rotations = some_rotations()
    matrices = np.swapaxes(flipped(rotations), 1, 2)  # RELION's angles are of the inverse
    theirs = eulerangles.matrix2euler(matrices, axes="zyz", intrinsic=True, right_handed_rotation=True)
    np.testing.assert_allclose(from_relion(theirs), rotations, atol=1e-9)
    in_dynamo = eulerangles.convert_eulers(relion_angles(rotations), source_meta="relion", target_meta="dynamo")
    np.testing.assert_allclose(from_dynamo(in_dynamo), rotations, atol=1e-9)
    np.testing.assert_allclose(from_dynamo(dynamo_angles(rotations)), rotations, atol=1e-9)


def test_relions_angles_turn_the_references_axis_as_its_source_says() -> None:
    rotations = some_rotations()
    _, tilt, psi = np.radians(relion_angles(rotations)).T
    to = np.stack([-np.cos(psi) * np.sin(tilt), np.sin(psi) * np.sin(tilt), np.cos(tilt)])  # third column of its matrix
    np.testing.assert_allclose(flipped(rotations)[:, :, 2], to.T, atol=1e-9)


def test_dynamos_angles_turn_a_particle_clockwise() -> None:
    about_z = from_dynamo(np.array([[30.0, 0.0, 0.0]]))[0]
    np.testing.assert_allclose(about_z @ [0, 0, 1], [0, -0.5, np.cos(np.radians(30))], atol=1e-12)  # zyx: x goes to -y


def test_the_angles_of_motive_lists_turn_the_reference_as_stopgaps_matrix_and_cryocats_relion_angles() -> None:
    rotations = some_rotations()
    phi, psi, the = motive_angles(rotations).T
    x, z = np.eye(3)[[0, 2]]
    first, second, third = (
        Rotation.from_rotvec(np.outer(a, b), degrees=True) for a, b in ((phi, z), (the, x), (psi, z))
    )
    np.testing.assert_allclose((third * second * first).as_matrix(), flipped(rotations), atol=1e-9)
    zxz = Rotation.from_euler("ZYZ", relion_angles(rotations), degrees=True).as_euler("zxz", degrees=True)
    theirs = -zxz[:, [2, 0, 1]]  # cryomotl.py, convert_angles_from_relion
    np.testing.assert_allclose(from_motive(theirs), rotations, atol=1e-9)
    assert (the >= 0).all()


def test_an_angle_points_where_the_turned_density_points() -> None:
    """A rod along z, turned as a picture by a pick's rotation: its axis is where RELION's angles put the z axis."""
    rotation = flipped(Rotation.from_euler("xyz", [[25, 40, 70]], degrees=True).as_matrix())
    grid = np.stack(np.meshgrid(*[np.arange(-16, 17)] * 3, indexing="ij"), axis=-1).astype(float)
    rod = np.exp(-(grid[..., 1] ** 2 + grid[..., 2] ** 2) / 4) * ((grid[..., 0] > 0) & (grid[..., 0] < 12))
    middle = np.array([16.0] * 3)
    inverse = rotation[0].T
    turned = affine_transform(rod, inverse, offset=middle - inverse @ middle, order=1)
    seen = (grid * turned[..., None]).sum(axis=(0, 1, 2))
    _, tilt, psi = np.radians(relion_angles(rotation))[0]
    said = np.array([np.cos(tilt), np.sin(psi) * np.sin(tilt), -np.cos(psi) * np.sin(tilt)])  # zyx
    np.testing.assert_allclose(seen / np.linalg.norm(seen), said, atol=0.02)


def test_where_two_angles_are_one_the_rotation_is_right() -> None:
    turns = Rotation.from_euler("zx", [[0, 0], [50, 0], [20, 180], [0, 180]], degrees=True).as_matrix()
    rotations = flipped(turns)
    np.testing.assert_allclose(from_relion(relion_angles(rotations)), rotations, atol=1e-9)
    np.testing.assert_allclose(from_dynamo(dynamo_angles(rotations)), rotations, atol=1e-9)


def test_what_is_no_rotation_is_refused() -> None:
    for matrix in (np.eye(3) * 2, -np.eye(3)):
        with pytest.raises(InputError, match="pick 1 is not a rotation"):
            relion_angles(matrix[None])


# Other programs' files


def test_copick_reads_our_orientations_and_we_read_its_files(tmp_path: Path) -> None:
    from copick.util.formats import build_relion_star_tables, dynamo_to_copick_transform, write_star_particles
    from copick.util.relion import relion_rows_to_poses

    rotations, zyx = some_rotations(5), np.random.default_rng(2).uniform(0, 100, (5, 3))
    block = Block("r1", "ribosome", Picks(zyx, np.ones(5), rotations))
    (tmp_path / "a.star").write_bytes(FORMATS["relion5"].encode([block], DETAILS)[".star"])
    np.testing.assert_allclose(
        relion_rows_to_poses(starfile.read(tmp_path / "a.star"))[0], flipped(rotations), atol=1e-5
    )
    _, transforms = dynamo_to_copick_transform(zyx, dynamo_angles(rotations), np.zeros((5, 3)), 1.0)
    np.testing.assert_allclose(transforms[:, :3, :3], flipped(rotations), atol=1e-9)

    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :3, :3] = flipped(rotations)
    particles, optics = build_relion_star_tables(
        {"r1": (zyx[:, ::-1], poses)}, voxel_spacing=VOXEL, tilt_series_pixel_size=2.5
    )
    write_star_particles(str(tmp_path / "b.star"), particles, optics)
    (read,) = FORMATS["relion4"].decode(tmp_path / "b.star", Details())
    assert (read.run, read.pixel_size) == ("r1", 2.5)
    np.testing.assert_allclose(read.picks.zyx * 2.5, zyx, atol=1e-3)  # copick has no half voxels
    np.testing.assert_allclose(read.picks.rotations, rotations, atol=1e-5)


def test_relions_shifts_and_subtomogram_angles_count(tmp_path: Path) -> None:
    first, second = some_rotations(2)
    table = pd.DataFrame(
        {
            "rlnTomoName": ["r1"],
            "rlnTomoTiltSeriesPixelSize": [2.5],  # of no matter where positions and shifts are in Å
            **{f"rlnCenteredCoordinate{a}Angst": [v] for a, v in zip("XYZ", (10, 20, 30), strict=True)},
        }
    )
    table[["rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi"]] = relion_angles(first[None])
    table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = relion_angles(second[None])
    table[["rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst"]] = 1.0, 2.0, 3.0
    starfile.write({"particles": table}, tmp_path / "a.star")
    (read,) = FORMATS["relion5"].decode(tmp_path / "a.star", Details())
    np.testing.assert_allclose(read.picks.zyx[0], [30, 20, 10] - first @ [3, 2, 1], atol=1e-4)
    np.testing.assert_allclose(read.picks.rotations[0], first @ second, atol=1e-5)


def test_warps_template_matching_writes_fractions_of_the_tomogram(tmp_path: Path) -> None:
    table = pd.DataFrame({"rlnCoordinateX": [0.5], "rlnCoordinateY": [1 / 3], "rlnCoordinateZ": [0.0]})
    table[["rlnMicrographName", "rlnAutopickFigureOfMerit"]] = "r1.tomostar", 7.5
    starfile.write(table, tmp_path / "a.star")
    form = FORMATS["warp"]
    (read,) = form.decode(tmp_path / "a.star", Details())
    assert (read.fractions, read.run, read.picks.score[0]) == (True, "r1.tomostar", 7.5)
    index = GRID.to_voxel(form.frame.here(read.picks.zyx, GRID, fractions=True))
    np.testing.assert_allclose(index, [[0, SHAPE[1] / 3, SHAPE[2] / 2]], atol=1e-4)


def test_warps_coordinates_in_other_pixels_are_scaled(tmp_path: Path) -> None:
    table = pd.DataFrame({"rlnMicrographName": ["r1.tomostar"], "rlnCoordinateX": [8], "rlnCoordinateY": [4]})
    table[["rlnCoordinateZ", "rlnPixelSize", "rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst"]] = (
        2,
        5.0,
        10,
        0,
        0,
    )
    starfile.write(table, tmp_path / "a.star")
    (read,) = FORMATS["warp"].decode(tmp_path / "a.star", Details())
    here = FORMATS["warp"].frame.here(read.picks.zyx, GRID, pixel_size=read.pixel_size)
    np.testing.assert_allclose(GRID.to_voxel(here), [[1, 2, 3]], atol=1e-6)
    (told,) = FORMATS["warp"].decode(tmp_path / "a.star", Details(pixel_size=4.0))
    assert told.picks.zyx[0, 2] == 8 - 10 / 4.0  # a user knows better than the file


def test_voxels_near_a_tomograms_corner_are_not_fractions_of_its_size(tmp_path: Path) -> None:
    table = pd.DataFrame({"rlnMicrographName": ["r1.tomostar"], "rlnCoordinateX": [2.0], "rlnCoordinateY": [0.0]})
    table["rlnCoordinateZ"] = 1.0
    starfile.write(table, tmp_path / "a.star")
    (read,) = FORMATS["warp"].decode(tmp_path / "a.star", Details())
    assert not read.fractions


def a_species_of_m(points: int = 3) -> pd.DataFrame:
    """Two particles as M writes them, moving along x and turning about z through 180 degrees."""
    steps = range(points)
    table = {
        f"wrpCoordinate{a}{i + 1}": [10.0 * j + 3 * i * (a == "X"), 50.0] for i in steps for j, a in enumerate("XYZ")
    }
    table |= {
        f"wrpAngle{a}{i + 1}": [(170.0 + 10 * i) * (a == "Rot"), 0.0] for i in steps for a in ("Rot", "Tilt", "Psi")
    }
    table |= {"wrpRandomSubset": [1, 2], "wrpSourceName": ["r1.tomostar", "r2.tomostar"], "wrpSourceHash": ["A", "B"]}
    return pd.DataFrame(table)


def test_a_particle_of_m_is_at_the_mean_of_its_trajectory(tmp_path: Path) -> None:
    table = a_species_of_m()
    table[["wrpAngleRot2", "wrpAngleRot3"]] -= 360  # as M may write them: the mean of the numbers is far off
    starfile.write(table, tmp_path / "a.star")
    first, second = FORMATS["m"].decode(tmp_path / "a.star", Details())
    assert (first.run, second.run, first.picks.score[0]) == ("r1.tomostar", "r2.tomostar", 1)
    np.testing.assert_allclose(first.picks.zyx, [[20, 10, 3]])
    np.testing.assert_allclose(first.picks.rotations, from_relion(np.array([[180.0, 0, 0]])), atol=1e-9)
    np.testing.assert_allclose(second.picks.zyx, [[50, 50, 50]])

    starfile.write(table.drop(columns="wrpCoordinateY3"), tmp_path / "b.star")  # a point without y is none to M
    first, _ = FORMATS["m"].decode(tmp_path / "b.star", Details())
    np.testing.assert_allclose(first.picks.zyx, [[20, 10, 1.5]])


def test_ms_positions_are_warps_times_the_voxel_size_and_its_angles_the_same(tmp_path: Path) -> None:
    zyx = GRID.to_angstrom(np.random.default_rng(3).uniform(0, 5, (4, 3)))
    tables = []
    for name in ("warp", "m"):
        picks = Picks(FORMATS[name].frame.there(zyx, GRID), np.ones(4), some_rotations(4))
        (tmp_path / "a.star").write_bytes(FORMATS[name].encode([Block("r1", None, picks)], DETAILS)[".star"])
        tables.append(starfile.read(tmp_path / "a.star"))
    warp, m = tables
    places, angles = (f"Coordinate{a}" for a in "XYZ"), (f"Angle{a}" for a in ("Rot", "Tilt", "Psi"))
    for names, unit in ((list(places), VOXEL), (list(angles), 1)):
        theirs = xyz(warp, *(f"rln{name}" for name in names)) * unit
        np.testing.assert_allclose(xyz(m, *(f"wrp{name}1" for name in names)), theirs, atol=1e-4)
    assert m["wrpRandomSubset"].tolist() == [1, 2, 1, 2]


def test_m_is_told_no_angles_where_there_are_none() -> None:
    text = FORMATS["m"].encode([Block("r1", None, Picks.of([[1, 2, 3]]))], DETAILS)[".star"].decode()
    assert "_wrpCoordinateZ1" in text
    assert "Angle" not in text


@pytest.mark.parametrize(
    ("drop", "change", "message"),
    [
        ("wrpCoordinateZ1", {}, "has no table with the columns wrpCoordinateX1"),
        ("wrpAngleRot1", {}, "lacks the column wrpAngleRot1"),
        ("wrpSourceHash", {"wrpCoordinateX2": ["?", "1"]}, "expected a number in the column wrpCoordinateX2"),
        ("wrpSourceHash", {"wrpAnglePsi2": [1.0, np.inf]}, "expected a number in the column wrpAnglePsi2"),
    ],
)
def test_what_is_no_species_of_m_is_refused(drop: str, change: dict[str, Any], message: str, tmp_path: Path) -> None:
    starfile.write(a_species_of_m().drop(columns=drop).assign(**change), tmp_path / "a.star")
    with pytest.raises(InputError, match=message):
        FORMATS["m"].decode(tmp_path / "a.star", Details())


@given(st.integers(1, 4), st.integers(0, 3), st.integers(0, 99))
def test_the_mean_of_rotations_is_one_and_that_of_equals_is_theirs(points: int, n: int, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    turned = Rotation.random(points * n, random_state=numbers).as_matrix().reshape(points, n, 3, 3)
    mean = mean_rotations(turned)
    np.testing.assert_allclose(mean @ np.swapaxes(mean, 1, 2), np.broadcast_to(np.eye(3), (n, 3, 3)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(mean), 1)
    np.testing.assert_allclose(mean_rotations(np.repeat(turned[:1], points, axis=0)), turned[0], atol=1e-9)
    for i in range(n):
        np.testing.assert_allclose(mean[i], Rotation.from_matrix(turned[:, i]).mean().as_matrix(), atol=1e-6)


def test_dynamotable_and_we_read_each_others_tables(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"x": [3.5, 1.5], "y": [2.5, 1], "z": [1.5, 1], "tomo": [7, 9], "cc": [0.3, 0.2], "dx": [1, 0]}
    )
    dynamotable.write(table.assign(tomo_file=["/a/r1.mrc", "/a/r2.mrc"]), str(tmp_path / "a.tbl"))
    first, second = FORMATS["dynamo"].decode(tmp_path / "a.tbl", Details())
    assert (first.run, second.run, first.picks.score[0]) == ("/a/r1.mrc", "/a/r2.mrc", 0.3)
    np.testing.assert_allclose(first.picks.zyx, [[1.5, 2.5, 4.5]])
    assert first.picks.rotations is None

    blocks = [Block(run, None, Picks.of([[1, 2, 3.25]])) for run in ("r1.mrc", "r2.mrc")]
    for ending, content in FORMATS["dynamo"].encode(blocks, DETAILS).items():
        (tmp_path / f"b{ending}").write_bytes(content)
    read = dynamotable.read(str(tmp_path / "b.tbl"), str(tmp_path / "b.doc"))
    assert read["tomo_file"].tolist() == ["r1.mrc", "r2.mrc"]
    assert read["x"].tolist() == [3.25, 3.25]


@pytest.mark.parametrize("name", ["stopgap", "tom"])
def test_motive_lists_number_tomograms_as_their_names_end(name: str, tmp_path: Path) -> None:
    """Positions are whole, as they are rounded down before particles are cut out, and the rest is in the shifts."""
    (ending, beside), form = FORMATS[name].endings, FORMATS[name]
    runs = ["TS_07.mrc", "a/rec_TS_12_10.00Apx.mrc"]
    blocks = [Block(run, None, Picks.of([[1, 2, 3.25], [4, 5, 5.75]])) for run in runs]
    for end, content in form.encode(blocks, Details()).items():
        (tmp_path / f"t{end}").write_bytes(content)
    assert (tmp_path / f"t{beside}").read_text() == f"7 {runs[0]}\n12 {runs[1]}\n"
    if name == "stopgap":
        assert "_orig_x\n" in (tmp_path / "t.star").read_text()  # no number behind the name
        table = starfile.read(tmp_path / "t.star")
        xs, numbers, halves = table["orig_x"].tolist(), table["tomo_num"].tolist(), table["halfset"].tolist()
        assert halves == ["A", "B", "A", "B"]
    else:
        values = emfile.read(tmp_path / "t.em")[1][0]
        xs, numbers = values[:, 7].tolist(), values[:, 4].tolist()
    assert (xs, numbers) == ([3, 6, 3, 6], [7, 7, 12, 12])
    assert [block.run for block in form.decode(tmp_path / f"t{ending}", Details())] == runs
    (tmp_path / f"t{beside}").unlink()
    assert [block.run for block in form.decode(tmp_path / f"t{ending}", Details())] == ["7", "12"]


def test_a_motive_list_with_the_high_byte_first_is_read(tmp_path: Path) -> None:
    values = np.zeros((1, 20), ">f8")
    values[0, 7:13] = 10, 20, 30, 0.5, 0, -0.5
    header = struct.pack(">4b3i", 5, 0, 0, 9, 20, 1, 1).ljust(512, b"\0")
    (tmp_path / "t.em").write_bytes(header + values.tobytes())
    (block,) = FORMATS["tom"].decode(tmp_path / "t.em", Details())
    assert (block.run, block.picks.zyx.tolist(), block.scored_by) == (None, [[29.5, 20, 10.5]], None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\6\0\0\5", "is not an EM file"),
        (struct.pack("<4b3i", 7, 0, 0, 5, 20, 1, 1).ljust(592, b"\0"), "is not an EM file"),
        (struct.pack("<4b3i", 6, 0, 0, 8, 20, 1, 1).ljust(592, b"\0"), "is not an EM file"),
        (struct.pack("<4b3i", 6, 0, 0, 5, 19, 1, 1).ljust(592, b"\0"), "19 x 1 x 1"),
        (struct.pack("<4b3i", 6, 0, 0, 5, 20, 2**31 - 1, 1).ljust(592, b"\0"), "copy it again"),
        (struct.pack("<4b3i", 6, 0, 0, 5, 20, 1, 1).ljust(512, b"\0") + b"\xff" * 80, "particle 1: expected finite"),
    ],
)
def test_what_is_no_motive_list_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.em").write_bytes(content)
    with pytest.raises(InputError, match=message):
        FORMATS["tom"].decode(tmp_path / "t.em", Details())


@pytest.mark.parametrize(
    ("name", "text", "zyx", "scores"),
    [
        ("model2point", "       10.50       20.25       30.00\n", [30, 20.25, 10.5], None),
        ("model2point", "     1     4       10.50       20.25       30.00\n", [30, 20.25, 10.5], None),
        ("model2point", "     4       10.50       20.25       30.00\n", [30, 20.25, 10.5], None),
        ("model2point", "     4       10.50       20.25       30.00    0.250000\n", [30, 20.25, 10.5], [0.25]),
        ("model2point", "     10     20     30\n", [30, 20, 10], None),
        ("xyz", "# x y z\n10.5, 20, 3e1\n\n", [30, 20, 10.5], None),
        ("napari", "index,axis-0,axis-1,axis-2\n0.0,30,20,10.5\n", [30, 20, 10.5], None),
        ("napari", "index,axis-0,axis-1,axis-2,Confidence\n0,30,20,10.5,0.25\n", [30, 20, 10.5], [0.25]),
    ],
)
def test_points_are_told_from_what_stands_beside_them(
    name: str, text: str, zyx: list[float], scores: list[float] | None, tmp_path: Path
) -> None:
    (tmp_path / "t").write_text(text)
    (block,) = FORMATS[name].decode(tmp_path / "t", Details())
    assert block.picks.zyx.tolist() == [zyx]
    assert block.picks.score.tolist() == (scores or [1])
    assert (block.scored_by is None) == (scores is None)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("model2point", "1 1 10 20 30\n", "run model2point -float"),
        ("model2point", "1 1 1 1.0 2.0 3.0\n", "run model2point -float"),
        ("model2point", "1 1 1.0 2.0 3.0\n2 1 1.0 2.0 3.0\n", "several objects"),
        ("model2point", "1.0 2.0 3.0\n1 1.0 2.0 3.0\n", "row 2: expected 3 numbers"),
        ("xyz", "x y z\n1 2 3\n", "row 1: expected 3 numbers"),
        ("xyz", "1 2 3 4\n", "row 1: expected 3 numbers"),
        ("napari", "index,axis-0,axis-1\n0,1,2\n", "lacks the column axis-2"),
        ("napari", "index,axis-0,axis-1,axis-2,axis-3\n0,1,2,3,4\n", "has four axes"),
        ("napari", "index,shape-type,vertex-index,axis-0,axis-1,axis-2\n0,line,0,1,2,3\n", "has shapes"),
    ],
)
def test_what_may_not_be_points_is_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(InputError, match=message):
        FORMATS[name].decode(tmp_path / "t", Details())


@pytest.mark.filterwarnings("ignore:The `dict` method:DeprecationWarning")  # imodmodel's own
def test_imodmodel_and_we_read_each_others_models(tmp_path: Path) -> None:
    contours = [Contour(points=np.array(points, dtype=float)) for points in ([[1, 2, 3]], [[4, 5, 6], [7, 8, 9]])]
    model = ImodModel(objects=[Object(header=ObjectHeader(name="ribosome"), contours=contours)])
    model.to_file(tmp_path / "a.mod")
    (read,) = FORMATS["imod"].decode(tmp_path / "a.mod", Details())
    assert read.species == "ribosome"
    assert read.picks.zyx.tolist() == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]

    blocks = [
        Block("r1", name, Picks(np.array([[3.0, 2, 1]]), np.array([0.25]))) for name in ("ribosome", "thyroglobulin")
    ]
    (tmp_path / "b.mod").write_bytes(FORMATS["imod"].encode(blocks, DETAILS)[".mod"])
    ours = ImodModel.from_file(tmp_path / "b.mod")
    assert [thing.header.name for thing in ours.objects] == ["ribosome", "thyroglobulin"]
    assert (ours.header.xmax, ours.header.ymax, ours.header.zmax) == SHAPE[::-1]
    assert ours.objects[0].header.pdrawsize == 15  # of 150 Å
    assert ours.header.pixelsize == 1.0  # nm
    assert [(s.type, s.index, s.value) for s in ours.objects[0].contours[0].extra] == [(10, 0, 0.25)]


@pytest.mark.parametrize(("scale", "size"), [((13.48,) * 3, 13.48), ((1.0,) * 3, 10.0)], ids=["image", "unknown"])
def test_an_imod_model_counts_voxels_of_the_image_that_it_was_last_saved_on(
    scale: tuple[float, ...], size: float, tmp_path: Path
) -> None:
    ours = FORMATS["imod"].encode([Block("r1", "ribosome", Picks.of([[3, 2, 1]]))], DETAILS)[
        ".mod"
    ]  # 10 Å in the header
    first, last = [1.0] * 3 + [0.0] * 6, [*scale, -100.0, *[0.0] * 5]
    reference = b"MINX" + struct.pack(">i18f", 72, *first, *last)
    (tmp_path / "b.mod").write_bytes(ours.replace(b"IEOF", reference + b"IEOF"))
    minx = ImodModel.from_file(tmp_path / "b.mod").minx
    assert minx is not None
    assert minx.cscale == pytest.approx(scale)
    text = "imod 1\npixsize 1\nunits nm\nrefcurscale {} {} {}\nobject 0 1 0\nname a\ncontour 0 0 1\n1 2 3\n"
    (tmp_path / "b.txt").write_text(text.format(*scale))
    for name, file in {"imod": "b.mod", "imod-text": "b.txt"}.items():
        (block,) = FORMATS[name].decode(tmp_path / file, Details())
        assert block.picks.zyx.tolist() == [[3, 2, 1]]
        assert block.pixel_size == pytest.approx(size)


def test_an_imod_model_of_an_image_with_uneven_voxels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("imod 1\nrefcurscale 10 10 20\nobject 0 1 0\ncontour 0 0 1\n1 2 3\n")
    with pytest.raises(InputError, match="saved on an image whose voxels are 10 x 10 x 20 Å"):
        FORMATS["imod-text"].decode(tmp_path / "a.txt", Details())


def test_what_eman2_knows_beside_picks_is_kept() -> None:
    old = {
        "tlt_params": [[1, 2, 3, 4, 5]],
        "apix_unbin": 2.5,
        "class_list": {"0": {"name": "ribosome", "boxsize": 10}, "3": {"name": "mine", "boxsize": 20}},
        "boxes_3d": [[0, 0, 0, "manual", 0.0, 0], [0, 0, 1, "tomosoup", 0.5, 0], [1, 2, 3, "tomosoup", 0.5, 3]],
    }
    new = FORMATS["eman2"].encode([Block("r1", "ribosome", Picks.of([[9, 8, 7]]))], DETAILS)[".json"]
    merge = FORMATS["eman2"].merge
    assert merge is not None
    merged = json.loads(merge(json.dumps(old).encode(), new, Path("r1_info.json")))
    assert merged["tlt_params"] == old["tlt_params"]
    assert merged["boxes_3d"] == [old["boxes_3d"][0], old["boxes_3d"][2], [7, 8, 9, "tomosoup", 1.0, 0]]
    assert merged["class_list"] == {"3": old["class_list"]["3"], "0": {"name": "ribosome", "boxsize": 120}}
    with pytest.raises(InputError, match="give the file's"):
        merge(json.dumps(old | {"apix_unbin": 3}).encode(), new, Path("r1_info.json"))


def test_boxes_of_old_eman2_are_not_taken_to_count_from_the_centre(tmp_path: Path) -> None:
    """Without `apix_unbin` they count voxels from the corner (e2spt_extract.py)."""
    old = {"class_list": {"0": {"name": "ribosome"}}, "boxes_3d": [[4, 5, 6, "manual", 0.0, 0]]}
    (tmp_path / "r1_info.json").write_text(json.dumps(old))
    merge = FORMATS["eman2"].merge
    assert merge is not None
    for read in (
        lambda: FORMATS["eman2"].decode(tmp_path / "r1_info.json", Details(pixel_size=2.5)),
        lambda: merge(json.dumps(old).encode(), b"{}", tmp_path / "r1_info.json"),
    ):
        with pytest.raises(InputError, match="no apix_unbin, so its boxes count voxels of the tomogram"):
            read()


def test_the_centre_of_eman2_is_half_of_an_odd_size() -> None:
    """As e2spt_tempmatch.py has it: (index - size / 2) x voxel size / pixel size."""
    grid = Grid(10.0, (5.0, 5.0, 5.0), (9, 7, 5))
    there = FORMATS["eman2"].frame.there(grid.to_angstrom(np.array([[8.0, 3.0, 0.0]])), grid, pixel_size=2.5)
    assert there.tolist() == [[(8 - 4.5) * 4, (3 - 3.5) * 4, -2.5 * 4]]


def test_chimeraxs_script_opens_the_volume_where_the_markers_are() -> None:
    blocks = [Block("r1", name, Picks.of([[9, 8, 7]])) for name in ("ribosome", 'a "<b>&')]
    details = Details(
        DETAILS.grids,
        (*CONTEST_SPECIES, type(CONTEST_SPECIES[0])('a "<b>&', 50.0)),
        file="picks.cmm",
        volume="../{run}.mrc",
    )
    made = FORMATS["chimerax"].encode(blocks, details)
    script = made[".cxc"].decode().splitlines()
    assert script[:2] == ['open "../r1.mrc"', "volume #1 voxelSize 10 originIndex 0,0,0"]
    assert 'open "picks.cmm"' in script
    sets = list(ElementTree.fromstring(made[".cmm"]).iter("marker_set"))
    assert [s.get("name") for s in sets] == ["ribosome", 'a "<b>&']
    assert [s[0].get("radius") for s in sets] == ["150", "50"]
    assert len({s[0].get("g") for s in sets}) == 2


# Names


@given(st.text("ab_.{}0", min_size=1, max_size=5), st.sampled_from(["{run}", "x_{run}_10.00Apx", "{run}.tomostar"]))
def test_a_template_finds_the_run_that_it_named(run: str, text: str) -> None:
    template = Template(text, "name")
    if run in {".", ".."} or "{" in run:
        return
    assert template.match(template.fill(run=run)) == {"run": run}
    assert template.match("/some/where/" + template.fill(run=run)) == {"run": run}


def test_templates_tell_apart_runs_and_species_and_refuse_what_is_no_name() -> None:
    pattern = Template("{run}_{species}.coords", "pattern")
    assert pattern.match("TS_01_ribosome.coords") == {"run": "TS_01", "species": "ribosome"}
    assert pattern.match("TS.cbox") is None
    for text in ("{tomogram}", "{run", "{}"):
        with pytest.raises(InputError, match="no other braces"):
            Template(text, "name")
    with pytest.raises(InputError, match="Expected the name of a run"):
        Template("{run}", "output").fill(run="../x")
