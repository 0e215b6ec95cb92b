"""Run a network once on a copy and write down its layers, in the order in which they are called.

Hooks on the copy's modules say where a row begins and ends; a TorchFunctionMode sees every torch function
inside and outside of them. So a network is read as it runs: control flow, functional calls and shared modules
need no special treatment, and the module that was given is never run.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from featherweight.anatomy import calls, cost
from featherweight.anatomy.cost import Shape
from featherweight.anatomy.geometry import Field, input_field
from featherweight.anatomy.rules import Call, propagate
from featherweight.errors import ModelError

BATCH = 2       # with two images squeeze() drops no batch axis
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


@dataclass
class Row:
    """A row of the layer table while the network runs."""

    name: str
    kind: str
    numbered: bool
    shapes: list[Shape] = field(default_factory=list)       # of one image's outputs
    tensors: list[Tensor] = field(default_factory=list)     # the outputs, where the tracer keeps them
    parameters: int = 0
    macs: int = 0                                           # per image
    field: Field | None = None
    shared: bool = False                                    # its parameters stand in an earlier row


class Tracer(TorchFunctionMode):
    """Watches one forward pass of a prepared copy; the rows are in .rows, also after a failure."""

    def __init__(self, module: nn.Module, *, keep_tensors: bool = False) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self._module = module
        self._keep = keep_tensors
        self._batch = 1
        self._path: list[str] = []
        self._leaf: Row | None = None
        self._parameters = {id(parameter) for parameter in module.parameters()}
        self._counted: set[int] = set()
        self._fields: Any = WeakTensorKeyDictionary()    # everything that depends on an input
        self._carried: Any = WeakTensorKeyDictionary()   # parameters in what was computed from them alone

    def run(self, inputs: Sequence[Tensor]) -> Any:
        """One forward pass and what it gave. Raises whatever the network raises."""
        self._batch = inputs[0].shape[0]
        for source, tensor in enumerate(inputs):
            axes = input_field(source, tensor.shape[1:])
            self._fields[tensor] = axes if axes.axes else None
        handles = list(self._watch(self._module, "", set()))
        try:
            with self:
                return self._module(*inputs)
        finally:
            for handle in handles:
                handle.remove()

    def _watch(self, module: nn.Module, name: str, seen: set[int]) -> Iterator[Any]:
        """Hooks on the module and on all below it, down to the leaves."""
        if id(module) in seen:
            return
        seen.add(id(module))
        leaf = is_leaf(module) and (name != "" or type(module).__module__.startswith("torch."))
        enter = self._enter_leaf if leaf else self._enter
        yield module.register_forward_pre_hook(lambda part, _: enter(part, name))
        yield module.register_forward_hook(self._leave_leaf if leaf else self._leave)
        if not leaf:
            for child_name, child in module.named_children():
                yield from self._watch(child, f"{name}.{child_name}" if name else child_name, seen)

    def _enter(self, module: nn.Module, name: str) -> None:
        self._path.append(name)

    def _leave(self, module: nn.Module, given: Any, result: Any) -> None:
        self._path.pop()
        self._mark_unseen(given, result)

    def _enter_leaf(self, module: nn.Module, name: str) -> None:
        self._leaf = Row(name or type(module).__name__, type(module).__name__, numbered=True)

    def _leave_leaf(self, module: nn.Module, given: Any, result: Any) -> None:
        row, self._leaf = self._leaf, None
        if row is None:
            return
        self._mark_unseen(given, result)
        self._count(row, {id(parameter): parameter.numel() for parameter in module.parameters()})
        self._finish(row, calls.tensors_in(result))

    def _mark_unseen(self, given: Any, result: Any) -> None:
        """What came out without a torch function that was seen depends on the input in an unknown way."""
        if any(tensor in self._fields for tensor in calls.tensors_in(given)):
            for tensor in calls.floating_in(result):
                self._fields.setdefault(tensor, None)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        name = calls.function_name(function)
        if name == "setitem":
            self._overwritten(args)
        outputs = calls.floating_in(result)
        if outputs:
            self._called(name, function, args, kwargs, outputs)
        return result

    def _called(
        self,
        name: str,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        outputs: list[Tensor],
    ) -> None:
        given = calls.floating_in((args, kwargs))
        used = self._parameters_in(given)
        sources = [(tensor, self._fields[tensor]) for tensor in given if tensor in self._fields]
        if not sources:
            for output in outputs:
                if used and id(output) not in self._parameters:
                    self._carried[output] = used
            return
        call = Call(name, function, args, kwargs, outputs, sources)
        for output, output_field in zip(outputs, propagate(call), strict=True):
            self._fields[output] = output_field
        row = self._leaf
        if row is None:
            if name in calls.HIDDEN:
                return
            row = Row(".".join(part for part in (self._path[-1], name) if part), name, numbered=False)
        row.macs += cost.macs(name, args, kwargs, outputs) // self._batch
        self._count(row, used)
        if row is not self._leaf:
            self._finish(row, outputs)

    def _overwritten(self, args: Sequence[Any]) -> None:
        """x[...] = y: where y depends on an input, x does too, in a way that no rule follows."""
        target, *_, value = args
        if any(tensor in self._fields for tensor in calls.tensors_in(value)):
            self._fields[target] = None

    def _parameters_in(self, tensors: Sequence[Tensor]) -> dict[int, int]:
        """id -> number of elements, for parameters and for what was computed from parameters alone."""
        found: dict[int, int] = {}
        for tensor in tensors:
            if id(tensor) in self._parameters:
                found[id(tensor)] = tensor.numel()
            found |= self._carried.get(tensor, {})
        return found

    def _count(self, row: Row, parameters: Mapping[int, int]) -> None:
        """A parameter belongs to the first row that uses it."""
        new = {key: size for key, size in parameters.items() if key not in self._counted}
        row.shared = row.shared or (bool(parameters) and not new and row.parameters == 0)
        row.parameters += sum(new.values())
        self._counted |= new.keys()

    def _finish(self, row: Row, outputs: Iterator[Tensor] | list[Tensor]) -> None:
        tensors = list(outputs)
        fields = [self._fields.get(tensor) for tensor in tensors if tensor.is_floating_point()]
        if fields and all(one is not None and one.same_numbers(fields[0]) for one in fields):
            row.field = fields[0]
        row.shapes = [self._one_image(tensor.shape) for tensor in tensors]
        row.tensors = tensors if self._keep else []
        self.rows.append(row)

    def _one_image(self, shape: Sequence[int]) -> Shape:
        """Without the batch axis, which is the second one inside attention and in recurrent states."""
        axis = next((d for d, n in enumerate(shape[:2]) if n == self._batch), None)
        return tuple(n for d, n in enumerate(shape) if d != axis)


def is_leaf(module: nn.Module) -> bool:
    """Whether the module is a row of its own: a parametrized layer is one, an empty container is none."""
    if isinstance(module, CONTAINERS):
        return False
    return all(name == "parametrizations" for name, _ in module.named_children())


def prepare(module: nn.Module, input_shapes: Sequence[Shape]) -> nn.Module:
    """A copy in evaluation mode, without the user's hooks, with lazy parameters filled in.

    Raises ModelError where the module cannot be copied or a shape is none.
    """
    for shape in input_shapes:
        if not shape or any(n < 1 for n in shape):
            raise ModelError(f"input shape {tuple(shape)} has an empty axis. Give it as C,H,W, like 1,28,28.")
    module = getattr(module, "_orig_mod", module)       # of a compiled module, the one that was written
    buffers = [b for part in module.modules() for b in part._buffers.values() if isinstance(b, UninitializedBuffer)]
    copies: dict[int, Any] = {id(b): UninitializedBuffer(device=b.device, dtype=b.dtype) for b in buffers}  # type: ignore[call-arg]
    try:
        twin = copy.deepcopy(module, copies).eval()     # torch does not copy such buffers itself
    except Exception as fault:
        raise ModelError(f"{type(module).__name__} cannot be copied: {first_line(fault)}") from fault
    lazy = False
    for part in twin.modules():
        if any(is_lazy(value) for value in (*part._parameters.values(), *part._buffers.values())):
            lazy = True         # its hook is what fills the parameters in
        else:
            part._forward_hooks.clear()
            part._forward_pre_hooks.clear()
    if lazy:
        with torch.no_grad(), running_on(input_shapes, module):
            twin(*blank_inputs(twin, input_shapes, BATCH))
    return twin


def trace(module: nn.Module, input_shapes: Sequence[Shape]) -> tuple[list[Row], nn.Module]:
    """The rows of a network and the copy that was run.

    Raises ModelError, in one line, where it does not run on inputs of these shapes.
    """
    with untouched_random_state(module), one_thread(), torch.no_grad():
        twin = prepare(module, input_shapes)
        tracer = Tracer(twin)
        try:
            tracer.run(blank_inputs(twin, input_shapes, BATCH))
        except Exception:       # a network may be written for one image only
            tracer = Tracer(twin)
            with running_on(input_shapes, module):
                tracer.run(blank_inputs(twin, input_shapes, 1))
    return tracer.rows, twin


def blank_inputs(module: nn.Module, input_shapes: Sequence[Shape], batch: int) -> list[Tensor]:
    """(batch, *shape) of zeros for each input, in the module's dtype and on its device."""
    like = next((p for p in module.parameters() if not is_lazy(p) and p.is_floating_point()), torch.empty(0))
    return [torch.zeros(batch, *shape, dtype=like.dtype, device=like.device) for shape in input_shapes]


@contextmanager
def running_on(input_shapes: Sequence[Shape], module: nn.Module) -> Iterator[None]:
    """Turn whatever a network raises into one line that names the input."""
    try:
        yield
    except Exception as fault:
        shapes = ", ".join(str(tuple(shape)) for shape in input_shapes)
        raise ModelError(
            f"{type(module).__name__} does not run on input {shapes}: {first_line(fault)}. "
            "Give its shape with --input C,H,W"
        ) from fault


@contextmanager
def untouched_random_state(module: nn.Module) -> Iterator[None]:
    """Whatever draws random numbers inside, the global generators go on as if it had not."""
    devices = sorted({p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"})
    numpy = sys.modules.get("numpy")
    python_state, numpy_state = random.getstate(), numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)


@contextmanager
def one_thread() -> Iterator[None]:
    """One or two images are little work; on a busy machine, threads that wait for each other take 15 times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def first_line(fault: Exception) -> str:
    """The first line of what went wrong, without a full stop."""
    lines = str(fault).strip().splitlines()
    return lines[0].rstrip(". ") if lines else type(fault).__name__
