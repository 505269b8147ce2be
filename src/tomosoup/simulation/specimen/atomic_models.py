"""Atomic models: PDB and mmCIF files, and the Protein Data Bank."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path

import gemmi

from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import user_cache, written_aside

RCSB = "https://files.rcsb.org/download/{}.cif.gz"
PDB_ID = re.compile(r"[0-9][A-Za-z0-9]{3}|pdb_[A-Za-z0-9]{8}")


def read_model(file_or_id: str) -> gemmi.Structure:
    """A PDB or mmCIF file, or the model with a PDB id, as its first biological assembly.

    Raises `InputError` for a file that is no model or holds no atoms, and for an id that cannot be downloaded.
    """
    path = Path(file_or_id)
    if not path.is_file():
        if not PDB_ID.fullmatch(file_or_id):
            raise InputError(
                f"{file_or_id} is neither a file nor a PDB id; expected a PDB or mmCIF file, or an id such as 8cpv."
            )
        path = download(file_or_id)
    try:
        structure = gemmi.read_structure(str(path))
        structure.setup_entities()
        if structure.assemblies:
            structure.transform_to_assembly(structure.assemblies[0].name, gemmi.HowToNameCopiedChain.Short)
    except (RuntimeError, ValueError, IndexError, OSError) as error:
        raise InputError(f"{path} is not an atomic model that gemmi can read ({first_line(error)}).") from error
    structure.remove_waters()
    structure.remove_empty_chains()
    if not len(structure) or not structure[0].count_atom_sites():
        raise InputError(f"{path} holds no atoms; expected a PDB or mmCIF file with a model.")
    return structure


def download(pdb_id: str) -> Path:
    """The path of a model from RCSB, which is kept in the user's cache."""
    path = user_cache() / f"{pdb_id.lower()}.cif.gz"
    if path.exists():
        return path
    url = RCSB.format(pdb_id.lower())
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            content = answer.read()
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"{pdb_id} could not be downloaded from {url} ({reason}): without a network, fetch the file elsewhere and "
            "give its path."
        ) from error
    with written_aside(path) as aside:
        aside.write_bytes(content)
    return path
