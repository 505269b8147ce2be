import gzip
import io
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch
from scipy import ndimage
from torch_calculate_electrostatic_potential import get_peng_scattering_parameters

from tomosoup.core.errors import InputError
from tomosoup.simulation.options.microscope import MicroscopeOptions
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.simulate import simulate_run
from tomosoup.simulation.specimen import atomic_models as models
from tomosoup.simulation.specimen.atomic_models import read_model
from tomosoup.simulation.specimen.built_in import VOLTS_PER_KDA
from tomosoup.simulation.specimen.particles import structure_maps
from tomosoup.simulation.specimen.potential import NUCLEIC_VOLUME, VOLUME, WATER_VOLTS, potential

ALANINE = [
    ("N", "N", 0.0, 0.0),
    ("CA", "C", 1.46, 0.0),
    ("C", "C", 2.0, 1.4),
    ("O", "O", 1.2, 2.3),
    ("CB", "C", 2.0, -0.8),
]
"""Name, element, x and y (Å) of the heavy atoms."""
VOLTS = 47.877647
"""V Å² in a scattering factor of 1 Å."""
TWO_COPIES = """\
REMARK 350 BIOMOLECULE: 1
REMARK 350 APPLY THE FOLLOWING TO CHAINS: A
REMARK 350   BIOMT1   1  1.000000  0.000000  0.000000        0.00000
REMARK 350   BIOMT2   1  0.000000  1.000000  0.000000        0.00000
REMARK 350   BIOMT3   1  0.000000  0.000000  1.000000        0.00000
REMARK 350   BIOMT1   2 -1.000000  0.000000  0.000000        0.00000
REMARK 350   BIOMT2   2  0.000000 -1.000000  0.000000       60.00000
REMARK 350   BIOMT3   2  0.000000  0.000000  1.000000        0.00000
"""


def factor(number: int) -> float:
    """The electron scattering factor at 0 in Å."""
    return float(get_peng_scattering_parameters(torch.tensor([number]))[0].sum())


def alanines(*places: tuple[float, float, float], hydrogens: int = 0, occupancy: float = 1.0) -> gemmi.Structure:
    """Alanines at (x, y, z) Å, each with so many hydrogens listed."""
    structure = gemmi.Structure()
    structure.add_model(gemmi.Model(1))
    chain = structure[0].add_chain(gemmi.Chain("A"))
    for i, (x, y, z) in enumerate(places):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "ALA", gemmi.SeqId(i + 1, " ")
        listed = ALANINE + [(f"H{n}", "H", 0.5 * n, 0.5) for n in range(hydrogens)]
        for name, element, dx, dy in listed:
            atom = gemmi.Atom()
            atom.name, atom.element, atom.occ = name, gemmi.Element(element), occupancy
            atom.pos = gemmi.Position(x + dx, y + dy, z)
            residue.add_atom(atom)
        chain.add_residue(residue)
    structure.setup_entities()
    return structure


AMINO_ACIDS = {
    "ALA": (8.25, "NCCOC"), "ARG": (5.53, "NCCOCCCNCNN"), "ASN": (4.06, "NCCOCCON"), "ASP": (5.46, "NCCOCCOO"),
    "CYS": (1.38, "NCCOCS"), "GLN": (3.93, "NCCOCCCON"), "GLU": (6.72, "NCCOCCCOO"), "GLY": (7.07, "NCCO"),
    "HIS": (2.27, "NCCOCCNCCN"), "ILE": (5.91, "NCCOCCCC"), "LEU": (9.65, "NCCOCCCC"), "LYS": (5.80, "NCCOCCCCN"),
    "MET": (2.41, "NCCOCCSC"), "PHE": (3.86, "NCCOCCCCCCC"), "PRO": (4.74, "NCCOCCC"), "SER": (6.65, "NCCOCO"),
    "THR": (5.36, "NCCOCOC"), "TRP": (1.10, "NCCOCCCCNCCCCC"), "TYR": (2.92, "NCCOCCCCCCCO"), "VAL": (6.86, "NCCOCCC"),
}  # fmt: skip
"""How often each occurs in Swiss-Prot (%), and its heavy atoms in a chain."""


def average_protein() -> gemmi.Structure:
    """All amino acids in one chain, hydrogens not listed; occupancies are their shares."""
    structure = alanines(*[(12.0 * i, 0.0, 0.0) for i in range(len(AMINO_ACIDS))])
    for residue, (name, (percent, elements)) in zip(structure[0]["A"], AMINO_ACIDS.items(), strict=True):
        residue.name = name
        while len(residue):
            del residue[0]
        for i, element in enumerate(elements):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.occ = f"{element}{i}", gemmi.Element(element), percent / 100
            atom.pos = gemmi.Position(12.0 * residue.seqid.num, 1.2 * i, 0.0)
            residue.add_atom(atom)
    return structure


HANDED = ((0.0, 0.0, 0.0), (90.0, 0.0, 0.0), (0.0, 60.0, 0.0), (0.0, 0.0, 40.0))
"""Four residues that tell x, y and z apart."""


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes a structure as PDB, mmCIF or packed mmCIF."""

    def write(structure: gemmi.Structure, name: str = "model.pdb", header: str = "") -> Path:
        path = tmp_path / name
        if name.endswith(".pdb"):
            path.write_text(header + structure.make_pdb_string())
        elif name.endswith(".gz"):
            path.write_bytes(gzip.compress(structure.make_mmcif_document().as_string().encode()))
        else:
            path.write_text(structure.make_mmcif_document().as_string())
        return path

    return write


def integral(structure: gemmi.Structure, voxel_size: float = 5.0) -> float:
    """V Å³."""
    return float(potential(structure, voxel_size=voxel_size).sum() * voxel_size**3)


# Potential.


def test_the_potential_is_that_of_the_atoms_less_that_of_the_displaced_water() -> None:
    # Alanine in a chain: C3 H5 N O, of which the model lists C3 N O.
    scattering = 3 * factor(6) + factor(7) + factor(8) + 5 * factor(1)
    mass = 3 * 12.011 + 14.007 + 15.999 + 5 * 1.008
    expected = scattering * VOLTS - WATER_VOLTS * VOLUME * mass
    assert integral(alanines(*HANDED)) == pytest.approx(4 * expected, rel=5e-3)


def test_proteins_have_the_potential_a_kda_that_shapes_and_maps_are_scaled_to() -> None:
    # Averagine: C4.9384 H7.7583 N1.3577 O1.4773 S0.0417 (Senko 1995).
    amounts = {6: 4.9384, 1: 7.7583, 7: 1.3577, 8: 1.4773, 16: 0.0417}
    whole = sum(n * factor(z) for z, n in amounts.items()) * VOLTS / 0.1111254
    water = (2 * factor(1) + factor(8)) * VOLTS * 0.94 * 0.602214 / 18.015
    assert pytest.approx(water, rel=0.01) == WATER_VOLTS
    assert pytest.approx(whole - water * 1210, rel=0.01) == VOLTS_PER_KDA


def test_a_protein_whose_file_lists_no_hydrogens_has_that_potential_a_kda() -> None:
    chain = [gemmi.find_tabulated_residue(name).weight - 18.015 for name in AMINO_ACIDS]
    kda = sum(w * percent for w, (percent, _) in zip(chain, AMINO_ACIDS.values(), strict=True)) / 1e5
    assert integral(average_protein()) / kda == pytest.approx(VOLTS_PER_KDA, rel=0.02)


@pytest.mark.parametrize("voxel_size", [2.0, 3.7, 10.0, 12.0])
def test_the_integral_does_not_depend_on_the_voxel_size(voxel_size: float) -> None:
    model = alanines(*HANDED)
    assert integral(model, voxel_size) == pytest.approx(integral(model, 5.0), rel=0.01)


def test_hydrogens_count_the_same_whether_listed_or_not() -> None:
    assert integral(alanines(*HANDED, hydrogens=5)) == pytest.approx(integral(alanines(*HANDED)), rel=0.01)


def test_occupancies_count() -> None:
    assert integral(alanines(*HANDED, occupancy=0.5)) == pytest.approx(0.5 * integral(alanines(*HANDED)), rel=1e-3)


def test_nucleic_acids_displace_less_water() -> None:
    def of(name: str) -> float:
        structure = alanines(*HANDED)
        for residue in structure[0]["A"]:
            residue.name = name
        return integral(structure)

    mass = 3 * 12.011 + 14.007 + 15.999
    lost = 12  # C10 H12 N5 O6 P in a chain
    saved = WATER_VOLTS * (VOLUME - NUCLEIC_VOLUME) * (mass + lost * 1.008)
    more = (lost - 5) * (factor(1) * VOLTS - WATER_VOLTS * VOLUME * 1.008)
    assert of("A") - of("ALA") == pytest.approx(4 * (saved + more), rel=0.02)


@pytest.mark.parametrize("shift", [0.0, 500.0, -300.0])
def test_atoms_are_where_the_file_has_them(shift: float) -> None:
    places = np.array(HANDED) + shift
    volts = potential(alanines(*map(tuple, places)), voxel_size=2.0)
    peaks, count = ndimage.label(volts > 0.3 * volts.max())
    assert count == 4
    found = np.array(ndimage.center_of_mass(volts, peaks, range(1, 5))) * 2.0
    origin = next(p for p in found if np.allclose(np.sort(np.linalg.norm(found - p, axis=1)), [0, 40, 60, 90], atol=1))
    steps = found - origin
    for zyx in [(0, 0, 90), (0, 60, 0), (40, 0, 0)]:
        assert np.linalg.norm(steps - zyx, axis=1).min() < 0.5


def test_unknown_elements_count_as_carbon() -> None:
    structure = alanines(*HANDED)
    for residue in structure[0]["A"]:
        residue[0].element = gemmi.Element("X")
    assert integral(structure) > 0.7 * integral(alanines(*HANDED))


# Files.


@pytest.mark.parametrize("name", ["model.pdb", "model.cif", "model.cif.gz"])
def test_pdb_and_mmcif_files_are_read(written: Callable[..., Path], name: str) -> None:
    model = alanines(*HANDED)
    assert integral(read_model(str(written(model, name)))) == pytest.approx(integral(model), rel=1e-3)


def test_the_biological_assembly_is_built(written: Callable[..., Path]) -> None:
    model = alanines(*HANDED)
    twice = read_model(str(written(model, header=TWO_COPIES)))
    assert integral(twice) == pytest.approx(2 * integral(model), rel=1e-3)
    places = np.array([(a.atom.pos.x, a.atom.pos.y) for a in twice[0].all() if a.atom.name == "N"])
    assert np.linalg.norm(places - (-90, 60), axis=1).min() < 0.01
    twice_cif = read_model(str(written(gemmi.read_structure(str(written(model, header=TWO_COPIES))), "model.cif")))
    assert integral(twice_cif) == pytest.approx(2 * integral(model), rel=1e-3)


def test_of_several_assemblies_the_first_is_built(written: Callable[..., Path]) -> None:
    model = alanines(*HANDED)
    alone = "\n".join(TWO_COPIES.splitlines()[:5]) + "\n"
    both = alone + TWO_COPIES.replace("BIOMOLECULE: 1", "BIOMOLECULE: 2")
    assert integral(read_model(str(written(model, header=both)))) == pytest.approx(integral(model), rel=1e-3)


def test_waters_and_further_models_are_left_out(written: Callable[..., Path]) -> None:
    model = alanines(*HANDED)
    crowded = alanines(*HANDED)
    water = gemmi.Residue()
    water.name, water.seqid = "HOH", gemmi.SeqId(99, " ")
    atom = gemmi.Atom()
    atom.name, atom.element, atom.pos = "O", gemmi.Element("O"), gemmi.Position(30, 30, 30)
    water.add_atom(atom)
    crowded[0]["A"].add_residue(water)
    second = crowded[0].clone()
    second.num = 2
    crowded.add_model(second)
    crowded.setup_entities()
    assert integral(read_model(str(written(crowded)))) == pytest.approx(integral(model), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.pdb", "HEADER    NOTHING\nEND\n", "holds no atoms; expected a PDB or mmCIF file"),
        ("a.cif", "not a cif at all", "is not an atomic model that gemmi can read"),
        ("a.cif", "data_x\n_cell.length_a 1\n", "holds no atoms"),
        ("a.xyz", "1\n\nC 0 0 0\n", "is not an atomic model that gemmi can read"),
    ],
)
def test_files_without_a_model_are_refused_in_a_sentence(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said) as raised:
        read_model(str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_neither_a_file_nor_an_id_is_refused() -> None:
    with pytest.raises(InputError, match=r"nowhere/model.pdb is neither a file nor a PDB id"):
        read_model("nowhere/model.pdb")


# The Protein Data Bank.


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tomosoup"


def test_an_id_without_a_network_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    said = (
        r"8cpv could not be downloaded from https://files.rcsb.org/\S+ \(no route to host\): without a network, fetch"
    )
    with pytest.raises(InputError, match=said):
        read_model("8cpv")
    assert not cache.exists()


def test_an_id_is_downloaded_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(alanines(*HANDED).make_mmcif_document().as_string().encode())
    asked = []

    def serve(url: str, **_: object) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(content)

    monkeypatch.setattr(urllib.request, "urlopen", serve)
    for _ in range(2):
        assert read_model("8CPV")[0].count_atom_sites() == 20
    assert asked == [models.RCSB.format("8cpv")]
    assert [p.name for p in cache.iterdir()] == ["8cpv.cif.gz"]


def test_a_download_that_breaks_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Broken())
    with pytest.raises(InputError, match="timed out"):
        read_model("1abc")
    assert not cache.exists()


def test_a_download_that_cannot_be_written_whole_leaves_no_half(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(b"x" * 100))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises((InputError, OSError), match="No space left"):
        read_model("1abc")
    assert list(cache.iterdir()) == []


# In a simulation.


def test_a_model_becomes_a_species_at_the_default_concentration(written: Callable[..., Path]) -> None:
    path = written(alanines(*HANDED), "mine.cif")
    recipe = SimulationRecipe(
        shape=(24, 40, 40),
        concentration={},
        default_concentration=60000.0,
        structures={"mine": str(path)},
        microscope=MicroscopeOptions(tilt_step=20.0),
    )
    assert len(simulate_run(recipe, seed=0).truth["mine"]) == 2
    (density,) = structure_maps(["mine"], recipe).values()
    assert float(density.sum()) * 1e3 == pytest.approx(integral(alanines(*HANDED)), rel=0.01)
    np.testing.assert_allclose(ndimage.center_of_mass(density.numpy()), density.shape[0] // 2, atol=0.05)
