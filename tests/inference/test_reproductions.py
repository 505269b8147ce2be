"""The commands of the pages "Reproduce the 4th place" and "Reproduce the 8th place", on small stand-ins.

The commands are the pages' own. The tomograms are small simulated ones in the contest's layout; the networks are
untrained ones of the right form. What comes out is held against the same steps in plain loops.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from monai.networks.nets import UNet
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import label, regionprops
from skimage.segmentation import watershed
from small_models import A1, A2

from tomosoup.cli.main import main
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Species
from tomosoup.data.options import DataOptions, Normalisation
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.inference.tiling.windows import window_weight
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.convert import A1_SPECIES
from tomosoup.models.nets.build import build_net
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.project import simulate

PAGES = next(folder for folder in Path(__file__).parents if (folder / "zensical.toml").exists()) / "docs" / "data"
ALIKE = ["--device", "cpu", "--precision", "fp32", "--engine", "torch"]
"""Two programs agree to the last bits of fp32 only where nothing is rounded further."""
Table = NDArray[np.float64]


def page_commands(page: str, name: str) -> Iterator[list[str]]:
    """The words of a page's `tomosoup NAME` commands."""
    text = re.sub(r" \\\n +", " ", (PAGES / page).read_text())
    for line in re.findall(rf"^ {{4}}tomosoup {name} (.*)$", text, flags=re.MULTILINE):
        yield [name, *shlex.split(line, comments=True)]


@pytest.fixture
def czii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The folder of the contest's test tomograms, as a download leaves it, in the current folder: one small run."""
    recipe = SimulationRecipe(
        shape=request.param,
        concentration={"apo-ferritin": 15000.0},
        microscope=MicroscopeOptions(tilt_step=20.0),
    )
    simulate(tmp_path / "made", recipe, runs=1, contest=True)
    (tmp_path / "czii" / "test").mkdir(parents=True)
    (tmp_path / "made" / "static").rename(tmp_path / "czii" / "test" / "static")
    (tomogram,) = (tmp_path / "czii" / "test" / "static").rglob("wbp.zarr")
    tomogram.rename(tomogram.with_name("denoised.zarr"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "czii" / "test"


def grey_values(folder: Path) -> tuple[str, torch.Tensor]:
    project = open_project(folder)
    (run,) = project.runs
    tomogram = select_tomogram(project, run, DataOptions(tomo_type="denoised", voxel_size=10.012))
    return run, tomogram.slices(0, tomogram.shape[0])


def submitted(path: Path, run: str) -> dict[str, Table]:
    """Positions `(n, 3)` by species, x y z, sorted."""
    table = pd.read_csv(path)
    assert list(table.columns) == ["id", "experiment", "particle_type", "x", "y", "z"]
    assert list(table["id"]) == list(range(len(table)))
    assert set(table["experiment"]) == {run}
    return {str(name): in_order(part[["x", "y", "z"]].to_numpy()) for name, part in table.groupby("particle_type")}


def in_order(positions: Table) -> Table:
    return np.array(sorted(map(tuple, positions.round(3)))).reshape(-1, 3)


def windows_mean(net: torch.nn.Module, volume: torch.Tensor, *, depth: int, channels: int) -> torch.Tensor:
    """A net over windows of depth x 128 x 128, half of the depth and 48 voxels apart, weighted.

    Zeros are past the ends: in the plane at the far end, along z as many at either end.
    """
    stride, window = (depth // 2, 48, 48), (depth, 128, 128)
    counts = [max(0, -(-(n - w) // s)) + 1 for n, w, s in zip(volume.shape, window, stride, strict=True)]
    padded = [s * (c - 1) + w for s, c, w in zip(stride, counts, window, strict=True)]
    (z, y, x), whole = volume.shape, torch.zeros(padded)
    first = (padded[0] - z) // 2
    whole[first : first + z, :y, :x] = volume
    total, weights = torch.zeros(channels, *padded), torch.zeros(padded)
    weight = window_weight(WindowPlan(shape=window, stride=stride, weighting="pyramid"))
    for i, j, k in np.ndindex(*counts):
        at = tuple(slice(n * s, n * s + w) for n, s, w in zip((i, j, k), stride, window, strict=True))
        total[(slice(None), *at)] += net(whole[at][None, None])[0] * weight
        weights[at] += weight
    return (total / weights)[:, first : first + z, :y, :x]


def stand_in(file: Path, *, species: tuple[Species, ...], deep: bool) -> Checkpoint:
    """An untrained small net of yu4u's or tattaka's form, saved under a name of the page."""
    torch.manual_seed(sum(file.name.encode()))
    recipe = A2 if deep else A1
    net = build_net(recipe, classes=len(species))
    for name, value in net.named_parameters():
        if name.startswith("head") and name.endswith("weight"):
            torch.nn.init.normal_(value, std=2.0 if deep else 25.0)  # heads start small; these are to find something
    made = Checkpoint(
        weights=net.state_dict(),
        architecture=recipe,
        species=species,
        voxel_size=10.012,
        windows=WindowPlan(shape=(32 if deep else 16, 128, 128), stride=(8, 48, 48), weighting="pyramid"),
        normalisation=Normalisation(),
    )
    made.save(file)
    return made


def highest(channel: torch.Tensor) -> torch.Tensor:
    """Which voxels are the maximum of the 7-voxel cube about them."""
    return channel == F.max_pool3d(channel[None], 7, 1, 3)[0]


def between_peaks(channel: torch.Tensor) -> float:
    """A threshold in the widest gap between the middle half of a map's peaks, above 0.05: no rounding moves a peak."""
    heights = channel[highest(channel) & (channel > 0.05)].sort().values
    middle = heights[len(heights) // 4 : -len(heights) // 4]
    widest = int(middle.diff().argmax())
    return float(middle[widest : widest + 2].mean())


@pytest.mark.parametrize("czii", [(24, 128, 128)], indirect=True)
@torch.inference_mode()
def test_the_submitted_ensemble_of_the_4th_place(czii: Path) -> None:
    (words,) = page_commands("reproduce-4th-place.md", "pick")
    files = [Path(word) for word in words if word.endswith(".safetensors")]
    assert [f.stem for f in files if "yu4u" in f.stem] == [f"yu4u-fold{k}" for k in (2, 3, 4, 6)]
    assert sum("tattaka" in f.stem for f in files) == 3
    theirs = tuple(next(s for s in CONTEST_SPECIES if s.name == name) for name in A1_SPECIES)
    models = {
        f: stand_in(f, species=CONTEST_SPECIES if "tat" in f.stem else theirs, deep="tat" in f.stem) for f in files
    }
    run, volume = grey_values(czii)
    volume = (volume - volume.mean()) / volume.std(correction=0)
    mean = torch.zeros(len(CONTEST_SPECIES), *volume.shape)
    for model in models.values():
        heatmap = windows_mean(model.net(), volume, depth=model.windows.shape[0], channels=len(CONTEST_SPECIES))
        mean += heatmap[[model.species.index(kind) for kind in CONTEST_SPECIES]] / 7
    thresholds = {kind.name: between_peaks(channel) for kind, channel in zip(CONTEST_SPECIES, mean, strict=True)}
    for file, model in models.items():
        replace(model, thresholds=thresholds).save(file)
    main([*words, *ALIKE])
    found = submitted(Path("submission.csv"), run)
    for kind, channel in zip(CONTEST_SPECIES, mean, strict=True):
        peaks = highest(channel) & (channel >= thresholds[kind.name])
        expected = (np.argwhere(peaks.numpy())[:, ::-1] + 0.5 - 1.0) * 10.012
        assert len(expected)
        np.testing.assert_allclose(found[kind.name], in_order(expected), atol=2e-3)


SOUPS = {"tiny": (128, 1), "medium": (256, 2), "large": (384, 2)}


def published_soup(file: Path) -> UNet:
    """A net of the 8th place's form with random weights, in a file of the layout that they published."""
    torch.manual_seed(sum(file.name.encode()))
    name = file.name.partition("_")[0]
    last, units = SOUPS[name]
    widths = (32, 96, 256, last) if name == "large" else (32, 64, 128, last)
    net = UNet(
        spatial_dims=3, in_channels=1, out_channels=7, channels=widths, strides=(2, 2, 1), num_res_units=units
    ).eval()
    state = {f"model.{key}": value for key, value in net.state_dict().items()}
    if name == "large":  # its averaged weights are those to use
        state = {f"ema_model.module.{k}": v for k, v in net.state_dict().items()} | {k: 0 * v for k, v in state.items()}
    torch.save({"state_dict": state}, file)
    return net


@pytest.mark.parametrize("czii", [(28, 36, 32)], indirect=True)
@torch.inference_mode()
def test_the_four_soups_of_the_8th_place(czii: Path) -> None:
    conversions = list(page_commands("reproduce-8th-place.md", "convert"))
    nets = [published_soup(Path(words[1])) for words in conversions]
    assert len(nets) == 4
    for words in conversions:
        main(words)
    run, volume = grey_values(czii)
    volume = ((volume - volume.mean()) / volume.std(correction=0))[None, None]
    logits = torch.zeros(7, *volume.shape[2:])
    for net in nets:
        logits += net(volume)[0]
        logits += net(volume.flip(4)).flip(4)[0]
        logits += net(volume.flip(3)).flip(3)[0]
        logits += net(volume.transpose(3, 4)).transpose(3, 4)[0]
    probabilities = (logits / 16).softmax(0)[1:].numpy()
    (words,) = page_commands("reproduce-8th-place.md", "pick")
    main([*words, *ALIKE])
    found = submitted(Path("submission.csv"), run)
    least = {"apo-ferritin": 80.1, "beta-galactosidase": 368, "ribosome": 750, "thyroglobulin": 480}
    least["virus-like-particle"] = 1150.35
    expected = {
        kind.name: positions
        for kind, channel in zip(CONTEST_SPECIES, probabilities, strict=True)
        if kind.name in least and len(positions := regions(channel, int(kind.radius / 10), least[kind.name]))
    }
    assert len(expected) > 2
    assert set(found) == set(expected)
    for name, positions in expected.items():
        np.testing.assert_allclose(found[name], in_order(positions), atol=2e-3)


def regions(channel: NDArray[np.float32], spacing: int, least: float) -> Table:
    """The 8th place's positions, x y z: index times 10.012444 Å."""
    inside = np.ascontiguousarray((channel > 0.1).T)
    distance = ndimage.distance_transform_edt(inside)
    markers = np.zeros(inside.shape, dtype=bool)
    markers[tuple(peak_local_max(distance, min_distance=spacing, labels=inside).T)] = True
    found = regionprops(watershed(-distance, label(markers), mask=inside))
    return np.array([region.centroid for region in found if region.area >= least]).reshape(-1, 3) * 10.012444
