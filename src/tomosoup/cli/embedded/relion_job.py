"""`tomosoup-relion`: a pick as a job of RELION 5, started from its GUI as an External job.

RELION calls the program in the project folder, with --o and the job folder, --in_tomograms and the tomograms.star of
an earlier job, the parameters of the GUI as --NAME VALUE, and --j and the number of threads. It expects
RELION_OUTPUT_NODES.star with the files that other jobs can use, and RELION_JOB_EXIT_SUCCESS, _FAILURE or _ABORTED.
(RELION's documentation, "Using RELION: the External job type".)
"""

from __future__ import annotations

import os
import signal
import sys
from _thread import interrupt_main
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from time import sleep

from tomosoup.cli.main import main as tomosoup
from tomosoup.cli.terminal import fail
from tomosoup.core.errors import InputError
from tomosoup.core.files import written_aside
from tomosoup.data.formats.geometry.tomogram_sizes import named_file
from tomosoup.data.formats.tables.picks_csv import read_csv
from tomosoup.data.formats.tables.star import read_star
from tomosoup.data.formats.tables.table import Table

VOLUMES = "rlnTomoReconstructedTomogramDenoised", "rlnTomoReconstructedTomogram"
"""Columns with the files of the tomograms: the first that is there is picked."""
PARTICLES, SET = "ParticleGroupMetadata.star.relion.tomo", "TomoOptimisationSet.star.relion.tomo"
"""RELION's types of the outputs."""
SUCCESS, FAILURE, ABORTED = (f"RELION_JOB_EXIT_{end}" for end in ("SUCCESS", "FAILURE", "ABORTED"))
ABORT = "RELION_JOB_ABORT_NOW"


def main(arguments: Sequence[str] | None = None) -> None:
    """The program. Exits as `tomosoup pick` does, once the job's folder says how it ended."""
    options, words = read_options(sys.argv[1:] if arguments is None else arguments)
    options.o.mkdir(parents=True, exist_ok=True)
    for old in (SUCCESS, FAILURE, ABORTED, ABORT):
        (options.o / old).unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: interrupt_main())
    Thread(target=abort_on_request, args=(options.o / ABORT,), daemon=True).start()
    end = FAILURE
    try:
        pick(options, words)
        end = SUCCESS
    except InputError as error:
        fail(str(error), 1)
    except KeyboardInterrupt:
        end = ABORTED
        fail("Stopped; the same job resumes.", 130)
    except SystemExit as stop:
        end = ABORTED if stop.code == 130 else end
        raise
    finally:
        (options.o / end).touch()


def read_options(arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
    """RELION's options, and those that are handed on to `tomosoup pick`."""
    parser = ArgumentParser(
        prog="tomosoup-relion",
        allow_abbrev=False,
        description="Pick the tomograms of a RELION 5 project, as an External job of its GUI. Further options are "
        "those of `tomosoup pick`.",
    )
    parser.add_argument("--o", type=Path, required=True, metavar="FOLDER", help="the folder of the job")
    parser.add_argument("--in_tomograms", type=Path, metavar="STAR", help="tomograms.star of an earlier job; required")
    parser.add_argument("--j", metavar="N", help="threads")
    parser.add_argument("--pipeline_control", help="set by RELION's schedules; not used")
    return parser.parse_known_args(list(arguments))


def abort_on_request(file: Path) -> None:
    """Stop as at Ctrl-C once this file is there, which RELION's GUI makes to abort a job; remove the file."""
    while not file.exists():
        sleep(0.5)
    file.unlink(missing_ok=True)
    interrupt_main()


def pick(options: Namespace, words: Sequence[str]) -> None:
    """Pick, export for RELION, and list what was written. Raises `InputError` and `SystemExit`."""
    if options.j:
        os.environ.setdefault("OMP_NUM_THREADS", options.j)
    if options.in_tomograms is None:
        raise InputError("Expected the tomograms.star of an earlier job: add the parameter in_tomograms.")
    tomograms, picks, star = options.o / "tomograms", options.o / "picks.csv", options.in_tomograms
    link_tomograms(star, tomograms)
    tomosoup(["pick", str(tomograms), "--output", str(picks), *words])
    for old in (*options.o.glob("*/particles*.star"), *options.o.glob("*/optimisation_set.star")):
        old.unlink()
    into, nodes = str(options.o / "{species}" / "particles.star"), list[tuple[Path, str]]()
    frame = ["--project", str(tomograms), "--format", "relion5", "--tomograms", str(star)]
    if read_csv(picks):
        tomosoup(["export", str(picks), *frame, "--output", into, "--overwrite"])
    for particles in sorted(options.o.glob("*/particles.star")):
        optimisation_set = particles.with_name("optimisation_set.star")
        write_star(optimisation_set, "", [("_rlnTomoParticlesFile", particles), ("_rlnTomoTomogramsFile", star)])
        nodes += [(optimisation_set, SET), (particles, PARTICLES)]
    write_loop(options.o / "RELION_OUTPUT_NODES.star", "output_nodes", nodes)


def link_tomograms(star: Path, folder: Path) -> None:
    """A folder with a link NAME.mrc to each tomogram of a tomograms.star; links of an earlier start are replaced.

    Raises `InputError` where the file lists no tomograms, or one that is not there.
    """
    table = tomograms_in(star)
    column = next(column for column in VOLUMES if column in table)
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        if old.is_symlink():
            old.unlink()
    for name, file in zip(table.text("rlnTomoName"), table.text(column), strict=True):
        volume = named_file(file, star)
        (folder / f"{name}{volume.suffix}").symlink_to(volume.absolute())


def tomograms_in(star: Path) -> Table:
    """The table of a tomograms.star. Raises `InputError` where the file has none."""
    if not star.is_file():
        raise InputError(f"There is no file {star}: give the tomograms.star of an earlier job.")
    for table in read_star(star):
        if "rlnTomoName" in table and any(column in table for column in VOLUMES):
            return table
    raise InputError(
        f"{star} lists no reconstructed tomograms ({VOLUMES[1]}): give the tomograms.star of a job that reconstructs "
        "or denoises tomograms."
    )


def write_star(path: Path, block: str, pairs: Sequence[tuple[str, Path]]) -> None:
    """A STAR file with a block of single values."""
    with written_aside(path) as aside:
        aside.write_text(f"data_{block}\n\n" + "".join(f"{name} {value}\n" for name, value in pairs))


def write_loop(path: Path, block: str, nodes: Sequence[tuple[Path, str]]) -> None:
    """A STAR file with a table of files and their types."""
    columns = "loop_\n_rlnPipeLineNodeName #1\n_rlnPipeLineNodeTypeLabel #2\n"
    rows = "".join(f"{name} {kind}\n" for name, kind in nodes)
    with written_aside(path) as aside:
        aside.write_text(f"data_{block}\n\n{columns}{rows}")


if __name__ == "__main__":
    main()
