"""Tables on the terminal: scores, thresholds, failures, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

from tomosoup.cli.terminal import shown
from tomosoup.core.errors import counted, shortened

if TYPE_CHECKING:  # --help must not wait for torch
    from tomosoup.review.check.findings import Finding
    from tomosoup.scoring.score import Score
    from tomosoup.training.tune import TunedThreshold


def table(*headings: str, title: str) -> Table:
    """An empty table: names in the first column, which wraps, then columns of numbers, which do not."""
    made = Table(title=shown(title))
    for i, heading in enumerate(headings):
        made.add_column(heading, justify="right" if i else "left", no_wrap=bool(i), overflow="fold")
    return made


def score_table(result: Score) -> RenderableType:
    """One row per species, then the weighted score; below it the runs that were left out."""
    made = table(
        "species",
        "weight",
        "F4",
        "hits",
        "false picks",
        "missed",
        title=f"Scored: {shortened(list(result.runs), most=8)}",
    )
    for name, m in result.species.items():
        made.add_row(shown(name), f"{result.weights[name]:g}", f"{m.f_beta():.4f}", str(m.tp), str(m.fp), str(m.fn))
    made.add_section()
    made.add_row("weighted", "", f"{result.weighted:.4f}", "", "", "")
    if not result.left_out:
        return made
    names = shown(shortened(list(result.left_out)))
    return Group(
        made, f"Not scored, because they have no picks: {names}. To count their particles as missed, add --runs all."
    )


def tuned_table(tuned: Mapping[str, TunedThreshold], *, margin: float) -> RenderableType:
    """One row per species: particles, threshold and F4 with intervals; below it the species with few particles.

    Without a `margin` of the thresholds, a user with few particles is advised to give one.
    """
    made = table(
        "species",
        "particles",
        "threshold",
        "95 % interval",
        "F4",
        "95 % interval",
        title="Thresholds, and F4 of these picks",
    )
    for name, t in tuned.items():
        threshold, f4 = ("{:.3f}-{:.3f}".format(*ends) for ends in (t.interval, t.f4_interval))
        made.add_row(shown(name), str(t.particles), f"{t.threshold:.3f}", threshold, f"{t.f4:.3f}", f4)
    few = ", ".join(f"{name} ({t.particles})" for name, t in tuned.items() if t.few)
    if not few:
        return made
    lower = "" if margin else ", or use --threshold-margin 0.1 for lower, safer thresholds"
    return Group(
        made, f"Few true particles for {shown(few)}: these thresholds are uncertain. Annotate more particles{lower}."
    )


def averaging_table(thresholds: Mapping[str, float]) -> RenderableType:
    """One row per species: its threshold for averaging."""
    made = table("species", "threshold", title="Thresholds for averaging (best F1)")
    for name, threshold in thresholds.items():
        made.add_row(shown(name), f"{threshold:.3f}")
    return made


def failures_table(failures: Mapping[str, str], *, what: str = "runs not picked") -> RenderableType:
    """One row per reason, with the runs that failed for it."""
    by_reason: dict[str, list[str]] = {}
    for run, why in failures.items():
        by_reason.setdefault(why.replace(run, "..."), []).append(run)
    made = Table(what, "number", "reason", title="Failed")
    for column in made.columns:
        column.overflow = "fold"
    for runs in by_reason.values():
        names = ", ".join(runs[:3]) + (" ..." if len(runs) > 3 else "")
        made.add_row(shown(names), str(len(runs)), shown(failures[runs[0]]))
    return made


def expected(rate: float | None) -> str:
    """A false-discovery rate in words, for the number of picks that it follows."""
    return "" if rate is None else f" ({rate:.0%} expected to be false)"


def too_uncertain(counts: Mapping[str, int]) -> str:
    """What to do about the species of which a false-discovery rate kept no pick; empty if it kept some of each."""
    if not (none := [name for name, number in counts.items() if not number]):
        return ""
    return (
        f"No candidate of {shortened(none)} is certain enough for this rate. A higher one keeps more, without picking "
        "again: `tomosoup threshold` with a higher --max-fdr."
    )


COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}


def findings_table(findings: Sequence[Finding]) -> Table:
    """One row per finding, in their order."""
    table = Table("severity", "check, species, runs", "finding", show_lines=True)
    for f in findings:
        runs = ", ".join(f.runs[:2]) + (f" and {len(f.runs) - 2} more" if len(f.runs) > 2 else "")
        what = "\n".join([f.check, *[text for text in (f.species, runs) if text]])
        table.add_row(f"[{COLOURS[f.severity]}]{f.severity}[/]", shown(what), shown(f.text))
    return table


def measurements_summary(measured: Mapping[str, Any]) -> str:
    """The measurements in a sentence; empty if there are none."""
    if "particles" not in measured:
        return ""
    z, y, x = measured["shape"]
    text = f"{counted(measured['runs'], 'run')} of {z} x {y} x {x} voxels of {measured['voxel_size']:.4g} Å"
    text += f", {counted(sum(measured['picks'].values()), 'true pick')}; particles are {measured['particles']}"
    if "offset_vox" in measured:
        errors = measured["offset_error_vox"]
        away = ", ".join(f"{v:.2f} ± {errors[axis]:.2f}" for axis, v in measured["offset_vox"].items())
        text += f"; densities are {away} voxels (z, y, x) from their picks"
    return f"{text}."


def merged_table(counts: Mapping[tuple[str, ...], int], sets: Sequence[str]) -> Table:
    """One row per combination of sets: how many particles just these have."""
    made = table(*map(shown, sets), "particles", title="Found by")
    for who, count in counts.items():
        made.add_row(*("yes" if name in who else "-" for name in sets), str(count))
    return made
