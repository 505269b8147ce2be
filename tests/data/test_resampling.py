from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import segmenting
from torch import Tensor
from torch_fourier_rescale import fourier_rescale_3d

from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.core.types import SlicesOf, Species, Volume
from tomosoup.data.options import AnnotatedData
from tomosoup.data.project import open_project
from tomosoup.data.volumes.resampling import CLOSE, resampled, resampling_message, simple_fraction, weights
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PeakOptions, PickingPlan, SegmentationOptions
from tomosoup.inference.pick import pick
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.sliding_window import as_models_expect
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.training.supervision.crops import read_examples

PLACE = (203.3, 251.1, 188.8)


def bump(shape: tuple[int, int, int], voxel_size: float, origin: tuple[float, float, float]) -> Volume:
    """A Gaussian of 40 Å at `PLACE`."""
    empty = Volume(torch.empty(shape), voxel_size, origin)
    squares = ((empty.to_angstrom(np.moveaxis(np.indices(shape), 0, -1)) - PLACE) ** 2).sum(-1)
    return replace(empty, data=torch.from_numpy(np.exp(-squares / 2 / 40**2)).float())


@pytest.mark.parametrize("first_voxel", [0.5, 0.0, -0.5])
@pytest.mark.parametrize("voxel_size", [4.0, 5.0, 7.84, 10.012, 13.48, 20.0])
def test_a_particle_is_found_at_the_same_place_whatever_the_voxels(voxel_size: float, first_voxel: float) -> None:
    n, start = round(400 / voxel_size), first_voxel * voxel_size
    volume = resampled(bump((n, n + 3, n - 2), voxel_size, (start, start, start)), 10.0)
    assert volume.voxel_size == pytest.approx(10.0, rel=CLOSE)
    (found,) = find_peaks(replace(volume, data=volume.data[None]), [Species("a", 60.0)]).values()
    assert len(found) == 1
    np.testing.assert_allclose(found.zyx[0], PLACE, atol=0.25)


@pytest.mark.parametrize("ratio", [Fraction(1, 3), Fraction(2), Fraction(14, 11), Fraction(17, 4)])
@pytest.mark.parametrize("n", [2, 3, 40, 101])
def test_a_constant_stays_constant_and_a_far_mean_does_not_ripple(ratio: Fraction, n: int) -> None:
    torch.testing.assert_close(weights(n, ratio) @ torch.full((n,), 1e4), torch.full((-(-n // ratio),), 1e4))


def test_fractions_are_simple_and_close() -> None:
    for ratio in np.geomspace(0.26, 19, 200):
        assert abs(simple_fraction(ratio) / ratio - 1) <= 0.005
    assert simple_fraction(2.004) == 2
    assert simple_fraction(10 / 7.84).denominator < 12


@pytest.mark.parametrize("size", [20.0, 5.0])
def test_a_smooth_volume_is_that_of_a_fourier_crop_or_pad(size: float) -> None:
    """Of teamtomo's, whose edges wrap round: away from the faces."""
    waves = torch.fft.rfftn(torch.randn(48, 48, 48))
    frequency = np.sqrt(sum(f**2 for f in np.meshgrid(*[np.fft.fftfreq(48)] * 2, np.fft.rfftfreq(48), indexing="ij")))
    smooth = torch.fft.irfftn(waves * torch.from_numpy(frequency < 0.2), s=(48, 48, 48)).float()
    ours = resampled(Volume(smooth, 10.0), size).data
    wrapped, _ = fourier_rescale_3d(smooth, 10.0, size)
    edge = len(ours) // 4
    inner = (slice(edge, -edge),) * 3
    # teamtomo's keeps the centre (voxel n // 2) in its place, ours voxel 0: with even factors they agree
    assert float((ours - wrapped)[inner].square().mean().sqrt() / wrapped.std()) < 0.02


class Watched(SlicesOf):
    """Slices that remember which were read, and how many at a time."""

    def __init__(self, source: Volume) -> None:
        super().__init__(source)
        object.__setattr__(self, "read", [])

    read: list[range]

    def slices(self, start: int, stop: int) -> Tensor:
        self.read.append(range(start, stop))
        return self.source.slices(start, stop)


def test_the_source_is_read_once_a_few_slices_at_a_time() -> None:
    watched = Watched(Volume(torch.randn(43, 8, 8), 5.0))
    resampled(watched, 10.0)
    assert [z for part in watched.read for z in part] == list(range(43))
    assert max(map(len, watched.read)) <= 8


def test_voxels_of_the_models_size_are_left_on_disk(checkpoint: Checkpoint) -> None:
    told: list[str] = []
    for size in (10.0, 10.012, 9.85):
        source = Watched(Volume(torch.randn(4, 8, 8), size))
        assert as_models_expect(source, [checkpoint], nets=Nets(log=told.append)) is source
        assert not source.read
    assert not told


@pytest.mark.parametrize("labels", [False, True])
def test_picks_are_those_of_the_resampled_tomogram(checkpoint: Checkpoint, labels: bool) -> None:
    model = segmenting(checkpoint, seed=1) if labels else checkpoint
    volume = Volume(torch.randn(32, 96, 96), 5.0, (2.5, 2.5, 2.5))
    plan = PickingPlan(peaks=PeakOptions(floor=1e-3), segmentation=SegmentationOptions(method="peaks"))
    found, expected = pick(volume, model, plan=plan), pick(resampled(volume, 10.0), model, plan=plan)
    for name, picks in expected.items():
        np.testing.assert_array_equal(found[name].zyx, picks.zyx)
    assert sum(map(len, found.values()))


def test_checkpoints_of_two_voxel_sizes_do_not_pick_together(checkpoint: Checkpoint) -> None:
    other = replace(checkpoint, voxel_size=7.84)
    with pytest.raises(InputError, match=r"voxels of 10 Å and of 7.84 Å: pick with each alone"):
        pick(Volume(torch.randn(16, 64, 64), 10.0), [checkpoint, other])


@pytest.mark.parametrize("size", [0.4, 41.0])
def test_voxel_sizes_that_cannot_be_are_refused(size: float) -> None:
    with pytest.raises(InputError, match=r"cannot be resampled to 10 Å.*give the true `voxel_size`"):
        resampled(Volume(torch.zeros(4, 4, 4), size), 10.0)


def test_far_sizes_are_doubted() -> None:
    assert "check `voxel_size`" in resampling_message(2.0, 10.0)
    assert "bring no detail back" in resampling_message(16.0, 10.0)
    for near in (2.6, 7.84, 14.0):
        assert resampling_message(near, 10.0).endswith("the voxel size of the training")


def test_resampling_is_told_once(checkpoint: Checkpoint) -> None:
    told: list[str] = []
    nets = Nets(InferenceOptions(), log=told.append)
    for size in (5.0, 5.0, 7.84):
        as_models_expect(Volume(torch.zeros(4, 4, 4), size), [checkpoint], nets=nets)
    assert [line.split()[4] for line in told] == ["5", "7.84"]


def test_the_command_resamples_and_says_so_once(project: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pick", str(project), "--model", str(model), "--voxel-size", "7.84"])
    assert capsys.readouterr().out.count("Tomograms with voxels of 7.84 Å are resampled to 10 Å") == 1


def test_training_tomograms_are_resampled_and_their_picks_stay(project: Path) -> None:
    opened = open_project(project)
    data = AnnotatedData(runs=("run_000",))
    (as_it_is,), (other,) = (read_examples(opened, data, voxel_size=size) for size in (10.0, 20.0))
    assert other.volume.shape == tuple(-(-n // 2) for n in as_it_is.volume.shape)
    for name, picks in as_it_is.truth.items():
        np.testing.assert_array_equal(other.truth[name].zyx, picks.zyx)
    # what stands at a place in Å stands there still, to the blur
    place = other.volume.to_voxel(as_it_is.volume.to_angstrom((16, 40, 40)))
    np.testing.assert_allclose(place, (8, 20, 20))
