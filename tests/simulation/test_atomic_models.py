"""Atomic models from files and from the Protein Data Bank's cache."""

import gzip
from pathlib import Path

import gemmi
import pytest

from tomosoup.core.errors import InputError
from tomosoup.simulation.specimen.atomic_models import PDB_ID, download, read_model


def structure(*, waters: int = 0, atoms: int = 3) -> gemmi.Structure:
    made = gemmi.Structure()
    model, chain = gemmi.Model("1"), gemmi.Chain("A")
    for i in range(atoms + waters):
        residue = gemmi.Residue()
        residue.name, residue.seqid = ("ALA" if i < atoms else "HOH"), gemmi.SeqId(str(i + 1))
        atom = gemmi.Atom()
        atom.name, atom.element = ("CA", gemmi.Element("C")) if i < atoms else ("O", gemmi.Element("O"))
        atom.pos = gemmi.Position(10.0 * i, 0, 0)
        residue.add_atom(atom)
        chain.add_residue(residue)
    model.add_chain(chain)
    made.add_model(model)
    return made


def written(folder: Path, made: gemmi.Structure, name: str = "m.pdb") -> Path:
    path = folder / name
    made.setup_entities()
    if name.endswith(".pdb"):
        made.write_pdb(str(path))
    else:
        made.make_mmcif_document().write_file(str(path))
    return path


@pytest.mark.parametrize("name", ["m.pdb", "m.cif"])
def test_atoms_are_read_where_they_are_from_both_formats(tmp_path: Path, name: str) -> None:
    model = read_model(str(written(tmp_path, structure(), name)))[0]
    assert [cra.atom.pos.x for cra in model.all()] == pytest.approx([0, 10, 20])


def test_water_is_no_part_of_a_particle(tmp_path: Path) -> None:
    model = read_model(str(written(tmp_path, structure(waters=4))))[0]
    assert model.count_atom_sites() == 3


def test_a_model_of_water_alone_holds_no_atoms(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"m\.pdb holds no atoms"):
        read_model(str(written(tmp_path, structure(atoms=0, waters=3))))


def test_the_first_biological_assembly_is_built(tmp_path: Path) -> None:
    path = written(tmp_path, structure())
    remark = (
        "REMARK 350 BIOMOLECULE: 1\n"
        "REMARK 350 APPLY THE FOLLOWING TO CHAINS: A\n"
        "REMARK 350   BIOMT1   1  1.000000  0.000000  0.000000        0.00000\n"
        "REMARK 350   BIOMT2   1  0.000000  1.000000  0.000000        0.00000\n"
        "REMARK 350   BIOMT3   1  0.000000  0.000000  1.000000        0.00000\n"
        "REMARK 350   BIOMT1   2 -1.000000  0.000000  0.000000        0.00000\n"
        "REMARK 350   BIOMT2   2  0.000000 -1.000000  0.000000        0.00000\n"
        "REMARK 350   BIOMT3   2  0.000000  0.000000  1.000000      100.00000\n"
    )
    path.write_text(remark + path.read_text())
    found = sorted((round(cra.atom.pos.x), round(cra.atom.pos.z)) for cra in read_model(str(path))[0].all())
    assert found == [(-20, 100), (-10, 100), (0, 0), (0, 100), (10, 0), (20, 0)]


@pytest.mark.parametrize("word", ["8cpv", "4V1W", "pdb_00008cpv"])
def test_an_id_of_the_data_bank_is_known_by_its_form(word: str) -> None:
    assert PDB_ID.fullmatch(word)


@pytest.mark.parametrize("word", ["ribosome", "8cp", "8cpvv", "abcd", "gone.pdb", ""])
def test_a_word_that_is_neither_a_file_nor_an_id_is_refused(word: str, tmp_path: Path) -> None:
    assert not PDB_ID.fullmatch(word)
    with pytest.raises(InputError, match="PDB or mmCIF file"):
        read_model(word or str(tmp_path))


def test_a_file_that_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.cif").write_text("data_x\nloop_\n_broken\n")
    with pytest.raises(InputError, match=r"m\.cif") as error:
        read_model(str(tmp_path / "m.cif"))
    assert "\n" not in str(error.value)


def test_a_model_in_the_cache_is_not_fetched_again_however_its_id_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "tomosoup").mkdir()
    text = written(tmp_path, structure(), "m.cif").read_bytes()
    (tmp_path / "tomosoup" / "8cpv.cif.gz").write_bytes(gzip.compress(text))
    monkeypatch.chdir(tmp_path)
    assert download("8CPV") == tmp_path / "tomosoup" / "8cpv.cif.gz"
    assert read_model("8CPV")[0].count_atom_sites() == 3


def test_a_model_that_cannot_be_fetched_says_what_to_do_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(InputError, match=r"1abc could not be downloaded from .*1abc\.cif\.gz.*give its path"):
        download("1ABC".lower())
    assert not list(tmp_path.rglob("*.gz"))
