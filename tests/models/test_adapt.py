"""A net for other species: what it knew it keeps, where it knew it."""

from dataclasses import replace

import pytest
import torch
from small_models import A1, B, segmenting

from tomosoup.core.types import Species
from tomosoup.models.adapt import class_axes, for_species
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.nets.options import Architecture

NEW = Species("proteasome", 80.0)


def outputs(checkpoint: Checkpoint) -> torch.Tensor:
    x = torch.randn(1, 1, 16, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        result: torch.Tensor = checkpoint.net()(x)
    return result


def test_the_same_species_in_the_same_order_change_nothing(checkpoint: Checkpoint) -> None:
    assert for_species(checkpoint, list(checkpoint.species)) is checkpoint


def test_a_species_that_is_known_gives_the_same_map_in_its_new_channel(checkpoint: Checkpoint) -> None:
    first, *others = checkpoint.species
    torch.manual_seed(1)
    adapted = for_species(checkpoint, [*others, NEW, first])
    before, after = outputs(checkpoint), outputs(adapted)
    torch.testing.assert_close(after[:, : len(others)], before[:, 1:])
    torch.testing.assert_close(after[:, -1], before[:, 0])


def test_the_background_of_a_segmentation_model_stays_the_first_channel(checkpoint: Checkpoint) -> None:
    start = segmenting(checkpoint, seed=0)
    before, after = outputs(start), outputs(for_species(start, start.species[::-1]))
    torch.testing.assert_close(after[:, 0], before[:, 0])
    torch.testing.assert_close(after[:, 1:], before[:, 1:].flip(1))


def test_what_belonged_to_the_old_weights_is_left_behind(checkpoint: Checkpoint) -> None:
    adapted = for_species(checkpoint, [NEW])
    assert adapted.species == (NEW,)
    assert not adapted.thresholds
    assert not adapted.mixed_thresholds
    assert not adapted.calibration


def test_a_species_is_known_by_its_name_and_not_by_its_radius(checkpoint: Checkpoint) -> None:
    larger = [replace(s, radius=2 * s.radius) for s in checkpoint.species]
    adapted = for_species(checkpoint, larger)
    assert adapted.species == tuple(larger)
    torch.testing.assert_close(outputs(adapted), outputs(checkpoint))


@pytest.mark.parametrize("architecture", [A1, B], ids=["heatmaps", "segments"])
def test_only_the_last_layers_rows_are_longer_for_more_classes(architecture: Architecture) -> None:
    axes = class_axes(architecture)
    by_class = {name: found for name, found in axes.items() if found}
    assert by_class
    assert len(by_class) < len(axes) / 4
    assert all(found[0] == 0 or found == [1] for found in by_class.values())
