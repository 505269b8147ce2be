"""Denoised tomograms in projects: a new type or a folder, kept or refused, resumed; weights trained on half-sets."""

from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch

from tomosoup.core.errors import InputError
from tomosoup.core.types import Species, Volume
from tomosoup.data.new_project import SimulatedRun, new_project
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import open_tomogram
from tomosoup.simulation.denoising import project as projects
from tomosoup.simulation.denoising.apply import denoise
from tomosoup.simulation.denoising.destination import destination
from tomosoup.simulation.denoising.half_sets import half_sets
from tomosoup.simulation.denoising.net import DenoisingNet
from tomosoup.simulation.denoising.options import Noise2NoiseOptions
from tomosoup.simulation.denoising.project import Sources, denoise_project, denoiser_of
from tomosoup.simulation.denoising.weights import Denoiser, read_denoiser
from tomosoup.simulation.spectrum import FREQUENCIES

TINY = Noise2NoiseOptions(updates=3, crop=16, batch_size=1, widths=(2, 2, 2), report_every=2)
HALVES = ("half1", "half2")


def random_denoiser(seed: int = 1) -> Denoiser:
    torch.manual_seed(seed)
    return Denoiser(DenoisingNet((2, 2, 2)).requires_grad_(False), 10.0, "nothing")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copick project of two runs with two half-sets each, in its static root."""
    random = torch.Generator().manual_seed(3)
    with new_project(tmp_path / "project", [Species("a", 50.0)]) as made:
        for run in ("one", "two"):
            halves = {name: Volume(torch.randn(16, 40, 24, generator=random), 10.0) for name in HALVES}
            made.add_run(run, SimulatedRun(halves, {}))
    return tmp_path / "project"


def denoised(
    project: Path,
    *,
    seed: int = 1,
    overwrite: bool = False,
    tomo_type: str = "half1",
    new_type: str = "denoised",
    output: Path | None = None,
) -> tuple[list[str], list[str]]:
    opened = open_project(project)
    to = destination(opened, new_type=new_type, output=output)
    sources = Sources(DataOptions(tomo_type=tomo_type), new_type=new_type)
    return denoise_project(opened, random_denoiser(seed), to, sources, overwrite=overwrite)


def test_a_new_type_appears_beside_the_tomograms_on_the_same_grid(project: Path) -> None:
    assert denoised(project) == (["one", "two"], [])
    for run in ("one", "two"):
        source, made = (open_tomogram(project, run, tomo_type=name) for name in ("half1", "denoised"))
        assert (made.shape, made.voxel_size, made.origin) == (source.shape, source.voxel_size, source.origin)
        expected = denoise(random_denoiser().net, source.read().data)
        torch.testing.assert_close(made.read().data, expected, atol=1e-6, rtol=1e-5)
    root = open_project(project).root
    levels = root.get_run("one").voxel_spacings[0].get_tomograms("denoised")[0].zarr()
    assert {"0/.zarray", "1/.zarray", "2/.zarray"} <= set(levels)
    assert not [*project.rglob(".denoised*")]


def test_finished_runs_are_kept_and_the_rest_is_made(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(denoiser: Denoiser, volume: Volume, **options: object) -> Volume:
        if done:
            raise KeyboardInterrupt
        done.append(volume)
        return whole(denoiser, volume, **options)

    done: list[Volume] = []
    whole = projects.denoise_volume
    monkeypatch.setattr(projects, "denoise_volume", stopped)
    with pytest.raises(KeyboardInterrupt):
        denoised(project)
    monkeypatch.undo()
    assert denoised(project) == (["two"], ["one"])
    assert denoised(project, overwrite=True) == ([], ["one", "two"])


def test_what_others_made_is_replaced_only_if_asked(project: Path) -> None:
    denoised(project)
    before = open_tomogram(project, "one", tomo_type="denoised").read().data
    with pytest.raises(InputError, match="overwrite"):
        denoised(project, seed=2)
    with pytest.raises(InputError, match="overwrite"):
        denoised(project, tomo_type="half2")
    assert torch.equal(open_tomogram(project, "one", tomo_type="denoised").read().data, before)
    assert denoised(project, seed=2, overwrite=True) == (["one", "two"], [])
    assert not torch.equal(open_tomogram(project, "one", tomo_type="denoised").read().data, before)


def test_a_denoiser_with_another_spectrum_makes_something_else(project: Path) -> None:
    opened, sources = open_project(project), Sources(DataOptions(tomo_type="half1"), new_type="denoised")
    to, denoiser = destination(opened, new_type="denoised", output=None), random_denoiser()
    denoise_project(opened, denoiser, to, sources)
    with pytest.raises(InputError, match="overwrite"):
        denoise_project(opened, replace(denoiser, spectrum=tuple(-50 * FREQUENCIES)), to, sources)


def test_a_second_denoising_is_remarked(project: Path) -> None:
    denoised(project)
    heard: list[str] = []
    for tomo_type, new_type in (("half1", "denoised-1"), ("denoised", "denoised-2")):
        opened = open_project(project)
        to = destination(opened, new_type=new_type, output=None)
        sources = Sources(DataOptions(tomo_type=tomo_type), new_type=new_type)
        denoise_project(opened, random_denoiser(), to, sources, log=heard.append)
    assert heard == ["The tomograms are of the type denoised: denoised a second time, they lose particles, too."]


@pytest.mark.parametrize(("value", "said"), [(3.0, "Every voxel"), (float("nan"), "NaN")])
def test_bad_voxels_are_refused_and_nothing_is_written(tmp_path: Path, value: float, said: str) -> None:
    data = torch.randn(16, 40, 24)
    data[:8] = value
    if value == 3:
        data[:] = value
    with new_project(tmp_path / "bad", [Species("a", 50.0)]) as made:
        made.add_run("one", SimulatedRun({"half1": Volume(data, 10.0)}, {}))
    with pytest.raises(InputError, match=f"Run one: .*{said}"):
        denoised(tmp_path / "bad")
    assert {t.tomo_type for t in open_project(tmp_path / "bad").listings("one")} == {"half1"}


def test_nothing_in_the_static_root_is_replaced(project: Path) -> None:
    with pytest.raises(InputError, match="new_type"):
        denoised(project, new_type="half2", overwrite=True)


def test_without_a_type_the_only_other_one_is_denoised(project: Path) -> None:
    opened = open_project(project)
    with pytest.raises(InputError, match="tomo_type"):
        Sources(new_type="denoised").tomograms(opened, "one")
    (tomogram,) = Sources(new_type="half2").tomograms(opened, "one")
    assert tomogram.tomo_type == "half1"


def test_a_folder_gets_mrc_files_of_a_project_that_takes_no_tomograms(tmp_path: Path) -> None:
    (tmp_path / "mrc").mkdir()
    volume = np.random.default_rng(0).normal(size=(16, 24, 24)).astype(np.float32)
    with mrcfile.new(tmp_path / "mrc" / "a.mrc") as file:
        file.set_data(volume)
        file.voxel_size = 10.0
    with pytest.raises(InputError, match="output"):
        denoised(tmp_path / "mrc", tomo_type="mrc")
    with pytest.raises(InputError, match="output"):
        denoised(tmp_path / "mrc", tomo_type="mrc", output=tmp_path / "mrc")
    assert denoised(tmp_path / "mrc", tomo_type="mrc", output=tmp_path / "out") == (["a"], [])
    assert denoised(tmp_path / "mrc", tomo_type="mrc", output=tmp_path / "out") == ([], ["a"])
    made = open_tomogram(tmp_path / "out", "a")
    assert made.voxel_size == 10.0
    to = destination(open_project(tmp_path / "mrc"), new_type="denoised", output=tmp_path / "mrc2")
    (tmp_path / "mrc2").mkdir()
    (tmp_path / "mrc2" / "a.mrc").write_bytes((tmp_path / "mrc" / "a.mrc").read_bytes())
    assert to.maker("a", 10.0) == "", "the file is another program's"
    expected = denoise(random_denoiser().net, torch.from_numpy(volume))
    torch.testing.assert_close(made.read().data, expected, atol=1e-6, rtol=1e-5)


def test_a_project_on_s3_gets_a_new_type(s3_config: Path) -> None:
    runs = open_project(s3_config).runs
    assert denoised(s3_config, tomo_type="wbp", new_type="quiet") == (runs, [])
    assert denoised(s3_config, tomo_type="wbp", new_type="quiet") == ([], runs)
    source, made = (open_tomogram(s3_config, runs[0], tomo_type=name) for name in ("wbp", "quiet"))
    expected = denoise(random_denoiser().net, source.read().data)
    torch.testing.assert_close(made.read().data, expected, atol=1e-6, rtol=1e-5)
    assert denoised(s3_config, tomo_type="wbp", new_type="quiet", seed=2, overwrite=True) == (runs, [])


# Weights trained on half-sets.


def test_a_finished_training_is_read_and_another_refused(project: Path, tmp_path: Path) -> None:
    pairs, said = half_sets(project, HALVES), list[str]()
    made = denoiser_of(pairs, TINY, save=tmp_path / "net.safetensors", log=said.append)
    assert len(said) == 2
    again = denoiser_of(pairs, TINY, save=tmp_path / "net.safetensors", log=said.append)
    assert len(said) == 2
    assert again.metadata() == made.metadata() == read_denoiser(tmp_path / "net.safetensors").metadata()
    other = TINY.model_copy(update={"seed": 1})
    with pytest.raises(InputError, match="overwrite"):
        denoiser_of(pairs, other, save=tmp_path / "net.safetensors")
    assert denoiser_of(pairs, other, save=tmp_path / "net.safetensors", overwrite=True).metadata() != made.metadata()
    assert [p.name for p in tmp_path.glob("*net*")] == ["net.safetensors"]


def test_the_mean_of_the_halves_is_denoised(project: Path) -> None:
    opened = open_project(project)
    to = destination(opened, new_type="denoised", output=None)
    denoise_project(opened, random_denoiser(), to, Sources(DataOptions(runs=("one",)), HALVES, "denoised"))
    one, other, made = (open_tomogram(project, "one", tomo_type=n).read().data for n in (*HALVES, "denoised"))
    torch.testing.assert_close(made, denoise(random_denoiser().net, (one + other) / 2), atol=1e-6, rtol=1e-5)
