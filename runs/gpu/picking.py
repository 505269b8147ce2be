"""Seconds from a full-size tomogram in memory to its picks, and the peak of GPU memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from benchmarks.speed.best_time import best_time
from benchmarks.speed.inference.sides import FULL
from runs.gpu.budget import Setting
from runs.gpu.nets import DEFAULT, WINDOW, checkpoint_of, options
from runs.gpu.rows import Add, Row
from tomosoup.core.runtime import keep_freed_memory
from tomosoup.core.types import Volume
from tomosoup.inference.engines.net_cache import Nets
from tomosoup.inference.options.picking import PickingPlan
from tomosoup.inference.pick import pick_with

SMALL = (32, 64, 64)
"""Voxels of a tomogram in a small run."""


@dataclass(frozen=True)
class Picking:
    """Models, and the plan that picks with them."""

    models: Sequence[str]
    plan: str


PICKINGS: Mapping[str, Picking] = {
    "default": Picking([DEFAULT], "as-trained"),
    "yu4u": Picking(["yu4u"], "paper"),
    "yu4u in planes": Picking(["yu4u"], "planes"),
    "4 yu4u + 3 tattaka": Picking(["yu4u"] * 4 + ["tattaka"] * 3, "paper"),
    "4 soups": Picking(["soup-tiny", "soup-medium", "soup-big", "soup-big-all"], "soup"),
}
"""By name; the last two are the winners' systems."""


def seconds_of(name: str, setting: Setting, add: Add) -> None:
    """A row: a first tomogram, with the preparation of the nets, and if time is left the better of two more."""
    chosen = PICKINGS[name]
    models = [checkpoint_of(model, setting, seed=i) for i, model in enumerate(chosen.models)]
    plan = PickingPlan.read(chosen.plan)
    if setting.small and chosen.plan != "as-trained":
        plan = plan.model_copy(update={"plane": WINDOW["small"], "depth": WINDOW["small"]})
    torch.manual_seed(0)
    volume = Volume(torch.randn(SMALL if setting.small else FULL), models[0].voxel_size)

    keep_freed_memory()  # as a command does
    nets = Nets(options())

    def work() -> int:
        return sum(len(found) for found in pick_with(nets, volume, models, plan=plan).values())

    first, found = best_time(work, repeats=1)
    figures: dict[str, float | str] = {"first tomogram in s": first}
    if setting.seconds_left() > 2.5 * first:
        figures["seconds a tomogram"], found = best_time(work, repeats=2)
    figures["peak GPU memory in GiB"] = torch.cuda.max_memory_allocated() / 2**30
    shape = " x ".join(map(str, volume.shape))
    add(Row("picking", name, f"plan {chosen.plan}", figures, note=f"{found} picks in {shape} voxels of noise"))
