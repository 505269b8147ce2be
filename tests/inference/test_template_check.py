"""Density maps decide between two species picked at one position, and change no other pick."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from conftest import refused
from density import HANDED, blobs
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Array, Picks, Species, Volume
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.project import open_project
from tomosoup.inference import pick as picking
from tomosoup.inference.options.templates import TemplateOptions
from tomosoup.inference.readout.template_check import check_with_templates, fourier_grid, orientations, read_maps

ROD = blobs(*((0.0, 0.0, float(x)) for x in range(-7, 8, 2)), n=21)
SPECIES = (Species("rod", 80.0), Species("tripod", 70.0), Species("other", 70.0))
MAPS = {"rod": Volume(ROD, 10.0), "tripod": Volume(HANDED, 10.0)}
FEW = TemplateOptions(orientations=200, tilt_limit=60.0, margin=0.0)
SHAPE = (40, 70, 150)
POSITIONS = np.array([[20, y, x] for y in (20, 50) for x in (20, 57, 94, 131)]) * 10.0
"""Å. Rods and tripods alternate."""


def rotated(density: torch.Tensor, rotation: Array) -> Array:
    """A map, rotated about its central voxel."""
    centre = np.array(density.shape) // 2
    offset = centre - rotation.T @ centre
    whole: Array = ndimage.affine_transform(density.numpy(), rotation.T, offset=offset, order=1)
    return whole


@cache
def tomogram(*, noise: float, tilt_limit: float = 60.0) -> Volume:
    """The particles at `POSITIONS`, dark, with a missing wedge, in noise."""
    random = np.random.default_rng(3)
    data = np.zeros(SHAPE, dtype=np.float32)
    rotations = Rotation.random(len(POSITIONS), rng=random).as_matrix()
    for i, (at, rotation) in enumerate(zip(POSITIONS, rotations, strict=True)):
        corner = (at / 10).astype(int) - 10
        data[tuple(slice(c, c + 21) for c in corner)] -= rotated(HANDED if i % 2 else ROD, rotation)
    data += noise * random.normal(size=SHAPE).astype(np.float32)
    whole, half = [torch.fft.fftfreq(n) for n in SHAPE[:2]], torch.fft.rfftfreq(SHAPE[2])
    z, _, x = torch.meshgrid(*whole, half, indexing="ij")
    seen = z.abs() <= np.tan(np.radians(tilt_limit)) * x
    return Volume(torch.fft.irfftn(torch.fft.rfftn(torch.from_numpy(data)) * seen, s=SHAPE), 10.0)


def both(offset: float = 0.0) -> dict[str, Picks]:
    """Every position picked as both species."""
    return {"rod": Picks.of(POSITIONS + offset), "tripod": Picks.of(POSITIONS - offset), "other": Picks.of(POSITIONS)}


def positions(picks: Picks) -> set[tuple[float, ...]]:
    """Their positions (z, y, x), in Å."""
    return set(map(tuple, picks.zyx.tolist()))


@pytest.mark.parametrize("offset", [0.0, 8.0])
def test_the_map_that_fits_better_keeps_its_pick(offset: float) -> None:
    picks = both(offset)
    kept = check_with_templates(picks, tomogram(noise=0.3), SPECIES, MAPS, FEW)
    assert positions(kept["rod"]) == positions(Picks.of(POSITIONS[::2] + offset))
    assert positions(kept["tripod"]) == positions(Picks.of(POSITIONS[1::2] - offset))
    assert kept["other"] is picks["other"]


def test_with_the_maps_exchanged_the_other_picks_are_kept() -> None:
    swapped = {"rod": MAPS["tripod"], "tripod": MAPS["rod"]}
    kept = check_with_templates(both(), tomogram(noise=0.3), SPECIES, swapped, FEW)
    assert positions(kept["rod"]) == positions(Picks.of(POSITIONS[1::2]))


def test_a_pick_alone_at_its_position_stays_however_badly_its_map_fits() -> None:
    picks = {"rod": Picks.of(POSITIONS[1::2]), "tripod": Picks.of(POSITIONS[::2])}
    kept = check_with_templates(picks, tomogram(noise=0.3), SPECIES, MAPS, FEW)
    assert {name: positions(found) for name, found in kept.items()} == {n: positions(p) for n, p in picks.items()}


def test_picks_of_two_species_are_of_one_place_within_the_smaller_radius() -> None:
    """Of radii 80 and 70 Å, picks 75 Å apart stand alone."""
    for away, kept_everywhere in ((75.0, True), (65.0, False)):
        picks = {"rod": Picks.of(POSITIONS), "tripod": Picks.of(POSITIONS + np.array([0.0, away, 0.0]))}
        kept = check_with_templates(picks, tomogram(noise=0.3), SPECIES, MAPS, FEW)
        assert all(len(kept[name]) == len(POSITIONS) for name in picks) is kept_everywhere


def test_a_large_margin_keeps_both() -> None:
    kept = check_with_templates(both(), tomogram(noise=0.3), SPECIES, MAPS, FEW.model_copy(update={"margin": 10.0}))
    assert len(kept["rod"]) == len(kept["tripod"]) == len(POSITIONS)


def test_finer_voxels_change_nothing() -> None:
    coarse = tomogram(noise=0.1)
    fine = Volume(torch.from_numpy(ndimage.zoom(coarse.data.numpy(), 2, order=1, grid_mode=True, mode="nearest")), 5.0)
    shift = 2.5  # from the centre of the first fine voxel to that of the first coarse one
    picks = {name: Picks.of(found.zyx + shift) for name, found in both().items()}
    kept = check_with_templates(picks, fine, SPECIES, MAPS, FEW)
    assert positions(kept["rod"]) == positions(Picks.of(POSITIONS[::2] + shift))


def test_orientations_leave_no_gap() -> None:
    rotations = orientations(600)
    torch.testing.assert_close(np.linalg.det(rotations), np.ones(600))
    anywhere = Rotation.random(300, rng=np.random.default_rng(0)).as_matrix()
    angles = np.degrees(np.arccos(np.clip((np.einsum("aij,bij->ab", anywhere, rotations) - 1) / 2, -1, 1))).min(1)
    assert angles.max() < 30
    assert angles.mean() < 20


def test_tilts_see_all_but_a_wedge_about_the_beam() -> None:
    _, sampled = fourier_grid(33, 45.0)
    assert not sampled[10, 0, 0]
    assert not sampled[10, 10, 3]
    assert sampled[3, 0, 10]
    assert sampled[0, 10, 0]


def saved(folder: Path, maps: Mapping[str, torch.Tensor]) -> Path:
    """A folder with an MRC file for each map."""
    folder.mkdir(exist_ok=True)
    for name, density in maps.items():
        with mrcfile.new(folder / f"{name}.mrc", overwrite=True) as file:
            file.set_data(density.numpy())
            file.voxel_size = 10.0
    return folder


def test_maps_are_read_by_the_names_of_species(tmp_path: Path) -> None:
    maps = read_maps(saved(tmp_path / "maps", {"tripod": HANDED, "rod": ROD}), ["rod", "tripod", "other"])
    assert list(maps) == ["rod", "tripod"]
    torch.testing.assert_close(maps["rod"].data, ROD)


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ({"rod": ROD}, "two or more similar species in .*, got 1"),
        ({"rod": ROD, "tripot": HANDED}, "is not named like one of the species"),
        ({"rod": ROD, "tripod": torch.zeros(9, 9, 9)}, "holds only zeros"),
    ],
)
def test_maps_that_cannot_decide_are_refused(tmp_path: Path, maps: dict[str, torch.Tensor], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_maps(saved(tmp_path / "maps", maps), ["rod", "tripod"])


FEW_PICKS = ("apo-ferritin=0.15", "beta-amylase=0.15")
"""Thresholds that leave some dozens of the picks of the untrained net."""


@pytest.fixture
def words(project: Path, model: Path) -> list[str]:
    return ["pick", str(project), "--model", str(model), "--threshold", *FEW_PICKS, "--runs", "run_000"]


def test_pick_drops_picks_whose_map_fits_worse(words: list[str], project: Path, tmp_path: Path) -> None:
    two = [s.name for s in open_project(project).species][:2]
    main([*words, "--output", f"{tmp_path}/all.csv"])
    folder = saved(tmp_path / "maps", dict(zip(two, (ROD, HANDED), strict=True)))
    options = ["--templates.folder", str(folder), "--templates.orientations", "60", "--templates.margin", "0"]
    main([*words, *options, "--session", "maps", "--output", f"{tmp_path}/less.csv"])
    every, less = read_csv(tmp_path / "all.csv"), read_csv(tmp_path / "less.csv")
    dropped = 0
    for run in every:
        for name in every[run]:
            assert positions(less[run][name]) <= positions(every[run][name])
            dropped += len(every[run][name]) - len(less[run][name])
            assert name in two or len(every[run][name]) == len(less[run][name])
    assert dropped > 0


def test_other_maps_are_other_settings(words: list[str], project: Path, tmp_path: Path, picked: list[str]) -> None:
    two = [s.name for s in open_project(project).species][:2]
    folder = saved(tmp_path / "maps", dict(zip(two, (ROD, HANDED), strict=True)))
    words = [*words, "--templates.folder", str(folder), "--templates.orientations", "24"]
    main(words)
    main(words)
    assert picked == ["run_000"]
    saved(folder, {two[0]: HANDED.flip(0)})
    with pytest.raises(SystemExit):
        main(words)


def test_threshold_says_that_the_template_check_was_not_repeated(
    words: list[str], project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = [s.name for s in open_project(project).species][:2]
    folder = saved(tmp_path / "maps", dict(zip(two, (ROD, HANDED), strict=True)))
    main([*words, "--templates.folder", str(folder), "--templates.orientations", "24"])
    capsys.readouterr()
    again = ["threshold", str(project), "--threshold", *FEW_PICKS]
    main(again)
    assert "it was not repeated for these" in "".join(capsys.readouterr())
    main(again)
    assert "it was not repeated for these" not in "".join(capsys.readouterr())


def test_a_map_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "maps", {"rod": ROD, "tripod": HANDED})
    with (folder / "rod.mrc").open("r+b") as file:
        file.seek(2048)
        file.write(np.float32(np.nan).tobytes())
    with pytest.raises(InputError, match="not finite"):
        read_maps(folder, ["rod", "tripod"])


def test_maps_that_are_not_there_stop_a_pick_before_it_begins(
    words: list[str], tmp_path: Path, picked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "got 0 (the species are" in refused([*words, "--templates.folder", str(tmp_path / "none")], capsys)
    assert not picked


def test_python_picks_with_maps_too(project: Path, model: Path, tmp_path: Path) -> None:
    from tomosoup.data.options import DataOptions
    from tomosoup.inference.options.picking import PickingPlan
    from tomosoup.models.checkpoint import load

    two = [s.name for s in open_project(project).species][:2]
    folder = saved(tmp_path / "maps", dict(zip(two, (ROD, HANDED), strict=True)))
    plan = PickingPlan(templates=TemplateOptions(folder=folder, orientations=60, margin=0.0))
    runs, thresholds = DataOptions(runs=("run_000",)), dict(zip(two, (0.15, 0.15), strict=True))
    unchecked, checked = (
        picking.pick_project(open_project(project), [load(model)], data=runs, plan=plan, thresholds=thresholds)
        for plan in (PickingPlan(), plan)
    )
    assert sum(map(len, checked["run_000"].values())) < sum(map(len, unchecked["run_000"].values()))
