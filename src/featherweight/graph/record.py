"""Record of one forward pass: values with shapes, calls of torch functions, and calls of layers.

Summary, receptive fields, costs, the drawing and the export to C are functions over this record. A record holds no
activations, unless the recorder was told to keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from featherweight.graph import calls
from featherweight.graph.calls import Shape

NOTHING: Mapping[Any, Any] = MappingProxyType({})      # shared by all, to save memory


@dataclass(eq=False, slots=True)
class Value:
    """One tensor of the pass. A tensor that is overwritten in place becomes a new value.

    shape: with the batch axis.
    dynamic: True if an input of the network reaches it.
    constant: the tensor itself, if no input reaches it: a parameter, a buffer, or computed from these alone.
    parameters: {id: number of elements} of the parameters from which a constant was computed.
    tensor: the activation of a layer, if the recorder keeps them.
    writes: number of in-place writes to its memory when it was made.
    """

    shape: Shape
    floating: bool = True
    dynamic: bool = False
    constant: Tensor | None = None
    parameters: Mapping[int, int] = field(default_factory=lambda: NOTHING)
    tensor: Tensor | None = None
    writes: int = 0

    def dim(self) -> int:
        """Return the number of axes."""
        return len(self.shape)


@dataclass(eq=False, slots=True)
class Call:
    """One call of a torch function. In args and kwargs, each tensor is replaced by its Value.

    operation: plain name of the function, such as "conv2d"; UNSEEN for values that no visible function made.
    path: name of the innermost module that was running; "" for the network itself.
    layer: call of the layer during which the function was called, or None.
    aliased: True if an argument was overwritten through another view of its memory after it was computed.
    """

    operation: str
    function: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: Sequence[Value]
    path: str
    layer: LayerCall | None = None
    aliased: bool = False
    _inputs: tuple[Value, ...] | None = None        # found once, because all analyses ask for them

    @property
    def given(self) -> dict[str, Any]:
        """Arguments by name, as calls.named() returns them; empty for a function that it does not know."""
        return calls.named(self.operation, self.args, self.kwargs) if calls.is_known(self.operation) else {}

    @property
    def inputs(self) -> tuple[Value, ...]:
        """Arguments whose numbers the result depends on. An argument that is given twice is in it twice."""
        if self._inputs is None:
            self._inputs = tuple(values_in(calls.values_of(self.operation, self.args, self.kwargs)))
        return self._inputs

    @property
    def sources(self) -> list[Value]:
        """Inputs that depend on an input of the network."""
        return [value for value in self.inputs if value.dynamic]


@dataclass(eq=False, slots=True)
class LayerCall:
    """One call of a module without submodules, or of a scripted module.

    calls: the torch functions that it called. macs: of a scripted module, in which no function can be seen.
    """

    path: str
    kind: str
    module: nn.Module
    calls: list[Call] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    macs: int = 0


@dataclass(eq=False, slots=True)
class Record:
    """A network as it ran once.

    module: the network that ran, a copy of the user's. batch: number of images.
    calls: all calls of functions, in order.
    events: calls of layers, in the order of their ends, and the calls of functions outside layers.
    called: ids of the modules that ran. branches: paths of the modules that read a value as a Python number or bool.
    """

    module: nn.Module
    batch: int = 1
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    events: list[Call | LayerCall] = field(default_factory=list)
    called: set[int] = field(default_factory=set)
    branches: list[str] = field(default_factory=list)

    def needed(self) -> list[Call]:
        """Return the calls on which an output depends, in their order."""
        wanted, found = set[Value](self.outputs), list[Call]()
        for call in reversed(self.calls):
            if call.sources and any(value in wanted for value in call.outputs):
                found.append(call)
                wanted.update(call.sources)
        return found[::-1]

    def one_image(self, value: Value) -> Shape:
        """Return the shape of a value without the batch axis.

        Inside attention and in recurrent states, the batch axis is the second one.
        """
        axis = next((d for d, n in enumerate(value.shape[:2]) if n == self.batch), None)
        return tuple(n for d, n in enumerate(value.shape) if d != axis)


def name_of(path: str) -> str:
    """Return the name of a module in the user's network, without a "module" around the network."""
    return path.removeprefix("module").removeprefix(".")


def values_in(arguments: Any) -> Iterator[Value]:
    """Yield all values in the arguments of a recorded call."""
    return calls.found_in(arguments, Value)
