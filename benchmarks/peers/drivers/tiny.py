"""The 8th place's tiny U-Net, rebuilt from MONAI's parts by what its authors have published, without tomosoup.

Net, crops of 128 voxels about every class equally often, 24 a tomogram and update, flips, Dice with cross-entropy,
AdamW at 1e-3 halved where the held-out loss stalls for half the patience (32), best weights by that loss; windows,
overlap, weights, views, watershed and smallest regions are theirs. Not theirs: no pretraining on simulated tomograms
(all are simulated here), one net in place of a soup of seven; crops and windows are cut to the tomogram's size; fp32.
The radius of a label's ball is not published: here it is the particle's. It scores no picks: a pick's score is the
mean probability of its species within half its radius.

Variant `batch-2`: two crops an update in place of 24, so that there are more updates in the time.
"""

from functools import partial

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from monai.transforms import Compose, RandCropByLabelClassesd, RandFlipd
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed
from torch import Tensor

from benchmarks.peers import exchange
from benchmarks.peers.exchange import Job, Pick, Picker, Set, Trained, cpu

PATIENCE = 32
SMALLEST = {
    "apo-ferritin": 80,
    "beta-galactosidase": 368,
    "ribosome": 750,
    "thyroglobulin": 480,
    "virus-like-particle": 1150,
}
VIEWS = ([], [2], [3], "transpose")
"""Axes (of c, z, y, x) that are mirrored; or y and x swapped."""


def net_of(classes: int) -> UNet:
    """The tiny net."""
    return UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=classes,
        channels=(32, 64, 128, 128),
        strides=(2, 2, 1),
        num_res_units=1,
        dropout=0.3,
    )


def standardised(tomogram: np.ndarray) -> Tensor:
    """`(1, z, y, x)`."""
    return torch.from_numpy((tomogram - tomogram.mean()) / tomogram.std())[None]


def windows(net: UNet, volume: Tensor) -> Tensor:
    """Logits `(c, z, y, x)` of `(1, z, y, x)`."""
    size = [min(n, m) for n, m in zip((160, 384, 384), volume.shape[1:], strict=True)]
    blended: Tensor = sliding_window_inference(
        volume[None], size, 1, net, overlap=0.25, mode="gaussian", padding_mode="reflect"
    )
    return blended[0]


def train(job: Job) -> Trained:
    """Updates of one tomogram each, as many as come nearest to the time; the held-out loss after each round of them."""
    torch.manual_seed(job.seed)
    some = job.training
    data = [
        {"image": standardised(some.tomogram(run)), "label": torch.from_numpy(some.balls(run, 1.0))[None]}
        for run in some.runs
    ]
    *seen, held_out = data
    classes = len(some.names) + 1
    crop = [min(128, n) for n in held_out["image"].shape[1:]]
    crops = Compose(
        [
            RandCropByLabelClassesd(
                ["image", "label"],
                "label",
                spatial_size=crop,
                num_classes=classes,
                num_samples=2 if job.variant == "batch-2" else 24,
            ),
            *(RandFlipd(["image", "label"], prob=0.5, spatial_axis=axis) for axis in range(3)),
        ]
    ).set_random_state(job.seed)
    net, loss_of = net_of(classes), DiceCELoss(include_background=True, to_onehot_y=True, softmax=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=PATIENCE // 2)
    start, lowest, updates, rounds, validation, over = cpu(), float("inf"), 0, 0, 0.0, False
    while not over:
        net.train()
        for volume in seen:
            begun = cpu()
            batch = crops(volume)
            optimiser.zero_grad()
            for some_crops in (batch[n : n + 2] for n in range(0, len(batch), 2)):  # the same sum, in less memory
                x, labels = (torch.stack([crop[key] for crop in some_crops]) for key in ("image", "label"))
                loss = loss_of(net(x), labels)
                (loss * len(some_crops) / len(batch)).backward()
            optimiser.step()
            updates += 1
            over = cpu() - start + (cpu() - begun) / 2 + validation > job.seconds
            if over:
                break
        begun = cpu()
        net.eval()
        with torch.no_grad():
            found = float(loss_of(windows(net, held_out["image"])[None], held_out["label"][None]))
        schedule.step(found)
        if found < lowest:
            lowest = found
            torch.save(net.state_dict(), job.folder / "tiny.pth")
        rounds, validation = rounds + 1, cpu() - begun
        print(f"{updates} updates, loss {float(loss):.3f}, held-out {found:.3f}, {cpu() - start:.0f} s", flush=True)
    return {"train_s": cpu() - start, "updates": float(updates), "epochs": rounds}


def load(job: Job) -> Picker:
    """Its net."""
    net = net_of(len(job.training.names) + 1)
    net.load_state_dict(torch.load(job.folder / "tiny.pth", weights_only=True))
    return partial(pick, net.eval())


@torch.inference_mode()
def pick(net: UNet, some: Set, run: str) -> list[Pick]:
    """Mean logits of the views, then the regions of each species."""
    volume = standardised(some.tomogram(run))
    logits = torch.zeros(())
    for view in VIEWS:
        if view == "transpose":
            logits = logits + windows(net, volume.transpose(2, 3)).transpose(2, 3)
        else:
            logits = logits + windows(net, volume.flip(view)).flip(view)
    probabilities = (logits / len(VIEWS)).softmax(0).numpy()
    picks = []
    for label, name in enumerate(some.names, start=1):
        points = centroids(probabilities[label] > 0.1, some.radii[name], SMALLEST.get(name, 1))
        score = exchange.mean_within(probabilities[label], points, radius=0.5 * some.radii[name] / exchange.VOXEL)
        picks += some.picks(run, name, points, score)
    return picks


def centroids(mask: np.ndarray, radius: float, smallest: int) -> np.ndarray:
    """`(n, 3)` voxel indices: centroids of the watershed's regions of enough voxels."""
    distance = ndimage.distance_transform_edt(mask)
    peaks = peak_local_max(distance, min_distance=max(1, int(radius / 10)), labels=mask.astype(int))
    if not len(peaks):
        return np.empty((0, 3))
    markers = np.zeros(mask.shape, dtype=np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    regions = watershed(-distance, markers, mask=mask)
    large = np.flatnonzero(np.bincount(regions.ravel(), minlength=len(peaks) + 1)[1:] >= smallest) + 1
    return np.reshape(ndimage.center_of_mass(mask, regions, large), (-1, 3))


if __name__ == "__main__":
    exchange.drive(train, load)
