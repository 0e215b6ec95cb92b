"""The flow of the gradient through a network, backwards from the loss. The network is never changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from featherweight.anatomy.graph import Edge, Graph, Node, by
from featherweight.anatomy.layers import IMAGE, Shapes, as_shapes
from featherweight.errors import ModelError
from featherweight.graph import calls
from featherweight.graph.passes import prepare, run_blank
from featherweight.graph.recorder import Recorder
from featherweight.graph.twin import on_cpu, one_thread, untouched_random_state

LONGEST = 28        # characters of a parameter's name; a longer one is cut at the start


def autograd_graph(module: nn.Module, input_shapes: Shapes = IMAGE) -> Graph:
    """Return the flow of the gradient: from the loss through autograd's backward functions to the parameters.

    The loss is the sum over outputs of -output[:, 0].mean(). For log-probabilities, it is the loss of images of
    class 0. A copy is run on the CPU in evaluation mode, so dropout is inactive.

    Raises ModelError, in one line, if the module does not run or no parameter gets a gradient.
    """
    shapes = as_shapes(input_shapes)
    with torch.inference_mode(False), untouched_random_state(module), one_thread(), torch.enable_grad():
        twin = on_cpu(prepare(module, shapes))
        _, result = run_blank(lambda: Recorder(twin), shapes)
        heads = [head for head in calls.floating_in(result) if head.requires_grad]
        if not heads:
            raise ModelError(f"{type(module).__name__} has no output that depends on a trainable parameter.")
        losses = [-(head[:, 0] if head.dim() > 1 and head.shape[1] else head).mean() for head in heads]
        loss = sum(losses[1:], losses[0])
    return _gradient_walk(loss, {id(p): name for name, p in twin.named_parameters()}, len(heads))


def _gradient_walk(loss: Tensor, names: Mapping[int, str], heads: int) -> Graph:
    """Return the graph of the backward functions, visited breadth first along next_functions.

    AccumulateGrad is drawn as the parameter whose gradient it accumulates.
    """
    nodes = [Node(0, "loss", "loss", (f"sum of {heads} heads",) if heads > 1 else ())]
    edges: dict[Edge, None] = {}
    numbers: dict[Any, int] = {}        # holds the functions, so that no new one gets an old one's identity
    waiting: deque[tuple[int, Any]] = deque([(0, loss.grad_fn)])
    while waiting:
        start, function = waiting.popleft()
        if function not in numbers:
            numbers[function] = len(nodes)
            nodes.append(_gradient_node(len(nodes), function, names))
            waiting.extend((numbers[function], after) for after, _ in function.next_functions if after is not None)
        edges[Edge(start, numbers[function])] = None
    return Graph(tuple(nodes), tuple(edges))


def _gradient_node(number: int, function: Any, names: Mapping[int, str]) -> Node:
    variable = getattr(function, "variable", None)
    if variable is None:
        return Node(number, "operation", function.name())
    name = names.get(id(variable), "tensor")
    title = name if len(name) <= LONGEST else f"...{name[3 - LONGEST:]}"
    return Node(number, "parameter", title, (by(variable.shape),))
