"""The model card of a checkpoint: what it finds, what made it, how to use it, what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import chain
from math import prod

from tomosoup.core.aliases import identifier_of
from tomosoup.models.checkpoint import Checkpoint, shapes_of
from tomosoup.models.history import Souped, Trained, Tuned, runs_seen

TAGS = ("cryo-et", "cryo-electron-tomography", "particle-picking", "tomosoup")


def model_card(model: Checkpoint, *, name: str, licence: str, description: str = "", citation: str = "") -> str:
    """The card in Markdown, with a header that the Hugging Face Hub reads.

    Its sections are those of the CryoET Data Portal's and the Virtual Cells Platform's model pages.
    """
    from huggingface_hub import ModelCardData  # here, as no other command needs it

    header = ModelCardData(license=licence, library_name="tomosoup", tags=[*TAGS, model.architecture.name])
    return "\n".join(
        (
            f"---\n{header.to_yaml()}\n---\n",
            f"# {name.rpartition('/')[2]}\n",
            description or f"Finds {', '.join(s.name for s in model.species)} in cryo-electron tomograms.",
            *_section("Model details", _details(model, licence)),
            *_section("Intended use", _use(name)),
            *_section("Particles", _species(model)),
            *_section("Training", _making(model)),
            *_section("Performance", _performance(model)),
            *_section("Limits", LIMITS),
            *(_section("Citation", [citation]) if citation else ()),
            "",
        )
    )


LIMITS = (
    "- Look at the picks before you use them. On tomograms unlike those of the training, F4 can be far "
    "from the one above, and the probabilities of picks can be wrong.",
    "- The model finds the particles above and no others.",
)


def _section(title: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield from lines


def _table(*rows: Sequence[object]) -> Iterator[str]:
    head, *others = rows
    yield f"| {' | '.join(map(str, head))} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(map(str, row))} |" for row in others)


def _details(model: Checkpoint, licence: str) -> Iterator[str]:
    output = "voxels labelled by species" if model.segments_voxels else "one heatmap per species"
    parameters = sum(prod(shape) for shape in shapes_of(model.weights).values())
    z, y, x = model.windows.shape
    yield from _table(
        ("what", "value"),
        ("network", f"{model.architecture.name}: {output}"),
        ("parameters", f"{parameters / 1e6:.1f} million"),
        ("input", f"tomograms, resampled to {model.voxel_size:g} Å voxels, in windows of {z} x {y} x {x}"),
        ("written by", f"tomosoup {version('tomosoup')}"),
        ("licence", licence),
    )


def _use(name: str) -> Iterator[str]:
    yield "Pick your tomograms with tomosoup, or fine-tune the model on your own annotations:\n"
    yield f"    tomosoup pick PROJECT --model hf:{name} --output picks.csv"
    yield f"    tomosoup train PROJECT --from hf:{name} --all-folds --output mine.safetensors"


def _species(model: Checkpoint) -> Iterator[str]:
    columns = {
        "name": [s.name for s in model.species],
        "identifier": [identifier_of(s.name) for s in model.species],
        "radius, Å": [f"{s.radius:g}" for s in model.species],
        "weight in F4": [f"{s.weight:g}" for s in model.species],
        "threshold": [_number(model.thresholds.get(s.name)) for s in model.species],
        "threshold for averaging": [_number(model.averaging_thresholds.get(s.name)) for s in model.species],
    }
    known = {heading: column for heading, column in columns.items() if any(column)}
    yield from _table(tuple(known), *zip(*known.values(), strict=True))


def _making(model: Checkpoint) -> Iterator[str]:
    seen = runs_seen(model.history)
    yield f"Trained on {_runs(seen.trained)}. Epochs and thresholds were chosen on {_runs(seen.held_out)}.\n"
    for event in model.history:
        version_of = f" (tomosoup {event.tomosoup})" if event.tomosoup else ""
        if isinstance(event, Trained):
            known = [key for key in ("epochs", "batch_size", "learning_rate") if key in event.recipe]
            said = ", ".join(f"{key.replace('_', ' ')} {event.recipe[key]}" for key in known)
            yield f"- {event.step}{version_of}: {said or 'recipe unknown'}"
        elif isinstance(event, Souped):
            yield f"- {event.step}{version_of}: the mean of {len(event.ingredients)} checkpoints"
        elif not isinstance(event, Tuned):  # the thresholds above say what tuning did
            yield f"- {event.step}{version_of}"


def _performance(model: Checkpoint) -> Iterator[str]:
    """The F4 of these weights and thresholds that the history holds: all of it on runs that chose something."""
    rows: dict[str, list[Sequence[object]]] = {}
    for event in model.history:
        if isinstance(event, Trained | Souped):
            rows = {} if event.f4 is None else {"made": [(event.step, "all, weighted", _number(event.f4))]}
        if isinstance(event, Tuned) and _in_use(event, model):
            rows["tuned"] = [(event.step, name, _number(found.get("f4"))) for name, found in event.thresholds.items()]
    if not rows:
        yield "Not measured."
        return
    yield "F4 (F-beta with beta 4, hits within half a radius) on the runs that chose epochs and thresholds. On other"
    yield "tomograms it is lower.\n"
    yield from _table(("step", "particles", "F4"), *chain.from_iterable(rows.values()))


def _in_use(event: Tuned, model: Checkpoint) -> bool:
    """Whether these are the model's thresholds: others were replaced, or are for picking together with other models."""
    return all(found.get("threshold") == model.thresholds.get(name) for name, found in event.thresholds.items())


def _runs(runs: frozenset[str]) -> str:
    names = sorted(runs)
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more if names else "runs that its history does not name"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""
