"""A network as a graph: the flow of data forwards or of the gradient backwards. The network is never changed."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd
from torch.utils.weak import WeakTensorKeyDictionary

from featherweight.anatomy import calls
from featherweight.anatomy.cost import Shape
from featherweight.anatomy.layers import IMAGE, Shapes, as_shapes
from featherweight.anatomy.trace import Row, Tracer, prepare, run_blank
from featherweight.anatomy.twin import kind_of, on_cpu, one_thread, untouched_random_state
from featherweight.errors import ModelError

Kind = Literal["input", "layer", "operation", "junction", "output", "parameter", "loss"]
LONGEST = 28        # characters of a parameter's name; a longer one is cut at the start


@dataclass(frozen=True)
class Node:
    """Box of a graph. A layer has parameters and an operation has none. At a junction, flows meet or split."""

    id: int
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """Arrow from one node to another, by their ids."""

    start: int
    end: int


@dataclass(frozen=True)
class Graph:
    """Nodes, and edges between them, without cycles and without duplicate edges."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def data_flow(module: nn.Module, input_shapes: Shapes = IMAGE) -> Graph:
    """Return the flow of data: inputs, layers and functions with their output shapes and parameters, outputs.

    input_shapes: as in summarize. Also as there, a copy of the module is run in evaluation mode.
    A function that only moves values is drawn only if the shape changes. A layer that returns its input unchanged is
    not drawn.

    Raises ModelError, in one line, if the module does not run on inputs of these shapes.
    """
    shapes = as_shapes(input_shapes)
    with torch.inference_mode(False), untouched_random_state(module), one_thread(), torch.no_grad():
        twin = prepare(module, shapes)
        flow, _ = run_blank(lambda: Flow(twin), shapes)
    return Graph(tuple(flow.nodes), tuple(flow.edges))


def autograd_graph(module: nn.Module, input_shapes: Shapes = IMAGE) -> Graph:
    """Return the flow of the gradient: from the loss through autograd's backward functions to the parameters.

    The loss is the sum over outputs of -output[:, 0].mean(). For log-probabilities, it is the loss of images of
    class 0. A copy is run on the CPU in evaluation mode, so dropout is inactive.

    Raises ModelError, in one line, if the module does not run or no parameter gets a gradient.
    """
    shapes = as_shapes(input_shapes)
    with torch.inference_mode(False), untouched_random_state(module), one_thread(), torch.enable_grad():
        twin = on_cpu(prepare(module, shapes))
        _, result = run_blank(lambda: Tracer(twin), shapes)
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
    return Node(number, "parameter", title, (_by(variable.shape),))


class Flow(Tracer):
    """Tracer that remembers the node from which each tensor came. After run, the graph is in .nodes and .edges."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self.nodes: list[Node] = []
        self.edges: dict[Edge, None] = {}
        self._origins: Any = WeakTensorKeyDictionary()      # node ids, for each tensor that depends on an input
        self._fed: set[int] = set()                         # origins of the running leaf's inputs
        self._inner: list[str] = []                         # functions that this leaf called

    def run(self, inputs: Sequence[Tensor]) -> Any:
        """Run one forward pass and return its output. Exceptions of the network are not caught."""
        for title, tensor in zip(_input_titles(self.module, len(inputs)), inputs, strict=True):
            self._add(Node(len(self.nodes), "input", title, (_by(tensor.shape[1:]),)), set(), [tensor])
        return super().run(inputs)

    def _add(self, node: Node, fed: Iterable[int], outputs: Iterable[Tensor]) -> None:
        self.nodes.append(node)
        self.edges |= {Edge(start, node.id): None for start in sorted(fed)}
        for output in outputs:
            self._origins[output] = {node.id}

    def _origins_of(self, value: Any) -> set[int]:
        return set().union(*(self._origins.get(tensor, ()) for tensor in calls.tensors_in(value)))

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        known = [t for t in calls.tensors_in((args, kwargs or {})) if t in self._origins]
        before = {id(tensor): (_version(tensor), self._origins[tensor]) for tensor in known}
        result = super().__torch_function__(function, types, args, kwargs)
        for output in calls.tensors_in(result):
            if before and output not in self._origins and not output.is_floating_point():
                self._origins[output] = self._origins_of(known)      # masks and argmax results have no row
        if not isinstance(result, Tensor) or before.get(id(result), (None,))[0] != _version(result):
            return result
        # The input came back unchanged, as from dropout in evaluation mode. The view gives the result an origin of
        # its own, so that a shortcut around the function is still drawn.
        handed = result.view_as(result)
        self._fields[handed], self._origins[handed] = self._fields.get(result), self._origins[result]
        self._origins[result] = before[id(result)][1]
        return handed

    def _called(
        self,
        name: str,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        outputs: list[Tensor],
    ) -> None:
        rows = len(self.rows)
        super()._called(name, function, args, kwargs, outputs)
        fed = self._origins_of((args, kwargs))
        if self._leaf is not None:
            self._fed |= fed
            self._inner.append(name)
        elif len(self.rows) > rows:
            self._draw(self.rows[-1], _call_title(name, args, kwargs), (), fed, outputs)
        elif fed:
            shapes = [self._one_image(output.shape) for output in outputs]
            given = [self._one_image(tensor.shape) for tensor in calls.tensors_in(args) if tensor in self._origins]
            if "softmax" in name or (name in calls.MOVES and shapes != given):
                self._draw(Row(name, name, numbered=False, shapes=shapes), name, (), fed, outputs)
            else:
                for output in outputs:
                    self._origins[output] = fed

    def _draw(self, row: Row, title: str, notes: Iterable[str], fed: set[int], outputs: Iterable[Tensor]) -> None:
        """Add a node for a row of the layer table."""
        parts = len(fed) > 1 or len(row.shapes) > 1
        kind: Kind = "layer" if row.parameters or row.shared else "junction" if parts else "operation"
        counted = "shared parameters" if row.shared else f"{row.parameters:,} parameters" if row.parameters else ""
        lines = (*notes, ", ".join(_by(shape) for shape in row.shapes), counted)
        self._add(Node(len(self.nodes), kind, title, tuple(line for line in lines if line)), fed, outputs)

    def _overwritten(self, args: Sequence[Any]) -> None:
        super()._overwritten(args)
        if origins := self._origins_of((args[0], args[-1])):
            self._origins[args[0]] = origins

    def _enter_leaf(self, module: nn.Module, name: str) -> None:
        super()._enter_leaf(module, name)
        self._fed, self._inner = set(), []

    def _leave_leaf(self, module: nn.Module, given: Any, result: Any) -> None:
        super()._leave_leaf(module, given, result)
        tensors = list(calls.tensors_in(result))
        if self._inner or any(tensor not in self._origins for tensor in tensors):
            title, note = _module_title(module)
            if not note and not type(module).__module__.startswith("torch."):
                note = ", ".join(dict.fromkeys(self._inner))        # functions inside the user's own layer
            self._draw(self.rows[-1], title, (note,), self._fed | self._origins_of(given), tensors)
        if module is self.module:
            self._end(tensors)

    def _leave(self, module: nn.Module, given: Any, result: Any) -> None:
        super()._leave(module, given, result)
        tensors = list(calls.tensors_in(result))
        for tensor in tensors:
            if tensor not in self._origins and (origins := self._origins_of(given)):
                self._origins[tensor] = origins     # made by a function that the tracer did not see
        if module is self.module:
            self._end(tensors)

    def _end(self, outputs: Sequence[Tensor]) -> None:
        for number, output in enumerate(outputs, 1):
            title = "output" if len(outputs) == 1 else f"output {number}"
            node = Node(len(self.nodes), "output", title, (_by(self._one_image(output.shape)),))
            self._add(node, self._origins_of(output), ())


def _version(tensor: Tensor) -> int:
    """Return the number of in-place writes to the tensor; 0 in inference mode, where torch does not count."""
    return 0 if tensor.is_inference() else tensor._version


def _input_titles(module: nn.Module, count: int) -> list[str]:
    """Return a title for each input: ["input"] for a single input.

    Several inputs are titled by their names in forward's signature: ["input image", "input noise"].
    """
    if count == 1:
        return ["input"]
    parameters = inspect.signature(module.forward).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return [f"input {names[k] if k < len(names) else k + 1}" for k in range(count)]


def _module_title(module: nn.Module) -> tuple[str, str]:
    """Return a title and the unusual settings, such as ("Conv2d 3x3, 16", "stride 2, padding 1")."""
    kind = kind_of(module)
    if isinstance(module, nn.Linear):
        return f"{kind} {module.out_features}", ""
    if isinstance(module, _DropoutNd):
        return f"{kind} {module.p:g}", ""
    if isinstance(module, _ConvNd):
        usual: dict[str, Any] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        return f"{kind} {_by(module.kernel_size)}, {module.out_channels}", _unusual(module, usual)
    if isinstance(module, (_MaxPoolNd, _AvgPoolNd)):
        axes = next((int(letter) for letter in kind if letter in "123"), 2)
        usual = {"stride": module.kernel_size, "padding": 0}
        return f"{kind} {_by(calls.per_axis(module.kernel_size, axes))}", _unusual(module, usual)
    return kind, ""


def _unusual(module: nn.Module, usual: Mapping[str, Any]) -> str:
    """Return the settings that differ from their usual values, as text."""
    told = []
    for name, expected in usual.items():
        value = getattr(module, name)
        values = set(value) if isinstance(value, tuple) else {value}
        if value != expected and values != {expected}:
            told.append(f"{name} {values.pop() if len(values) == 1 else _by(value)}")
    return ", ".join(told)


def _call_title(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return "max_pool2d 2x2" or "conv2d 3x3, 16"; for most functions, only the name."""
    if name in calls.POOLS:
        kernel = calls.named(name, args, kwargs).get("kernel_size", ())
        return f"{name} {_by(calls.per_axis(kernel, int(name[-2])))}"
    if name in calls.CONVOLUTIONS or name == "linear":
        outputs, *rest = calls.named(name, args, kwargs)["weight"].shape
        return f"{name} {outputs}" if name == "linear" else f"{name} {_by(rest[1:])}, {outputs}"
    return name


def _by(shape: Shape | Sequence[int]) -> str:
    """Return a shape as text, such as "16x24x24"; "1" for a scalar."""
    return "x".join(str(n) for n in shape) or "1"
