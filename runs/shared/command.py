"""A script's command line: each word is an argument of the function that does the work."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import tyro

from tomosoup.core.errors import InputError

CONFIG = (tyro.conf.PositionalRequiredArgs, tyro.conf.FlagCreatePairsOff)
Words = tyro.conf.Positional[str]
"""The type of `*words`: any number of words on the command line."""


def run_script(main: Callable[..., None], *, description: str | None) -> None:
    """Call `main` with the arguments on the command line."""
    with _one_sentence():
        tyro.cli(main, prog=_program(), description=description, config=CONFIG)


def run_step(steps: Mapping[str, Callable[..., None]], *, description: str | None) -> None:
    """Call the step that the first word names with the arguments after it."""
    with _one_sentence():
        tyro.extras.subcommand_cli_from_dict(dict(steps), prog=_program(), description=description, config=CONFIG)


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Bad input ends a script with one sentence, without a traceback."""
    try:
        yield
    except InputError as error:
        raise SystemExit(str(error)) from None


def _program() -> str:
    """The script as one types it, for its --help."""
    spec = sys.modules["__main__"].__spec__
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else sys.argv[0]


def share_of(worker: str) -> tuple[int, int]:
    """Which of how many workers: "1/3" -> (1, 3). The first is 0."""
    number, workers = map(int, worker.split("/"))
    return number, workers


def print_progress(what: str, done: int, total: int) -> None:
    """Show how far a simulation is, on one line of the terminal."""
    print(what, f"{done}/{total}", end="\r", flush=True)
