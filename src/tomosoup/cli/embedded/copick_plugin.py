"""`copick inference tomosoup`, `copick training tomosoup`, `copick evaluation tomosoup`: tomosoup in copick's own CLI.

Options have copick's names where copick has some, the words of tomosoup's recipes for help, and are handed on to
tomosoup's commands. copick imports this module for every `copick --help`, so that it must not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from copick.cli.types import CopickURI
from copick.cli.util import add_config_option, add_debug_option, add_run_names_option, resolve_run_names

from tomosoup.cli.arguments.command_line import command_line
from tomosoup.cli.arguments.fields import plain
from tomosoup.cli.arguments.messages import as_options
from tomosoup.cli.arguments.parse import filled, nested
from tomosoup.cli.options.pick import PickCommand
from tomosoup.cli.options.score import ScoreCommand
from tomosoup.cli.options.train import TrainCommand
from tomosoup.core.config import Options
from tomosoup.core.errors import InputError
from tomosoup.data.pick_store.pick_set import OWN_USER, PickSet

Function = TypeVar("Function", bound=Callable[..., Any])


def taken(model: type[Options], path: str, *names: str) -> Callable[[Function], Function]:
    """A click option that is a recipe's field (`inference.device`), called `names`, or --device, with its help.

    What it is given becomes tomosoup's option of the field's own name.
    """
    *sections, name = path.split(".")
    for section in sections:
        inner: Any = model.model_fields[section].annotation
        model = inner
    field = model.model_fields[name]
    kind = plain(field.annotation)
    said = as_options(field.description or "", model)
    options: dict[str, Any] = {"help": said, "required": field.is_required()}
    if kind is bool:
        options["is_flag"] = True
    elif get_origin(kind) is tuple:
        options |= {"multiple": True, "help": f"{said} Repeatable."}
    else:
        options |= {"default": None, "show_default": str(field.default) if field.default not in (None, ()) else False}
        options["type"] = click.Choice(get_args(kind)) if get_origin(kind) is Literal else str
        options["show_default"] = False if field.is_required() else options["show_default"]
    return click.option(*(names or [f"--{name.replace('_', '-')}"]), "__".join([*sections, name]), **options)


def in_copick(function: Function) -> Any:
    """The command tomosoup of a group, with the options that copick's commands share; `-- ...` hands on any others."""
    for add in (add_debug_option, add_run_names_option, add_config_option):
        function = add(function)
    function = click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS OF TOMOSOUP]")(function)
    short = (function.__doc__ or "").strip().splitlines()[0]
    return click.command(name="tomosoup", short_help=short, no_args_is_help=True)(function)


def tomogram_option(function: Function) -> Function:
    """Which tomogram of each run."""
    said = "Tomogram of each run, TYPE@SPACING (wbp@10.0, or wbp alone); needed where runs have several."
    return click.option("-i", "--input", "tomogram", type=CopickURI("tomogram"), help=said)(function)


def picks_option(*names: str, role: str = "input", **options: Any) -> Callable[[Function], Function]:
    """A pick set of all species, as *:USER/SESSION."""
    return click.option(*names, type=CopickURI("picks", role), **options)


@in_copick
@tomogram_option
@taken(PickCommand, "model", "-m", "--model")
@picks_option(
    "-o", "--output", "picks", role="output", default="*:tomosoup/0", show_default=True, help="Picks to write."
)
@taken(PickCommand, "output", "--csv")
@taken(PickCommand, "threshold")
@taken(PickCommand, "max_fdr")
@taken(PickCommand, "plan")
@taken(PickCommand, "inference.engine")
@taken(PickCommand, "inference.device")
@taken(PickCommand, "overwrite")
@taken(PickCommand, "redo")
def inference(tomogram: str | None, picks: str, **said: Any) -> None:
    """Find particles: pick with tomosoup.

    \b
    copick inference tomosoup -c config.json -i wbp@10.0 -m model.safetensors
    """
    shared = _taken_off(said)
    found = _pick_set(picks)
    if not found.own:
        raise click.UsageError(f"tomosoup's picks are of user {OWN_USER}: expected -o '*:{OWN_USER}/SESSION'.")
    _run(PickCommand, {**_tomogram(tomogram), "session": found.session}, said, **shared)


@in_copick
@tomogram_option
@picks_option("-p", "--picks", "picks", help="True picks, *:USER/SESSION; by default the only set not by tomosoup.")
@taken(TrainCommand, "output", "-o", "--output")
@taken(TrainCommand, "recipe")
@taken(TrainCommand, "fold")
@taken(TrainCommand, "all_folds")
@taken(TrainCommand, "start_from")
@taken(TrainCommand, "hardware.device")
@taken(TrainCommand, "resume")
@taken(TrainCommand, "overwrite")
def training(tomogram: str | None, picks: str | None, **said: Any) -> None:
    """Train a tomosoup model to find particles.

    \b
    copick training tomosoup -c config.json -i wbp@10.0 -o model.safetensors
    """
    shared = _taken_off(said)
    truth = {"data__truth": str(_pick_set(picks))} if picks else {}
    _run(TrainCommand, {**_tomogram(tomogram), **truth}, said, **shared)


@in_copick
@picks_option("-i", "--input", "picks", default=None, help="Picks, *:USER/SESSION; by default tomosoup's only set.")
@picks_option("-t", "--truth", "truth", role="reference", help="True picks; by default the only set not by tomosoup.")
@taken(ScoreCommand, "threshold")
def evaluation(picks: str | None, truth: str | None, config: str | None, **said: Any) -> None:
    """Score picks with the contest's metric.

    \b
    copick evaluation tomosoup -c config.json -i '*:tomosoup/0' -t '*:curation/0'
    """
    shared = _taken_off(said)
    sets = {"picks_set": picks, "truth_set": truth}
    given = {name: str(_pick_set(uri)) for name, uri in sets.items() if uri}
    _run(ScoreCommand, {"truth": config, **given}, said, config=config, **shared)


def _taken_off(said: dict[str, Any]) -> dict[str, Any]:
    """What was said to the options that copick's commands share, taken off the rest."""
    return {name: said.pop(name) for name in ("config", "run_names", "debug", "more") if name in said}


def _run(
    command: type[Options],
    given: Mapping[str, Any],
    said: Mapping[str, Any],
    *,
    config: str | None,
    run_names: Sequence[str],
    debug: bool,
    more: Sequence[str],
) -> None:
    """Give a command of tomosoup what was said to copick's, and `more`, which was typed after it."""
    from copick.util.log import get_logger

    from tomosoup.cli.main import main

    logger = get_logger(__name__, debug=debug)
    if not config:
        raise click.UsageError("A configuration is required: name it with -c/--config, or set COPICK_CONFIG.")
    if any(word.startswith("--write-sbatch") for word in more):
        raise click.UsageError("A job array repeats the command of tomosoup: use it with `tomosoup pick`.")
    first = next(iter(command.model_fields))
    runs = "data__runs" if "data" in command.model_fields else "runs"
    typed = {**given, **said, runs: resolve_run_names(run_names, logger=logger), first: config}
    values = {tuple(name.split("__")): value for name, value in typed.items() if value not in (None, False, (), [])}
    try:
        program, *words = command_line(filled(command, nested(values)))
    except InputError as error:
        raise click.UsageError(str(error)) from error
    logger.debug("%s %s", program, " ".join([*words, *more]))
    main([*words, *more])


def _pick_set(uri: str) -> PickSet:
    """The set of picks of all species that a URI names."""
    named = _parsed(uri, "picks", "*:USER/SESSION", free=("object_name",))
    if named["object_name"] != "*":
        raise click.UsageError(f"All species of a set are meant: expected *:USER/SESSION, got {uri!r}.")
    return PickSet(named["user_id"], named["session_id"])


def _tomogram(uri: str | None) -> dict[str, Any]:
    if uri is None:
        return {}
    named = _parsed(uri, "tomogram", "TYPE@SPACING", free=("voxel_spacing",))
    spacing = named["voxel_spacing"]
    return {"data__tomo_type": named["tomo_type"], "data__voxel_spacing": None if spacing == "*" else spacing}


def _parsed(uri: str, kind: str, form: str, *, free: Sequence[str]) -> dict[str, str]:
    """The parts of a copick URI without patterns, but for the parts that are `free` to be *."""
    from copick.util.uri import parse_copick_uri

    try:
        named: dict[str, str] = parse_copick_uri(uri, kind)
    except ValueError as error:
        raise click.UsageError(f"Expected {form}, got {uri!r} ({error}).") from error
    parts = {key: value for key, value in named.items() if key not in {"object_type", "pattern_type"}}
    if named["pattern_type"] != "glob" or any(set(v) & set("*?[") for k, v in parts.items() if k not in free):
        raise click.UsageError(f"One is meant, without patterns: expected {form}, got {uri!r}.")
    return parts
