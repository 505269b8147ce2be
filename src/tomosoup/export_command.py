"""`tomosoup export-onnx`."""

from __future__ import annotations

from tomosoup.recipes.commands import ExportOnnxCommand
from tomosoup.terminal import Outcome, say


def export_onnx(options: ExportOnnxCommand) -> Outcome:
    """Write a checkpoint's net as ONNX."""
    from tomosoup.checkpoints import load
    from tomosoup.engines.onnx_files import PREFIX, export_checkpoint
    from tomosoup.io.files import refuse_existing

    refuse_existing(options.output, overwrite=options.overwrite)
    model = load(options.model)
    window = options.window or model.windows.shape
    *beside, file = export_checkpoint(model, options.output, window=window)
    weights = f", weights in {beside[0]}" if beside else ""
    z, y, x = window
    species = [s.name for s in model.species]
    say(f"Output channels: {'background (all are logits), ' if model.labels else ''}{', '.join(species)}")
    say(f"In its metadata, as JSON: {PREFIX}species, {PREFIX}thresholds, {PREFIX}normalisation, {PREFIX}voxel_size")
    return Outcome(
        f"{file}: {model.architecture.name}, float32 windows (batch, 1, {z}, {y}, {x}), normalised{weights}",
        files=[file, *beside],
        facts={"net": model.architecture.name, "window": list(window), "species": species},
    )
