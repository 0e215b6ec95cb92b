"""Run a copy of a network once and record its layers in the order in which they are called.

Hooks on the copy's modules mark where a row begins and ends. A TorchFunctionMode sees every torch function inside and
outside the modules. So control flow, functional calls and shared modules need no special treatment. The given module
itself is never run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from featherweight.anatomy import calls, cost
from featherweight.anatomy.call import Call
from featherweight.anatomy.cost import Shape
from featherweight.anatomy.faults import does_not_run, layer_text
from featherweight.anatomy.geometry import Field, input_field
from featherweight.anatomy.rules import propagate
from featherweight.anatomy.twin import (
    blank_inputs,
    copied,
    filled,
    has_lazy,
    is_leaf,
    kind_of,
    one_thread,
    untouched_random_state,
)
from featherweight.anatomy.unused import Unused, unused_in
from featherweight.anatomy.warned import warnings_placed
from featherweight.errors import ModelError

BATCH = 2       # with two images, squeeze() does not drop the batch axis
USUAL = ((28, 28), (32, 32), (64, 64), (224, 224))      # images that a network may have been written for


@dataclass
class Row:
    """One row of the layer table, while the network runs."""

    name: str
    kind: str
    numbered: bool
    shapes: list[Shape] = field(default_factory=list)       # of one image's outputs
    tensors: list[Tensor] = field(default_factory=list)     # the outputs, if the tracer keeps them
    parameters: int = 0
    macs: int = 0                                           # per image
    field: Field | None = None
    shared: bool = False                                    # an earlier row counts its parameters


class Tracer(TorchFunctionMode):
    """Observer of one forward pass of a prepared copy. The rows are in .rows, also after a failure."""

    def __init__(self, module: nn.Module, *, keep_tensors: bool = False) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.module = module
        self._keep = keep_tensors
        self._batch = 1
        self._running: list[tuple[nn.Module, str]] = []     # modules that were entered and not left
        self._called_modules: set[int] = set()
        self._leaf: Row | None = None
        self._open = ExitStack()                            # the counter of the running scripted module
        self._parameters = {id(parameter) for parameter in module.parameters()}
        self._counted: set[int] = set()
        self._fields: Any = WeakTensorKeyDictionary()    # tensor that depends on an input -> its field
        self._carried: Any = WeakTensorKeyDictionary()   # tensor computed from parameters alone -> these

    def run(self, inputs: Sequence[Tensor]) -> Any:
        """Run one forward pass and return its output. Exceptions of the network are not caught."""
        self._batch = inputs[0].shape[0]
        for source, tensor in enumerate(inputs):
            axes = input_field(source, tensor.shape[1:])
            self._fields[tensor] = axes if axes.axes else None
        handles = list(self._watch(self.module, "", set()))
        try:
            with self, self._open:
                return self.module(*inputs)
        finally:
            for handle in handles:
                handle.remove()

    @property
    def layer(self) -> str:
        """Innermost module that is running, as text; empty for the network itself."""
        return layer_text(*self._running[-1]) if self._running else ""

    @property
    def has_used_parameters(self) -> bool:
        """True if some row has used a parameter."""
        return bool(self._counted)

    def unused(self) -> list[Unused]:
        """Return the layers and parameters that the pass did not use."""
        return unused_in(self.module, self._called_modules, self._counted)

    def _watch(self, module: nn.Module, name: str, seen: set[int]) -> Iterator[Any]:
        """Register hooks on the module and its descendants, down to the leaves, and yield the handles."""
        if id(module) in seen:
            return
        seen.add(id(module))
        leaf = is_leaf(module) and (name != "" or type(module).__module__.startswith("torch."))
        enter = self._enter_leaf if leaf else self._enter
        if isinstance(module, torch.jit.ScriptModule):      # takes no hooks, so they are global
            yield register_module_forward_pre_hook(lambda part, _: self._enter_scripted(part, name, module))
            yield register_module_forward_hook(lambda part, *seen: self._leave_scripted(part, module, *seen))
            return
        yield module.register_forward_pre_hook(lambda part, _: enter(part, name))
        yield module.register_forward_hook(self._leave_leaf if leaf else self._leave)
        if not leaf:
            for child_name, child in module.named_children():
                yield from self._watch(child, f"{name}.{child_name}" if name else child_name, seen)

    def _enter(self, module: nn.Module, name: str) -> None:
        self._running.append((module, name))
        self._called_modules.add(id(module))

    def _leave(self, module: nn.Module, given: Any, result: Any) -> None:
        self._no_longer_running(module)
        self._mark_unseen(given, result)

    def _no_longer_running(self, module: nn.Module) -> None:
        while self._running and self._running.pop()[0] is not module:
            pass        # a module that failed inside a try block was never left

    def _enter_leaf(self, module: nn.Module, name: str) -> None:
        self._running.append((module, name))
        self._called_modules.add(id(module))
        self._leaf = Row(name or kind_of(module), kind_of(module), numbered=True)

    def _leave_leaf(self, module: nn.Module, given: Any, result: Any) -> None:
        row, self._leaf = self._leaf, None
        self._no_longer_running(module)
        if row is None:
            return
        self._mark_unseen(given, result)
        self._count(row, {id(parameter): parameter.numel() for parameter in filled(module)})
        self._finish(row, calls.tensors_in(result))

    def _enter_scripted(self, module: nn.Module, name: str, watched: nn.Module) -> None:
        if module is watched:
            self._enter_leaf(module, name)
            self._scripted = self._open.enter_context(cost.ScriptedMacs())

    def _leave_scripted(self, module: nn.Module, watched: nn.Module, given: Any, result: Any) -> None:
        if module is watched:
            self._open.close()
            if self._leaf is not None:
                self._leaf.macs = self._scripted.total // self._batch
            self._leave_leaf(module, given, result)

    def _mark_unseen(self, given: Any, result: Any) -> None:
        """Mark outputs of a module as dependent on the network's input, with an unknown field.

        Only outputs that no visible torch function returned are still unmarked.
        """
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
        outputs = list(calls.tensors_in(result))
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
        given = list(calls.tensors_in(calls.values_of(name, args, kwargs)))
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
        row, floating = self._leaf, calls.floating_in(outputs)
        if not floating:
            return
        if row is None:
            if name in calls.HIDDEN:
                return
            row = Row(".".join(part for part in (self._running[-1][1], name) if part), name, numbered=False)
        row.macs += cost.macs(name, args, kwargs, floating) // self._batch
        self._count(row, used)
        if row is not self._leaf:
            self._finish(row, floating)

    def _overwritten(self, args: Sequence[Any]) -> None:
        """Update the records of x after x[...] = y. If y depends on an input, so does x, with an unknown field."""
        target, *_, value = args
        if carried := self._parameters_in(calls.floating_in(value)):
            self._carried[target] = self._carried.get(target, {}) | carried
        if any(tensor in self._fields for tensor in calls.tensors_in(value)):
            self._fields[target] = None

    def _parameters_in(self, tensors: Sequence[Tensor]) -> dict[int, int]:
        """Return {id: number of elements} of the parameters in `tensors`.

        A tensor that was computed from parameters alone counts as these parameters.
        """
        found: dict[int, int] = {}
        for tensor in tensors:
            if id(tensor) in self._parameters and not is_lazy(tensor):
                found[id(tensor)] = tensor.numel()
            found |= self._carried.get(tensor, {})
        return found

    def _count(self, row: Row, parameters: Mapping[int, int]) -> None:
        """Assign parameters to the row. A parameter belongs to the first row that uses it."""
        new = {key: size for key, size in parameters.items() if key not in self._counted}
        row.shared = row.shared or (bool(parameters) and not new and row.parameters == 0)
        row.parameters += sum(new.values())
        self._counted |= new.keys()

    def _finish(self, row: Row, outputs: Iterator[Tensor] | list[Tensor]) -> None:
        tensors = list(outputs)
        fields = [self._fields.get(tensor) for tensor in calls.floating_in(tensors)]
        if fields and all(one is not None and one.same_numbers(fields[0]) for one in fields):
            row.field = fields[0]
        row.shapes = [self._one_image(tensor.shape) for tensor in tensors]
        row.tensors = tensors if self._keep else []
        self.rows.append(row)

    def _one_image(self, shape: Sequence[int]) -> Shape:
        """Return the shape without the batch axis.

        Inside attention and in recurrent states, the batch axis is the second one.
        """
        axis = next((d for d, n in enumerate(shape[:2]) if n == self._batch), None)
        return tuple(n for d, n in enumerate(shape) if d != axis)


Watch = TypeVar("Watch", bound=Tracer)


def trace(module: nn.Module, input_shapes: Sequence[Shape]) -> Tracer:
    """Run a copy of the network once and return its tracer.

    Raises ModelError, in one line, if the network does not run on inputs of these shapes.
    """
    with untouched_random_state(module), one_thread(), torch.no_grad():
        twin = prepare(module, input_shapes)
        return run_blank(lambda: Tracer(twin), input_shapes)[0]


def prepare(module: nn.Module, input_shapes: Sequence[Shape]) -> nn.Module:
    """Return a copy in evaluation mode, without the user's hooks, with lazy parameters filled.

    Raises ModelError if the module cannot be copied, if a shape is empty, or if lazy parameters cannot be filled.
    """
    twin = copied(module, input_shapes)
    if any(has_lazy(part) for part in twin.modules()):
        with torch.no_grad():
            run(Tracer(twin), blank_inputs(twin, input_shapes, BATCH))
    return twin


def run_blank(watch: Callable[[], Watch], input_shapes: Sequence[Shape]) -> tuple[Watch, Any]:
    """Run two blank images, or one if two fail, and return the tracer and the output.

    Some networks accept only a single image. If both passes fail, raises the ModelError of the pass with more rows.
    """
    faults: list[tuple[int, ModelError]] = []
    for batch in (BATCH, 1):
        tracer = watch()
        try:
            return tracer, run(tracer, blank_inputs(tracer.module, input_shapes, batch))
        except ModelError as fault:
            faults.append((len(tracer.rows), fault))
    raise max(faults, key=lambda found: found[0])[1]


def run(tracer: Tracer, inputs: Sequence[Tensor]) -> Any:
    """Run one forward pass and return its output. The network's warnings are shown at the user's lines.

    Raises ModelError, with the layer and the user's line, if the network fails.
    """
    with warnings_placed(lambda: tracer.layer):
        try:
            return tracer.run(inputs)
        except Exception as fault:
            shapes = [tuple(tensor.shape[1:]) for tensor in inputs]
            other = _runs_on(tracer.module, shapes)
            raise does_not_run(
                tracer.module, shapes, fault, begun=tracer.has_used_parameters, other=other
            ) from fault


def _runs_on(module: nn.Module, shapes: Sequence[Shape]) -> Shape | None:
    """Return a usual image shape with the same number of channels on which the network runs, or None."""
    for sides in USUAL if len(shapes) == 1 and len(shapes[0]) == 3 else ():
        shape = (shapes[0][0], *sides)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module(*blank_inputs(module, [shape], BATCH))
        except Exception:
            continue
        return shape
    return None
