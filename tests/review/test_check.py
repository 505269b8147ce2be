import json
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch

from tomosoup.cli.main import main
from tomosoup.core.types import Picks, Species, Volume
from tomosoup.data.formats.tables.picks_csv import write_csv
from tomosoup.data.options import AnnotatedData, Normalisation
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.review.check.check_project import check
from tomosoup.review.check.densities import RADII, Average, Offsets, radii
from tomosoup.review.check.findings import CheckResult
from tomosoup.review.check.subtomogram_average import (
    Boxes,
    contrast,
    cut_boxes,
    from_centre,
    joined,
    measured_radius,
    offset,
)

SHAPE, VOXEL = (28, 80, 80), 10.0
SPECIES = (Species("a", 60.0), Species("b", 70.0))


@dataclass
class Made:
    """A project in the making: volumes and picks by run, then what is wrong with it."""

    volumes: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    picks: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    species: tuple[Species, ...] = SPECIES

    def write(self, folder: Path) -> Path:
        """As a folder of MRC files."""
        folder.mkdir()
        for run, values in self.volumes.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of mrcfile, of NaN
                with mrcfile.new(folder / f"{run}.mrc", values) as file:
                    file.voxel_size = self.sizes[run]
        rows = [f"{s.name},{s.radius},{s.weight}" for s in self.species]
        (folder / "species.csv").write_text("\n".join(["name,radius,weight", *rows]))
        table = {run: {name: Picks.of(zyx) for name, zyx in found.items()} for run, found in self.picks.items()}
        write_csv(folder / "picks.csv", table)
        return folder


def balls(places: Mapping[str, np.ndarray], random: np.random.Generator) -> np.ndarray:
    """Dark soft balls of their species' radius in noise; the centre of voxel 0 stands at half a voxel."""
    values = random.normal(size=SHAPE).astype(np.float32)
    at = (np.moveaxis(np.indices(SHAPE), 0, -1) + 0.5) * VOXEL
    for kind in SPECIES:
        for place in places[kind.name]:
            distance = np.linalg.norm(at - place, axis=-1)
            values -= 2 / (1 + np.exp((distance - 0.85 * kind.radius) / 6))
    return values


@pytest.fixture(scope="module")
def healthy() -> Made:
    """Three runs of twelve well separated particles."""
    made, random = Made(), np.random.default_rng(0)
    for i in range(3):
        grid = np.array([(z, y, x) for z in (70, 210) for y in (140, 400, 660) for x in (140, 400, 660)], dtype=float)
        places = grid + random.uniform(-15, 15, grid.shape)
        by_species = {"a": places[::2], "b": places[1::2]}
        run = f"run_{i}"
        made.volumes[run], made.sizes[run], made.picks[run] = balls(by_species, random), VOXEL, by_species
    return made


@pytest.fixture
def made(healthy: Made) -> Made:
    """A copy to spoil."""
    picks = {run: {name: zyx.copy() for name, zyx in found.items()} for run, found in healthy.picks.items()}
    return Made({run: v.copy() for run, v in healthy.volumes.items()}, dict(healthy.sizes), picks, healthy.species)


def found_in(made: Made, folder: Path, model: Path | None = None, **data: object) -> CheckResult:
    options = AnnotatedData.of(data, source="a test")
    return check(made.write(folder / "p"), model=model, data=options)


def test_a_healthy_project_has_no_findings(made: Made, tmp_path: Path, project_folder: Path) -> None:
    report = found_in(made, tmp_path)
    assert not report.findings
    assert report.measured["particles"] == "dark"
    assert all(abs(v) < 0.1 for v in report.measured["offset_vox"].values())
    assert not check(project_folder).findings


def nan(made: Made) -> None:
    made.volumes["run_1"][0, 0, 0] = np.nan


def constant(made: Made) -> None:
    made.volumes["run_1"][:] = 3.0


def clipped(made: Made) -> None:
    made.volumes = {run: np.clip(40 * v, -127, 60).astype(np.int8) for run, v in made.volumes.items()}


def another_scale(made: Made) -> None:
    made.volumes["run_1"] *= 20


def bright(made: Made) -> None:
    made.volumes = {run: -v for run, v in made.volumes.items()}


def bright_without_picks(made: Made) -> None:
    made.volumes = {run: -v for run, v in made.volumes.items()}
    made.picks = {}


def other_voxels(made: Made) -> None:
    made.sizes["run_1"] = 9.0
    made.picks["run_1"] = {name: 0.9 * zyx for name, zyx in made.picks["run_1"].items()}


def cuboids(made: Made) -> None:
    made.sizes["run_1"] = (10.0, 10.0, 12.0)  # type: ignore[assignment]


def outside(made: Made) -> None:
    made.picks["run_2"]["a"][0, 0] = 281.0


def exchanged(made: Made) -> None:
    made.picks = {run: {n: zyx[:, ::-1] for n, zyx in found.items()} for run, found in made.picks.items()}


def in_voxels(made: Made) -> None:
    made.picks = {run: {n: zyx / VOXEL for n, zyx in found.items()} for run, found in made.picks.items()}


def twice(made: Made) -> None:
    for run in ("run_0", "run_2"):
        zyx = made.picks[run]["a"]
        made.picks[run]["a"] = np.concatenate([zyx, zyx[:1], zyx[1:2] + 10.0])


def two_species(made: Made) -> None:
    made.picks["run_0"]["b"] = np.concatenate([made.picks["run_0"]["b"], made.picks["run_0"]["a"][:1] + 5.0])


def no_picks_in_a_run(made: Made) -> None:
    del made.picks["run_1"]


def no_picks_of_a_species(made: Made) -> None:
    for found in made.picks.values():
        del found["b"]


def strangers(made: Made) -> None:
    made.picks["run_0"]["c"] = made.picks["run_0"].pop("b")


def half_a_voxel_off(made: Made) -> None:
    made.picks = {run: {n: zyx - 5.0 for n, zyx in found.items()} for run, found in made.picks.items()}


def off_along_x(made: Made) -> None:
    made.picks = {run: {n: zyx - (0, 0, 10) for n, zyx in found.items()} for run, found in made.picks.items()}


def radius_too_large(made: Made) -> None:
    made.species = SPECIES[0], replace(SPECIES[1], radius=190.0)


def radius_too_small(made: Made) -> None:
    made.species = SPECIES[0], replace(SPECIES[1], radius=35.0)


def elsewhere(made: Made) -> None:
    random = np.random.default_rng(1)
    for found in made.picks.values():
        found["a"] = random.uniform(0, np.array(SHAPE) * VOXEL, (30, 3))


ALL = ("run_0", "run_1", "run_2")
FAULTS: list[tuple[Callable[[Made], None], str, str, str, tuple[str, ...]]] = [
    (nan, "error", "grey values", r"NaN or infinite", ("run_1",)),
    (constant, "error", "grey values", r"All checked voxels are 3: ", ("run_1",)),
    (clipped, "warning", "grey values", r"exactly the lowest or the highest value \(.*60\)", ALL),
    (another_scale, "warning", "grey values", r"in most runs", ("run_1",)),
    (bright, "error", "contrast", r"The particles are bright, .* pick with `invert=True`", ()),
    (bright_without_picks, "warning", "contrast", r"probably bright .*`invert=True`", ()),
    (other_voxels, "warning", "voxel size", r"The voxels are 9 Å, those of most runs 10 Å", ("run_1",)),
    (cuboids, "error", "tomogram", r"measure 12, 10, 10 Å along z, y, x.*`voxel_size`", ("run_1",)),
    (outside, "warning", "outside", r"1 of 27 picks is outside its tomogram: remove it", ("run_2",)),
    (exchanged, "error", "outside", r"whether z and x are exchanged", ALL),
    (in_voxels, "error", "outside", r"these look like voxels", ()),
    (twice, "warning", "twice", r"4 pairs of picks are .*, 2 of them at the same position", ("run_0", "run_2")),
    (two_species, "warning", "two species", r"1 particle is also picked as b", ("run_0",)),
    (no_picks_in_a_run, "note", "picks", r"No true picks", ("run_1",)),
    (no_picks_of_a_species, "note", "picks", r"No run has picks of b", ()),
    (strangers, "error", "species", r"does not list this species", ("run_0",)),
    (half_a_voxel_off, "warning", "offset", r"set `first_voxel=0`", ()),
    (off_along_x, "warning", "offset", r"shift the picks", ()),
    (radius_too_large, "warning", "radius", r"of about \d\d Å, the species one of 190", ()),
    (radius_too_small, "warning", "radius", r"the species one of 35", ()),
    (elsewhere, "warning", "contrast", r"There is no density at its", ()),
]


CONSEQUENCES = {
    in_voxels: {"two species", "twice"},
    elsewhere: {"two species", "twice"},
    bright_without_picks: {"picks"},
}
"""What else a fault may bring."""


@pytest.mark.parametrize(
    ("spoil", "severity", "what", "said", "runs"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS]
)
def test_a_fault_is_found(
    made: Made, tmp_path: Path, spoil: Callable[[Made], None], severity: str, what: str, said: str, runs: tuple[str]
) -> None:
    spoil(made)
    findings = found_in(made, tmp_path).findings
    found, *_ = [f for f in findings if f.check == what and f.severity == severity]
    assert re.search(said, found.text)
    assert found.runs == runs
    assert {f.check for f in findings} - {what} <= CONSEQUENCES.get(spoil, set())


@pytest.mark.parametrize("first_voxel", [0.0, -0.5])
def test_the_first_voxel_that_is_named_corrects_the_offset(made: Made, tmp_path: Path, first_voxel: float) -> None:
    shift = (0.5 - first_voxel) * VOXEL
    made.picks = {run: {n: zyx - shift for n, zyx in found.items()} for run, found in made.picks.items()}
    (found,) = found_in(made, tmp_path).findings
    assert f"set `first_voxel={first_voxel:g}`" in found.text
    shutil.rmtree(tmp_path / "p")
    assert not found_in(made, tmp_path, first_voxel=first_voxel).findings


def noisy_average(signal: float, random: np.random.Generator) -> Average:
    """The average of 20 balls of 51 Å in white noise, of a species of 60 Å; `signal` in standard deviations."""
    side = 25
    distance = from_centre(side, [0.0, 0.0, 0.0]) * VOXEL
    ball = -1 / (1 + np.exp((distance - 51) / 6))
    data = (random.standard_normal((20, side, side, side)) + signal * ball).astype(np.float32)
    boxes = Boxes(data, np.ones(data.shape, dtype=bool), VOXEL, 60.0)
    return Average(SPECIES[0], boxes, *contrast(boxes))


def test_noise_is_not_taken_for_a_small_particle() -> None:
    random = np.random.default_rng(0)
    at_centre = Offsets(np.zeros(3), np.zeros(3), {"a": (np.zeros(3), np.zeros(3))})
    far_off = []
    for signal in np.repeat([0.04, 0.07, 0.1, 0.2], 12):
        average = noisy_average(float(signal), random)
        if average.significant:
            sizes, findings = radii([average], at_centre, voxel_size=VOXEL)
            assert not [f for f in findings if f.severity != "note"]
            far_off.append(bool(findings))
            assert far_off[-1] != (RADII[0] < sizes["a"] / 60 < RADII[1])
    assert sum(far_off) >= 3


def region_of(volume: Volume, region: tuple[slice, slice, slice]) -> Volume:
    return replace(volume, data=volume.data[region])


@pytest.mark.parametrize("voxel_size", [4.0, 10.0])
@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (5.0, -3.3, 12.0)])
def test_offset_contrast_and_radius_of_known_boxes(voxel_size: float, shift: tuple[float, float, float]) -> None:
    """Also where boxes are binned, and reach beyond the volume's faces."""
    random = np.random.default_rng(0)
    shape = tuple(round(400 / voxel_size) for _ in range(3))
    parts: list[Boxes] = []
    for _ in range(6):
        place = random.uniform(60, 340, 3)
        empty = Volume(torch.empty(shape), voxel_size)
        distance = np.linalg.norm(empty.to_angstrom(np.moveaxis(np.indices(shape), 0, -1)) - place, axis=-1)
        values = -1 / (1 + np.exp((distance - 70) / 6)) + random.normal(size=shape) * 0.1
        volume = replace(empty, data=torch.from_numpy(values).float())
        where = volume.to_voxel(place - shift)[None]
        read = partial(region_of, volume)
        parts.append(cut_boxes(read, shape, where, radius=80.0, voxel_size=voxel_size, scale=(0, 1)))
    boxes = joined(parts)
    found, error = offset(boxes)
    np.testing.assert_allclose(found, shift, atol=1.0)
    assert (np.abs(found - shift) < 5 * np.maximum(error, 0.2)).all()
    assert contrast(boxes)[0] < -0.5
    assert measured_radius(boxes, found) == pytest.approx(85, rel=0.1)


def test_a_model_is_held_against_the_project(made: Made, checkpoint: Checkpoint, tmp_path: Path) -> None:
    model = replace(
        checkpoint,
        species=(replace(SPECIES[0], radius=80.0), Species("c", 50.0)),
        voxel_size=5.0,
        normalisation=Normalisation(mean=0.0, deviation=1e-5),
    )
    model.save(tmp_path / "m.safetensors")
    report = found_in(made, tmp_path, tmp_path / "m.safetensors")
    assert {(f.severity, f.check, f.species) for f in report.findings} == {
        ("error", "grey values", None),
        ("warning", "voxel size", None),
        ("warning", "species", "a"),
        ("note", "species", None),
    }
    texts = " ".join(f.text for f in report.findings)
    for said in (
        "The voxels are 10 Å, the model's 5 Å",
        "60 Å here and 80 Å in the model",
        "finds c, which",
        "not find b",
    ):
        assert said in texts


def test_a_folders_name_is_held_against_the_file(project: Path) -> None:
    run = project / "static/ExperimentRuns/run_001"
    (run / "VoxelSpacing10.000").rename(run / "VoxelSpacing13.000")
    shutil.rmtree(project / "static/ExperimentRuns/run_002/VoxelSpacing10.000")
    findings = [f for f in check(project).findings if f.check == "tomogram"]
    assert [(f.check, f.runs) for f in findings] == [("tomogram", ("run_001",)), ("tomogram", ("run_002",))]
    assert "the folder says 13 Å a voxel and the file 10 Å: give the right one as `voxel_size`" in findings[0].text


def test_the_command_prints_a_narrow_table_or_json_and_fails_for_errors_alone(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    half_a_voxel_off(made)
    folder = str(made.write(tmp_path / "p"))
    main(["check", folder])
    said = capsys.readouterr().out
    assert "1 warning" in said
    assert max(map(len, said.splitlines()[:-1])) <= 80  # the last names the project
    with pytest.raises(SystemExit) as end:
        main(["check", folder, "--json", "--invert", "--runs", "run_0", "run_1"])
    assert end.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert {f["check"] for f in told["findings"]} == {"contrast", "offset"}
    texts = " ".join(f["text"] for f in told["findings"])
    assert "do not set --invert" in texts
    assert "set --first-voxel 0." in texts
    assert told["measured"]["picks"] == {"a": 18, "b": 18}
