"""Several sets of picks become one, and it is known who found what."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from conftest import refused

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.project import open_project
from tomosoup.scoring.merging import counts_by_sets, merge_picks

FIRST = {"TS_1": {"a": Picks(np.array([[0.0, 0, 0], [0, 0, 100], [0, 0, 200]]), np.array([0.9, 0.2, 0.5]))}}
SECOND = {
    "TS_1": {"a": Picks(np.array([[0.0, 0, 104], [0, 0, 300]]), np.array([20.0, 10.0]))},
    "TS_2": {"a": Picks(np.array([[5.0, 5, 5]]), np.array([30.0]))},
}


def places(at_least: int) -> dict[str, list[float]]:
    merged = merge_picks([FIRST, SECOND], {"a": 10.0}, at_least=at_least)
    return {run: sorted(those["a"].picks.zyx[:, 2].tolist()) for run, those in merged.items()}


def test_one_set_is_the_union_and_all_sets_the_intersection() -> None:
    assert places(1) == {"TS_1": [0, 102, 200, 300], "TS_2": [5]}
    assert places(2) == {"TS_1": [102], "TS_2": []}


def test_a_score_is_the_mean_rank_over_all_sets() -> None:
    merged = merge_picks([FIRST, SECOND], {"a": 10.0})["TS_1"]["a"]
    found = dict(zip(merged.picks.zyx[:, 2].tolist(), merged.picks.score.tolist(), strict=True))
    assert found == pytest.approx({0: 3 / 3 / 2, 102: (1 / 3 + 2 / 3) / 2, 200: 2 / 3 / 2, 300: 1 / 3 / 2})
    assert (np.diff(merged.picks.score) <= 0).all()


def test_it_is_known_which_sets_found_a_particle() -> None:
    merged = merge_picks([FIRST, SECOND], {"a": 10.0})
    assert counts_by_sets(merged, ["mine", "theirs"]) == {("mine",): 2, ("theirs",): 2, ("mine", "theirs"): 1}


def test_a_pick_goes_to_one_particle_alone_and_the_distance_is_inclusive() -> None:
    pair = {"r": {"a": Picks(np.array([[0.0, 0, 0], [0, 0, 12]]), np.array([2.0, 1.0]))}}
    one = {"r": {"a": Picks.of([[0, 0, 6]])}}
    merged = merge_picks([pair, one], {"a": 6.0})["r"]["a"]
    assert sorted(merged.picks.zyx[:, 2].tolist()) == [3, 12]
    assert len(merge_picks([pair, one], {"a": 5.99})["r"]["a"].picks) == 3


def test_the_order_of_the_sets_does_not_move_particles() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 1000, (200, 3))
    sets = [{"r": {"a": Picks(truth + rng.normal(0, 3, truth.shape), rng.random(200))}} for _ in range(3)]
    forward, backward = (merge_picks(s, {"a": 15.0}, at_least=2)["r"]["a"] for s in (sets, sets[::-1]))
    assert np.allclose(np.sort(forward.picks.zyx, axis=0), np.sort(backward.picks.zyx, axis=0))
    assert len(forward.picks) >= 195
    assert np.array_equal(forward.found_by.sum(1), backward.found_by.sum(1))


@pytest.mark.parametrize("at_least", [0, 3])
def test_more_sets_than_there_are_cannot_agree(at_least: int) -> None:
    with pytest.raises(InputError, match=f"between 1 and the number of sets, 2, got {at_least}"):
        merge_picks([FIRST, SECOND], {"a": 10.0}, at_least=at_least)


HEADER = "experiment,particle_type,x,y,z,score\n"


def test_the_command_writes_who_found_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(HEADER + "TS_1,ribosome,100,100,100,0.9\nTS_1,ribosome,900,100,100,0.4\n")
    Path("b.csv").write_text(HEADER + "TS_1,ribosome,110,100,100,55\n")
    Path("far.csv").write_text(HEADER + "TS_01,dot,10,10,10,1\n")
    main(["merge", "a.csv", "b.csv", "-o", "m.csv"])
    assert Path("m.csv").read_text().splitlines() == [
        "experiment,particle_type,x,y,z,score,found_by",
        "TS_1,ribosome,105,100,100,1,a.csv;b.csv",
        "TS_1,ribosome,900,100,100,0.25,a.csv",
    ]
    main(["merge", "m.csv", "b.csv", "-o", "again.csv", "--distance", "4"])
    assert len(Path("again.csv").read_text().splitlines()) == 4
    capsys.readouterr()
    main(["merge", "a.csv", "far.csv", "-o", "far-too.csv", "--distance", "9"])
    assert "far.csv has no run of the other sets (it has TS_01, they have TS_1)" in capsys.readouterr().out
    assert "The radius of dot is not known" in refused(["merge", "a.csv", "far.csv", "-o", "x.csv"], capsys)
    assert "a.csv is named twice" in refused(["merge", "a.csv", "a.csv", "-o", "x.csv"], capsys)
    assert not Path("x.csv").exists()


def test_merged_particles_are_kept_by_mask_run_and_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text(HEADER + "TS_1,a,100,55,55,0.9\nTS_1,a,250,55,55,0.4\nTS_2,a,55,55,50,0.8\n")
    Path("b.csv").write_text(HEADER + "TS_1,a,140,55,55,55\n")
    inside = np.zeros((20, 20, 30), np.int8)
    inside[:, :, :13] = 1
    mrcfile.write("TS_1.mrc", inside, voxel_size=10)
    words = ["merge", "a.csv", "b.csv", "--distance", "45", "-o", "m.csv", "--overwrite", "--mask", "{run}.mrc"]
    assert "Run TS_2 has no mask" in refused(words, capsys)
    assert not Path("m.csv").exists()
    assert "None of the sets has picks of run TS_3" in refused([*words, "--runs", "TS_3"], capsys)
    main([*words, "--runs", "TS_1"])
    assert "1 of 2 particles are where the mask allows them" in capsys.readouterr().out
    assert Path("m.csv").read_text().splitlines() == [
        "experiment,particle_type,x,y,z,score,found_by,mask_distance",
        "TS_1,a,120,55,55,1,a.csv;b.csv,10.0",
    ]
    main([*words[:-2], "--threshold", "a=0.5"])
    assert Path("m.csv").read_text().count("TS_1") == 1


def test_a_set_of_a_project_is_named_after_a_colon(project: Path, tmp_path: Path) -> None:
    config = project / "copick_config.json"
    truth = next(str(key) for key in open_project(config).pick_sets("run_000"))
    named = f"{config}:{truth}"
    main(["export", str(config), "--picks-set", truth, "--format", "csv", "-o", str(tmp_path / "t.csv")])
    main(["merge", named, str(tmp_path / "t.csv"), "--at-least", "2", "-o", str(tmp_path / "m.csv")])
    picks, merged = read_csv(tmp_path / "t.csv"), read_csv(tmp_path / "m.csv")
    assert {r: {n: len(p) for n, p in s.items()} for r, s in merged.items()} == {
        r: {n: len(p) for n, p in s.items()} for r, s in picks.items()
    }
