"""Files of strangers: whatever they hold, reading them gives a value or one sentence, and runs nothing."""

import json
import pickle
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import torch
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readers import READERS, mutations, read_session

from tomosoup.cli.tables import shown
from tomosoup.cli.terminal import printable
from tomosoup.core.errors import InputError
from tomosoup.core.types import Species
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.project import open_project
from tomosoup.data.volumes.mrc import open_mrc
from tomosoup.data.volumes.omezarr import open_omezarr
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.convert import convert
from tomosoup.models.nets.blocks.timm_backbone import _read_weights


@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_gives_a_value_or_one_sentence(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    valid = reader.valid(tmp_path)

    @settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        reader.check(tmp_path, data.draw(mutations(valid)))

    reader.check(tmp_path, valid)
    run()


class Payload:
    """Unpickled, it leaves a file: the proof that code of a file's choosing ran."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.proof,)


def packed_by(codec: str) -> Callable[[Path, Path], Callable[[], object]]:
    def plant(folder: Path, proof: Path) -> Callable[[], object]:
        group = zarr.open_group(str(folder / "t.zarr"), mode="w")
        array = group.create_dataset("0", shape=(4, 4, 4), chunks=(4, 4, 4), dtype="f4", compressor=None)
        array[:] = 1
        about = json.loads((folder / "t.zarr/0/.zarray").read_text())
        about |= {"filters": [{"id": "pickle"}]} if codec == "filter" else {"compressor": {"id": "pickle"}}
        (folder / "t.zarr/0/.zarray").write_text(json.dumps(about))
        (folder / "t.zarr/0/0.0.0").write_bytes(pickle.dumps(Payload(proof)))
        return lambda: open_omezarr(zarr.DirectoryStore(str(folder / "t.zarr")), name="t")[0][:]

    return plant


def objects(folder: Path, proof: Path) -> Callable[[], object]:
    group = zarr.open_group(str(folder / "t.zarr"), mode="w")
    array = group.create_dataset("0", shape=(2, 2, 2), dtype=object, object_codec=numcodecs.Pickle())
    array[:] = 1
    (folder / "t.zarr/0/0.0.0").write_bytes(pickle.dumps(Payload(proof)))
    return lambda: open_omezarr(zarr.DirectoryStore(str(folder / "t.zarr")), name="t")[0][:]


def torch_file(read: Callable[[Path], object], name: str) -> Callable[[Path, Path], Callable[[], object]]:
    def plant(folder: Path, proof: Path) -> Callable[[], object]:
        torch.save({"state_dict": Payload(proof)}, folder / name)
        return lambda: read(folder / name)

    return plant


PLANTED = {
    "a filter of a Zarr": packed_by("filter"),
    "the compressor of a Zarr": packed_by("compressor"),
    "objects in a Zarr": objects,
    "published weights": torch_file(convert, "m.ckpt"),
    "weights of a backbone": torch_file(_read_weights, "m.pth"),
    "a checkpoint": torch_file(load, "m.safetensors"),
}


@pytest.mark.parametrize("where", PLANTED)
def test_no_code_runs_from_a_file(where: str, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    read = PLANTED[where](tmp_path, proof)
    with pytest.raises(InputError):
        read()
    assert not proof.exists()
    pickle.loads(pickle.dumps(Payload(proof)))
    assert proof.exists()  # the payload is one


def test_no_code_runs_from_the_state_of_a_training(project_folder: Path, tmp_path: Path) -> None:
    from conftest import TINY_TRAINING

    from tomosoup.training.options import Execution
    from tomosoup.training.train import train

    (tmp_path / "training").mkdir()
    torch.save({"callbacks": {}, "state_dict": Payload(tmp_path / "ran")}, tmp_path / "training/last.ckpt")
    with pytest.raises(InputError, match="cannot be read"):
        train(project_folder, TINY_TRAINING, folder=tmp_path / "training", execution=Execution(resume=True))
    assert not (tmp_path / "ran").exists()


def zarr_claiming(folder: Path, **changed: object) -> Callable[[], object]:
    group = zarr.open_group(str(folder / "t.zarr"), mode="w")
    group.create_dataset("0", data=np.ones((4, 4, 4), np.float32))
    about = json.loads((folder / "t.zarr/0/.zarray").read_text())
    (folder / "t.zarr/0/.zarray").write_text(json.dumps(about | changed))
    return lambda: open_omezarr(zarr.DirectoryStore(str(folder / "t.zarr")), name="t")[0][:2]


def mrc_claiming(folder: Path, offset: int, *values: int) -> Callable[[], object]:
    content = bytearray(READERS["MRC"].valid(folder))
    struct.pack_into(f"<{len(values)}i", content, offset, *values)
    (folder / "t.mrc").write_bytes(content)
    return lambda: open_mrc(folder / "t.mrc")


def imod_claiming(folder: Path, chunk: bytes, offset: int, value: int) -> Callable[[], object]:
    content = bytearray(READERS["picks as imod"].valid(folder))
    struct.pack_into(">i", content, content.index(chunk) + 4 + offset, value)
    (folder / "t.mod").write_bytes(content)
    return lambda: READERS["picks as imod"].read(folder / "t.mod")


def imod_text_claiming(folder: Path, points: str) -> Callable[[], object]:
    (folder / "t.txt").write_text(f"imod 1\nobject 0 1 0\nname a\ncontour 0 0 {points}\n1 2\n")
    return lambda: READERS["picks as imod-text"].read(folder / "t.txt")


def markers_that_grow(folder: Path) -> Callable[[], object]:
    entities = '<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    (folder / "t.cmm").write_text(f'<!DOCTYPE x [{entities}]><marker_set name="&i;"/>')
    return lambda: READERS["picks as chimerax"].read(folder / "t.cmm")


def checkpoint_claiming(checkpoint: Checkpoint, **changed: object) -> Callable[[], object]:
    about = checkpoint.metadata()
    architecture = about["architecture"] | {k: v for k, v in changed.items() if k in about["architecture"]}
    about |= {"architecture": architecture} | {k: v for k, v in changed.items() if k in about}
    return lambda: Checkpoint.of(checkpoint.weights, about, source="t").net()


@pytest.mark.parametrize(
    "claim",
    [
        lambda folder, _: zarr_claiming(folder, shape=[10**6] * 3, chunks=[1, 1, 1]),
        lambda folder, _: zarr_claiming(folder, shape=[10**6] * 3, chunks=[10**4] * 3),
        lambda folder, _: mrc_claiming(folder, 0, 10**4, 10**4, 10**4),
        lambda folder, _: mrc_claiming(folder, 0, -4, 4, 4),
        lambda folder, _: mrc_claiming(folder, 92, 2**30),
        lambda folder, _: mrc_claiming(folder, 92, -(2**30)),
        lambda folder, _: imod_claiming(folder, b"CONT", 0, 2**30),
        lambda folder, _: imod_claiming(folder, b"CONT", 0, -1),
        lambda folder, _: imod_claiming(folder, b"COST", 0, 2**31 - 1),
        lambda folder, _: imod_text_claiming(folder, "9" * 12),
        lambda folder, _: imod_text_claiming(folder, "9" * 9),
        lambda folder, _: markers_that_grow(folder),
        lambda _, checkpoint: checkpoint_claiming(checkpoint, decoder_widths=[2**14] * 3),
        lambda _, checkpoint: checkpoint_claiming(checkpoint, decoder_widths=[2**40] * 3),
        lambda _, checkpoint: checkpoint_claiming(checkpoint, input_slices=10**9 + 1),
        lambda _, checkpoint: checkpoint_claiming(checkpoint, windows={"shape": [10**6] * 3, "stride": [10**6] * 3}),
        lambda _, checkpoint: checkpoint_claiming(checkpoint, voxel_size=float("nan")),
        lambda _, checkpoint: checkpoint_claiming(checkpoint, thresholds=["a"]),
    ],
)
def test_what_a_file_claims_is_checked_before_memory_is_asked_for(
    claim: Callable[[Path, Checkpoint], Callable[[], object]], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    read = claim(tmp_path, checkpoint)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as error:
            read()
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "", ".", "..", "a\0b", "a\nb", "\x1b[31mred", "x" * 101])
def test_names_that_would_leave_a_folder_or_command_a_terminal_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Expected the name of"):
        Species(name, 50.0)
    table = tmp_path / "p.csv"
    table.write_text(f'experiment,particle_type,x,y,z\n"{name}",ribosome,1,2,3\n' if name else "")
    from tomosoup.data.formats.tables.picks_csv import read_csv

    with pytest.raises(InputError):
        read_csv(table)


def test_what_is_shown_commands_no_terminal() -> None:
    assert printable("a\x1b[31mb\r\nc\x9b") == "a\\x1b[31mb\\r\nc\\x9b"
    assert shown("[red]a[/red]") == "\\[red]a\\[/red]"


def test_a_configuration_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 10**5)
    with pytest.raises(InputError, match="cannot be read as JSON"):
        open_project(tmp_path / "deep.json")


def test_a_table_with_a_row_too_long_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("experiment,particle_type,x,y,z\na,b,1,2,3\na,b,1,2,3,4,5\n")
    with pytest.raises(InputError, match="line 3: expected 5 values") as refused:
        read_csv(tmp_path / "t.csv")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("outputs", ["3", '"a.csv"', "[3]", "null"])
def test_records_whose_outputs_are_no_list_of_paths_are_refused(outputs: str, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(f'{{"settings": {{}}, "outputs": {outputs}}}')
    with pytest.raises(InputError, match="holds no settings"):
        read_session(tmp_path / "settings.json")
