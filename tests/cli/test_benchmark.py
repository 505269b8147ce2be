"""`tomosoup benchmark`: manifests as copick writes them, also over the portal's layout, and the contest's download."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import copick
import pytest
from conftest import copied

from tomosoup.cli.main import main
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import DataOptions
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.inference.pick import pick_project
from tomosoup.models.checkpoint import Checkpoint
from tomosoup.models.history import Trained
from tomosoup.scoring.score import score

croissant = pytest.importorskip("copick.ops.croissant", reason="copick 1.24 and later write manifests")
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # in mlcroissant
SPLITS = {"train": ["run_000"], "test": ["run_001", "run_002"]}
NUMBERS = {"run_000": "16463", "run_001": "16464", "run_002": "16465"}
"""What the portal calls the runs; its folders are TS_0, TS_1 and TS_2."""
LOW = "--threshold", "0.02"
"""So low that an untrained net finds particles, among much else."""
Fails = Callable[..., str]


@pytest.fixture(scope="module")
def exported(project_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated project with a manifest, as `copick config export-croissant` writes it."""
    project = copied(project_folder, tmp_path_factory.mktemp("exported") / "project")
    root = copick.from_file(str(project / "copick_config.json"))
    croissant.export_croissant(root, str(project / "static"), base_url=f"file://{project / 'static'}", splits=SPLITS)
    return project


@pytest.fixture
def manifest(exported: Path, tmp_path: Path) -> Path:
    """A folder with a manifest that a test may change."""
    project = copied(exported, tmp_path / "project")
    file = project / "static" / "Croissant" / "metadata.json"
    file.write_text(file.read_text().replace(str(exported), str(project)))
    return project / "static"


def edit_table(manifest: Path, name: str, change: Callable[[dict[str, str]], dict[str, str] | None]) -> None:
    """Change the rows of a manifest's table, or drop those that become None."""
    file = manifest / "Croissant" / name
    with file.open(newline="") as lines:
        reader = csv.DictReader(lines)
        rows, columns = [row for row in map(change, reader) if row], list(reader.fieldnames or ())
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    content = json.loads((manifest / "Croissant" / "metadata.json").read_text())
    (entry,) = [e for e in content["distribution"] if e["contentUrl"].endswith(f"/{name}")]
    entry["sha256"] = sha256(file.read_bytes()).hexdigest()
    (manifest / "Croissant" / "metadata.json").write_text(json.dumps(content))


def edit_manifest(manifest: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = manifest / "Croissant" / "metadata.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def published(manifest: Path, s3: Any) -> None:
    """Put the runs of a manifest on S3 as the portal lays them out, and make it one over the portal's bucket."""
    s3.create_bucket(Bucket="cryoet-data-portal-public", ACL="public-read")
    runs = manifest / "ExperimentRuns"

    def put(key: str, content: bytes) -> str:
        s3.put_object(Bucket="cryoet-data-portal-public", Key=key, Body=content, ACL="public-read")
        return key

    def tomogram(row: dict[str, str]) -> dict[str, str]:
        store = f"10440/TS_{row['run'][-1]}/Reconstructions/VoxelSpacing10.000/Tomograms/100/tomogram.zarr"
        source = runs / row["run"] / "VoxelSpacing10.000" / "wbp.zarr"
        for file in filter(Path.is_file, source.rglob("*")):
            put(f"{store}/{file.relative_to(source)}", file.read_bytes())
        return {**row, "run": NUMBERS[row["run"]], "tomo_type": "wbp-raw", "url": store}

    def annotation(row: dict[str, str]) -> dict[str, str]:
        content = json.loads((manifest / row["url"]).read_text())
        points = [{axis: value / 10 for axis, value in p["location"].items()} for p in content["points"]]
        text = "\n".join(json.dumps({"type": "point", "location": point}) for point in points)
        number = f"{NUMBERS[row['run']]}{ord(row['object_name'][0])}"
        return {
            **row,
            "run": NUMBERS[row["run"]],
            "user_id": "data-portal",
            "session_id": number,
            "object_name": row["object_name"].replace("apo-ferritin", "ferritin-complex"),
            "voxel_size": "10.0",
            "url": put(f"10440/TS_{row['run'][-1]}/Annotations/{number}.ndjson", text.encode()),
            "sha256": "",
            "portal_annotation_id": f"1{number}",
            "portal_annotation_file_id": number,
        }

    edit_table(manifest, "tomograms.csv", tomogram)
    edit_table(manifest, "picks.csv", annotation)
    edit_table(manifest, "segmentations.csv", lambda _: None)
    edit_table(manifest, "voxel_spacings.csv", lambda row: {**row, "run": NUMBERS[row["run"]]})
    edit_table(
        manifest, "runs.csv", lambda row: {**row, "name": NUMBERS[row["name"]], "portal_run_id": NUMBERS[row["name"]]}
    )

    def over_portal(content: dict[str, Any]) -> None:
        content["copick:baseUrl"] = "s3://cryoet-data-portal-public/"
        thing = content["copick:config"]["pickable_objects"][0]
        thing |= {"name": "ferritin-complex", "radius": 50.0, "metadata": {}}  # copick's radius of all that have none

    edit_manifest(manifest, over_portal)
    shutil.rmtree(runs)


def test_a_manifest_over_the_portal_gives_the_scores_of_the_same_runs_in_a_project(
    manifest: Path,
    project_folder: Path,
    checkpoint: Checkpoint,
    tmp_path: Path,
    s3: Any,
    server: str,
    picked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    published(manifest, s3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    out, model = tmp_path / "out", tmp_path / "seen.safetensors"
    replace(checkpoint, history=(Trained(runs=("TS_1", "elsewhere"), held_out="other"),)).save(model)
    words = ["benchmark", str(manifest), "--model", str(model), "-o", str(out), *LOW]
    main(words)
    said = capsys.readouterr().out
    assert "names: 16464. If they are the same runs, the scores are too high" in said
    assert "in 2 runs of split test; a model may have seen 1 of them" in said
    project, runs = open_project(project_folder), tuple(SPLITS["test"])
    picks = pick_project(
        project, checkpoint, data=DataOptions(runs=runs), thresholds={s.name: 0.02 for s in checkpoint.species}
    )
    truth = {run: read_truth(project, run) for run in runs}
    expected = score(picks, truth, project.species, all_species=True)
    assert expected.weighted > 0
    found = json.loads((out / "scores.json").read_text())
    assert found["score"] == pytest.approx(expected.weighted, abs=1e-9)
    assert found["species"]["ferritin-complex"]["radius"] == 60.0
    assert found["split"] == "test"
    assert found["left_out"] == []
    assert found["seen"] == {str(model): ["16464"]}
    assert found["models"] == [{"model": str(model), "fingerprint": checkpoint.fingerprint()}]
    for run in runs:
        of_run = score(picks, truth, project.species, runs=(run,), all_species=True)
        assert found["runs"][NUMBERS[run]]["score"] == pytest.approx(of_run.weighted, abs=1e-9)
    rows = list(csv.reader((out / "submission.csv").read_text().splitlines()))
    assert rows[0] == ["id", "experiment", "particle_type", "x", "y", "z"]
    assert len(rows) - 1 == sum(len(those) for of in picks.values() for those in of.values())
    before = list(picked)
    main([*words, "--json"])
    assert (json.loads(capsys.readouterr().out)["score"], picked) == (found["score"], before)


def test_the_contests_test_runs_are_for_a_submission_and_its_training_runs_are_scored(
    project: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    czii, out = tmp_path / "czii", tmp_path / "out"
    for part in ("train", "test"):
        shutil.copytree(project / "static", czii / part / "static", ignore=shutil.ignore_patterns("Picks"))
    for run in ("run_000", "run_001"):
        shutil.rmtree(czii / "test" / "static" / "ExperimentRuns" / run)
    for file in (project / "static").rglob("simulation_0_*.json"):
        place = czii / "train" / "overlay" / "ExperimentRuns" / file.parents[1].name / "Picks"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place / file.name.removeprefix("simulation_0_"))
    words = ["benchmark", str(czii), "--model", str(model), *LOW]
    main([*words, "-o", str(out / "test")])
    said = capsys.readouterr().out
    assert "the history names no runs, so the model may have seen these" in said
    assert f"No true picks, so not scored: run_002. Their picks are in {out / 'test' / 'submission.csv'}." in said
    assert json.loads((out / "test" / "scores.json").read_text())["score"] is None
    assert set(read_csv(out / "test" / "picks.csv")) == {"run_002"}
    main([*words, "-o", str(out / "train"), "--split", "train", "--runs", "run_000", "run_002"])
    unknown = [s.name for s in CONTEST_SPECIES if s.name not in ("apo-ferritin", "beta-amylase")]
    assert f"The models do not know {', '.join(unknown)}: all these particles count as missed." in (
        capsys.readouterr().out
    )
    found = json.loads((out / "train" / "scores.json").read_text())
    assert (found["left_out"], list(found["runs"])) == (["run_001"], ["run_000", "run_002"])
    assert {name for name, of in found["species"].items() if not of["tp"]} >= set(unknown)
    main(["score", str(out / "train" / "picks.csv"), str(czii / "train"), "--all-species", "--json"])
    assert found["score"] == json.loads(capsys.readouterr().out)["score"] > 0


def test_a_run_without_tomogram_fails_and_no_scores_are_left(
    manifest: Path, model: Path, tmp_path: Path, fails: Fails
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "scores.json").write_text("of other settings")
    edit_table(manifest, "tomograms.csv", lambda row: row if row["run"] != "run_002" else None)
    sentence = fails("benchmark", manifest, "--model", model, "-o", out, "--overwrite")
    assert "1 of 2 runs could not be picked" in sentence
    assert sentence.endswith("No scores were written.")
    assert not (out / "scores.json").exists()


def test_a_benchmark_that_is_none_gets_one_sentence_and_writes_nothing(
    manifest: Path, model: Path, tmp_path: Path, fails: Fails
) -> None:
    def said(*words: object) -> str:
        return fails("benchmark", *words, "--model", model, "-o", tmp_path / "out")

    (tmp_path / "empty").mkdir()
    assert "There is no project at" in said(tmp_path / "nowhere")
    assert "a folder without tomograms" in said(tmp_path / "empty")
    assert f"is not a benchmark itself but holds some: name one, such as {manifest}" in said(manifest.parent)
    assert "has no split fold: choose one of test, train with --split NAME" in said(manifest, "--split", "fold")
    assert "Run run_000 is not in the split test: it has run_001, run_002" in said(manifest, "--runs", "run_000")
    assert "has picks nobody/0: choose others with --truth" in said(manifest, "--truth", "nobody/0")
    config = copied(manifest.parent, tmp_path / "other") / "copick_config.json"
    assert "names no splits: leave out --split" in said(config, "--split", "test")
    edit_table(manifest, "runs.csv", lambda row: {**row, "split": "" if row["split"] == "test" else "train"})
    assert "has no split test: choose one of train" in said(manifest)
    (manifest / "Croissant" / "runs.csv").write_text("name,portal_run_id,split\nrun_000,,test\n")
    assert "Hash of downloaded file" in said(manifest)
    (manifest / "Croissant" / "metadata.json").write_text('{"recordSet": []}')
    assert "is a Croissant manifest of something else" in said(manifest / "Croissant" / "metadata.json")
    (manifest / "Croissant" / "metadata.json").write_text("{")
    assert "cannot be read as JSON" in said(manifest / "Croissant")
    assert not (tmp_path / "out").exists()


def test_species_that_nobody_finds_or_lists_are_refused_or_said(
    manifest: Path, model: Path, tmp_path: Path, fails: Fails, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["benchmark", manifest, "--model", model, "-o", tmp_path / "out", *LOW]

    def one_object(content: dict[str, Any]) -> None:
        del content["copick:config"]["pickable_objects"][1]

    edit_manifest(manifest, one_object)
    main(list(map(str, words)))
    said = capsys.readouterr().out
    assert "does not list them as particles: true picks of beta-amylase" in said
    assert "does not list them: picks of beta-amylase" in said
    assert set(json.loads((tmp_path / "out" / "scores.json").read_text())["species"]) == {"apo-ferritin"}
    edit_manifest(
        manifest, lambda content: content["copick:config"]["pickable_objects"][0].update(name="tubulin", radius=40.0)
    )
    sentence = fails(*words[:-4], "-o", tmp_path / "new", *LOW)
    assert "The models find apo-ferritin, beta-amylase, and the particles of" in sentence


def test_files_of_others_stay(manifest: Path, model: Path, tmp_path: Path, fails: Fails) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("scores.json", "copick_config.json", "picks.csv"):
        (out / name).write_text("mine")
        assert f"{name} exists already" in fails("benchmark", manifest, "--model", model, "-o", out)
        assert (out / name).read_text() == "mine"
        (out / name).unlink()
    (out / "picks.csv").write_text("")
    (out / "scores.json").write_text('{"split": "train", "left_out": []}')
    assert "scores.json exists already" in fails("benchmark", manifest, "--model", model, "-o", out)


def test_two_annotations_of_a_species_are_not_added_up(
    manifest: Path, model: Path, tmp_path: Path, fails: Fails
) -> None:
    edit_table(
        manifest,
        "picks.csv",
        lambda row: {**row, "portal_annotation_file_id": row["session_id"], "portal_annotation_id": "7"},
    )
    file = manifest / "Croissant" / "picks.csv"
    first = next(line for line in file.read_text().splitlines() if line.startswith("run_001"))
    file.write_text(f"{file.read_text()}{first.replace(',0,', ',1,', 1).removesuffix(',7,0')},8,1\n")
    edit_table(manifest, "picks.csv", lambda row: row)
    sentence = fails("benchmark", manifest, "--model", model, "-o", tmp_path / "out")
    assert "Run run_001: the manifest lists two annotations of apo-ferritin, 7 and 8: expected one" in sentence


def test_a_manifest_without_an_overlay_is_not_written_to(
    manifest: Path, model: Path, tmp_path: Path, fails: Fails
) -> None:
    place = str(manifest / "Croissant" / "metadata.json")
    config = {"config_type": "mlcroissant", "pickable_objects": [], "croissant_url": place}
    (tmp_path / "config.json").write_text(json.dumps(config))
    before = sorted(path for path in manifest.rglob("*") if path.is_file())
    (tmp_path / "picks.csv").write_text("experiment,particle_type,x,y,z\nrun_001,apo-ferritin,1,2,3\n")
    add = "import", tmp_path / "picks.csv", "--format", "csv", "--project", tmp_path / "config.json", "--user", "me"
    for words in (("pick", tmp_path / "config.json", "--model", model), (*add, "-o", tmp_path / "config.json")):
        assert "add a folder for picks as overlay_root" in fails(*words)
    assert sorted(path for path in manifest.rglob("*") if path.is_file()) == before
