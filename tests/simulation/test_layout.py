from itertools import combinations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from tomosoup.core.errors import InputError
from tomosoup.core.types import Picks
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.options.specimen import LayoutOptions
from tomosoup.simulation.simulate import particle_number
from tomosoup.simulation.specimen.density_maps import support
from tomosoup.simulation.specimen.layout import Component, OccupancyGrid, placed_at, random_layout
from tomosoup.simulation.specimen.particles import structure_maps


def ball(radius: float) -> np.ndarray:
    grid = np.stack(np.meshgrid(*[np.arange(-20, 21) * 10.0] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid[np.linalg.norm(grid, axis=1) <= radius]


ROD = np.stack([np.zeros(31), np.zeros(31), np.arange(-15, 16) * 10.0], axis=1)
"""300 Å long and a voxel thick."""


def laid(*kinds: Component, shape: tuple[int, int, int] = (50, 90, 120), seed: int = 0, **options: object):
    grid = OccupancyGrid(shape, 10.0)
    return random_layout(kinds, grid, random=np.random.default_rng(seed), **options), grid


def voxels(matter: np.ndarray, picks: Picks, i: int) -> set[tuple[int, ...]]:
    assert picks.rotations is not None
    points = matter @ picks.rotations[i].T + picks.zyx[i]
    return set(map(tuple, np.floor(points / 10.0).astype(int)))


def clark_evans(zyx: np.ndarray, volume: float) -> float:
    """Mean distance to the nearest neighbour, over that of as many random places."""
    near = cKDTree(zyx).query(zyx, 2)[0][:, 1]
    return float(near.mean() / (0.55396 * (volume / len(zyx)) ** (1 / 3)))


def test_no_two_particles_share_a_voxel_and_all_are_inside() -> None:
    kinds = [Component("rod", ROD, 25, 1), Component("ball", ball(60.0), 20, 2)]
    found, grid = laid(*kinds)
    assert {n: len(p) for n, p in found.items()} == {"rod": 25, "ball": 20}
    sets = [voxels(kind.matter, found[kind.name], i) for kind in kinds for i in range(kind.count)]
    assert not any(a & b for a, b in combinations(sets, 2))
    everything = np.array(sorted(set().union(*sets)))
    assert (everything >= 0).all()
    assert (everything < grid.shape).all()


def test_long_particles_come_closer_than_their_bounding_balls() -> None:
    found, _ = laid(Component("rod", ROD, 60, 1), shape=(60, 60, 60))
    assert pdist(found["rod"].zyx).min() < 150  # balls of 150 Å would keep 300 apart


def test_the_layout_fills_the_room_it_has() -> None:
    found, grid = laid(Component("ball", ball(30.0), 60, 1))
    assert (np.ptp(found["ball"].zyx / grid.extent, axis=0) > 0.6).all()


def test_large_particles_find_room_whatever_the_order_they_are_named_in() -> None:
    found, _ = laid(Component("small", ball(20.0), 150, 1), Component("large", ball(190.0), 1, 2), shape=(50, 50, 50))
    assert list(found) == ["small", "large"]
    assert len(found["large"]) == 1


def test_orientations_are_uniform() -> None:
    found, _ = laid(Component("dot", np.zeros((1, 3)), 400, 1))
    rotations = found["dot"].rotations
    assert rotations is not None
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    # Each element has mean 0 and mean square 1/3; deviations of 400 means are 0.029 and 0.015.
    assert np.abs(rotations.mean(axis=0)).max() < 0.12
    assert np.abs((rotations**2).mean(axis=0) - 1 / 3).max() < 0.06


@pytest.mark.parametrize(("count", "side"), [(50, 60), (1, 20)], ids=["crowded", "too small"])
def test_too_many_particles_are_named_and_counted(count: int, side: int) -> None:
    with pytest.raises(
        InputError, match=rf"Only \d+ of {count} ball .* lower the `concentration`, or enlarge the `shape`"
    ) as raised:
        laid(Component("ball", ball(110.0), count), shape=(side, side, side))
    fitted = int(str(raised.value).split()[1])
    assert fitted < count
    assert (fitted > 0) == (side > 30)


def test_clusters_are_clusters_and_have_their_spread() -> None:
    dot = Component("dot", np.zeros((1, 3)), 200, 1)
    shape = (100, 300, 300)
    volume = 1e3 * 3e3 * 3e3
    alone, _ = laid(dot, shape=shape)
    tight, loose = (
        laid(dot, shape=shape, recipe=LayoutOptions(cluster_size={"dot": 5}, cluster_spread={"dot": spread}))[0]
        for spread in (40.0, 150.0)
    )
    assert clark_evans(alone["dot"].zyx, volume) == pytest.approx(1.0, abs=0.12)
    assert clark_evans(tight["dot"].zyx, volume) < 0.4
    assert 0.4 < clark_evans(loose["dot"].zyx, volume) < 0.85


def test_particles_that_a_full_cluster_has_no_room_for_go_elsewhere() -> None:
    recipe = LayoutOptions(cluster_size={"ball": 30}, cluster_spread={"ball": 1.0})
    found, _ = laid(Component("ball", ball(60.0), 20, 1), recipe=recipe)
    assert len(found["ball"]) == 20


def test_depths_are_those_of_the_recipe() -> None:
    recipe = LayoutOptions(depth={"dot": (0.3, 0.1)})
    found, grid = laid(
        Component("dot", np.zeros((1, 3)), 500), Component("other", np.zeros((1, 3)), 500), recipe=recipe
    )
    share = found["dot"].zyx[:, 0] / grid.extent[0]
    assert share.mean() == pytest.approx(0.3, abs=0.02)
    assert share.std() == pytest.approx(0.1, abs=0.02)
    assert found["other"].zyx[:, 0].std() / grid.extent[0] == pytest.approx(1 / 12**0.5, abs=0.03)


def test_centres_stay_in_the_slab() -> None:
    found, _ = laid(Component("ball", ball(20.0), 100), slab=(200.0, 300.0))
    z = found["ball"].zyx[:, 0]
    assert 200 <= z.min() < 220
    assert 280 < z.max() <= 300


@pytest.mark.parametrize(
    "layout",
    [LayoutOptions(cluster_size={"dot": 5}), LayoutOptions(depth={"dot": (0.3, 0.2)})],
    ids=["clusters", "depths"],
)
def test_clusters_and_depths_do_not_reach_out_of_the_ice(layout: LayoutOptions) -> None:
    ice = (220.0, 280.0)
    found, _ = laid(Component("dot", np.zeros((1, 3)), 100), slab=ice, recipe=layout)
    z = found["dot"].zyx[:, 0]
    assert ice[0] <= z.min() < z.max() <= ice[1]


def test_given_particles_stay_where_they_are_even_on_top_of_each_other_and_across_the_border() -> None:
    grid = OccupancyGrid((30, 30, 30), 10.0)
    zyx = np.array([(150.0, 150.0, 150.0), (155.0, 150.0, 150.0), (-40.0, 150.0, 290.0), (900.0, 0.0, 0.0)])
    turns = np.stack([np.eye(3)] * 4)
    given = {"a": Picks(zyx, np.ones(4), turns), "b": Picks.of([(60.0, 60.0, 60.0)])}
    kinds = [Component("a", ball(50.0), 0, 1), Component("b", ball(50.0), 0, 2)]
    found = placed_at(given, kinds, grid, random=np.random.default_rng(0))
    np.testing.assert_array_equal(found["a"].zyx, zyx)
    np.testing.assert_array_equal(found["a"].rotations, turns)
    drawn = found["b"].rotations
    assert drawn is not None
    np.testing.assert_allclose(drawn[0] @ drawn[0].T, np.eye(3), atol=1e-9)
    assert np.abs(drawn[0] - np.eye(3)).max() > 0.1
    assert grid.labels[15, 15, 15] == 1
    assert grid.labels[0, 15, 28] == 1
    assert grid.labels[6, 6, 6] == 2


def test_given_particles_are_labelled_as_they_are_turned() -> None:
    grid = OccupancyGrid((50, 50, 50), 10.0)
    turn = np.array([[1.0, 0, 0], [0, np.cos(1.0), -np.sin(1.0)], [0, np.sin(1.0), np.cos(1.0)]])  # about z
    given = {"rod": Picks(np.array([[255.0, 255.0, 255.0]]), np.ones(1), turn[None])}
    placed_at(given, [Component("rod", ROD, 0, 1)], grid, random=np.random.default_rng(0))
    end = np.array([255.0, 255.0, 255.0]) + 140 * turn @ (0, 0, 1)
    assert grid.labels[tuple((end / 10).astype(int))] == 1
    y, x = np.nonzero(grid.labels[25])
    assert np.polyfit(x, y, 1)[0] == pytest.approx(-np.tan(1.0), abs=0.1)
    assert set(np.nonzero(grid.labels)[0]) == {25}


def test_what_is_outside_is_not_labelled_at_the_border() -> None:
    grid = OccupancyGrid((30, 30, 30), 10.0)
    zyx = np.array([[-35.0, 155.0, 285.0]])
    given = {"a": Picks(zyx, np.ones(1), np.eye(3)[None])}
    placed_at(given, [Component("a", ball(50.0), 0, 1)], grid, random=np.random.default_rng(0))
    wanted = {v for v in map(tuple, np.floor((ball(50.0) + zyx) / 10).astype(int)) if min(v) >= 0 and max(v) < 30}
    assert set(map(tuple, np.argwhere(grid.labels))) == wanted


def test_labels_have_the_volume_of_the_shape_at_any_turn() -> None:
    brick = np.stack(np.meshgrid(*(np.arange(-n, n + 1) * 10.0 for n in (2, 5, 8)), indexing="ij"), axis=-1)
    for matter in (ball(80.0), brick.reshape(-1, 3)):
        _, grid = laid(Component("a", matter, 5, 3))
        assert (grid.labels == 3).sum() / 5 == pytest.approx(len(matter), rel=0.1)
        assert set(np.unique(grid.labels)) == {0, 3}


def test_numbers_vary_about_the_concentration_as_the_recipe_says() -> None:
    recipe = SimulationRecipe(
        shape=(100, 300, 300), concentration={"a": 4000.0, "b": 4000.0}, layout=LayoutOptions(variation={"a": 0.4})
    )
    grid, random = OccupancyGrid(recipe.shape, recipe.voxel_size), np.random.default_rng(0)
    numbers = [particle_number(recipe, "a", grid.extent, random=random) for _ in range(400)]
    assert np.mean(numbers) == pytest.approx(36, rel=0.06)
    assert np.std(numbers) == pytest.approx(0.4 * 36, rel=0.15)
    assert {particle_number(recipe, "b", grid.extent, random=random) for _ in range(5)} == {36}


def test_the_contests_layout_is_like_that_of_its_annotated_runs() -> None:
    recipe = SimulationRecipe.read("contest")
    maps = structure_maps(list(recipe.concentration), recipe)
    matter = {name: support(density, voxel_size=recipe.voxel_size) for name, density in maps.items()}
    places: dict[str, list[np.ndarray]] = {name: [] for name in maps}
    for seed in range(12):
        random, grid = np.random.default_rng(seed), OccupancyGrid(recipe.shape, recipe.voxel_size)
        kinds = [Component(n, m, particle_number(recipe, n, grid.extent, random=random), 1) for n, m in matter.items()]
        for name, picks in random_layout(kinds, grid, random=random, recipe=recipe.layout).items():
            places[name].append(picks.zyx)
    # Of the seven annotated runs: mean number, median distance to the nearest of the kind, Clark-Evans index.
    real = {
        "apo-ferritin": (53.6, 130, 0.53),
        "beta-amylase": (12.4, 859, 1.00),
        "beta-galactosidase": (16.0, 761, 0.94),
        "ribosome": (47.3, 300, 0.59),
        "thyroglobulin": (35.9, 589, 0.89),
        "virus-like-particle": (16.1, 783, 0.95),
    }
    volume = float(np.prod(grid.extent))
    for name, (number, median, index) in real.items():
        near = np.concatenate([cKDTree(p).query(p, 2)[0][:, 1] for p in places[name]])
        assert np.mean([len(p) for p in places[name]]) == pytest.approx(number, rel=0.3)
        assert np.median(near) == pytest.approx(median, rel=0.5)
        within = 0.25 if index > 0.8 else 0.1
        assert np.mean([clark_evans(p, volume) for p in places[name]]) == pytest.approx(index, abs=within)
