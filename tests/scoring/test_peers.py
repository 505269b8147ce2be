"""The parts of benchmarks/peers that need no other picker."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import exchange
from benchmarks.peers.peers import ENVIRONMENTS, PEERS
from tomosoup.core.types import Volume

FOLDER = Path(exchange.__file__).parent


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_has_a_driver_and_an_environment(name: str) -> None:
    peer = PEERS[name]
    assert (FOLDER / "drivers" / f"{peer.driver}.py").is_file()
    assert peer.environment in {"", *ENVIRONMENTS}


def some_set(folder: Path) -> exchange.Set:
    plain = folder / "plain"
    plain.mkdir()
    np.save(plain / "run.npy", np.zeros((20, 24, 28), dtype=np.float32))
    (plain / "species.json").write_text('{"a": {"radius": 40, "weight": 1}, "b": {"radius": 30, "weight": 2}}')
    exchange.write_picks(
        plain / "truth.csv", [exchange.Pick("run", "b", 85, 125, 95, 1), exchange.Pick("run", "a", 205, 55, 105, 1)]
    )
    return exchange.Set(folder)


def test_positions_are_in_the_frame_of_our_volumes(tmp_path: Path) -> None:
    some = some_set(tmp_path)
    [first, _] = some.of("run")
    ours = Volume(np.zeros((1, 1, 1)), voxel_size=10.0, origin=(5.0, 5.0, 5.0))
    assert exchange.index_of(first) == pytest.approx(ours.to_voxel((first.z, first.y, first.x)))
    assert some.picks("run", "b", np.array([exchange.index_of(first)]), np.array([1.0])) == [first]


def test_a_particle_is_painted_as_a_ball_about_its_centre(tmp_path: Path) -> None:
    labels = some_set(tmp_path).balls("run", 1.0)
    found = np.argwhere(labels == 2)
    assert found.mean(0) == pytest.approx((9, 12, 8))
    assert np.linalg.norm(found - (9, 12, 8), axis=1).max() == pytest.approx(3)
    assert len(np.argwhere(labels == 1)) == pytest.approx(4 / 3 * np.pi * 4**3, rel=0.1)
    assert exchange.mean_within(labels == 2, np.array([[9, 12, 8]]), radius=3) == pytest.approx(1)


def test_the_best_candidates_of_each_species_are_kept() -> None:
    picks = [exchange.Pick("run", name, 0, 0, 0, score) for name in "ab" for score in (0.1, 0.3, 0.2)]
    kept = {(p.species, p.score) for p in exchange.best(picks, 2)}
    assert kept == {("a", 0.3), ("a", 0.2), ("b", 0.3), ("b", 0.2)}
