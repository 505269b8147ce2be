"""`tomosoup export-onnx`."""

from __future__ import annotations

from tomosoup.cli.options.onnx import ExportOnnxCommand
from tomosoup.cli.terminal import Outcome, say
from tomosoup.core.files import refuse_existing
from tomosoup.inference.engines.onnx_export import PREFIX, export_checkpoint
from tomosoup.models.checkpoint import load


def export_onnx_command(options: ExportOnnxCommand) -> Outcome:
    """Write a checkpoint's net as ONNX."""
    refuse_existing(options.output, overwrite=options.overwrite)
    model = load(options.model)
    window = options.window or model.windows.shape
    *beside, file = export_checkpoint(model, options.output, window=window)
    weights = f", weights in {beside[0]}" if beside else ""
    z, y, x = window
    species = [s.name for s in model.species]
    say(f"Output channels: {'background (all are logits), ' if model.segments_voxels else ''}{', '.join(species)}")
    say(f"In its metadata, as JSON: {PREFIX}species, {PREFIX}thresholds, {PREFIX}normalisation, {PREFIX}voxel_size")
    return Outcome(
        f"{file}: {model.architecture.name}, float32 windows (batch, 1, {z}, {y}, {x}), normalised{weights}",
        files=[file, *beside],
        facts={"net": model.architecture.name, "window": list(window), "species": species},
    )
