"""`tomosoup denoise`: what it writes, says and refuses."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tomosoup.cli.main import main
from tomosoup.data.tomogram import open_tomogram
from tomosoup.simulation.denoising import weights as shipped
from tomosoup.simulation.denoising.net import DenoisingNet
from tomosoup.simulation.denoising.weights import Denoiser, read_denoiser
from tomosoup.simulation.spectrum import FREQUENCIES, spectrum

HALVES = ("--halves", "wbp-half1", "wbp-half2")
QUICK = ("--updates", "2", "--crop", "32", "--batch-size", "1", "--widths", "2", "2", "2")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    Denoiser(DenoisingNet((2, 2, 2)), 10.0, "a test").save(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@pytest.fixture
def with_halves(tmp_path: Path) -> Path:
    """A project of one run with half-set tomograms."""
    words = ("--runs", "1", "--shape", "32", "64", "40", "--concentration", "ribosome", "3000", "--quiet")
    main(
        [
            "simulate",
            str(tmp_path / "halves"),
            *words,
            *("--reconstruction.tomo-types", "wbp"),
            "--reconstruction.half-sets",
        ]
    )
    return tmp_path / "halves"


def test_the_bundled_weights_make_the_type_denoised(
    project: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights.rename(weights.with_name("denoiser.safetensors"))
    monkeypatch.setattr(shipped, "SHIPPED", weights.parent)
    main(["denoise", str(project), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (len(said["denoised"]), said["kept"], said["weights"]) == (3, [], "a test")
    assert open_tomogram(project, "run_000", tomo_type="denoised").shape == (32, 96, 96)
    main(["denoise", str(project), "--json"])
    again = json.loads(capsys.readouterr().out)
    assert (again["denoised"], again["kept"]) == ([], said["denoised"])


def test_the_spectrum_of_the_tomograms_is_kept_if_asked(
    project: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_one = replace(read_denoiser(weights), spectrum=tuple(-50 * FREQUENCIES))
    with_one.save(weights.with_name("denoiser.safetensors"))
    monkeypatch.setattr(shipped, "SHIPPED", weights.parent)
    main(["denoise", str(project), "--runs", "run_000", "--strength", "0"])
    main(["denoise", str(project), "--runs", "run_000", "--strength", "0", "--keep-spectrum", "--tomo-type", "wbp",
          "--new-type", "kept"])  # fmt: skip
    given, changed, kept = (
        open_tomogram(project, "run_000", tomo_type=name).read() for name in ("wbp", "denoised", "kept")
    )
    torch.testing.assert_close(kept.data, given.data)
    slope = np.polyfit(FREQUENCIES, spectrum(changed), 1)[0]
    assert slope == pytest.approx(-50, abs=3)


def test_another_bundled_network_fills_in_the_wedge(
    project: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights.rename(weights.with_name("wedge.safetensors"))
    monkeypatch.setattr(shipped, "SHIPPED", weights.parent)
    main(["denoise", str(project), "--fill-wedge", "--runs", "run_000", "--new-type", "isonetcorrected", "--json"])
    assert json.loads(capsys.readouterr().out)["weights"] == "a test"
    assert open_tomogram(project, "run_000", tomo_type="isonetcorrected").shape == (32, 96, 96)


def test_some_runs_go_to_a_folder(project: Path, weights: Path, tmp_path: Path) -> None:
    main(["denoise", str(project), "--weights", str(weights), "--runs", "run_001", "-o", str(tmp_path / "out")])
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["run_001.mrc"]


def test_no_strength_changes_nothing(project: Path, weights: Path) -> None:
    main(["denoise", str(project), "--weights", str(weights), "--runs", "run_001", "--strength", "0"])
    before, after = (open_tomogram(project, "run_001", tomo_type=name).read().data for name in ("wbp", "denoised"))
    torch.testing.assert_close(after, before)


def test_weights_are_trained_on_half_sets_and_denoise_their_mean(
    with_halves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save = tmp_path / "own.safetensors"
    words = [str(with_halves), *HALVES, *QUICK, "--from-scratch", "--save", str(save)]
    main(["denoise", *words])
    assert "1 run denoised" in capsys.readouterr().out
    assert read_denoiser(save).updates == 2
    made = open_tomogram(with_halves, "run_000", tomo_type="denoised").read().data
    assert torch.isfinite(made).all()
    main(["denoise", *words])
    assert "1 run had been denoised before" in capsys.readouterr().out


def test_what_is_in_the_way_is_found_before_a_training(
    with_halves: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    words = (with_halves, *HALVES, *QUICK, "--from-scratch", "--save", tmp_path / "own.safetensors")
    assert "--new-type" in fails("denoise", *words, "--new-type", "wbp")
    assert not [*tmp_path.glob("*own*")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (HALVES, "--save"),
        (("--save", "a.safetensors"), "--halves"),
        (("--from-scratch",), "--halves"),
        (("--crop", "20"), "--crop"),
        (("--new-type", "a b"), "name"),
        (("--halves", "even", "even", "--save", "a.safetensors"), "two different tomogram types"),
        (("--fill-wedge", "--weights", "own.safetensors"), "--fill-wedge is a bundled network"),
        (("--keep-spectrum", "--weights", "own.safetensors"), "--keep-spectrum is for the bundled networks"),
        (("--updates", "3"), "Options of the training require --halves"),
        (("--tomo-type", "wbp", "--new-type", "wbp"), "--new-type is wbp, the type to denoise"),
        (("--halves", "even", "odd", "--save", "a.safetensors", "--new-type", "odd"), "--new-type is odd"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    project: Path, fails: Callable[..., str], words: tuple[str, ...], message: str
) -> None:
    code = 1 if "a b" in words else 2
    assert message in fails("denoise", project, *words, code=code)


def test_tomograms_of_another_program_are_not_replaced(project: Path, weights: Path, fails: Callable[..., str]) -> None:
    main(["denoise", str(project), "--weights", str(weights)])
    Denoiser(DenoisingNet((2, 2, 2)), 10.0, "another test").save(weights)
    assert "--overwrite" in fails("denoise", project, "--weights", weights)


def test_a_tomogram_in_the_static_root_is_not_replaced(
    with_halves: Path, weights: Path, fails: Callable[..., str]
) -> None:
    words = ("--tomo-type", "wbp-half1", "--new-type", "wbp")
    assert "choose another --new-type" in fails("denoise", with_halves, "--weights", weights, *words)
