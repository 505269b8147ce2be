"""The measures of runs/checks/real_slices on planes whose contents are known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from runs.checks.real_slices import net2d
from runs.checks.real_slices.measures import REACH, bands, profiles, sectors, specks
from runs.checks.real_slices.patches import separability
from runs.checks.real_slices.planes import (
    RADII,
    SPECIES,
    Array,
    Plane,
    near,
    read_type,
    real_planes,
    runs_of,
    simulated_planes,
)
from runs.checks.real_slices.table import Goals, band_misses, halo, profile_misses
from runs.checks.real_slices.transfer import found_in
from runs.shared.command import run_step
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks

RIBOSOME = SPECIES.index("ribosome")
RADIUS = RADII[RIBOSOME]
SIDE = 160


def plane(*particles: tuple[float, float, int, float], grey: Array | None = None, name: str = "run_z001") -> Plane:
    """A plane with these particles (x, y, species, distance from the plane)."""
    grey = np.zeros((SIDE, SIDE), np.float32) if grey is None else grey
    return Plane(name, grey, np.ones(grey.shape, bool), np.array(particles, float).reshape(-1, 4))


def noise(seed: int, *, scale: float = 1.0) -> Array:
    return np.random.default_rng(seed).normal(0, scale, (SIDE, SIDE)).astype(np.float32)


def distance(x: float, y: float) -> Array:
    """Of each voxel from a position."""
    rows, columns = np.indices((SIDE, SIDE))
    return np.hypot(rows - y, columns - x)


def heatmap(*picks: tuple[float, float, float]) -> Array:
    """Maps with ribosomes at x, y with a score."""
    maps = np.zeros((len(SPECIES), SIDE, SIDE))
    for x, y, score in picks:
        maps[RIBOSOME, round(y), round(x)] = score
    return maps


def precision(*picks: tuple[float, float, float], particles: tuple[tuple[float, float, int, float], ...]) -> float:
    return float(found_in([(heatmap(*picks), plane(*particles))]).precision[RIBOSOME])


def test_the_profile_of_a_disc_is_found() -> None:
    disc = np.where(distance(60, 90) < 7.5, -4, 1).astype(np.float32)
    found = profiles([plane((60, 90, RIBOSOME, 1.0), grey=disc)])
    assert found["ribosome"] == pytest.approx(np.where(np.arange(REACH) < 8, -4, 1)[None])
    assert not any(len(found[name]) for name in SPECIES if name != "ribosome")


def test_profiles_are_of_particles_at_the_asked_distance_from_the_plane() -> None:
    planes = [plane((60, 90, RIBOSOME, 1.0), (90, 60, RIBOSOME, 4.0), (60, 60, RIBOSOME, 8.0), (3, 3, RIBOSOME, 0.0))]
    assert [len(profiles(planes, between=b)["ribosome"]) for b in ((0, 2.5), (2.5, 9), (0, 9))] == [1, 2, 3]


def test_covered_voxels_are_not_in_profiles() -> None:
    grey = np.full((SIDE, SIDE), -4, np.float32)
    grey[:, 61:] = 9
    half = plane((60, 90, RIBOSOME, 0.0), grey=grey)
    half.valid[:, 61:] = False
    assert (profiles([half])["ribosome"] == -4).all()


def test_particles_are_near_a_plane_within_their_radius() -> None:
    picks = {"ribosome": Picks.of([[100 + 10 * RADIUS * away, 200, 300] for away in (0.0, 1.1, 1.3)])}
    found = near(picks, 10, voxel=10.0)
    assert found[:, :3] == pytest.approx(np.array([[30, 20, RIBOSOME]] * 2))
    assert found[:, 3] == pytest.approx([0, 1.1 * RADIUS])


def test_specks_away_from_particles_are_counted() -> None:
    grey = np.zeros((SIDE, SIDE), np.float32)
    for x, y in ((30, 30), (90, 100), (120, 40), (140, 140)):  # the last is on a particle
        grey[y : y + 4, x : x + 4] = -10
    grey[70, 20] = -30  # below the threshold in one voxel
    found = specks([plane((140, 140, RIBOSOME, 0.0), grey=grey), plane(grey=np.zeros((SIDE, SIDE)))])
    area = 2 * SIDE**2 - (distance(140, 140) <= RADIUS + 3).sum()
    assert found.number == pytest.approx(3e4 / area)
    assert found.by_plane[0] == pytest.approx(found.by_plane[-1] * 0.05 / 0.95)
    assert set(found.sizes) == {found.sizes[0]}
    assert 9 <= found.sizes[0] <= 25
    assert (found.greys < -5).all()


def test_a_wave_is_in_its_band_and_sector() -> None:
    y, x = np.indices((SIDE, SIDE))
    for angle in range(6):
        along = np.radians(15 * angle + 7.5)
        wave = np.cos(2 * np.pi * 0.23 * (x * np.cos(along) + y * np.sin(along)))
        assert bands(wave).argmax() == 5  # 0.208 to 0.25 cycles per voxel
        assert sectors(wave).argmax() == angle


def test_right_picks_have_a_precision_of_one() -> None:
    particles = ((40, 40, RIBOSOME, 0.0), (110, 60, RIBOSOME, 3.0), (80, 120, RIBOSOME, 0.49 * RADIUS))
    picks = [(x + 0.3 * RADIUS, y - 0.3 * RADIUS, 0.9) for x, y, *_ in particles]
    assert precision(*picks, particles=particles) == 1
    assert precision(*picks[:2], particles=particles) == pytest.approx(2 / 3)
    assert precision(*picks, (40, 130, 0.95), particles=particles) == pytest.approx(3 / 4)
    assert precision(*picks, (40, 130, 0.1), particles=particles) == 1


def test_a_pick_farther_than_half_a_radius_is_wrong() -> None:
    particles = ((40, 40, RIBOSOME, 0.0),)
    assert precision((40 + int(0.5 * RADIUS), 40, 0.9), particles=particles) == 1
    assert precision((40 + int(0.5 * RADIUS) + 1, 40, 0.9), particles=particles) == 0


def test_of_two_picks_of_a_particle_one_is_right() -> None:
    particles = ((40, 40, RIBOSOME, 0.0), (110, 60, RIBOSOME, 0.0))
    found = precision((34, 40, 0.9), (46, 40, 0.8), (110, 60, 0.7), particles=particles)
    assert found == pytest.approx((1 + 2 / 3) / 2)


def test_particles_cut_off_centre_neither_count_nor_cost() -> None:
    particles = ((40, 40, RIBOSOME, 0.0), (110, 60, RIBOSOME, 0.6 * RADIUS))
    assert precision((40, 40, 0.5), (110, 60, 0.9), particles=particles) == 1
    assert precision((40, 40, 0.5), particles=particles) == 1
    assert found_in([(heatmap(), plane(*particles))]).particles[RIBOSOME] == 1


def test_a_particle_is_named_by_the_highest_map() -> None:
    maps = heatmap((42, 41, 0.3))
    maps[0, 40, 38], maps[1, 40, 45] = 0.4, 0.9  # the second is too far away
    assert found_in([(maps, plane((40, 40, RIBOSOME, 0.0)))]).named[RIBOSOME, 0] == 1


def test_only_different_patches_are_told_apart() -> None:
    def many(side: str, scale: float) -> list[Plane]:
        return [plane(grey=noise(ord(side) + 20 * i, scale=scale), name=f"{side}{i}_z000") for i in range(5)]

    alike, _ = separability(many("a", 1.0), many("b", 1.0))
    different, each = separability(many("a", 1.0), many("b", 1.3))
    assert alike["bands 0-5"] == pytest.approx(0.5, abs=0.2)
    assert alike["grey values"] == pytest.approx(0.5, abs=0.2)
    assert min(different.values()) > 0.9
    assert each["q1"] > 0.9
    assert each["q99"] < 0.1


def test_goals_name_where_they_are_missed() -> None:
    real = np.array([-4.0, -4.0, -2.0, -0.5, 0.0, 0.0])
    assert list(profile_misses(real, np.array([-4.9, -2.9, -2.0, 3.0, 3.0, 3.0]))) == [1]
    assert list(halo(real, np.array([3.0, 3.0, 3.0, 3.0, 0.2, 0.4]))) == [3, 5]
    assert list(halo(real + 0.2, np.full(6, 3.0))) == [3]
    powers = np.array([1.4, 1.6, 0.7, 0.6, 1.0, 1.0, 9.0])
    assert list(band_misses(np.ones(7), powers, factor=1.5)) == [2, 4]


def test_met_goals_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    goals, missed = Goals(), np.array([2, 3])
    assert goals.count("profile", missed) == "off at 2 3"
    assert goals.count("profile", missed[:0]) == "ok"
    assert goals.count("band", missed, among=range(1, 7)) == "off at 2 3"
    goals.summary()
    assert capsys.readouterr().out.split("\n")[2:] == ["   1 of  2  profile", "   4 of  6  band", ""]


def test_a_net_is_not_taken_for_one_that_was_trained_otherwise(tmp_path: Path) -> None:
    planes = [plane((150, 150, RIBOSOME, 0.0), grey=np.tile(noise(0), (2, 2)))]
    training: dict[str, str | int] = {"planes": net2d.fingerprint(planes), "seed": 0, "updates": 1}
    net = net2d.train(planes, tmp_path / "0.pt", training=training)
    again = net2d.train([], tmp_path / "0.pt", training=training)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    moved = net2d.fingerprint([plane((151, 150, RIBOSOME, 0.0), grey=planes[0].grey)])
    for name, other in (("updates", 2), ("seed", 1), ("planes", moved)):
        with pytest.raises(InputError, match=f"trained with other {name}: delete"):
            net2d.train(planes, tmp_path / "0.pt", training={**training, name: other})


def test_data_without_planes_or_particles_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "real_slices_full"
    folder.mkdir()
    with pytest.raises(InputError, match=r"Expected files TS_.* found none: give as DATA the folder"):
        real_planes(tmp_path)
    np.save(folder / "TS_1_1_z010.npy", noise(0))
    with pytest.raises(InputError, match="Expected the true particles"):
        real_planes(tmp_path)
    table = tmp_path / "czii_train_picks.csv"
    table.write_text("experiment,particle_type,x,y,z\nTS_2_2,ribosome,500,600,100\n")
    with pytest.raises(InputError, match="Expected true particles of TS_1_1"):
        real_planes(tmp_path)
    table.write_text("experiment,particle_type,x,y,z\nTS_1_1,ribosome,500.6,600.72,100.12\n")
    assert real_planes(tmp_path)[0].particles == pytest.approx(np.array([[50, 60, RIBOSOME, 0]]))


def test_a_project_that_cannot_be_compared_is_one_sentence(project_folder: Path) -> None:
    with pytest.raises(InputError, match=r"Run run_000 of .* has no tomogram of type denoised .it has wbp.: simulate"):
        next(simulated_planes(project_folder, every=1))
    run, project = runs_of(project_folder)[0]
    with pytest.raises(InputError, match="is 32 x 96 x 96 voxels; expected at least 128 planes"):
        read_type(project, run, "wbp")


def test_bad_input_ends_a_script_without_a_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["script", "read", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"^Expected files"):
        run_step({"read": read_all, "other": read_all}, description=None)


def read_all(data: Path) -> None:
    """A script's step."""
    real_planes(data)
