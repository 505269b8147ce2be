"""How far from perfect: F4 against dose and missing wedge, and where the errors are.

python -m runs.quality.detection_limits simulate OUT DATA      # DATA holds maps_10A/
python -m runs.quality.detection_limits matched OUT
python -m runs.quality.detection_limits measure OUT MODEL
python -m runs.quality.detection_limits errors OUT MODEL PROJECT [PROJECT ...]
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

from runs.models.default_model import MAPS
from tomosoup.cli.options.commands import SimulateCommand
from tomosoup.core.files import written_aside
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.thresholds import apply_thresholds
from tomosoup.core.types import Array, Picks, PicksByRun, PicksBySpecies, Species, Volume
from tomosoup.data.options import DataOptions
from tomosoup.data.project import Project, open_project
from tomosoup.data.tomogram import select_tomogram
from tomosoup.data.truth import read_truth
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.hardware import InferenceOptions
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick_with
from tomosoup.inference.readout.matched_filter import Searched, Whitening, loudest_near, peaks_of
from tomosoup.inference.readout.noise_scaling import as_loud
from tomosoup.models.checkpoint import Checkpoint, load
from tomosoup.scoring.error_analysis import Case, counts, groups, judge
from tomosoup.scoring.matching import MATCH_RADII, Matches
from tomosoup.scoring.score import Score, score
from tomosoup.scoring.thresholds import best_cutoff, best_thresholds
from tomosoup.simulation.microscope.footprint import footprint, seen_at
from tomosoup.simulation.microscope.reconstruction import Processing
from tomosoup.simulation.microscope.tilt_series import Acquisition
from tomosoup.simulation.options import CONCENTRATION, SimulationRecipe
from tomosoup.simulation.project import simulate_project
from tomosoup.simulation.simulate import structure_maps

RUNS, MATCHED_RUNS, SEED = 3, 2, 903
"""Runs a level, those that matched filters are held against; every level has the same scenes."""


@dataclass(frozen=True)
class Level:
    """What one set of twins is seen with."""

    axis: str
    dose: float
    tilt: float
    damage: bool = True

    @property
    def name(self) -> str:
        """Its folder."""
        return f"dose-{self.dose:g}-tilt-{self.tilt:g}"


USUAL = (80.0, 45.0)
"""Electrons per Å² and degrees, about the middle of the recipe `contest`."""
SEEN_IN_TRAINING = {"dose": (50, 140), "tilt": (40, 60)}
"""What the model that ships with tomosoup was trained on (runs/models/default_model.py)."""
NO_NOISE = 1280
"""Where the figure shows `CLEAN`."""
CLEAN = 1e5
"""Electrons per Å², without damage: counts without noise."""
LEVELS = [
    *(Level("dose", dose, USUAL[1]) for dose in (2.5, 5, 10, 20, 40, 80, 160, 320)),
    Level("dose", CLEAN, USUAL[1], damage=False),
    *(Level("tilt", USUAL[0], tilt) for tilt in (30, 39, 51, 60, 69, 87)),
]


def recipe(level: Level, data: Path) -> SimulationRecipe:
    """Of the recipe `contest`, smaller and crowded, with one value where that has a range."""
    contest = SimulationRecipe.read("contest")
    microscope = contest.microscope.model_copy(
        update={
            "tilt_limit": (level.tilt, level.tilt), "dose": (level.dose, level.dose), "damage": level.damage,
            "defocus": (3.0, 3.0), "astigmatism": (0.05, 0.05),
        }
    )  # fmt: skip
    return contest.model_copy(
        update={
            "maps": {name: data / "maps_10A" / f"{code}.mrc" for name, code in MAPS.items()},
            "map_scale": {"virus-like-particle": 0.7},
            "shape": (96, 320, 320),
            "concentration": {name: 0.7 * n for name, n in CONCENTRATION.items()},
            "sample": contest.sample.model_copy(
                update={"thickness": (1500, 1500), "background_proteins": (40_000, 40_000)}
            ),
            "microscope": microscope,
            "reconstruction": contest.reconstruction.model_copy(
                update={"tomo_types": ("denoised", "wbp"), "stretch": (1.0, 1.0)}
            ),
        }
    )


def simulate(out: Path, paths: list[str]) -> None:
    """Make the project of every level, or go on with them."""
    for level in LEVELS:
        if not (out / level.name).exists():
            simulate_project(
                SimulateCommand(out=out / level.name, runs=RUNS, seed=SEED, simulation=recipe(level, Path(paths[0]))),
                progress=lambda what, done, total: print(what, f"{done}/{total}", end="\r", flush=True),
            )


SIDE, KEPT = 64, 48
"""Voxels of the cubes that templates are made in, and of the middle that is used: back-projection spoils the rim."""
DRAWS = 2
"""Orientations of each species that the whole tomogram is searched with."""
TURNS = 200
"""Orientations in which one kind is held against another."""
LOUD = 3.5
"""Deviations of the background from which a maximum counts."""


@dataclass(frozen=True)
class Seen:
    """A run of a level, with all that is needed to make templates for it."""

    volume: Volume
    white: Tensor
    whitening: Whitening
    maps: Mapping[str, Tensor]
    truth: Mapping[str, Picks]
    recipe: SimulationRecipe
    acquisition: Acquisition
    processing: Processing

    @classmethod
    def of(cls, project: Project, run: str, folder: Path) -> Self:
        """Read it, and whiten its weighted back-projection."""
        drawn = json.loads((folder / "static" / "ExperimentRuns" / run / "simulation.json").read_text())
        recipe = SimulationRecipe.model_validate(drawn["recipe"])
        arrays = {k: np.array(v) if isinstance(v, list) else v for k, v in drawn["acquisition"].items()}
        volume, truth = select_tomogram(project, run, DataOptions(tomo_type="wbp")).read(), read_truth(project, run)
        whitening = Whitening.of(volume.data, side=SIDE, random=np.random.default_rng(0))
        return cls(
            volume, whitening.tomogram(volume.data), whitening, structure_maps(list(truth), recipe), truth, recipe,
            Acquisition(**arrays), Processing(**drawn["processing"]),
        )  # fmt: skip

    def template(self, name: str, turn: Array, place: Array, offset: Array) -> Tensor:
        """The whitened footprint of a particle at `place`, `offset` off the middle of its cube (both Å)."""
        middle = np.array(self.volume.shape) * self.volume.voxel_size / 2
        alone = footprint(
            self.maps[name], turn, offset, recipe=self.recipe, acquisition=seen_at(self.acquisition, place - middle),
            processing=self.processing, side=SIDE,
        )  # fmt: skip
        rim = slice((SIDE - KEPT) // 2, (SIDE + KEPT) // 2)
        return self.whitening.template(alone)[rim, rim, rim].contiguous()

    def told(self, kind: Species) -> list[list[float]]:
        """Of each particle of a kind, how loud its own template is within half a radius of it, and the norm of that."""
        found, picks, size = [], self.truth[kind.name], self.volume.voxel_size
        assert picks.rotations is not None
        for zyx, turn in zip(picks.zyx, picks.rotations, strict=True):
            corner = np.round(self.volume.to_voxel(zyx) - (KEPT - 1) / 2)
            template = self.template(kind.name, turn, zyx, zyx - self.volume.to_angstrom(corner + (KEPT - 1) / 2))
            loud = loudest_near(self.white, template, corner, radius_vox=MATCH_RADII * kind.radius / size)
            found.append([round(loud, 2), float(torch.linalg.vector_norm(template))])
        return found

    def elsewhere(self, kind: Species, searched: Searched, turn: Array) -> dict[str, Any]:
        """The maxima of a kind's filter in one orientation, over the whole tomogram, and the norm of its template."""
        middle = np.array(self.volume.shape) * self.volume.voxel_size / 2
        template = self.template(kind.name, turn, middle, np.full(3, self.volume.voxel_size / 2))
        at, loud = peaks_of(searched.response(template), half_vox=3, floor=LOUD)
        return {
            "norm": float(torch.linalg.vector_norm(template)),
            "zyx": self.volume.to_angstrom(at).round().astype(int).tolist(),
            "loud": loud.round(2).tolist(),
        }


def matched(out: Path, _: list[str]) -> None:
    """Hold matched filters against the runs of every level, a file each."""
    for run in (f"run_{i:03d}" for i in range(MATCHED_RUNS)):
        for level in LEVELS:
            path = out / "matched" / f"{level.name}-{run}.json"
            if path.exists() or not (out / level.name).exists():
                continue
            began, project = time.process_time(), open_project(out / level.name)
            seen, random = Seen.of(project, run, out / level.name), np.random.default_rng(SEED)
            searched = Searched.of(seen.white, reach=KEPT)
            row = {}
            for kind in project.species:
                turns = Rotation.random(DRAWS, rng=random).as_matrix()
                row[kind.name] = {
                    "told": seen.told(kind),
                    "draws": [seen.elsewhere(kind, searched, turn) for turn in turns],
                }
            write(path, row)
            print(path.stem, f"{time.process_time() - began:.0f} s", flush=True)


def apart(out: Path, names: list[str]) -> None:
    """How far apart two kinds are for filters: their templates' distance in deviations of the background.

    Of one kind's template in one orientation from those of the other in `TURNS` random ones, each at its nearest place:
    the least distance is what tells the kinds apart where the worst orientation of the other is searched for, too.
    """
    one, other = names[:2]
    for level in LEVELS:
        path, rows = out / "apart" / f"{one}-{other}-{level.name}.json", out / "matched" / f"{level.name}-run_000.json"
        if path.exists() or not rows.exists() or (names[2:] and level.name not in names[2:]):
            continue
        seen = Seen.of(open_project(out / level.name), "run_000", out / level.name)
        scale = np.median([loud / norm for row in json.loads(rows.read_text()).values() for loud, norm in row["told"]])
        middle, centred = np.array(seen.volume.shape) * seen.volume.voxel_size / 2, np.zeros(3)
        first = seen.template(one, np.eye(3), middle, centred)
        length, distances = float(torch.linalg.vector_norm(first)), []
        for turn in Rotation.random(TURNS, rng=np.random.default_rng(SEED)).as_matrix():
            second = seen.template(other, turn, middle, centred)
            norm = float(torch.linalg.vector_norm(second))
            overlap = loudest_near(first, second, np.zeros(3), radius_vox=4) * norm
            distances.append(scale * np.sqrt(length**2 + norm**2 - 2 * overlap))
        write(path, {"length": scale * length, "distances": distances})
        print(path.stem, f"{scale * length:.1f}, {min(distances):.1f} to {max(distances):.1f}", flush=True)


AS_IT_IS = PickingPlan(noise_correction=0.0)
"""Scores that do not follow the noise."""


def candidates(folder: Path, project: Project, model: Checkpoint, *, kind: str | None = "denoised") -> PicksByRun:
    """All peaks of a model in the runs of a project, with the scores of its heatmap, a file each in `folder`."""
    nets, found = Nets(InferenceOptions(engine="torch", device="cpu")), {}
    for run in project.runs:
        path = folder / f"{run}.json"
        if not path.exists():
            picks = pick_with(nets, select_tomogram(project, run, DataOptions(tomo_type=kind)), [model], plan=AS_IT_IS)
            write(path, {n: [p.zyx.round(1).tolist(), p.score.round(5).tolist()] for n, p in picks.items()})
            print(path, flush=True)
        found[run] = {
            name: Picks(np.array(zyx).reshape(-1, 3), np.array(score))
            for name, (zyx, score) in json.loads(path.read_text()).items()
        }
    return found


def followed(picks: PicksByRun, model: Checkpoint) -> PicksByRun:
    """The same with the scores that `tomosoup pick` gives them."""
    return {run: as_loud(found, model.loudness, power=PickingPlan().noise_correction) for run, found in picks.items()}


def measure(out: Path, paths: list[str]) -> None:
    """Pick every level with a model and score it: with the model's thresholds, and with those best for the level.

    Prints F4 with scores as they are, with those that follow the noise, and with the best thresholds.
    """
    model = load(paths[0])
    for level in LEVELS:
        if (out / level.name).exists():
            project = open_project(out / level.name)
            picks = candidates(out / "picks" / Path(paths[0]).stem / level.name, project, model)
            truth = {run: read_truth(project, run) for run in picks}
            fixed, kept = (
                {run: apply_thresholds(found, model.thresholds) for run, found in some.items()}
                for some in (picks, followed(picks, model))
            )
            best = best_thresholds([(picks[run], truth[run]) for run in picks], project.species)[1]
            now = score(kept, truth, project.species)
            write(out / "model" / f"{Path(paths[0]).stem}-{level.name}.json", {
                "f4": now.weighted, "runs": [score({r: k}, truth, project.species).weighted for r, k in kept.items()],
                "best": best.weighted,
                "species": {n: [m.f_beta(), best.species[n].f_beta()] for n, m in now.species.items()},
            })  # fmt: skip
            unmoved = score(fixed, truth, project.species).weighted
            print(level.name, f"{unmoved:.3f} {now.weighted:.3f} {best.weighted:.3f}", flush=True)


def classes(name: str, edges: Sequence[float], value: float) -> str:
    """Which of the classes between edges a value is in, for people, in the order of the alphabet too."""
    place = int(np.searchsorted(edges, value, side="right"))
    low, high = (0.0, *edges)[place], (*edges, float("inf"))[place]
    return f"{name} {low:4.0f} - {high:.0f} Å" if high < float("inf") else f"{name} {low:4.0f} Å and more"


def errors(out: Path, paths: list[str]) -> None:
    """Sort the errors of a model on projects into classes, by what each costs; a JSON file a project, and tables."""
    model = load(paths[0])
    for path in map(Path, paths[1:]):
        project, cases, faces = open_project(path), [], {}
        picks = candidates(out / "picks" / Path(paths[0]).stem / path.name, project, model)
        for run, found in followed(picks, model).items():
            cases += judge(run, found, read_truth(project, run), project.species, thresholds=model.thresholds)
            drawn = json.loads((path / "static" / "ExperimentRuns" / run / "simulation.json").read_text())
            depth = drawn["recipe"]["shape"][0] * drawn["recipe"]["voxel_size"]
            faces[run] = (depth, min(drawn["sample"]["thickness"], depth))

        def from_face(case: Case, faces: Mapping[str, tuple[float, float]] = faces) -> float:
            depth, ice = faces[case.run]
            return ice / 2 - abs(case.zyx[0] - depth / 2)

        ways: dict[str, Callable[[Case], str]] = {
            "kind": lambda c: c.kind,
            "what": lambda c: f"{'missed' if c.true else 'false'}: {c.fate}" if c.wrong else "",
            "kind and what": lambda c: f"{c.kind}, {'missed' if c.true else 'false'}: {c.fate}" if c.wrong else "",
            "confusion": lambda c: (
                (f"{c.kind} taken for {c.other}" if c.true else f"false {c.kind} on {c.other}") if c.other else ""
            ),
            "neighbour": lambda c: (
                classes("nearest particle", (130, 170, 220, 300, 400), c.neighbour) if c.true else ""
            ),
            "z": lambda c: classes("from the ice's nearer face", (75, 150, 300, 450), from_face(c)),
        }
        sorted_out = {
            way: [vars(g) for g in groups(cases, project.species, by=by) if g.name] for way, by in ways.items()
        }
        total = counts(cases, project.species)
        write(out / "errors" / f"{Path(paths[0]).stem}-{path.name}.json", {
            "f4": total.weighted, "cases": [vars(c) for c in cases if c.wrong], "groups": sorted_out,
        })  # fmt: skip
        print(f"\n{path.name}: F4 {total.weighted:.4f}")
        for way, rows in sorted_out.items():
            print(f"\n| {way} | particles | missed | false | F4 if gone |\n| --- | ---: | ---: | ---: | ---: |")
            for g in rows if way in ("neighbour", "z") else sorted(rows, key=lambda g: -g["cost"])[:16]:
                print(f"| {g['name']} | {g['particles']} | {g['missed']} | {g['false']} | +{g['cost']:.4f} |")


def ceiling(out: Path, level: Level) -> tuple[float, float, dict[str, float]] | None:
    """The weighted F4 of matched filters: each alone, and where the one that explains a place best takes it.

    Also each kind's, of the latter. None where the level is not measured. Thresholds are best for the level.
    """
    paths = sorted((out / "matched").glob(f"{level.name}-run_*.json"))
    if not paths:
        return None
    project = open_project(out / level.name)
    rows = {path.stem.removeprefix(f"{level.name}-"): json.loads(path.read_text()) for path in paths}
    truth = {run: read_truth(project, run) for run in rows}
    scores = []
    for competing in (False, True):
        found = {}
        for kind in project.species:
            parts = [ranked_filter(row, truth[run], project.species, kind, competing) for run, row in rows.items()]
            loud, gain = (np.concatenate(part) for part in zip(*parts, strict=True))
            order = np.argsort(-loud, kind="stable")
            total = DRAWS * sum(len(truth[run][kind.name]) for run in rows)
            cut = best_cutoff(loud[order], gain[order], total)
            tp, picked = int(gain[loud >= cut].sum()), int((loud >= cut).sum())
            found[kind.name] = Matches(tp, picked - tp, total - tp)
        scores.append(Score(found, {s.name: s.weight for s in project.species}, tuple(rows)))
    alone, together = scores
    return alone.weighted, together.weighted, {name: m.f_beta() for name, m in together.species.items()}


def ranked_filter(
    row: Mapping[str, Any], truth: PicksBySpecies, species: Sequence[Species], kind: Species, competing: bool
) -> tuple[Array, Array]:
    """What a kind's filter finds in one run: how loud, and 1 for a particle, 0 for a false pick.

    Particles count once a draw, so that counts are `DRAWS` times those of one search. `competing`: a place goes to the
    filter of the highest log-likelihood, loudness * norm - norm² / 2, the scale of norms being that of the particles.
    """
    scale = np.median([loud / norm for of in row.values() for loud, norm in of["told"]])

    def likely(loud: Array, norm: Array | float) -> Array:
        return loud * (length := scale * norm) - length**2 / 2

    told = np.array(row[kind.name]["told"]).reshape(-1, 2)
    own, others = truth[kind.name].zyx, [s for s in species if s.name != kind.name]
    found_loud, found_gain = [], []
    for k in range(DRAWS):
        draw = row[kind.name]["draws"][k]
        zyx, loud = np.array(draw["zyx"], dtype=float).reshape(-1, 3), np.array(draw["loud"])
        false = KDTree(own).query(zyx)[0] > kind.radius
        hit = np.ones(len(told), dtype=bool)
        for other in others if competing else []:
            theirs = np.array(row[other.name]["told"]).reshape(-1, 2)
            away, which = KDTree(truth[other.name].zyx).query(zyx)
            better = likely(*theirs.T)[which] > likely(loud, draw["norm"])
            false &= ~((away <= other.radius) & better)
            there = row[other.name]["draws"][k]
            rival = likely(np.array(there["loud"]), there["norm"])
            near = KDTree(np.array(there["zyx"]).reshape(-1, 3)).query_ball_point(own, r=MATCH_RADII * kind.radius)
            hit &= np.array([rival[n].max(initial=-np.inf) for n in near]) < likely(*told.T)
        found_loud += [told[hit, 0], loud[false]]
        found_gain += [np.ones(int(hit.sum())), np.zeros(int(false.sum()))]
    return np.concatenate(found_loud), np.concatenate(found_gain)


def results(out: Path, model: str) -> list[tuple[Level, dict[str, Any], tuple[float, float, dict[str, float]] | None]]:
    """What is measured of each level: the model's, and the matched filters'."""
    paths = {level: out / "model" / f"{model}-{level.name}.json" for level in LEVELS}
    return [(level, json.loads(p.read_text()), ceiling(out, level)) for level, p in paths.items() if p.exists()]


def table(out: Path, paths: list[str]) -> None:
    """A row a level."""
    print("| dose | tilts | model | runs | best thresholds | filters alone | filters together |")
    print("| ---: | ---: | ---: | --- | ---: | ---: | ---: |")
    for level, row, top in results(out, Path(paths[0]).stem):
        dose = f"{level.dose:g}" if level.damage else "no noise"
        runs = " ".join(f"{v:.2f}" for v in row["runs"])
        filters = f"{top[0]:.3f} | {top[1]:.3f}" if top else " | "
        print(f"| {dose} | ±{level.tilt:g}° | {row['f4']:.3f} | {runs} | {row['best']:.3f} | {filters} |")


def draw(out: Path, paths: list[str]) -> None:
    """F4 against dose and against the tilt limit."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    found = results(out, Path(paths[0]).stem)
    for axes, axis in zip(figure.subplots(1, 2, sharey=True), ("dose", "tilt"), strict=True):
        at = sorted((r for r in found if r[0].axis == axis or usual(r[0])), key=lambda r: getattr(r[0], axis))
        x = [min(getattr(r[0], axis), NO_NOISE) for r in at]
        lines = (
            ("o-", "model, its own thresholds", [r[1]["f4"] for r in at]),
            ("o--", "model, best thresholds of the level", [r[1]["best"] for r in at]),
            ("s-", "matched filters, told template and orientation", [r[2][1] if r[2] else np.nan for r in at]),
        )
        for colour, (style, label, y) in zip(("C0", "C0", "C1"), lines, strict=True):
            axes.plot(x, y, style, color=colour, label=label, fillstyle="none" if "--" in style else "full")
        axes.grid(alpha=0.3)
        axes.axvspan(*SEEN_IN_TRAINING[axis], color="C0", alpha=0.08, lw=0)
        axes.set_xlabel({"dose": "electrons per Å² (tilts to ±45°)", "tilt": "tilts to ± degrees (80 e/Å²)"}[axis])
        if axis == "dose":
            axes.set(xscale="log", ylabel="weighted F4", ylim=(0, 1.02))
            axes.set_xticks(x, [*(f"{v:g}" for v in x[:-1]), "no noise"])
            axes.minorticks_off()
        else:
            axes.set_xticks(x)
            axes.legend(fontsize=8, loc="lower right", title="shaded: what the model was trained on")
    figure.savefig(paths[1], dpi=100)


def usual(level: Level) -> bool:
    """Whether it is the level that both axes share."""
    return (level.dose, level.tilt) == USUAL


def write(path: Path, what: Any) -> None:
    """A result as a JSON file that is there once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as file:
        file.write_text(json.dumps(what))


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(1)
    {
        "simulate": simulate,
        "matched": matched,
        "apart": apart,
        "measure": measure,
        "errors": errors,
        "table": table,
        "figure": draw,
    }[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
