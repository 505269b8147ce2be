"""A script's command line: each word is an argument of the function that does the work."""

import sys
from collections.abc import Callable, Mapping

import tyro

CONFIG = (tyro.conf.PositionalRequiredArgs, tyro.conf.FlagCreatePairsOff)
Words = tyro.conf.Positional[str]
"""The type of `*words`: any number of words on the command line."""


def run_script(main: Callable[..., None], *, description: str | None) -> None:
    """Call `main` with the arguments on the command line."""
    tyro.cli(main, prog=_program(), description=description, config=CONFIG)


def run_step(steps: Mapping[str, Callable[..., None]], *, description: str | None) -> None:
    """Call the step that the first word names with the arguments after it."""
    tyro.extras.subcommand_cli_from_dict(dict(steps), prog=_program(), description=description, config=CONFIG)


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
