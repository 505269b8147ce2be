"""One module a command, imported when the command is called: `--help` must not wait for torch, nor for all options.

The command second-stage, as all do, has its options in `options.second_stage.SecondStageCommand`, and does its work in
`commands.second_stage.second_stage_command`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomosoup.cli.terminal import Outcome

COMMANDS = {
    "demo": "Try tomosoup: find particles in a bundled tomogram with the bundled model, score them, write an HTML "
    "page.",
    "simulate": "Simulate tomograms with known particles, as a copick project.",
    "denoise": "Remove noise from tomograms with the bundled network, or with one that it trains on your half-set "
    "tomograms.",
    "check": "Check a project for common problems: voxel size, contrast, misplaced picks, half-voxel shifts.",
    "train": "Train a network on annotated tomograms.",
    "soup": "Average the weights of several checkpoints into one model, which picks as fast as a single one.",
    "tune": "Choose thresholds by cross-validation and store them in the models.",
    "second-stage": "Train a second stage: a small classifier that looks again at the picks of other models.",
    "pick": "Find particles and write them with their scores to copick and to a CSV file.",
    "threshold": "Apply other thresholds to the candidates that an earlier `pick` stored, without running a network.",
    "maps": "Write the heatmaps that models predict, or label volumes of picks, as files that other programs open.",
    "slab": "Find the two faces of the lamella or the ice in each tomogram and write what is between them as a mask.",
    "score": "Score picks against true picks with the metric of the CZII contest: F4 per species and their weighted "
    "mean.",
    "benchmark": "Run a public benchmark: pick the runs of its official split and score them with the contest's "
    "metric.",
    "export": "Export picks to another program: RELION, Warp, M, Dynamo, STOPGAP, TOM, ChimeraX, IMOD, EMAN2, crYOLO, "
    "copick.",
    "import": "Import picks of another program into a copick project or a CSV file.",
    "merge": "Merge the picks of several programs or models into one table, with the sets that each particle is in.",
    "report": "Write one HTML page to look at picks, choose thresholds and judge a training.",
    "view": "Show a run in napari with its picks and the true picks.",
    "convert": "Convert weights that the contest's winners published into a tomosoup checkpoint.",
    "publish": "Upload a checkpoint with its model card to the Hugging Face Hub, for others to use as --model "
    "hf:OWNER/NAME.",
    "export-onnx": "Write the network of a checkpoint as an ONNX file, for other programs to run.",
}
"""Name -> what `tomosoup --help` says of it: the first sentence of its options' docstring."""
ELSEWHERE = {"export": "exchange", "import": "exchange", "export-onnx": "onnx"}
"""Commands whose modules have other names."""


def options_class(command: str) -> type[Any]:
    """What a command takes."""
    found: type[Any] = getattr(_module("options", command), f"{command.title().replace('-', '')}Command")
    return found


def function_of(command: str) -> Callable[[Any], Outcome | None]:
    """What a command does."""
    found: Callable[[Any], Outcome | None] = getattr(
        _module("commands", command), f"{command.replace('-', '_')}_command"
    )
    return found


def _module(folder: str, command: str) -> Any:
    return import_module(f"tomosoup.cli.{folder}.{ELSEWHERE.get(command, command.replace('-', '_'))}")
