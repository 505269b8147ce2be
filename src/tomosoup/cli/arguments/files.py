"""The files that options name, looked at before anything that takes long is imported."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tomosoup.cli.arguments.fields import options_of, value_at
from tomosoup.core.config import Options
from tomosoup.core.errors import InputError
from tomosoup.core.files import is_table, refuse_existing, refuse_packed
from tomosoup.data.options import PROJECT_FORMS
from tomosoup.models.named import checkpoint_file, shipped_names

ADDRESS = re.compile("([A-Za-z][A-Za-z0-9+.-]+):/+")
"""How a path begins that was an address, such as s3://bucket."""


def check_files(options: Options) -> None:
    """Raises `InputError` for the first input that is missing, and for an output that may not be written."""
    for option in options_of(type(options), options):
        kind, value = option.typed.file, value_at(options, option.path)
        for path in value if isinstance(value, tuple) else (value,):
            written = isinstance(path, Path) or option.typed.group == "Output"
            if written and (scheme := ADDRESS.match(str(path))):
                raise InputError(
                    f"{scheme[1]}://{str(path)[scheme.end() :]} is an address; expected a path on this machine. (The "
                    "folders of a copick configuration may be addresses.)"
                )
            if option.typed.group == "Output" and isinstance(path, Path):
                refuse_packed(path)
            if path is not None and kind is not None:
                CHECKS[kind](path, options)


def _checkpoint(path: Path, _: Any) -> None:
    if checkpoint_file(path).exists():
        return
    near = get_close_matches(path.stem, shipped_names(), n=1)
    meant = f'did you mean "{near[0]}"?' if near else "expected a .safetensors file that `tomosoup train` wrote."
    raise InputError(f"There is no checkpoint at {path}: {meant}")


def _project(path: Path, _: Any) -> None:
    if is_table(path):
        _input(path, _)
    elif not path.exists():
        raise InputError(f"There is no project at {path}: expected {PROJECT_FORMS}.")


def _input(path: Path, _: Any) -> None:
    if not path.exists():
        raise InputError(f"There is no file {path}: check its name.")


def _output(path: Path, options: Any) -> None:
    resumed = getattr(options, "resume", False) or getattr(options, "all_folds", False)
    refuse_existing(path, overwrite=options.overwrite or resumed)


CHECKS: dict[str, Callable[[Path, Any], None]] = {
    "checkpoint": _checkpoint,
    "project": _project,
    "input": _input,
    "output": _output,
}
