"""Positions of particles in the tomograms of other simulators."""

import numpy as np

from runs.others.program import lay_out

SPEC = {"shape": (20, 60, 80), "voxel_size": 10.0, "components": [("small", 30, 40.0), ("large", 3, 90.0)]}


def test_balls_lie_inside_and_do_not_overlap() -> None:
    placed = lay_out(SPEC, np.random.default_rng(0))
    names = [name for name, _ in placed]
    assert names[:3] == ["large"] * 3
    assert names.count("small") > 10
    at, radii = np.array([zyx for _, zyx in placed]), np.where(np.array(names) == "large", 90.0, 40.0)
    assert (at >= radii[:, None]).all()
    assert (at + radii[:, None] <= (np.array(SPEC["shape"]) - 1) * 10.0).all()
    apart = np.linalg.norm(at[:, None] - at, axis=2) + 1e9 * np.eye(len(at))
    assert (apart > radii[:, None] + radii).all()


def test_the_same_seed_gives_the_same_positions() -> None:
    one, other = (lay_out(SPEC, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal([zyx for _, zyx in one], [zyx for _, zyx in other])
