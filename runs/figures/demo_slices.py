"""Draws what happens to the picks of the bundled tomogram, a picture a step.

    python -m runs.figures.demo_slices thresholds docs/inference/pick.jpg
    python -m runs.figures.demo_slices ensemble docs/inference/ensembles.jpg
    python -m runs.figures.demo_slices watershed docs/training/segmentation-models.jpg
    python -m runs.figures.demo_slices score docs/scoring/score.jpg
    python -m runs.figures.demo_slices candidates docs/training/second-stage.jpg

The tomogram and the models are those that ship with tomosoup. Nothing else is read.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D

from runs.figures.slices import bundled_sample, circles, coloured, faint, grey, panels, plane, save, species_legend
from runs.shared.command import run_step
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import PicksBySpecies, Species, Volume
from tomosoup.data.copick.files import COLOURS
from tomosoup.inference.ensemble import all_thresholds, by_system, calibrations, ensemble_heatmap, on_one_scale
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick
from tomosoup.inference.readout.basins import basins_by_piece
from tomosoup.inference.readout.peaks import find_peaks
from tomosoup.inference.readout.watershed import DEFAULT_SEGMENTATION, smallest_vox, watershed_picks
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.scoring.calibration import fdr_thresholds
from tomosoup.scoring.matched_picks import HIT, MatchedPicks, RankedPicks
from tomosoup.scoring.matching import MATCH_RADII
from tomosoup.training.supervision.targets import label_targets

SLICE = 21
RIBOSOME = 2
"""Position among the species of the bundled models."""
FIRST = 112
"""Voxel in x and y from which on ribosomes touch."""
TILES, REACH = 12, 16
"""Candidates of a species, and voxels about their centres."""
PLAN = PickingPlan()
MAX_FDR = 0.3
"""Lower rates keep little of a single noisy tomogram."""


@dataclass(frozen=True)
class Picked:
    """The bundled tomogram, its particles, and the candidates of the default model."""

    volume: Volume
    truth: PicksBySpecies
    model: Checkpoint
    candidates: PicksBySpecies

    @property
    def names(self) -> list[str]:
        """The species in the order of the model."""
        return [s.name for s in self.model.species]

    def matched(self, one: Species) -> MatchedPicks:
        """The candidates of a species against its particles."""
        return MatchedPicks.of(self.candidates[one.name], self.truth[one.name], distance=MATCH_RADII * one.radius)

    def circled(self, axis: Axes, picks: PicksBySpecies) -> None:
        """Draw picks on the slice."""
        for one, colour in zip(self.model.species, COLOURS, strict=False):
            radius = one.radius / self.volume.voxel_size
            circles(axis, self.volume.to_voxel(picks[one.name].zyx), radius, colour, z=SLICE)


@cache
def picked() -> Picked:
    """Pick the bundled tomogram with the default model."""
    volume, truth = bundled_sample()
    model = load("default")
    return Picked(volume, truth, model, pick(volume, model))


def thresholds(file: Path) -> None:
    """All candidates, those above the thresholds, and those with a low rate of false picks."""
    demo = picked()
    few = apply_thresholds(demo.candidates, fdr_thresholds(demo.candidates, demo.model.calibration, MAX_FDR))
    shown = {
        "candidates": demo.candidates,
        "thresholds of the model": demo.model.keep(demo.candidates),
        f"--max-fdr {MAX_FDR}": few,
    }
    figure, axes = panels(1, 3, height=4.4)
    for axis, (title, picks) in zip(axes[0], shown.items(), strict=True):
        number = sum(len(found) for found in picks.values())
        grey(axis, plane(demo.volume, SLICE), f"{title}\n{number} picks in the tomogram")
        demo.circled(axis, picks)
    species_legend(figure, demo.names)
    save(figure, file)


def score(file: Path) -> None:
    """Hits, false picks and missed particles on the slice, and F4 of each species by threshold."""
    demo = picked()
    kept = demo.model.keep(demo.candidates)
    figure, axes = panels(1, 2, height=5.6)
    marked, curves = axes[0]
    grey(marked, plane(demo.volume, SLICE), "picks and true particles")
    for one, colour in zip(demo.model.species, COLOURS, strict=False):
        if not one.weight:
            continue
        radius = one.radius / demo.volume.voxel_size
        result = MatchedPicks.of(kept[one.name], demo.truth[one.name], distance=MATCH_RADII * one.radius)
        true = demo.volume.to_voxel(result.truth)
        circles(marked, true[result.found], radius, colour, z=SLICE)
        circles(marked, true[~result.found], radius, colour, z=SLICE, line=":", width=2.2)
        false = demo.volume.to_voxel(result.zyx[~result.near])
        near = false[np.abs(false[:, 0] - SLICE) < radius]
        marked.plot(near[:, 2], near[:, 1], "x", color=colour, markersize=8, markeredgewidth=2.2)
        ranked = RankedPicks.of([demo.matched(one)])
        at = np.geomspace(0.08, max(1.0, ranked.score.max()), 200)
        curves.plot(at, [ranked.at(t).f_beta() for t in at], color=colour, linewidth=2)
        chosen = demo.model.thresholds[one.name]
        curves.plot(chosen, ranked.at(chosen).f_beta(), "o", color=colour, markersize=9, markeredgecolor="black")
    curves.set(xscale="log", xlabel="threshold", ylabel="F4", ylim=(0, 1.02))
    curves.set_xticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"])
    curves.minorticks_off()
    curves.grid(alpha=0.3)
    curves.set_title("F4 at every threshold (dot: the model's)", fontsize=11)
    names = [s.name for s in demo.model.species if s.weight]
    explained = (
        Line2D([], [], color="black", marker="o", fillstyle="none", markersize=9, linestyle="", label="hit"),
        Line2D([], [], color="black", linestyle=":", linewidth=2.2, label="missed particle"),
        Line2D([], [], color="black", marker="x", markersize=8, markeredgewidth=2.2, linestyle="", label="false pick"),
    )
    species_legend(figure, names, explained)
    save(figure, file)


def ensemble(file: Path) -> None:
    """Heatmaps of a heatmap model and of a segmentation model on one scale, their mean, and the picks."""
    demo = picked()
    models = [demo.model, load("default-soup")]
    scaled = []
    for system in by_system(models, PLAN):
        alone = ensemble_heatmap(demo.volume, system.models)
        slabs = on_one_scale(iter([alone]), alone, system, calibrations(system.models))
        scaled.append(next(slabs))
    mean = replace(scaled[0], data=(scaled[0].data + scaled[1].data) / 2)
    figure, axes = panels(2, 2, height=10.8)
    maps = {
        "heatmap model (default)": scaled[0],
        "segmentation model (default-soup)": scaled[1],
        "mean of both": mean,
    }
    for axis, (title, heatmap) in zip(axes.flat, maps.items(), strict=False):
        faint(axis, plane(demo.volume, SLICE), title)
        axis.imshow(coloured(heatmap.data[:, SLICE - 1 : SLICE + 2].amax(1)))
    kept = apply_thresholds(find_peaks(mean, demo.model.species), all_thresholds(models))
    grey(axes[1, 1], plane(demo.volume, SLICE), "peaks of the mean above the thresholds")
    demo.circled(axes[1, 1], kept)
    species_legend(figure, demo.names)
    save(figure, file)


def watershed(file: Path) -> None:
    """What a segmentation model learns, what it predicts, the pieces of the watershed, and the picks."""
    demo, model = picked(), load("default-soup")
    one, colour = model.species[RIBOSOME], COLOURS[RIBOSOME]
    radius, part = one.radius / demo.volume.voxel_size, np.s_[SLICE, FIRST:, FIRST:]
    balls = label_targets(demo.truth, model.species, demo.volume).data[0].numpy()[part]
    found = ensemble_heatmap(demo.volume, [model])
    channel = found.data[RIBOSOME].numpy()
    pieces = basins_by_piece(
        channel > DEFAULT_SEGMENTATION.mask,
        apart_vox=round(DEFAULT_SEGMENTATION.separation * radius),
        least=smallest_vox(one, demo.volume.voxel_size, DEFAULT_SEGMENTATION),
    )[part]
    figure, axes = panels(1, 4, height=3.3)
    titles = (
        "target: balls around\ntrue ribosomes",
        "predicted probability\nof a ribosome",
        "pieces of the\nwatershed",
        "\npicks",
    )
    for axis, title in zip(axes.flat, titles, strict=True):
        grey(axis, plane(demo.volume, SLICE)[FIRST:, FIRST:], title)
    learnt, predicted, separated, result = axes[0]
    learnt.imshow(np.ma.masked_not_equal(balls, RIBOSOME + 1), cmap=ListedColormap([colour]), alpha=0.55)
    chances = np.ma.masked_less(channel[part], 0.02)
    image = predicted.imshow(chances, cmap="viridis", vmin=0, vmax=1, alpha=0.85)
    figure.colorbar(image, ax=axes[0], shrink=0.3, aspect=30, location="bottom", label="probability")
    numbers = np.unique(pieces, return_inverse=True)[1].reshape(pieces.shape)
    separated.imshow(np.ma.masked_equal(numbers, 0), cmap=ListedColormap(COLOURS), vmin=1, vmax=len(COLOURS), alpha=0.6)
    picks = model.keep(watershed_picks(found, model.species))[one.name]
    circles(result, demo.volume.to_voxel(picks.zyx) - (0, FIRST, FIRST), radius, colour, z=SLICE, width=2.5)
    save(figure, file)


def candidates(file: Path) -> None:
    """The best candidates of each species in the order of their scores."""
    demo = picked()
    species = [s for s in demo.model.species if s.weight]
    figure, axes = panels(len(species), TILES, height=6.3)
    low, high = np.quantile(demo.volume.data.numpy(), (0.001, 0.999))
    padded = np.pad(demo.volume.data.numpy(), REACH, mode="reflect")
    for row, one in zip(axes, species, strict=True):
        matched = demo.matched(one)
        at = np.rint(demo.volume.to_voxel(matched.zyx)).astype(int)
        for axis, (z, y, x), points, outcome in zip(row, at, matched.score, matched.outcome, strict=False):
            tile = padded[z + REACH - 1 : z + REACH + 2, y : y + 2 * REACH + 1, x : x + 2 * REACH + 1].mean(0)
            hit = outcome == HIT
            grey(axis, tile, f"{points:.2f} {'✓' if hit else '✗'}", limits=(low, high))
            for side in axis.spines.values():
                side.set(color=COLOURS[2] if hit else COLOURS[5], linewidth=3)
        row[0].set_ylabel(one.name.replace("-", "-\n", 1), fontsize=10)
    meanings = {"✓ a particle of this species": COLOURS[2], "✗ another, none, or found before": COLOURS[5]}
    frames = [Line2D([], [], color=colour, linewidth=3, label=meaning) for meaning, colour in meanings.items()]
    figure.legend(handles=frames, loc="outside lower center", ncols=2, frameon=False, fontsize=11)
    save(figure, file)


STEPS = {
    "thresholds": thresholds,
    "ensemble": ensemble,
    "watershed": watershed,
    "score": score,
    "candidates": candidates,
}

if __name__ == "__main__":
    run_step(STEPS, description=__doc__)
