"""Picks in the formats of other programs. What each module knows of its program, it says with its source."""

from __future__ import annotations

from tomosoup.data.formats.base import Format, Frame
from tomosoup.data.formats.programs import chimerax, cryolo, dynamo, eman2, imod, m, own, points, star, stopgap, tom

FORMATS = {
    "csv": Format(
        (".csv",), Frame(), own.encode_csv, own.decode_csv, several_runs=True, several_species=True, measured=True
    ),
    "czii": Format(
        (".csv",), Frame(), own.encode_contest, own.decode_csv, several_runs=True, several_species=True, scored=False
    ),
    "copick": Format((".json",), Frame(), own.encode_copick, own.decode_copick, turned=True),
    "relion4": Format(
        (".star",),
        Frame("pixel", (0, 0, 0)),
        star.RELION4.encode,
        star.RELION4.decode,
        several_runs=True,
        turned=True,
        measured=True,
    ),
    "relion5": Format(
        (".star",),
        Frame("Å", (0, 0, 0), centred=True),
        star.RELION5.encode,
        star.RELION5.decode,
        several_runs=True,
        turned=True,
        measured=True,
        companions=star.import_list,
    ),
    "warp": Format(
        (".star",),
        Frame("voxel", (0, 0, 0)),
        star.WARP.encode,
        star.WARP.decode,
        turned=True,
        measured=True,
        several_runs=True,
        run="{run}.tomostar",
    ),
    "m": Format(
        (".star",), Frame("Å", (0, 0, 0)), m.encode, m.decode, several_runs=True, run="{run}.tomostar", turned=True
    ),
    "dynamo": Format(
        (".tbl", ".doc"),
        Frame("voxel", (0.5, 0.5, 0.5)),
        dynamo.encode,
        dynamo.decode,
        turned=True,
        several_runs=True,
        run="{run}.mrc",
    ),
    "stopgap": Format(
        (".star", ".txt"),
        Frame("voxel", (0, 0, 0), counted_from=1),
        stopgap.encode,
        stopgap.decode,
        turned=True,
        several_runs=True,
        run="{run}.mrc",
    ),
    "tom": Format(
        (".em", ".txt"),
        Frame("voxel", (0, 0, 0), counted_from=1),
        tom.encode,
        tom.decode,
        turned=True,
        several_runs=True,
        run="{run}.mrc",
    ),
    "chimerax": Format((".cmm", ".cxc"), Frame("Å", (0, 0, 0)), chimerax.encode, chimerax.decode, several_species=True),
    "imod": Format((".mod",), Frame("voxel", (0, 0.5, 0.5)), imod.encode, imod.decode, several_species=True),
    "imod-text": Format((".txt",), Frame("voxel", (0, 0.5, 0.5)), imod.encode_text, imod.decode, several_species=True),
    "model2point": Format(
        (".txt",),
        Frame("voxel", (0, 0.5, 0.5)),
        points.encode_text,
        points.decode_model2point,
        scored=False,
        bare=True,
    ),
    "eman2": Format(
        (".json",),
        Frame("pixel", (0, 0, 0), centred=True),
        eman2.encode,
        eman2.decode,
        several_species=True,
        merge=eman2.merge,
    ),
    "cryolo": Format((".coords",), Frame("voxel", (0, 0, 0)), cryolo.encode_coords, cryolo.decode_coords, scored=False),
    "cryolo-cbox": Format((".cbox",), Frame("voxel", (0, 0, 0)), cryolo.encode_cbox, cryolo.decode_cbox),
    "napari": Format((".csv",), Frame("voxel", (0, 0, 0)), points.encode_napari, points.decode_napari, bare=True),
    "xyz": Format(
        (".txt",), Frame("voxel", (0, 0, 0)), points.encode_text, points.decode_text, scored=False, bare=True
    ),
}
