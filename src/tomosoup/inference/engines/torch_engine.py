"""The engine torch. The code for CUDA follows torch's documentation and was not run on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tomosoup.core.config import ZYX
from tomosoup.core.errors import counted
from tomosoup.inference.engines.choice import Choice
from tomosoup.inference.engines.engine import Engine, Finish
from tomosoup.inference.tiling.windows import with_halo
from tomosoup.models.nets.tomo_net import TomoNet
from tomosoup.models.window_plan import WindowPlan

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
Net = Callable[[Tensor], Tensor]


def torch_engine(net: nn.Module, choice: Choice, *, window: ZYX, batch_size: int) -> Engine:
    """The net, moved to the device; with `choice.compiled`, compiled for full batches.

    On a CPU, bf16 rounds the weights and all maps. On a GPU, half precision uses autocast: operations that need more,
    such as norms, stay in fp32.
    """
    run: Net = place(net, choice)
    if choice.compiled:
        run = compile_net(net, choice.device)

    @torch.no_grad()
    def start(windows: Tensor) -> Finish:
        sent = upload(filled(windows, batch_size) if choice.compiled else windows, choice.device)
        sent = sent.bfloat16() if rounded(choice) else sent
        with autocast(choice), tuned(choice.device):
            output = run(sent)
        return download(output[: len(windows)], choice.device)

    where = torch.cuda.get_device_name(choice.device) if choice.device.type == "cuda" else choice.device.type
    threads = f", {counted(torch.get_num_threads(), 'thread')}" if choice.device.type == "cpu" else ""
    compiled = ", compiled" if choice.compiled else ""
    description = f"torch {torch.__version__} on {where}, {choice.precision}{compiled}{threads}"
    # Only CUDA computes while the caller continues; elsewhere the work is done when the caller asks for the output.
    begin = start if choice.device.type == "cuda" else lambda windows: lambda: start(windows)()
    return Engine(description=description, window=window, batch_size=batch_size, start=begin)


def plain_engine(net: TomoNet, plan: WindowPlan) -> Engine:
    """An unchanged net, on its device, as an engine for the windows of a plan."""
    halo = net.halo if plan.neighbours else 0
    device = next(net.parameters()).device

    @torch.no_grad()
    def run(windows: Tensor) -> Tensor:
        output: Tensor = net(windows.to(device), halo=halo).float().cpu()
        return output

    window = with_halo(plan.shape, halo)
    return Engine(f"torch on {device}", window, batch_size=4, start=lambda windows: partial(run, windows))


def place(net: nn.Module, choice: Choice) -> nn.Module:
    """Move the net to the device; for half precision, with channels last, the order of half-precision units.

    All maps then keep this order. On a CPU this is 1.1 to 2.6 times as fast as channels first.
    """
    net = net.to(choice.device, DTYPES["bf16"] if rounded(choice) else None)
    if choice.device.type == "cuda" or rounded(choice):
        for parameter in net.parameters():
            if (order := channels_last(parameter.ndim)) is not None:
                # Not contiguous(): it does not reorder weights of one channel, whose maps then have channels first.
                parameter.data = torch.empty_like(parameter, memory_format=order).copy_(parameter)
    return net


def rounded(choice: Choice) -> bool:
    """Whether weights and maps are stored in bf16, not only multiplied in it."""
    return choice.device.type == "cpu" and choice.precision == "bf16"


def channels_last(ndim: int) -> torch.memory_format | None:
    """The memory format with channels last, for images and volumes."""
    orders: dict[int, torch.memory_format] = {4: torch.channels_last, 5: torch.channels_last_3d}
    return orders.get(ndim)


def compile_net(net: nn.Module, device: torch.device) -> Net:
    """The net, compiled for one shape; on CUDA it runs as a CUDA graph."""
    mode: dict[str, Any] = {"mode": "reduce-overhead"} if device.type == "cuda" else {}
    compiled = torch.compile(net, dynamic=False, **mode)
    if device.type != "cuda":
        return compiled

    def replay(windows: Tensor) -> Tensor:
        # Overwrites the last output; the stream has copied it before.
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        output: Tensor = compiled(windows)
        return output

    return replay


def autocast(choice: Choice) -> AbstractContextManager[Any]:
    """The context that computes in the chosen precision."""
    if choice.precision == "fp32" or rounded(choice):
        return nullcontext()
    return torch.autocast(choice.device.type, dtype=DTYPES[choice.precision])


@contextmanager
def tuned(device: torch.device) -> Iterator[None]:
    """On CUDA, cuDNN chooses its fastest algorithms at the first batch, as all windows have one shape.

    `torch.backends.cudnn.flags` would switch cuDNN off: its other arguments have defaults, too.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def filled(windows: Tensor, batch_size: int) -> Tensor:
    """A smaller last batch, padded with zeros: another shape would be compiled again."""
    return F.pad(windows, (0, 0) * 4 + (0, batch_size - len(windows)))


def upload(windows: Tensor, device: torch.device) -> Tensor:
    """Copy windows to the device; to CUDA from page-locked memory, without waiting."""
    if device.type != "cuda":
        return windows.to(device)
    return windows.pin_memory().to(device, non_blocking=True)


def download(output: Tensor, device: torch.device) -> Finish:
    """Start to copy an output to the CPU in fp32; from CUDA into page-locked memory, without waiting."""
    if device.type != "cuda":
        return partial(_to_cpu, output)
    host = torch.empty(output.shape, dtype=torch.float32, pin_memory=True)
    host.copy_(output.float(), non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record(torch.cuda.current_stream(device))  # by default it would be that of the first GPU

    def finish() -> Tensor:
        copied.synchronize()
        return host

    return finish


def _to_cpu(output: Tensor) -> Tensor:
    return output.float().cpu()
