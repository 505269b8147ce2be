"""A small 2D net that learns from single planes: one heatmap per species, at half the resolution."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor, nn

from runs.checks.real_slices.planes import RADII, SPECIES, Array, Plane
from tomosoup.core.errors import InputError
from tomosoup.core.files import written_aside

WIDTHS = (16, 32, 64, 192)
CROP, BATCH, RATE = 256, 4, 2e-3
TRUE = 0.5
"""A particle counts in a plane within so many radii of it; farther ones neither count nor cost."""
SIGMA, IGNORED = 0.35, 0.75
"""Of the targets, and how far from an ignored particle nothing costs: in radii."""


def convolutions(*channels: int) -> nn.Sequential:
    """3 x 3 convolutions from each number of channels to the next."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.GroupNorm(8, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class PlaneNet(nn.Module):
    """`(b, 1, y, x)`, sides multiples of 16 -> logits `(b, species, y / 2, x / 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(convolutions(a, b, b) for a, b in zip((4, *WIDTHS), WIDTHS, strict=False))
        self.up = nn.ModuleList(convolutions(a + b, a) for a, b in pairwise(WIDTHS))
        self.head = nn.Conv2d(WIDTHS[0], len(SPECIES), 1)
        nn.init.constant_(self.head.bias, -4.0)

    def forward(self, x: Tensor) -> Tensor:
        x, kept = F.pixel_unshuffle(x, 2), []
        for i, down in enumerate(self.down):
            x = down(F.max_pool2d(x, 2) if i else x)
            kept.append(x)
        for up, skip in zip(list(self.up)[::-1], kept[-2::-1], strict=True):
            x = up(torch.cat([skip, F.interpolate(x, scale_factor=2, mode="nearest")], 1))
        logits: Tensor = self.head(x)
        return logits


def example(plane: Plane, random: np.random.Generator) -> tuple[Array, Array, Array]:
    """A crop, turned and changed in blur and contrast, and its targets and weights `(species, 128, 128)`."""
    turn = np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), random.integers(4)) @ np.diag(random.choice([-1, 1], 2))
    size, half = np.array(plane.grey.shape[::-1]), CROP / 2 - 0.5
    middle = random.integers(0, size - CROP + 1) + half
    if len(plane.particles) and random.random() < 0.5:  # near a particle, each species as often
        own = plane.particles[plane.particles[:, 2] == random.choice(np.unique(plane.particles[:, 2]))]
        aim = random.choice(own)[:2] + random.uniform(-90, 90, 2)
        middle = np.clip(np.floor(aim) + 0.5, half, size - 1 - half)
    x0, y0 = (middle - half).astype(int)
    crop = plane.grey[y0 : y0 + CROP, x0 : x0 + CROP]
    u = np.stack(np.meshgrid(*[np.arange(CROP) - half] * 2), axis=-1) @ turn.T + half
    x, y = np.rint(u).astype(int).transpose(2, 0, 1)
    crop = crop[y, x]
    crop = crop + random.uniform(-0.5, 0.8) * (ndimage.gaussian_filter(crop, random.uniform(0.5, 1.3)) - crop)
    crop = crop * np.exp(random.uniform(-0.25, 0.25)) + random.normal(0, 0.15)
    target = np.zeros((len(SPECIES), CROP // 2, CROP // 2), np.float32)
    weight, grid = np.ones_like(target), np.arange(CROP // 2) * 2 + 0.5
    for (at_x, at_y), (species, away) in zip(
        (plane.particles[:, :2] - middle) @ turn + half, plane.particles[:, 2:], strict=True
    ):
        k, radius = int(species), RADII[int(species)]
        squared = (grid[:, None] - at_y) ** 2 + (grid[None] - at_x) ** 2
        if away < TRUE * radius:
            np.maximum(target[k], np.exp(-squared / (2 * (SIGMA * radius) ** 2)), out=target[k])
        else:
            weight[k][squared < (IGNORED * radius) ** 2] = 0
    weight[target > 0.1] = 1
    return crop.astype(np.float32), target, weight


def fingerprint(planes: Iterable[Plane]) -> str:
    """A hash of the planes' grey values and particles."""
    found = blake2b(digest_size=16)
    for plane in planes:
        found.update(plane.grey.tobytes() + plane.particles.tobytes())
    return found.hexdigest()


def saved(file: Path, training: dict[str, str | int]) -> PlaneNet:
    """A net from its file. Raises `InputError` where it was not trained in this way."""
    stored = torch.load(file)
    other = [name for name, value in training.items() if stored.get("training", {}).get(name) != value]
    if other:
        raise InputError(
            f"The network {file} was trained with other {', '.join(other)}: delete it, or give another folder as OUT."
        )
    net = PlaneNet()
    net.load_state_dict(stored["net"])
    return net.eval()


def train(planes: Sequence[Plane], file: Path, *, training: dict[str, str | int]) -> PlaneNet:
    """A net that learnt from the planes; read from `file` if it is there, else written to it.

    `training` holds `seed`, `updates`, and `planes`, the fingerprint of the planes. It is stored with the net. The loss
    is a soft focal cross-entropy in which the particles of all species count alike.

    Raises `InputError` where the file holds a net that was trained in another way.
    """
    if file.exists():
        return saved(file, training)
    seed, updates = int(training["seed"]), int(training["updates"])
    torch.manual_seed(seed)
    net = PlaneNet()
    random = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=updates, pct_start=0.1)
    share = torch.from_numpy(1 / (2 * np.pi * (SIGMA * RADII / 2) ** 2)).float()[None, :, None, None]
    for step in range(updates):
        batch = [example(planes[random.integers(len(planes))], random) for _ in range(BATCH)]
        x, target, weight = (torch.from_numpy(np.stack(part)) for part in zip(*batch, strict=True))
        logits = net(x[:, None])
        cost = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        loss = (cost * (target - logits.sigmoid()).abs() ** 2 * weight * share).sum() / BATCH
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            print(f"{file.stem}: update {step + 1}, loss {loss.item():.3f}", flush=True)
    with written_aside(file) as aside:
        torch.save({"net": net.state_dict(), "training": training}, aside)
    return net.eval()


@torch.no_grad()
def heatmaps(net: PlaneNet, plane: Plane) -> Array:
    """`(species, y, x)` from 0 to 1: the mean over the eight turns and flips."""
    side = -(-max(plane.grey.shape) // 16) * 16
    height, width = plane.grey.shape
    x = F.pad(torch.from_numpy(plane.grey)[None, None], (0, side - width, 0, side - height))
    total = torch.zeros(1, len(SPECIES), side // 2, side // 2)
    for turns in range(4):
        for flip in (False, True):
            view = torch.rot90(x, turns, (2, 3))
            found = net(view.flip(3)).sigmoid().flip(3) if flip else net(view).sigmoid()
            total += torch.rot90(found, -turns, (2, 3))
    maps = F.interpolate(total / 8, scale_factor=2, mode="bilinear")[0, :, :height, :width].numpy()
    kept: Array = maps * inside(plane)
    return kept


def inside(plane: Plane) -> Array:
    """`(y, x)`, False within three voxels of what a label covered."""
    far: Array = ndimage.binary_erosion(plane.valid, iterations=3, border_value=1)
    return far
