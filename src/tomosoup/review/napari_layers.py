"""A run as layers of napari, and corrected layers as picks again. World coordinates are Å (z, y, x).

napari puts the centre of a voxel at its index, so `translate` is a volume's origin, with its half voxels. Points are in
the volume's voxels, so that a step along z is a slice for them, too. Nothing here imports napari.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from tomosoup.core.errors import InputError, shortened
from tomosoup.core.thresholds import Thresholds
from tomosoup.core.types import NO_PICKS, Array, Picks, PicksBySpecies, Species, Volume
from tomosoup.data.copick import files as copick_files
from tomosoup.data.copick.names import valid_name
from tomosoup.data.copick.roots import run_of
from tomosoup.data.options import DataOptions
from tomosoup.data.pick_store.pick_set import OWN_USER, PickSet
from tomosoup.data.project import CopickProject, Project, where_species_are_listed
from tomosoup.data.tomogram import select_tomogram

LayerData = tuple[Any, dict[str, Any], str]
"""A layer as napari takes it: data, options, layer type."""
ROTATION = ["rotation_z", "rotation_y", "rotation_x"]
"""Features of a point: its rotation vector (z, y, x) in radians."""


def run_layers(
    project: Project,
    run: str,
    *,
    data: DataOptions | None = None,
    picks_set: str | None = None,
    truth_set: str | None = None,
    thresholds: Thresholds | None = None,
) -> list[LayerData]:
    """The layers of a run: the volume, candidates, other pick sets and, on top, the picks to correct.

    Pick sets have one layer per species. Every species has a layer of picks to correct, even if it is empty, so that
    particles can be added. Raises `InputError` where the run, its tomogram or a pick set does not exist, or where
    several could be meant.

    Args:
        project: an open project.
        run: its name.
        data: which tomogram of the run.
        picks_set: USER/SESSION of the picks to correct; by default tomosoup's only set.
        truth_set: USER/SESSION to show beside them; by default all sets that tomosoup did not make.
        thresholds: candidates with lower scores are hidden.
    """
    if run not in project.runs:
        raise InputError(f"{project.path} has no run {run}; its runs are {shortened(project.runs)}.")
    volume = select_tomogram(project, run, data or DataOptions()).read()
    sets = project.pick_sets(run)
    chosen = picks_name(list(sets), run, picks_set)
    candidates = chosen.candidates if chosen else None
    wanted = [key for key in sets if (str(key) == truth_set if truth_set else key.is_truth)]
    if truth_set and not wanted:
        raise InputError(f"Run {run} has no picks {truth_set}; it has {shortened(list(map(str, sets)))}.")
    lowest = thresholds.over({}, [s.name for s in project.species]) if thresholds else {}
    layers = [image_layer(volume, run)]
    if candidates in sets:
        layers += _candidate_layers(project, sets[candidates](), volume, name=str(candidates), lowest=lowest)
    for key in (key for key in wanted if key not in (chosen, candidates)):
        found = sets[key]()
        layers += [
            points_layer(found[s.name], s, i, volume, role="other", name=str(key))
            for i, s in enumerate(project.species)
            if s.name in found
        ]
    found = sets[chosen]() if chosen else {}
    for i, s in enumerate(project.species):
        layers.append(points_layer(found.get(s.name, NO_PICKS), s, i, volume, role="picks", name="picks"))
    return layers


def _candidate_layers(
    project: Project, found: PicksBySpecies, volume: Volume, *, name: str, lowest: Mapping[str, float]
) -> list[LayerData]:
    """A layer of candidates a species; those below its `lowest` score are hidden."""
    layers = []
    for i, s in enumerate(project.species):
        if s.name in found:
            layer = points_layer(found[s.name], s, i, volume, role="candidates", name=name)
            layer[1]["shown"] = found[s.name].score >= lowest.get(s.name, -np.inf)
            layers.append(layer)
    return layers


def picks_name(sets: list[PickSet], run: str, asked: str | None) -> PickSet | None:
    """The pick set to correct: the one `asked` for, or tomosoup's only one; None where it made none."""
    if asked:
        fitting = [key for key in sets if str(key) == asked]
    else:
        fitting = [key for key in sets if key.own and not key.holds_candidates]
    if len(fitting) > 1 or (asked and not fitting):
        has = shortened(list(map(str, sets))) or "none"
        raise InputError(f"Run {run} has the picks {has}: choose one of them with `picks_set`.")
    return fitting[0] if fitting else None


def image_layer(volume: Volume, run: str) -> LayerData:
    """A tomogram `(z, y, x)`, with the contrast of most of its voxels."""
    data = volume.data.numpy()
    some = data[:: max(1, len(data) // 16), ::4, ::4]
    low, high = map(float, np.percentile(some[np.isfinite(some)], (0.5, 99.5)))
    contrast = (low, high if high > low else low + 1)
    return data, {"name": run, "contrast_limits": contrast, **_where(volume)}, "image"


def _where(volume: Volume) -> dict[str, Any]:
    return {"scale": (volume.voxel_size,) * 3, "translate": volume.origin, "units": ("angstrom",) * 3}


def points_layer(picks: Picks, species: Species, i: int, volume: Volume, *, role: str, name: str) -> LayerData:
    """Spheres of the species' radius, drawn as rings where a slice cuts them; crosses for sets that are not edited."""
    colour = copick_files.COLOURS[i % len(copick_files.COLOURS)]
    features = pd.DataFrame({"score": picks.score})
    if (vectors := _rotation_vectors(picks.rotations)) is not None:
        features[ROTATION] = vectors
    options: dict[str, Any] = {
        **_where(volume),
        "name": f"{species.name} {name}",
        "size": (1 if role == "other" else 2) * species.radius / volume.voxel_size,
        "symbol": "disc" if role != "other" else "cross",
        "face_color": colour if role == "other" else f"{colour}00",
        "border_color": colour,
        "border_width": 0.06 if role == "picks" else 0.02,
        "projection_mode": "rescale_spherical",
        "features": features,
        "feature_defaults": {"score": 1.0} | dict.fromkeys(features.columns[1:], 0.0),
        "metadata": {"species": species.name, "role": role},
        "visible": role != "candidates",
        "ndim": 3,
    }
    if role == "candidates" and len(picks):
        options |= {"face_color": "score", "face_colormap": "viridis", "opacity": 0.6}
    return volume.to_voxel(picks.zyx), options, "points"


def _rotation_vectors(rotations: Array | None) -> Array | None:
    """Matrices `(n, 3, 3)` -> vectors `(n, 3)`; None where all are the identity, or any is no rotation."""
    if rotations is None or np.allclose(rotations, np.eye(3)):
        return None
    square = rotations @ rotations.transpose(0, 2, 1)
    if not (np.allclose(square, np.eye(3), atol=1e-3) and (np.linalg.det(rotations) > 0).all()):
        return None
    vectors: Array = Rotation.from_matrix(rotations).as_rotvec()
    return vectors


def add_layers(viewer: Any, layers: list[LayerData]) -> None:
    """Add layers to a viewer, bottom first. The viewer then draws spheres wherever its slice cuts them."""
    for data, options, layer_type in layers:
        layer = getattr(viewer, f"add_{layer_type}")(data, **options)
        if layer_type == "points":
            layer.events.data.connect(score_added)
    radii = (layer.size.max(initial=0) * layer.scale[0] / 2 for layer in viewer.layers if "role" in layer.metadata)
    viewer.dims.margin_left = viewer.dims.margin_right = (max(radii, default=0.0),) * viewer.dims.ndim
    viewer.canvas.overlays.scale_bar.visible = True


def score_added(event: Any) -> None:
    """Give new points score 1 and no rotation: napari gives them those of the last selected point."""
    if str(event.action) == "added":
        features = event.source.features.copy()
        features.iloc[list(event.data_indices)] = [float(name == "score") for name in features.columns]
        event.source.features = features


def show_above(viewer_or_layers: Any, threshold: float) -> None:
    """Hide the candidates with a lower score."""
    for layer in getattr(viewer_or_layers, "layers", viewer_or_layers):
        if layer.metadata.get("role") == "candidates":
            layer.shown = layer.features["score"].to_numpy() >= threshold


def edited_picks(viewer_or_layers: Any) -> dict[str, Picks]:
    """The layers of picks, as they are now, by species: positions in Å, scores, rotations where there are any.

    Raises `InputError` where there are none of them or two of one species, and for positions or scores that are no
    finite numbers.
    """
    layers: Iterable[Any] = getattr(viewer_or_layers, "layers", viewer_or_layers)
    picks: dict[str, Picks] = {}
    for layer in (layer for layer in layers if layer.metadata.get("role") == "picks"):
        name = layer.metadata["species"]
        if name in picks:
            raise InputError(f"Two layers hold picks of {name}: remove one, or merge them.")
        zyx = np.array([layer.data_to_world(point) for point in layer.data], dtype=float).reshape(-1, 3)
        features = layer.features.apply(pd.to_numeric, errors="coerce")
        score = features["score"].to_numpy(dtype=float) if "score" in features else np.ones(len(zyx))
        if not (np.isfinite(zyx).all() and np.isfinite(score).all()):
            raise InputError(
                f"Layer {layer.name} has positions or scores that are not numbers: correct or delete them."
            )
        known = set(ROTATION) <= set(features.columns) and len(zyx)
        rotations = Rotation.from_rotvec(np.array(features[ROTATION].fillna(0.0))).as_matrix() if known else None
        picks[name] = Picks(zyx, score, rotations)
    if not picks:
        raise InputError("None of the layers holds picks to save: open the run with `tomosoup view`.")
    return picks


def save_layers(
    viewer_or_layers: Any, project: Project, run: str, *, user: str, session: str, overwrite: bool = False
) -> dict[str, Picks]:
    """Write the layers of picks, as they are now, to copick as `user`/`session`, and return them.

    Raises `InputError` where the project is not copick's, lacks a species, where the session has picks of the run
    already (unless `overwrite`), and where copick cannot keep the names.
    """
    if not isinstance(project, CopickProject):
        raise InputError(f"{project.path} is not a copick project: save corrected picks to a CSV file instead.")
    check_free(project, run, user=user, session=session, overwrite=overwrite)
    picks = edited_picks(viewer_or_layers)
    if strangers := sorted(set(picks) - {s.name for s in project.species}):
        raise InputError(
            f"The layers name {', '.join(strangers)}, which the project does not list: add them to "
            f"{where_species_are_listed(project)}, or remove these layers."
        )
    copick_files.write_picks(run_of(project.root, run), picks, PickSet(user, session))
    return picks


def check_free(project: Project, run: str, *, user: str, session: str, overwrite: bool = False) -> None:
    """Raises `InputError` unless corrected picks can be saved as `user`/`session` and replace no other picks."""
    valid_name(user, what="User")
    valid_name(session, what="Session")
    target = PickSet(user, session)
    if target.own:
        raise InputError(f"Sets of user {OWN_USER} are those that `tomosoup pick` makes: choose another `user`.")
    if target in project.pick_sets(run) and not overwrite:
        raise InputError(
            f"Run {run} has picks {target} already: choose another `session`, or replace them with `overwrite=True`."
        )


def free_session(sets: Iterable[PickSet], user: str, shown: PickSet | None) -> str:
    """A session for corrected picks that `user` does not have yet: edited-SESSION, edited-SESSION-2, ..."""
    base, taken = f"edited-{shown.session if shown else '0'}", set(sets)
    names = [base, *(f"{base}-{i}" for i in range(2, len(taken) + 3))]
    return next(name for name in names if PickSet(user, name) not in taken)
