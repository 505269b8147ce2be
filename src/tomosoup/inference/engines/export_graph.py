"""The graph of a net by torch.export: the other engines convert it."""

from __future__ import annotations

import hashlib
import warnings

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from tomosoup.core.config import ZYX


def export_graph(net: nn.Module, *, window: ZYX, dynamic_batch: bool = False) -> ExportedProgram:
    """The graph of a net for windows `(b, 1, z, y, x)`; b is 1, or any number with `dynamic_batch`.

    Moves the net to the CPU and sets it to eval mode. Computes nothing.
    """
    net = net.eval().cpu()
    example = torch.zeros(2 if dynamic_batch else 1, 1, *window)  # torch.export takes a batch of 1 for a constant
    shapes = ({0: Dim("batch")},) if dynamic_batch else None
    with warnings.catch_warnings():
        # Deprecations inside torch and timm, not in this package.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        # Not under no_grad: the memory format of maps would differ from a later trace of this graph.
        return torch.export.export(net, (example,), dynamic_shapes=shapes, strict=False)


def key_of(graph: ExportedProgram, *words: str) -> str:
    """A hash of graph, weights and `words`: the name of a file that is made from them."""
    digest = hashlib.sha256("\n".join([torch.__version__, *words, graph.graph_module.code]).encode())
    tensors = {**graph.state_dict, **{k: v for k, v in graph.constants.items() if isinstance(v, torch.Tensor)}}
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]
