"""DeepFinder: targets of balls, `Train`, `Segment` and `Cluster`, with the tensorflow that its package pins.

Everything is the classes' defaults but: patches of 56 voxels (its manual's; the class has no default), steps as many as
the CPU time allows, one epoch; labels and tomograms in memory. `Segment` cuts patches of 192 voxels, which these
tomograms are too thin for, and with thinner ones it takes eleven minutes a run, nearly all for overlaps: here the same
net sees the tomogram, standardised as there, in two halves that overlap by 48. The score maps are binned by two and
clustered by mean shift of five voxels, as in the examples of its manual; a pick's score is the size of its cluster,
which the manual says to set thresholds on. A net that labels half of a tomogram has found nothing there: mean shift
would take hours.

Variant `batch-2`: two patches an update in place of 25, so that there are more updates in the time.
"""

from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from deepfinder.inference import Cluster
from deepfinder.models import my_model
from deepfinder.training import TargetBuilder, Train
from deepfinder.utils import common

from benchmarks.peers import exchange
from benchmarks.peers.exchange import Job, Pick, Picker, Set, Trained, cpu

PATCH, MARGIN, RADIUS = 56, 24, 5
"""Voxels: of a training patch, of what halves overlap by either side, of a cluster (binned by two)."""


def objects(some: Set, run: str, number: int) -> list[dict[str, object]]:
    """DeepFinder's list of the particles of a run."""
    found = []
    for pick in some.of(run):
        z, y, x = (round(c) for c in exchange.index_of(pick))
        label = some.names.index(pick.species) + 1
        angles = dict.fromkeys(("phi", "psi", "the"))
        found.append({"tomo_idx": number, "label": label, "x": x, "y": y, "z": z, **angles})
    return found


def train(job: Job) -> Trained:
    """Targets, and the training, after two trials to see what a step costs."""
    some = job.training
    radii = [round(some.radii[name] / exchange.VOXEL) for name in some.names]
    paths: dict[str, list[str]] = {"data": [], "target": []}
    seen: list[dict[str, object]] = []
    held_out: list[dict[str, object]] = []
    for number, run in enumerate(some.runs):
        tomogram, listed = some.tomogram(run), objects(some, run, number)
        target = TargetBuilder().generate_with_spheres(listed, np.zeros(tomogram.shape, dtype=np.int8), radii)
        for name, volume in (("data", tomogram), ("target", target)):
            paths[name].append(str(job.folder / f"{run}-{name}.h5"))
            with h5py.File(paths[name][-1], "w") as file:
                file["dataset"] = volume
        (held_out if run == some.runs[-1] else seen).extend(listed)

    def fit(steps: int) -> float:
        trainer = Train(Ncl=len(some.names) + 1, dim_in=PATCH)
        trainer.batch_size = 2 if job.variant == "batch-2" else trainer.batch_size
        trainer.epochs, trainer.steps_per_epoch, trainer.steps_per_valid = 1, steps, 1
        trainer.flag_direct_read = 0
        trainer.path_out = f"{job.folder}/"
        start = cpu()
        trainer.launch(paths["data"], paths["target"], seen, held_out)
        return cpu() - start

    some_steps = 10 if job.variant == "batch-2" else 3
    one, more = fit(1), fit(some_steps)
    update = (more - one) / (some_steps - 1)
    steps = max(1, round((job.seconds - one) / update + 1))
    seconds = fit(steps)
    for path in (*paths["data"], *paths["target"]):
        Path(path).unlink()
    return {"train_s": seconds, "updates": float(steps), "epochs": 1}


def load(job: Job) -> Picker:
    """Its net, for volumes of any size."""
    net = my_model(None, len(job.training.names) + 1)
    net.load_weights(f"{job.folder}/net_weights_FINAL.h5")
    return partial(pick, net)


def score_maps(net: Any, tomogram: np.ndarray) -> np.ndarray:
    """`(z, y, x, class)`: the halves in y, without the margin where one has been cut."""
    data, middle = (tomogram - tomogram.mean()) / tomogram.std(), tomogram.shape[1] // 2
    first, second = (
        net.predict(part[None, ..., None], batch_size=1, verbose=0)[0]
        for part in (data[:, : middle + MARGIN], data[:, middle - MARGIN :])
    )
    return np.concatenate([first[:, :middle], second[:, MARGIN:]], axis=1)


def pick(net: Any, some: Set, run: str) -> list[Pick]:
    """Score maps, labels, clusters."""
    maps = score_maps(net, some.tomogram(run))
    binned = np.stack([common.bin_array(maps[..., c].astype(np.float32)) for c in range(maps.shape[-1])], axis=-1)
    labels = np.int8(binned.argmax(-1))
    if not 0 < np.mean(labels > 0) < 0.5:
        return []
    picks = []
    for found in Cluster(RADIUS).launch(labels):
        at = np.array([[found["z"], found["y"], found["x"]]]) * 2 + 0.5
        picks += some.picks(run, some.names[int(found["label"]) - 1], at, np.array([found["cluster_size"]]))
    return picks


if __name__ == "__main__":
    exchange.drive(train, load)
