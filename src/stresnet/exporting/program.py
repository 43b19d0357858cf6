"""The network as torch.export's program: a graph of operators, without Python."""

from __future__ import annotations

import torch
from torch.export import Dim, ExportedProgram

from stresnet.model import STResNet
from stresnet.model.st_resnet import FLOW_FIELDS

WHERE_FROM = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node")


def captured(net: STResNet, height: int, width: int) -> ExportedProgram:
    """Trace the network in eval mode; videos and chunks are free, height and width fixed (px).

    Raises:
        UsageError: the frames are too small for the network.
    """
    shape = (2, 8)  # of the example; nothing of it stays
    rgb = torch.zeros(*shape, 3, height, width, dtype=torch.uint8)
    flow = torch.zeros(*shape, 2 * FLOW_FIELDS, height, width, dtype=torch.uint8)
    free = {0: Dim.AUTO, 1: Dim.AUTO}
    with torch.no_grad():
        net(rgb[:1, :5], flow[:1, :5])  # its own errors are plainer than the tracer's
        program = torch.export.export(
            net, (rgb, flow), dynamic_shapes={"rgb": free, "flow": free}, strict=False
        )
    for node in program.graph.nodes:  # these name files of this machine
        for key in WHERE_FROM:
            node.meta.pop(key, None)
    return program
