"""What `tomosoup check` found, as rich draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tomosoup.terminal import shown

if TYPE_CHECKING:  # --help must not wait for torch
    from tomosoup.checks.findings import Finding

COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}


def findings_table(findings: Sequence[Finding]) -> Table:
    """A row a finding, in their order."""
    table = Table("", "what", "finding", show_lines=True)
    for f in findings:
        runs = ", ".join(f.runs[:2]) + (f" and {len(f.runs) - 2} more" if len(f.runs) > 2 else "")
        what = "\n".join([f.check, *[text for text in (f.species, runs) if text]])
        table.add_row(f"[{COLOURS[f.severity]}]{f.severity}[/]", shown(what), shown(f.text))
    return table


def measured_line(measured: Mapping[str, Any]) -> str:
    """What was measured, in a sentence; empty where nothing could be."""
    if "particles" not in measured:
        return ""
    z, y, x = measured["shape"]
    text = f"{measured['runs']} runs of {z} x {y} x {x} voxels of {measured['voxel_size']:.4g} Å"
    text += f", {sum(measured['picks'].values())} true picks; particles are {measured['particles']}"
    if "offset_vox" in measured:
        errors = measured["offset_error_vox"]
        away = ", ".join(f"{v:.2f} ± {errors[axis]:.2f}" for axis, v in measured["offset_vox"].items())
        text += f"; densities lie {away} voxels (z, y, x) from their picks"
    return f"{text}."
