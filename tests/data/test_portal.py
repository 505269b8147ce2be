"""Projects on the CryoET Data Portal: copick's own code over records like the portal's, files on a loopback server."""

import json
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cryoet_data_portal as cdp
import numpy as np
import pytest
import s3fs
import torch
from conftest import changed, refused
from copick.impl import cryoet_data_portal as copick_portal

from tomosoup.cli.main import main
from tomosoup.core.aliases import PARTICLES, TOMO_TYPES, translation
from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Picks
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.options import AnnotatedData, DataOptions
from tomosoup.data.pick_store.reading import read_true_picks
from tomosoup.data.project import open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.jobs.job import PickingOptions, begin_job
from tomosoup.inference.jobs.run_picker import RunPicker
from tomosoup.inference.pick import pick_project
from tomosoup.models.adapt import named_for
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.training.supervision.crops import read_examples

ANY = DataOptions()
PLACES = Picks(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([0.9, 0.25]))
OBJECTS = {
    "cytosolic-ribosome": "GO:0022626",
    "beta-amylase": "UniProtKB:P10537",
    "thyroglobulin": "UniProtKB:P01267",
    "virus-like-capsid": "GO:0170047",
    "ferritin-complex": "GO:0070288",
    "beta-galactosidase": "UniProtKB:P00722",
}
"""As copick-torch lists dataset 10440."""
PORTAL_NAMES = {"apo-ferritin": "ferritin-complex", "beta-amylase": "beta-amylase"}
PORTAL_RUNS = {"run_000": 16463, "run_001": 16464}
SPACING = 10.012
ORGANISERS, OCTOPI = 10310, 10358
DENOISED = {"processing": "denoised", "processingSoftware": "DenoisET", "ctfCorrected": True}
RAW = {"processing": "raw", "processingSoftware": "AreTomo3", "ctfCorrected": True}


class Portal:
    """A portal that holds simulated runs: what GraphQL answers, by root field, and files on S3."""

    def __init__(self, s3: Any) -> None:
        self.s3 = s3
        s3.create_bucket(Bucket="portal", ACL="public-read")
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.asked = 0

    def add(self, table: str, **record: Any) -> int:
        rows = self.tables.setdefault(table, [])
        rows.append({"id": len(rows) + 1, **record})
        return rows[-1]["id"]

    def upload(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket="portal", Key=key, Body=body, ACL="public-read")

    def add_tomogram(self, run: int, spacing: int, folder: Path, **about: Any) -> None:
        place = f"10440/{run}/Tomograms/{about['processing']}.zarr"
        for file in filter(Path.is_file, folder.rglob("*")):
            self.upload(f"{place}/{file.relative_to(folder)}", file.read_bytes())
        self.add(
            "tomograms",
            runId=run,
            tomogramVoxelSpacingId=spacing,
            reconstructionMethod="WBP",
            s3OmezarrDir=f"s3://portal/{place}",
            **about,
        )

    def add_points(
        self,
        run: int,
        spacings: dict[int, float],
        name: str,
        picks: Picks,
        *,
        by: int,
        shapes: tuple[str, ...] = ("Point",),
    ) -> None:
        """An annotation: a file for each of its shapes and spacings (id -> Å), places in voxels."""
        annotation = self.add("annotations", runId=run, objectId=OBJECTS[name], objectName=name, depositionId=by)
        self.add("annotationAuthors", annotationId=annotation, name="Someone")
        for shape in shapes:
            shape_id = self.add("annotationShapes", annotationId=annotation, shapeType=shape)
            turned = {"xyz_rotation_matrix": [[0, -1, 0], [1, 0, 0], [0, 0, 1]]} if shape == "OrientedPoint" else {}
            for spacing, size in spacings.items():
                key = f"10440/{run}/{spacing}/Annotations/{annotation}_{shape}.ndjson"
                places = [dict(zip("zyx", place, strict=True)) for place in (picks.zyx / size).tolist()]
                lines = [json.dumps({"type": shape, "location": place, **turned}) for place in places]
                self.upload(key, "\n".join(lines).encode())
                self.add(
                    "annotationFiles",
                    annotationShapeId=shape_id,
                    tomogramVoxelSpacingId=spacing,
                    format="ndjson",
                    s3Path=f"s3://portal/{key}",
                )

    def execute(self, query: Any) -> dict[str, Any]:
        """All records of the root field that the query asks for."""
        self.asked += 1
        (field,) = query.document.definitions[0].selection_set.selections
        return {field.name.value: self.tables.get(field.name.value, [])}


@pytest.fixture
def portal(
    server: str, s3: Any, project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Portal]:
    """The first two simulated runs on a portal: the organisers' picks of both species, octopi's of one run."""
    portal, project = Portal(s3), open_project(project_folder)
    tomograms = project_folder / "static" / "ExperimentRuns"
    for run, number in PORTAL_RUNS.items():
        portal.add("runs", id=number, name=f"TS_{number}", datasetId=10440)
        sizes = {portal.add("tomogramVoxelSpacings", runId=number, voxelSpacing=v): v for v in (SPACING, 4.99)}
        for source, about in ((run, DENOISED), ("run_002", RAW)):
            portal.add_tomogram(number, min(sizes), tomograms / source / "VoxelSpacing10.000" / "wbp.zarr", **about)
        for name, picks in read_truth(project, run).items():
            shapes = ("Point", "OrientedPoint") if name == "apo-ferritin" else ("Point",)
            portal.add_points(number, sizes, PORTAL_NAMES[name], picks, by=ORGANISERS, shapes=shapes)
    portal.add_points(16463, {1: SPACING}, "ferritin-complex", PLACES, by=OCTOPI)
    monkeypatch.setattr(cdp.Client, "get_client", lambda _: portal)
    for variable, value in {"AWS_ENDPOINT_URL": server, "XDG_CACHE_HOME": f"{tmp_path}/cache"}.items():
        monkeypatch.setenv(variable, value)
    s3fs.S3FileSystem.clear_instance_cache()  # one that knows another server
    yield portal
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def portal_config(tmp_path: Path) -> Path:
    """A project over the portal's dataset as `copick config dataportal` writes it: every radius 50."""
    objects = [
        {"name": name, "identifier": identifier, "is_particle": True, "label": i + 1, "radius": 50.0}
        for i, (name, identifier) in enumerate(OBJECTS.items())
    ]
    config = {
        "config_type": "cryoet_data_portal",
        "name": "contest",
        "description": "",
        "version": "1.0.0",
        "pickable_objects": objects,
        "dataset_ids": [10440],
        "overlay_root": f"local://{tmp_path}/overlay",
        "overlay_fs_args": {"auto_mkdir": True},
    }
    (tmp_path / "portal.json").write_text(json.dumps(config))
    return tmp_path / "portal.json"


@pytest.mark.usefixtures("portal")
def test_particles_of_the_portal_have_the_contests_radii_and_weights(portal_config: Path) -> None:
    species = {s.name: (s.radius, s.weight) for s in open_project(portal_config).species}
    known = {s.name: (s.radius, s.weight) for s in CONTEST_SPECIES}
    assert set(species) == set(OBJECTS)
    assert species["ferritin-complex"] == known["apo-ferritin"]
    assert species["cytosolic-ribosome"] == known["ribosome"]
    assert species["virus-like-capsid"] == known["virus-like-particle"]
    assert all(species[name] == known[name] for name in set(species) & set(known))
    said = json.loads(portal_config.read_text())["pickable_objects"]
    changed(portal_config, pickable_objects=[said[0] | {"radius": 140.0}, said[1] | {"name": "amylase"}])
    mine = {s.name: (s.radius, s.weight) for s in open_project(portal_config).species}
    assert mine == {"cytosolic-ribosome": (140.0, 1.0), "amylase": (65.0, 0.0)}


@pytest.mark.usefixtures("portal")
@pytest.mark.parametrize("tomo_type", ["denoised", "wbp-denoised-denoiset-ctfdeconv"])
def test_a_tomogram_type_is_found_on_the_portal_by_the_contests_name(
    portal_config: Path, project_folder: Path, tomo_type: str
) -> None:
    tomogram = select_tomogram(open_project(portal_config), "16463", DataOptions(tomo_type=tomo_type))
    same = select_tomogram(open_project(project_folder), "run_000", ANY)
    torch.testing.assert_close(tomogram.read().data, same.read().data)


@pytest.mark.usefixtures("portal")
def test_a_tomogram_type_that_the_portal_lacks_is_answered_with_those_it_has(portal_config: Path) -> None:
    with pytest.raises(InputError, match="wbp-raw-aretomo3-ctfdeconv at"):
        select_tomogram(open_project(portal_config), "16463", DataOptions(tomo_type="isonetcorrected"))


@pytest.mark.usefixtures("portal")
def test_annotations_of_a_deposition_are_one_set_each_particle_once(portal_config: Path, project_folder: Path) -> None:
    project = open_project(portal_config)
    assert set(project.pick_sets("16463")) == {("data-portal", "10310"), ("data-portal", "10358")}
    with pytest.raises(InputError, match=r"found 2 .*data-portal/10310, data-portal/10358"):
        read_truth(project, "16463")
    for run, number in PORTAL_RUNS.items():
        here = read_truth(open_project(project_folder), run)
        there = read_truth(project, str(number), "data-portal/10310")
        assert set(there) == {PORTAL_NAMES[name] for name in here}
        for name, picks in here.items():
            np.testing.assert_allclose(there[PORTAL_NAMES[name]].zyx, picks.zyx)
        rotations = there["ferritin-complex"].rotations
        assert rotations is not None
        np.testing.assert_array_equal(rotations[0], [[1, 0, 0], [0, 0, 1], [0, -1, 0]])


def test_annotations_of_one_object_in_a_deposition_are_joined(portal: Portal, portal_config: Path) -> None:
    portal.add_points(16464, {3: SPACING}, "thyroglobulin", PLACES, by=ORGANISERS)
    portal.add_points(16464, {3: SPACING}, "thyroglobulin", PLACES.above(0.5), by=ORGANISERS)
    assert len(read_truth(open_project(portal_config), "16464")["thyroglobulin"]) == 3


@pytest.mark.usefixtures("portal")
def test_a_training_reads_tomograms_and_annotations_of_the_portal(portal_config: Path, project_folder: Path) -> None:
    project = open_project(portal_config)
    data = AnnotatedData(tomo_type="denoised", truth="data-portal/10310")
    examples = {e.run: e for e in read_examples(project, data)}
    assert set(examples) == {"16463", "16464"}
    same = read_examples(open_project(project_folder), AnnotatedData(runs=("run_001",)))[0]
    torch.testing.assert_close(examples["16464"].volume.data, same.volume.data)


@pytest.mark.usefixtures("portal")
def test_a_model_of_the_contest_picks_and_scores_a_portal_project_under_its_names(
    portal_config: Path, model: Path, project_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv, overlay = tmp_path / "picks.csv", tmp_path / "overlay" / "ExperimentRuns" / "16463" / "Picks"
    pick = f"pick {portal_config} --model {model} --kind denoised --threshold 0.1 ferritin-complex=0.14"
    main(f"{pick} --runs 16463 --output {csv}".split())
    assert {f.name for f in overlay.glob("tomosoup_0_*")} == {f"tomosoup_0_{n}.json" for n in PORTAL_NAMES.values()}
    limits = {"apo-ferritin": 0.14, "beta-amylase": 0.1}
    here = pick_project(
        open_project(project_folder), [load(model)], data=DataOptions(runs=("run_000",)), thresholds=limits
    )["run_000"]
    there = read_csv(csv)["16463"]
    assert sum(map(len, here.values())) > 0
    for name, found in here.items():
        np.testing.assert_allclose(there[PORTAL_NAMES[name]].zyx, found.zyx, atol=1e-2)
        np.testing.assert_allclose(there[PORTAL_NAMES[name]].score, found.score, atol=1e-5)
    contest = tmp_path / "contest.csv"
    contest.write_text(csv.read_text().replace("ferritin-complex", "apo-ferritin"))
    scores = []
    for picks in (portal_config, csv, contest):
        capsys.readouterr()
        main(f"score {picks} {portal_config} --truth-set data-portal/10310 --runs 16463 --json".split())
        scores.append(json.loads(capsys.readouterr().out))
    assert scores[0] == scores[1] == scores[2]
    assert scores[0]["species"]["ferritin-complex"]["tp"] + scores[0]["species"]["beta-amylase"]["tp"] > 0


@pytest.mark.usefixtures("portal")
def test_a_portal_project_is_gone_on_with_by_a_process_that_opens_it_itself(
    portal_config: Path, model: Path, tmp_path: Path, picked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pick = f"pick {portal_config} --model {model} --kind denoised --threshold 0.14 --output {tmp_path}/p.csv".split()
    main([*pick, "--shard", "1/2"])
    assert picked == ["16463"]
    assert {path.stem for path in tmp_path.glob("overlay/tomosoup/0/*/*.json")} == {"16463"}
    capsys.readouterr()
    main([*pick, "--cluster", "local:1"])  # where nothing answers for the portal
    assert "Picked before, and kept: 1 of 2 runs" in capsys.readouterr().out
    assert {path.stem for path in tmp_path.glob("overlay/tomosoup/0/*/*.json")} == {"16463", "16464"}
    one, other = (read_csv(tmp_path / "p.csv")[run] for run in ("16463", "16464"))
    assert set(one) | set(other) <= set(OBJECTS)
    assert sum(map(len, other.values())) > 0
    assert "made with other settings (tomograms)" in refused([*pick, "--kind", "wbp-raw-aretomo3-ctfdeconv"], capsys)


def test_a_job_on_the_portal_travels_without_what_it_has_open_and_asks_the_portal_nothing(
    portal: Portal, portal_config: Path, model: Path
) -> None:
    job = begin_job(portal_config, [model], ["16463"], options=PickingOptions(DataOptions(tomo_type="denoised")))
    assert job.store.root.runs
    asked = portal.asked
    assert asked > 0
    travelled = pickle.loads(pickle.dumps(job))
    assert travelled == job
    assert set(vars(travelled.store)) == {"config", "name", "fingerprint"}
    assert set(travelled.species) == set(PORTAL_NAMES.values())
    outcome = RunPicker(travelled).pick(RunPicker(travelled).open("16463"))
    assert outcome.error == ""
    assert travelled.store.done() == ["16463"]
    assert portal.asked == asked  # copick kept what it was told


@pytest.mark.usefixtures("portal")
def test_runs_that_a_deposition_leaves_out_are_left_out_of_its_truth(portal_config: Path) -> None:
    assert list(read_true_picks(portal_config, "data-portal/10358")) == ["16463"]
    assert list(read_true_picks(portal_config, "data-portal/10310")) == ["16463", "16464"]
    with pytest.raises(InputError, match="no true picks data-portal/1: name another"):
        read_true_picks(portal_config, "data-portal/1")


def test_a_portal_that_does_not_answer_gets_one_sentence(
    portal_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setattr(cdp._client, "DEFAULT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/graphql")
    monkeypatch.setattr(copick_portal.time, "sleep", lambda _: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"The CryoET Data Portal, for .*portal.json, cannot be reached"):
        open_project(portal_config)


def test_names_are_translated_only_where_they_differ_and_one_is_meant() -> None:
    portal = {"ferritin-complex": "apo-ferritin", "mine": "ribosome", "gold": "gold"}
    assert translation(["apo-ferritin", "cytosolic-ribosome", "gold", "stranger"], portal) == {
        "apo-ferritin": "ferritin-complex",
        "cytosolic-ribosome": "mine",
        "gold": "gold",
        "stranger": "stranger",
    }
    assert translation(["ribosome"], portal | {"ribosome": "ribosome"}) == {"ribosome": "ribosome"}
    with pytest.raises(InputError, match="ferritin-complex and apoferritin, which both could be apo-ferritin"):
        translation(["apo-ferritin"], portal | {"apoferritin": "apo-ferritin"})
    with pytest.raises(InputError, match="ribosome and cytosolic-ribosome are one particle of the project, mine"):
        translation(["ribosome", "cytosolic-ribosome"], portal)


def test_the_documented_table_of_names_is_the_one_in_use() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data" / "remote.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    table = {row[0]: {*row[1].split(", "), row[2]} - {row[0]} for row in rows if row[0] in PARTICLES}
    assert table == {name: set(others) for name, others in PARTICLES.items()}
    for tomo_type, there in TOMO_TYPES.items():
        assert [f"tomogram type `{tomo_type}`", f"tomogram type `{there}`", ""] in rows


@pytest.mark.usefixtures("portal")
def test_a_renamed_model_keeps_channels_radii_and_thresholds(portal_config: Path, checkpoint: Checkpoint) -> None:
    (model,) = named_for(open_project(portal_config), [checkpoint])
    assert [s.name for s in model.species] == [PORTAL_NAMES[s.name] for s in checkpoint.species]
    assert [(s.radius, s.weight) for s in model.species] == [(s.radius, s.weight) for s in checkpoint.species]
    assert model.thresholds == {PORTAL_NAMES[name]: value for name, value in checkpoint.thresholds.items()}
    assert named_for(open_project(portal_config), [model]) == [model]
    data = DataOptions(runs=("16464",), tomo_type="denoised")
    picks = pick_project(open_project(portal_config), [checkpoint], data=data)["16464"]
    assert set(picks) == set(PORTAL_NAMES.values())
