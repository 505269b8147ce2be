"""Which errors of a model cost most."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from runs.quality.detection_limits.levels import simulation_of
from runs.shared.candidates import candidates, with_noise_correction
from runs.shared.command import Words
from runs.shared.saved_picks import write_json
from tomosoup.data.project import open_project
from tomosoup.data.truth import read_truth
from tomosoup.models.checkpoint import load
from tomosoup.scoring.error_analysis import Case, error_cases, error_classes, score_of


def errors(out: Path, model: str, *projects: Words) -> None:
    """Sort the errors of a model on projects into classes, by what each costs; prints tables, writes JSON files."""
    checkpoint, stem = load(model), Path(model).stem
    for path in map(Path, projects):
        project, cases, faces = open_project(path), [], {}
        picks = candidates(out / "picks" / stem / path.name, project, checkpoint)
        for run, found in with_noise_correction(picks, project, checkpoint).items():
            cases += error_cases(
                run, found, read_truth(project, run), project.species, thresholds=checkpoint.thresholds
            )
            drawn = simulation_of(path, run)
            depth = drawn["recipe"]["shape"][0] * drawn["recipe"]["voxel_size"]
            faces[run] = (depth, min(drawn["sample"]["thickness"], depth))
        found_by = {
            way: [vars(g) for g in error_classes(cases, project.species, by=by) if g.name]
            for way, by in ways(faces).items()
        }
        total = score_of(cases, project.species)
        write_json(out / "errors" / f"{stem}-{path.name}.json", {
            "f4": total.weighted, "cases": [vars(c) for c in cases if c.error], "groups": found_by,
        })  # fmt: skip
        print(f"\n{path.name}: F4 {total.weighted:.4f}")
        for way, rows in found_by.items():
            print(f"\n| {way} | particles | missed | false | F4 if gone |\n| --- | ---: | ---: | ---: | ---: |")
            for g in rows if way in ("neighbour", "z") else sorted(rows, key=lambda g: -g["cost"])[:16]:
                print(f"| {g['name']} | {g['particles']} | {g['missed']} | {g['false']} | +{g['cost']:.4f} |")


def ways(faces: Mapping[str, tuple[float, float]]) -> dict[str, Callable[[Case], str]]:
    """The classifications of errors. `faces`: by run, the depth of the tomogram and of its ice (Å)."""

    def from_face(case: Case) -> float:
        depth, ice = faces[case.run]
        return ice / 2 - abs(case.zyx[0] - depth / 2)

    return {
        "species": lambda c: c.species,
        "error": described,
        "species and error": lambda c: f"{c.species}, {described(c)}" if c.error else "",
        "confusion": lambda c: (
            (f"{c.species} taken for {c.other}" if c.is_particle else f"false {c.species} on {c.other}")
            if c.other
            else ""
        ),
        "neighbour": lambda c: (
            classes("nearest particle", (130, 170, 220, 300, 400), c.neighbour) if c.is_particle else ""
        ),
        "z": lambda c: classes("from the ice's nearer face", (75, 150, 300, 450), from_face(c)),
    }


def described(case: Case) -> str:
    """The error of a case; empty where it is none."""
    return f"{'missed' if case.is_particle else 'false'}: {case.error}" if case.error else ""


def classes(name: str, edges: Sequence[float], value: float) -> str:
    """The class between two edges that a value is in, as words that sort by value."""
    index = int(np.searchsorted(edges, value, side="right"))
    low, high = (0.0, *edges)[index], (*edges, float("inf"))[index]
    return f"{name} {low:4.0f} - {high:.0f} Å" if high < float("inf") else f"{name} {low:4.0f} Å and more"
