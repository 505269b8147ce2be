"""A net as torch.export sees it: the graph that the other engines are made from."""

from __future__ import annotations

import hashlib
import warnings

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from tomosoup.core.config import ZYX


def export_graph(net: nn.Module, *, window: ZYX, dynamic_batch: bool = False) -> ExportedProgram:
    """The net's graph for windows `(b, 1, z, y, x)`: one at a time, or, where dynamic, any number.

    The net goes to the CPU, in eval mode. Nothing is computed.
    """
    net = net.eval().cpu()
    example = torch.zeros(2 if dynamic_batch else 1, 1, *window)  # a batch of 1 would be taken for a constant
    shapes = ({0: Dim("batch")},) if dynamic_batch else None
    with warnings.catch_warnings():
        # Deprecations inside torch and timm, which nobody here can mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        # Not under no_grad: maps would come in another order of voxels than when others trace the graph again.
        return torch.export.export(net, (example,), dynamic_shapes=shapes, strict=False)


def key_of(graph: ExportedProgram, *words: str) -> str:
    """A name for what is made from this graph with these weights: other weights or another graph, another name."""
    digest = hashlib.sha256("\n".join([torch.__version__, *words, graph.graph_module.code]).encode())
    tensors = {**graph.state_dict, **{k: v for k, v in graph.constants.items() if isinstance(v, torch.Tensor)}}
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]
