from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.checkpoints import Checkpoint
from tomosoup.errors import InputError
from tomosoup.io.project import open_project
from tomosoup.prediction import all_species, all_thresholds, best_device, pick, pick_project
from tomosoup.recipes.picking import PeakRecipe
from tomosoup.types import Species, Volume

LOW = PeakRecipe(floor=1e-3)


@pytest.mark.parametrize("shape", [(20, 70, 90), (5, 20, 130), (16, 64, 64)])
def test_any_size_can_be_picked_also_below_a_window(checkpoint: Checkpoint, shape: tuple[int, int, int]) -> None:
    volume = Volume(torch.randn(shape), 10.0, (5.0, 5.0, 5.0))
    picks = pick(volume, checkpoint, peaks=LOW)
    assert list(picks) == [s.name for s in checkpoint.species]
    for found in picks.values():
        assert len(found)
        inside = volume.to_voxel(found.zyx)
        assert (inside > -0.51).all()
        assert (inside < np.array(shape) - 0.49).all()


def test_an_ensemble_of_one_net_twice_is_that_net(checkpoint: Checkpoint) -> None:
    volume = Volume(torch.randn(16, 64, 96), 10.0)
    alone, twice = pick(volume, checkpoint, peaks=LOW), pick(volume, [checkpoint, checkpoint], peaks=LOW)
    for name, found in alone.items():
        np.testing.assert_allclose(twice[name].zyx, found.zyx, atol=1e-2)
        np.testing.assert_allclose(twice[name].score, found.score, rtol=1e-5)


def test_an_ensemble_maps_channels_by_name(checkpoint: Checkpoint) -> None:
    volume = Volume(torch.randn(16, 64, 64), 10.0)
    swapped = replace(checkpoint, species=checkpoint.species[::-1])
    alone, other = pick(volume, checkpoint, peaks=LOW), pick(volume, swapped, peaks=LOW)
    a, b = (s.name for s in checkpoint.species)
    np.testing.assert_allclose(alone[a].zyx, other[b].zyx)
    both = pick(volume, [checkpoint, swapped], peaks=LOW)
    np.testing.assert_allclose(both[a].score, both[b].score, rtol=1e-5)  # both are the mean of the two channels


def test_a_tomogram_of_other_voxels_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(InputError, match=r"voxels of 7.84 Å and the checkpoint was trained at 10 Å: .*--voxel-size"):
        pick(Volume(torch.randn(16, 64, 64), 7.84), checkpoint)
    assert pick(Volume(torch.randn(16, 64, 64), 10.012), checkpoint) is not None


@pytest.mark.parametrize("shape", [(64, 64), (0, 64, 64), (1, 16, 64, 64)])
def test_what_is_no_volume_is_refused(checkpoint: Checkpoint, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"Expected a volume \(z, y, x\)"):
        pick(Volume(torch.zeros(shape), 10.0), checkpoint)


def test_species_that_disagree_are_named_and_thresholds_averaged(checkpoint: Checkpoint) -> None:
    other = replace(checkpoint, species=(Species("apo-ferritin", 61.0),), thresholds={"apo-ferritin": 0.2})
    with pytest.raises(InputError, match="disagree on the radius or weight of apo-ferritin"):
        all_species([checkpoint, other])
    assert all_thresholds([checkpoint, other]) == pytest.approx({"apo-ferritin": 0.3, "beta-amylase": 0.4})


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(InputError, match="There is no device 'warp'"):
        best_device("warp")
    assert best_device("cpu").type == "cpu"


def test_progress_reaches_its_end_over_runs_and_models(checkpoint: Checkpoint, project_folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    pick_project(
        open_project(project_folder),
        [checkpoint, checkpoint],
        progress=lambda _, done, total: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1]
    assert all(a <= b for (a, _), (b, _) in pairwise(seen))
