"""Every reader of files, with a valid file of each, and ways to spoil one: for the tests and runs/checks/fuzz.py."""

import gzip
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import torch
import zarr
from hypothesis import strategies as st

from tomosoup.core.config import Recipe
from tomosoup.core.errors import InputError
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.core.types import Grid, Picks, Species
from tomosoup.data.copick.files import read_files
from tomosoup.data.formats.base import Block, Details
from tomosoup.data.formats.geometry.tomogram_sizes import read_sizes
from tomosoup.data.formats.known_formats import FORMATS
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.formats.tables.species_csv import read_species
from tomosoup.data.formats.tables.tomogram_map import read_map
from tomosoup.data.pick_store.records import Session
from tomosoup.data.project import open_project
from tomosoup.data.volumes.files import read_volume
from tomosoup.data.volumes.omezarr import open_omezarr
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.models.convert import convert
from tomosoup.models.nets.build import build_net
from tomosoup.models.nets.options import UNet3dOptions
from tomosoup.models.window_plan import WindowPlan
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.specimen.atomic_models import read_model
from tomosoup.training.options import TrainingRecipe


@dataclass(frozen=True)
class Reader:
    """How to make a valid file of a kind, in a folder, and to read one."""

    file: str
    valid: Callable[[Path], bytes]
    read: Callable[[Path], object]

    def check(self, folder: Path, content: bytes) -> bool:
        """Whether content of this kind is read; False for one sentence of our own, and any other error is raised."""
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the libraries, which users may see
                self.read(path)
        except InputError as error:
            if "\n" in str(error).strip():
                raise
            return False
        return True


TABLE = b"experiment,particle_type,x,y,z,score\nrun_000,ribosome,1.5,2,3,0.5\nrun_001,apo-ferritin,4,5,6,1\n"
TOMOGRAMS = (
    b"data_\nloop_\n_rlnTomoName\n_rlnTomoSizeX\n_rlnTomoSizeY\n_rlnTomoSizeZ\n_rlnTomoTiltSeriesPixelSize\na 9 8 7 2\n"
)
WARP_XML = b'<TiltSeries VolumeDimensionsAngstrom="90, 80, 70"><Angles>1</Angles></TiltSeries>'
PDB = b"""\
CRYST1   50.000   50.000   50.000  90.00  90.00  90.00 P 1           1
ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00  0.00           N
ATOM      2  CA  ALA A   1      11.639   6.071  -5.147  1.00  0.00           C
END
"""
CONFIG = {
    "config_type": "filesystem",
    "name": "t",
    "description": "",
    "version": "1.0",
    "pickable_objects": [
        {"name": "ribosome", "is_particle": True, "label": 1, "radius": 150.0, "color": [1, 2, 3, 255]}
    ],
    "overlay_root": "local:///nowhere/overlay",
    "overlay_fs_args": {},
    "static_root": "local:///nowhere/static",
    "static_fs_args": {},
}
PICKS = {
    "pickable_object_name": "ribosome",
    "user_id": "u",
    "session_id": "0",
    "run_name": "r",
    "unit": "angstrom",
    "points": [{"location": {"x": 1.0, "y": 2.0, "z": 3.0}, "instance_id": 0, "score": 0.5}],
}


def as_json(value: object) -> Callable[[Path], bytes]:
    return lambda _: json.dumps(value).encode()


def shipped(recipe: type[Recipe], name: str) -> Callable[[Path], bytes]:
    package, folder = recipe.FOLDER
    return lambda _: (resources.files(package) / folder / f"{name}.toml").read_bytes()


def hdf(folder: Path) -> bytes:
    """A volume as EMAN2 keeps it."""
    with h5py.File(folder / "valid.hdf", "w") as file:
        group = file.create_group("MDF/images/0")
        group.create_dataset("image", data=np.ones((4, 4, 4), np.float32), chunks=(2, 4, 4), compression="gzip")
        group.attrs.update({f"EMAN.apix_{axis}": 10.0 for axis in "xyz"})
    return (folder / "valid.hdf").read_bytes()


def mrc(folder: Path) -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(folder / "valid.mrc", np.ones((4, 4, 4), np.float32), overwrite=True) as file:
        file.voxel_size = 10.0
    return (folder / "valid.mrc").read_bytes()


def tilt_com(folder: Path) -> bytes:
    (folder / "t_ali.mrc").write_bytes(mrc(folder))
    return b"$tilt\nInputProjections t_ali.mrc\nOutputFile t_rec.mrc\nIMAGEBINNED 4\nTHICKNESS 320\nFULLIMAGE 64 60\n"


def zarr_metadata(folder: Path) -> bytes:
    store = folder / "valid.zarr"
    shutil.rmtree(store, ignore_errors=True)
    group = zarr.open_group(str(store), mode="w")
    group.create_dataset("0", data=np.ones((4, 4, 4), np.float32), chunks=(2, 4, 4))
    return (store / "0/.zarray").read_bytes()


ZARR_3 = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [4, 4, 4],
    "data_type": "float32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 4, 4]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": 0.0,
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {}}],
    "attributes": {},
}


def read_zarr_3(path: Path) -> object:
    return open_omezarr(path.parents[1], name="t")[0].shape


def read_zarr(path: Path) -> object:
    array, size = open_omezarr(zarr.DirectoryStore(str(path.parents[1])), name="t")
    return array.shape, size


def small_net() -> Checkpoint:
    net = UNet3dOptions(channels=(2, 4), strides=(2,))
    plan = WindowPlan(shape=(8, 8, 8), stride=(8, 8, 8))
    weights = build_net(net, classes=1).state_dict()
    return Checkpoint(weights, net, (Species("ribosome", 150.0),), voxel_size=10.0, windows=plan)


def checkpoint(folder: Path) -> bytes:
    small_net().save(folder / "valid.safetensors")
    return (folder / "valid.safetensors").read_bytes()


def torch_file(folder: Path) -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {"a": torch.zeros(3)}}, folder / "valid.ckpt")
    return (folder / "valid.ckpt").read_bytes()


class Local:
    """As much of an fsspec file system as reading records needs."""

    @staticmethod
    def cat_file(path: str) -> bytes:
        return Path(path).read_bytes()


def read_session(path: Path) -> object:
    session = Session(Local(), str(path.parent))
    return session.settings(), session.outputs()


def picks_as(format_name: str) -> Reader:
    """The reader of another program's picks, whose valid file is one of ours, with what lies beside it."""
    form = FORMATS[format_name]
    details = Details({"run_000": Grid(10.0, (5.0, 5.0, 5.0), (50, 60, 70))}, CONTEST_SPECIES, pixel_size=2.5)
    turned = np.stack([np.eye(3), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]]).astype(float)
    picks = Picks(np.array([[1.5, 2, 3], [4, 5, 6]]), np.array([0.5, 0.25]), turned)

    def valid(folder: Path) -> bytes:
        main, *beside = form.encode([Block("run_000", "ribosome", picks)], details).items()
        for ending, content in beside:
            (folder / f"t{ending}").write_bytes(content)
        return main[1]

    return Reader(f"t{form.endings[0]}", valid, lambda path: form.decode(path, Details()))


READERS = {
    "CSV": Reader("t.csv", lambda _: TABLE, read_csv),
    "species table": Reader("species.csv", lambda _: b"name,radius,weight\na,60,1\nb,90,2\n", read_species),
    "copick configuration": Reader("c.json", as_json(CONFIG), lambda path: open_project(path).species),
    "copick picks": Reader("p.json", as_json(PICKS), lambda path: read_files([path])),
    "records of a session": Reader("settings.json", as_json({"settings": {"plan": 1}, "outputs": []}), read_session),
    "training recipe": Reader("t.toml", shipped(TrainingRecipe, "small"), TrainingRecipe.read),
    "simulation recipe": Reader("s.toml", shipped(SimulationRecipe, "contest"), SimulationRecipe.read),
    "plan": Reader("p.toml", shipped(PickingPlan, "soup"), PickingPlan.read),
    "MRC": Reader("t.mrc", mrc, read_volume),
    "HDF": Reader("t.hdf", hdf, read_volume),
    "packed MRC": Reader("t.mrc.gz", lambda folder: gzip.compress(mrc(folder)), read_volume),
    "Zarr 3 metadata": Reader("t.zarr/0/zarr.json", as_json(ZARR_3), read_zarr_3),
    "Zarr metadata": Reader("valid.zarr/0/.zarray", zarr_metadata, read_zarr),
    "checkpoint": Reader("t.safetensors", checkpoint, lambda path: load(path).net()),
    "published weights": Reader("t.ckpt", torch_file, convert),
    **{f"picks as {name}": picks_as(name) for name in FORMATS if name not in {"csv", "czii", "copick"}},
    "sizes of tomograms": Reader("t.star", lambda _: TOMOGRAMS, lambda path: read_sizes([path])),
    "sizes of Warp": Reader("t.xml", lambda _: WARP_XML, lambda path: read_sizes([path])),
    "sizes of IMOD": Reader("tilt.com", tilt_com, lambda path: read_sizes([path])),
    "map of tomograms": Reader("t.doc", lambda _: b"1 r1.mrc\n2 a b.mrc\n", read_map),
    "atomic model": Reader("t.pdb", lambda _: PDB, lambda path: read_model(str(path))),
}
NASTY = [
    b"\0",
    b"-1",
    b"1e999",
    b"NaN",
    b"../../x",
    b"9" * 400,
    b"[" * 3000,
    b"\x1b[31m",
    b"null",
    b"{}",
    b'"',
    b"\xff\xfe",
]


def mutations(valid: bytes) -> st.SearchStrategy[bytes]:
    """The valid file cut, with bytes or numbers changed, or with something nasty in it; or anything at all."""

    def spoilt(edits: list[tuple[float, float, bytes]]) -> bytes:
        content = valid
        for where, how_much, what in edits:
            at = int(where * len(content))
            content = content[:at] + what + content[at + int(how_much * 8) :]
        return content

    place = st.floats(0, 1, exclude_max=True)
    what = st.one_of(st.sampled_from(NASTY), st.binary(max_size=8), st.integers().map(lambda n: str(n).encode()))
    return st.one_of(
        st.lists(st.tuples(place, place, what), min_size=1, max_size=4).map(spoilt),
        place.map(lambda share: valid[: int(share * len(valid))]),
        st.binary(max_size=200),
    )
