"""TopCUP's recipe: its commands `train` and `inference`, a FlexibleUNet with a 3D ResNet34.

Everything is the commands' defaults (loss weights 256, as its README has them; learning rate 1e-4, halved every 20
epochs, so never here) but: one tomogram's four crops an update in place of eight's, which do not fit into this memory;
one epoch, of as many updates as the CPU time allows; no worker processes (their CPU time would not be counted); and
the device: its inference moves everything to a GPU, and here that step does nothing.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import monai
import torch
from topcup.cli import main as topcup
from topcup.data.augmentation import get_basic_transform_list
from topcup.data.copick_dataset import CopickDataset
from topcup.data.utils import collate_fn
from topcup.model import SegNet
from torch.utils.data import DataLoader

from benchmarks.peers import exchange
from benchmarks.peers.exchange import Job, Pick, Picker, Set, Trained, cpu

Thing = TypeVar("Thing")


def stay(thing: Thing) -> Thing:
    """In place of `.cuda()`."""
    return thing


@contextmanager
def on_the_cpu() -> Iterator[None]:
    """Nothing is moved to a GPU within."""
    with ExitStack() as stack:
        for kind in (torch.nn.Module, torch.Tensor, SegNet):
            stack.enter_context(patch.object(kind, "cuda", stay))
        yield


def in_this_process(*args: Any, **options: Any) -> DataLoader:
    """A loader of TopCUP's, without workers."""
    for name in ("num_workers", "prefetch_factor", "persistent_workers", "worker_init_fn"):
        options.pop(name, None)
    return DataLoader(*args, **options)


def config(job: Job, some: Set) -> Path:
    """A copick configuration with the facts that TopCUP asks for; one threshold for all: it would tune them
    for minutes after every epoch, and only to choose the epoch."""
    facts = {n: {"class_loss_weight": 256, "score_weight": some.weights[n], "score_threshold": 0.2} for n in some.names}
    return exchange.own_config(some, job.folder / f"overlay-{some.folder.parent.name}", **facts)


def fit(job: Job, runs: list[str], copies: int, epochs: int, folder: Path) -> float:
    """Train on so many draws of each of some tomograms an epoch, an update each; the CPU time."""
    some = job.training
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(job.seed)
    options = {
        "--copick_config": config(job, some),
        "--train_run_names": ",".join(runs),
        "--val_run_names": some.runs[-1],
        "--user_id": "simulation",
        "--batch_size": 1,
        "--n_aug": copies,
        "--epochs": epochs,
        "--output_dir": folder,
    }
    start = cpu()
    with patch.object(topcup, "DataLoader", in_this_process), on_the_cpu():
        topcup.train.main([str(word) for pair in options.items() for word in pair], standalone_mode=False)
    return cpu() - start


def train(job: Job) -> Trained:
    """One and three updates, to see what an update and a validation cost, and the training."""
    runs = job.training.runs[:-1]
    one, three = (fit(job, runs[:1], copies, 1, job.folder / "trial") for copies in (1, 3))
    update = (three - one) / 2
    copies = max(1, round((job.seconds - one + update) / update / len(runs)))
    seconds = fit(job, runs, copies, 1, job.folder / "training")
    (job.folder / "training" / "checkpoints" / "best_model.ckpt").rename(job.folder / "best_model.ckpt")
    return {"train_s": seconds, "updates": float(copies * len(runs)), "epochs": 1}


def load(job: Job) -> Picker:
    """Its net."""
    return partial(pick, job, SegNet.load_from_checkpoint(str(job.folder / "best_model.ckpt"), map_location="cpu"))


def pick(job: Job, net: SegNet, some: Set, run: str) -> list[Pick]:
    """`topcup inference` for one run."""
    data = CopickDataset(
        copick_root=topcup.copick.from_file(str(config(job, some))),
        run_names=[run],
        pixelsize=10.0,
        user_id="simulation",
        has_ground_truth=False,
        transforms=monai.transforms.Compose(get_basic_transform_list(["input"])),
    )
    net.submission_dfs.clear()
    with on_the_cpu():
        net.predict_step(collate_fn([data[0]]), 0)
    found = net.submission_dfs[0]
    columns = (found[name].tolist() for name in ("particle_type", "x", "y", "z", "conf"))
    return [Pick(run, *row) for row in zip(*columns, strict=True)]


if __name__ == "__main__":
    exchange.drive(train, load)
