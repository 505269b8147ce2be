"""`tomosoup-relion`: a pick as an External job of RELION 5."""

from pathlib import Path

import numpy as np
import pytest
import starfile

from tomosoup.cli.embedded import relion_job
from tomosoup.cli.main import main
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.volumes.mrc import write_mrc

HEAD = """data_global

loop_
_rlnTomoName #1
_rlnTomoTiltSeriesPixelSize #2
_rlnTomoTomogramBinning #3
_rlnTomoSizeX #4
_rlnTomoSizeY #5
_rlnTomoSizeZ #6
_rlnTomoReconstructedTomogram #7
"""


@pytest.fixture
def relion(project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """RELION's project folder with two reconstructed tomograms; RELION runs programs in it."""
    home = tmp_path / "relion"
    job = home / "Tomograms" / "job009"
    job.mkdir(parents=True)
    rows = []
    for name, run in (("TS_1", "run_000"), ("TS_2", "run_001")):
        volume = select_tomogram(open_project(project_folder), run, DataOptions()).read()
        file = job / f"rec_{name}.mrc"
        write_mrc(file, volume, label="")
        z, y, x = (4 * n for n in volume.shape)
        rows.append(f"{name} 2.5 4 {x} {y} {z} {file.relative_to(home)}\n")
    (job / "tomograms.star").write_text(HEAD + "".join(rows))
    monkeypatch.chdir(home)
    return Path("Tomograms/job009/tomograms.star")


def ended(job: Path) -> list[str]:
    return sorted(file.name for file in job.glob("RELION_JOB_*"))


def test_the_job_writes_what_other_jobs_of_relion_take(relion: Path, model: Path, tmp_path: Path) -> None:
    job, options = Path("External/job010"), ["--model", str(model), "--threshold", "0.1"]
    relion_job.main(["--o", "External/job010/", "--in_tomograms", str(relion), *options, "--j", "1"])
    assert ended(job) == ["RELION_JOB_EXIT_SUCCESS"]
    nodes = starfile.read(job / "RELION_OUTPUT_NODES.star")
    assert [*nodes.columns] == ["rlnPipeLineNodeName", "rlnPipeLineNodeTypeLabel"]
    picks = read_csv(job / "picks.csv")
    assert sorted(picks) == ["TS_1", "TS_2"]
    names = sorted({name for of_run in picks.values() for name in of_run})
    assert names
    expected = [f"External/job010/{name}/{file}.star" for name in names for file in ("optimisation_set", "particles")]
    assert nodes["rlnPipeLineNodeName"].tolist() == expected
    for name in names:
        sets = starfile.read(job / name / "optimisation_set.star")
        assert sets["rlnTomoTomogramsFile"] == str(relion)
        particles = starfile.read(sets["rlnTomoParticlesFile"])
        assert set(particles["rlnTomoName"]) == {run for run in picks if name in picks[run]}
        assert len(particles) == sum(len(of_run.get(name, ())) for of_run in picks.values())
        main(
            f"import {job / name / 'particles.star'} --format relion5 --species {name} --tomograms {relion} "
            f"--project {job / 'tomograms'} -o {tmp_path / name}.csv".split()
        )
        for run, found in read_csv(tmp_path / f"{name}.csv").items():
            np.testing.assert_allclose(np.sort(found[name].zyx, 0), np.sort(picks[run][name].zyx, 0), atol=5e-3)


def test_a_job_without_picks_succeeds_and_offers_nothing_old(relion: Path, model: Path) -> None:
    job, words = Path("External/job013"), ["--in_tomograms", str(relion), "--model", str(model), "--threshold"]
    relion_job.main(["--o", str(job), *words, "0.1"])
    assert [*job.glob("*/particles.star")]
    (job / relion_job.ABORT).touch()  # of a job that died before it saw the request
    relion_job.main(["--o", str(job), *words, "9", "--overwrite"])
    assert ended(job) == ["RELION_JOB_EXIT_SUCCESS"]
    assert not [*job.glob("*/*.star")]
    assert "star" not in (job / "RELION_OUTPUT_NODES.star").read_text()


def test_the_denoised_tomograms_are_picked_where_there_are_any(relion: Path) -> None:
    denoised = relion.with_name("denoised.mrc")
    denoised.write_bytes(relion.with_name("rec_TS_1.mrc").read_bytes())
    head = HEAD + "_rlnTomoReconstructedTomogramDenoised #8\n"
    relion.write_text(f"{head}TS_1 2.5 4 384 384 128 Tomograms/job009/rec_TS_1.mrc {denoised}\n")
    relion_job.link_tomograms(relion, Path("links"))
    assert [(file.name, file.resolve().name) for file in Path("links").iterdir()] == [("TS_1.mrc", "denoised.mrc")]


def test_a_job_that_fails_says_why_and_leaves_the_file_of_a_failure(
    relion: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--o", "External/job011/", "--model", str(model), "--in_tomograms"]
    job = Path("External/job011")
    for star, said in (
        ("nowhere.star", "There is no file nowhere.star: give the tomograms.star of an earlier job."),
        ("other.star", "other.star lists no reconstructed tomograms (rlnTomoReconstructedTomogram)"),
        ("lost.star", "lost.star names Tomograms/rec.mrc, which is not there"),
    ):
        Path("other.star").write_text("data_\n\nloop_\n_rlnTomoName #1\nTS_1\n")
        Path("lost.star").write_text(HEAD + "TS_1 2.5 4 384 384 128 Tomograms/rec.mrc\n")
        with pytest.raises(SystemExit) as stop:
            relion_job.main([*words, star])
        assert stop.value.code == 1
        assert said in capsys.readouterr().err
        assert ended(job) == ["RELION_JOB_EXIT_FAILURE"]
    with pytest.raises(SystemExit):
        relion_job.main(words[:-1])
    assert "add the parameter in_tomograms" in capsys.readouterr().err
    assert ended(job) == ["RELION_JOB_EXIT_FAILURE"]
    with pytest.raises(SystemExit):
        relion_job.main([*words, str(relion), "--threshold", "much"])
    assert "expected a number" in capsys.readouterr().err
    assert ended(job) == ["RELION_JOB_EXIT_FAILURE"]


def test_a_job_that_is_aborted_says_so_and_resumes(
    relion: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job, words = Path("External/job012"), ["--in_tomograms", str(relion), "--model", str(model), "--threshold", "0.1"]
    job.mkdir(parents=True)

    def aborted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(relion_job, "tomosoup", aborted)
        with pytest.raises(SystemExit) as stop:
            relion_job.main(["--o", str(job), *words])
    assert stop.value.code == 130
    assert "the same job resumes" in capsys.readouterr().err
    assert ended(job) == ["RELION_JOB_EXIT_ABORTED"]
    relion_job.main(["--o", str(job), *words])
    assert ended(job) == ["RELION_JOB_EXIT_SUCCESS"]


def test_relions_request_to_abort_interrupts_the_job_and_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr(relion_job, "interrupt_main", lambda: told.append(True))
    (tmp_path / relion_job.ABORT).touch()
    relion_job.abort_on_request(tmp_path / relion_job.ABORT)
    assert told == [True]
    assert not (tmp_path / relion_job.ABORT).exists()
