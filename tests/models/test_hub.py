"""Models on the Hugging Face Hub: uploaded to, and downloaded from, a stand-in of its API on loopback."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import huggingface_hub
import pytest
from conftest import refused

from tomosoup.cli.commands.model_card import model_card
from tomosoup.cli.main import main
from tomosoup.core.errors import InputError
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.history import Trained, Tuned
from tomosoup.models.named import checkpoint_file
from tomosoup.models.named.hub import HubModel, from_hub


@dataclass
class Hub:
    """What the stand-in holds, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Of the only model, lab/protein; empty before it is made."""
    commits: list[list[str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    token: str | None = "Bearer secret"

    @property
    def commit(self) -> str:
        return f"{len(self.commits):040d}"


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    """The requests that huggingface-hub sends for one small model."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def answer(self, status: int, body: object = b"", **headers: str) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def file(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            repository, _, rest = self.path.strip("/").partition("/resolve/")
            revision, _, name = rest.partition("/")
            if self.path == "/api/models/lab/protein":
                self.answer(200, {"id": "lab/protein", "private": False, "tags": [], "siblings": []})
            elif repository != "lab/protein":
                self.answer(401, {"error": "no"}, x_error_code="RepoNotFound")
            elif revision not in ("main", "v1", hub.commit):
                self.answer(404, {"error": "no"}, x_error_code="RevisionNotFound")
            elif name not in hub.files:
                self.answer(404, {"error": "no"}, x_error_code="EntryNotFound")
            else:
                content = hub.files[name]
                tag = f'"{hashlib.sha256(content).hexdigest()}"'
                self.answer(200, content, x_repo_commit=hub.commit, etag=tag)

        do_GET = do_HEAD = file  # noqa: N815 - as http.server calls them

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            hub.asked.append(f"POST {self.path}")
            if self.headers.get("authorization") != hub.token:
                self.answer(401, {"error": "Invalid username or password."})
            elif self.path == "/api/repos/create":
                self.answer(200, {"url": f"{hub.address}/lab/protein"})
            elif self.path == "/api/validate-yaml":
                self.answer(200, {"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                files = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in json.loads(body)["files"]
                ]
                self.answer(200, {"files": files})
            else:
                lines = [json.loads(line) for line in body.splitlines()]
                files = [line["value"] for line in lines if line["key"] == "file"]
                added = {file["path"]: base64.b64decode(file["content"]) for file in files}
                hub.files |= added
                hub.commits.append(sorted(added))
                self.answer(
                    200, {"commitUrl": f"{hub.address}/lab/protein/commit/{hub.commit}", "commitOid": hub.commit}
                )

    return Handler


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty Hub, an empty cache, and a user who is logged in."""
    found = Hub()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(found)) as server:
        found.address = f"http://127.0.0.1:{server.server_address[1]}"
        files = f"{found.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        constants = {"ENDPOINT": found.address, "HUGGINGFACE_CO_URL_TEMPLATE": files}
        for name, value in {**constants, "HF_HUB_CACHE": str(tmp_path / "cache")}.items():
            monkeypatch.setattr(huggingface_hub.constants, name, value)
        monkeypatch.setenv("HF_TOKEN", "secret")
        from_hub.cache_clear()
        Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()
    from_hub.cache_clear()


def test_a_model_is_published_with_its_card_and_picks_under_its_name(
    hub: Hub, project: Path, model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    main(["publish", str(model), "lab/protein", "--licence", "cc-by-4.0", "--description", "Found in yeast."])
    assert f"{hub.address}/lab/protein: use it as --model hf:lab/protein" in capsys.readouterr().out
    assert hub.commits == [["README.md", "model.safetensors"]]
    assert hub.files["model.safetensors"] == model.read_bytes()
    card = hub.files["README.md"].decode()
    assert huggingface_hub.ModelCard(card).data.license == "cc-by-4.0"
    assert "Found in yeast." in card
    words = ["pick", str(project), "--runs", "run_000", "--threshold", "0.1", "-o"]
    main([*words, str(tmp_path / "named.csv"), "--model", "hf:lab/protein@v1"])
    main([*words, str(tmp_path / "file.csv"), "--model", str(model), "--session", "other"])
    assert (tmp_path / "named.csv").read_text() == (tmp_path / "file.csv").read_text()
    assert load("hf:lab/protein@v1").fingerprint() == load(model).fingerprint()


def test_a_model_is_downloaded_once_and_used_without_a_network(hub: Hub, model: Path) -> None:
    hub.files, hub.commits = {"model.safetensors": model.read_bytes()}, [["model.safetensors"]]
    first = checkpoint_file("hf:lab/protein")
    assert first.read_bytes() == model.read_bytes()
    from_hub.cache_clear()  # as another command
    assert checkpoint_file("hf:lab/protein") == first
    assert [line for line in hub.asked if line.startswith("GET")] == ["GET /lab/protein/resolve/main/model.safetensors"]


def test_offline_the_cache_serves_and_what_it_lacks_is_said(
    hub: Hub, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files, hub.commits = {"model.safetensors": model.read_bytes()}, [["model.safetensors"]]
    there = checkpoint_file("hf:lab/protein")
    from_hub.cache_clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert checkpoint_file("hf:lab/protein") == there
    with pytest.raises(InputError, match="cannot be reached, and hf:lab/other is not in its cache"):
        checkpoint_file("hf:lab/other")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hf:lab/unknown", "has no model lab/unknown, or it is private: check the name, or log in"),
        ("hf:lab/protein@v9", "hf:lab/protein has no revision v9"),
        ("hf:lab/protein", "hf:lab/protein has no file model.safetensors: expected a model that `tomosoup publish`"),
        ("hf:protein", "hf:protein names no model on the Hugging Face Hub: expected hf:OWNER/NAME[@REVISION]"),
        ("hf:a/b/c", "names no model on the Hugging Face Hub"),
        ("hf:lab/my--model", "names no model on the Hugging Face Hub"),
        ("hf:lab/model.git", "names no model on the Hugging Face Hub"),
        ("hf:../model", "names no model on the Hugging Face Hub"),
        ("hf:lab/-model", "names no model on the Hugging Face Hub"),
    ],
)
def test_a_model_that_is_not_there_is_one_sentence(
    hub: Hub, project: Path, name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files = {"README.md": b"a card alone"}
    assert says in refused(["pick", str(project), "--model", name], capsys)


def test_who_is_not_logged_in_is_told_and_nothing_is_uploaded(
    hub: Hub, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.token = "Bearer another"
    said = refused(["publish", str(model), "lab/protein", "--licence", "mit"], capsys)
    assert "lab/protein was not uploaded" in said
    assert "log in with `hf auth login` as a user who may write there" in said
    assert (hub.files, hub.commits) == ({}, [])
    assert "without a revision" in refused(["publish", str(model), "lab/protein@v1", "--licence", "mit"], capsys)


def test_a_public_model_is_not_replaced_as_if_it_were_private(
    hub: Hub, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(["publish", str(model), "lab/protein", "--licence", "mit", "--private"], capsys)
    assert "lab/protein is on the Hub already and everybody can see it: nothing was uploaded" in said
    assert hub.commits == []


def test_the_card_alone_is_written_and_nothing_is_asked(
    hub: Hub, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["publish", str(model), "lab/protein", "--licence", "mit", "--card", str(tmp_path / "card.md")]
    main(words)
    assert "# protein" in (tmp_path / "card.md").read_text()
    assert hub.asked == []
    assert "--overwrite" in refused(words, capsys)


def test_the_card_says_what_is_known_and_what_is_not(checkpoint: Checkpoint) -> None:
    runs = tuple(f"run_{i:03d}" for i in range(12))
    training: dict[str, Any] = {"recipe": {"epochs": 7, "learning_rate": 0.002}, "runs": runs, "held_out": "run_100"}
    kept = checkpoint.thresholds["apo-ferritin"]
    replaced, tuned = (
        Tuned(runs=("run_100",), thresholds={"apo-ferritin": {"threshold": at, "f4": f4}})
        for at, f4 in ((kept / 2, 0.7654), (kept, 0.87654))
    )
    first, last = (Trained(tomosoup="0.1.0", f4=f4, **training) for f4 in (0.6234, 0.91234))
    model = replace(checkpoint, history=(first, tuned, last, tuned, replaced))
    card = model_card(model, name="lab/protein", licence="mit", citation="Doe et al. 2026")
    for expected in (
        "| name | identifier | radius, Å | weight in F4 | threshold |",  # none has a threshold for averaging
        "| apo-ferritin | GO:0070288 | 60 | 1 | 0.400 |",
        "run_009 and 2 more. Epochs and thresholds were chosen on run_100.",
        "- train (tomosoup 0.1.0): epochs 7, learning rate 0.002",
        "| train | all, weighted | 0.912 |",
        "| tune | apo-ferritin | 0.877 |",
        "--model hf:lab/protein --output picks.csv",
        "## Citation\n\nDoe et al. 2026",
    ):
        assert expected in card
    assert "- tune" not in card
    for former in ("0.623", "0.765"):  # of other weights, of other thresholds
        assert former not in card
    bare = model_card(checkpoint, name="lab/protein", licence="mit")
    assert "Not measured." in bare
    assert "Citation" not in bare
    assert "runs that its history does not name" in bare


def test_names_have_two_parts_and_perhaps_a_revision() -> None:
    assert HubModel.of("hf:a/b@refs/pr/1") == HubModel("a/b", "refs/pr/1")
    assert HubModel.of("a-1/b.c") == HubModel("a-1/b.c")


def test_a_file_of_such_a_name_is_still_a_file(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hf:lab").mkdir()
    Path("hf:lab/protein").write_bytes(model.read_bytes())
    assert checkpoint_file("hf:lab/protein") == Path("hf:lab/protein")
