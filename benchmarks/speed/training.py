"""Measures updates a second: networks by their published formula and as they are here, and the rate of crops.

    python -m benchmarks.speed.training RECIPE [BATCH]

RECIPE is yu4u (A1), tattaka (A2), small, or finetune (encoder and norms frozen on both sides). An update is forward,
loss, backward and AdamW on a batch of random crops of the recipe's shape. Then: how many crops a second one process
prepares from a simulated tomogram in memory: cut, augmented, and with their targets. Where that is more than the
network takes, more workers gain nothing.
"""

from collections.abc import Callable
from typing import cast

import torch
import tyro
from torch import Tensor, nn

from benchmarks.speed.best_time import best_time
from benchmarks.speed.inference.sides import net_of
from benchmarks.speed.plain_nets import plain
from runs.shared.command import run_script
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.species import CONTEST_SPECIES
from tomosoup.data.volumes.normalisation import standardise
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.simulation.options.recipe import SimulationRecipe
from tomosoup.simulation.simulate import simulate_run
from tomosoup.training.options import TrainingRecipe
from tomosoup.training.run.batch_norm import freeze_norms
from tomosoup.training.supervision.crops import Crops, Example
from tomosoup.training.supervision.losses import training_loss


def rate(work: Callable[[], object], repeats: int = 3) -> float:
    """Calls a second, the best of some, after a first one."""
    work()
    return 1 / best_time(work, repeats=repeats)[0]


def update(
    net: TomoNet, x: Tensor, target: Tensor, recipe: TrainingRecipe, *, fused: bool, fp16: bool = False
) -> Callable[[], Tensor]:
    """A step of AdamW that returns the loss. `tomosoup train` has it `fused`, in one kernel, and on a GPU in `fp16`."""
    net.train()
    if recipe.encoder_rate == 0:
        cast(nn.Module, net.encoder).requires_grad_(False)
    if recipe.freeze_norms:
        freeze_norms(net)
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-4, fused=fused)
    scaler = torch.amp.GradScaler(x.device.type, enabled=fp16)

    def step() -> Tensor:
        optimiser.zero_grad()
        with torch.autocast(x.device.type, dtype=torch.float16, enabled=fp16):
            loss = training_loss(net(x), target, recipe.loss, cell=net.cell)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        return loss.detach()

    return step


def main(name: str, batch: tyro.conf.Positional[int] = 1) -> None:
    """Print both sides, and the crops."""
    net, recipe = net_of(name)
    scene = simulate_run(SimulationRecipe.read("simulated"), seed=0)
    crops = Crops([Example("run", standardise(scene.volume), scene.truth)], CONTEST_SPECIES, recipe)
    x, target = (torch.stack(parts) for parts in zip(*(crops[i % len(crops)] for i in range(batch)), strict=True))
    slow = rate(update(plain(net), x, target, recipe, fused=False))
    keep_freed_memory()  # as a command does
    fast = rate(update(net, x, target, recipe, fused=True))
    print(f"{name}, batch {batch} of {tuple(x.shape[2:])}: plain {slow:.3f} updates a second, here {fast:.3f}")
    print(f"ratio {fast / slow:.2f}")
    drawn = rate(lambda: [crops[i % len(crops)] for i in range(4)]) * 4
    print(f"crops: {drawn:.1f} a second in this process; the net takes {fast * batch:.1f}")


if __name__ == "__main__":
    run_script(main, description=__doc__)
