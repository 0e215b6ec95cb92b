"""Run a copy of a network once and record what it calls, in order.

Hooks on the copy's modules mark where a layer begins and ends. A TorchFunctionMode sees every torch function inside and
outside the modules. So control flow, functional calls and shared modules need no special treatment. The given module
itself is never run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from featherweight.graph import calls
from featherweight.graph.faults import layer_text
from featherweight.graph.record import NOTHING, Call, LayerCall, Record, Value
from featherweight.graph.scripted import ScriptedMacs
from featherweight.graph.twin import filled, is_leaf, kind_of


class Recorder(TorchFunctionMode):
    """Observer of one forward pass. The record is in .record, also after a failure.

    keep: hold the activations of layers.
    distinct: return a view if a function returns its argument, as dropout does in evaluation. So a shortcut around
    the function remains visible.
    """

    def __init__(self, module: nn.Module, *, keep: bool = False, distinct: bool = False) -> None:
        super().__init__()
        self.record = Record(module)
        self.has_used_parameters = False                    # True once a call has used a parameter
        self._keep, self._distinct = keep, distinct
        self._running: list[tuple[nn.Module, str]] = []     # modules that were entered and not left
        self._layer: LayerCall | None = None
        self._open = ExitStack()                            # the counter of the running scripted module
        self._parameters = {id(parameter) for parameter in module.parameters()}
        self._values: Any = WeakTensorKeyDictionary()       # tensor -> its value

    def run(self, inputs: Sequence[Tensor]) -> Any:
        """Run one forward pass and return its output. Exceptions of the network are not caught."""
        self.record.batch = inputs[0].shape[0]
        for tensor in inputs:
            self.record.inputs.append(self._new(tensor, dynamic=True))
        handles = list(self._watch(self.record.module, "", set()))
        try:
            with self, self._open:
                result = self.record.module(*inputs)
        finally:
            for handle in handles:
                handle.remove()
        self.record.outputs = [self._value(tensor) for tensor in calls.tensors_in(result)]
        return result

    @property
    def layer(self) -> str:
        """Innermost module that is running, as text; empty for the network itself."""
        return layer_text(*self._running[-1]) if self._running else ""

    # --- modules

    def _watch(self, module: nn.Module, name: str, seen: set[int]) -> Iterator[Any]:
        """Register hooks on the module and its descendants, down to the layers, and yield the handles."""
        if id(module) in seen:
            return
        seen.add(id(module))
        leaf = ends_here(module, name)
        if isinstance(module, torch.jit.ScriptModule):      # takes no hooks, so they are global
            yield register_module_forward_pre_hook(lambda part, _: self._enter_scripted(part, name, module))
            yield register_module_forward_hook(lambda part, *seen: self._leave_scripted(part, module, *seen))
            return
        yield module.register_forward_pre_hook(lambda part, _: self._enter(part, name, leaf))
        yield module.register_forward_hook(self._leave)
        if not leaf:
            for child_name, child in module.named_children():
                yield from self._watch(child, f"{name}.{child_name}" if name else child_name, seen)

    def _enter(self, module: nn.Module, name: str, leaf: bool) -> None:
        self._running.append((module, name))
        self.record.called.add(id(module))
        if leaf:
            self._layer = LayerCall(name, kind_of(module), module)

    def _leave(self, module: nn.Module, given: Any, result: Any) -> None:
        name = self._path
        while self._running and self._running.pop()[0] is not module:
            pass        # a module that failed inside a try block was never left
        self._mark_unseen(given, result, name)
        if self._layer is not None and self._layer.module is module:
            self._finish(self._layer, given, result)

    def _enter_scripted(self, module: nn.Module, name: str, watched: nn.Module) -> None:
        if module is watched:
            self._enter(module, name, leaf=True)
            self._scripted = self._open.enter_context(ScriptedMacs())

    def _leave_scripted(self, module: nn.Module, watched: nn.Module, given: Any, result: Any) -> None:
        if module is watched:
            self._open.close()
            if self._layer is not None:
                self._layer.macs = self._scripted.total // self.record.batch
            self._leave(module, given, result)

    def _finish(self, layer: LayerCall, given: Any, result: Any) -> None:
        """Complete the record of a layer that was left."""
        self._layer = None
        layer.inputs = [self._value(tensor) for tensor in calls.tensors_in(given) if tensor in self._values]
        layer.outputs = [self._kept(tensor) for tensor in calls.tensors_in(result)]
        self.has_used_parameters |= bool(filled(layer.module))
        self.record.events.append(layer)

    def _mark_unseen(self, given: Any, result: Any, path: str) -> None:
        """Record a call UNSEEN for outputs of a module that no visible torch function returned."""
        sources = [self._value(tensor) for tensor in calls.tensors_in(given) if tensor in self._values]
        new = [tensor for tensor in calls.tensors_in(result) if tensor not in self._values]
        if new and any(value.dynamic for value in sources):
            outputs = tuple(self._new(tensor, dynamic=True) for tensor in new)
            self._append(Call(calls.UNSEEN, None, tuple(sources), NOTHING, outputs, path, self._layer))

    # --- functions

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        written = [(tensor, writes_to(tensor)) for tensor in calls.tensors_in((args, kwargs))]
        result = self.compute(function, args, kwargs)
        name = calls.function_name(function)
        if self._distinct and any(tensor is result and count == writes_to(result) for tensor, count in written):
            result = result.view_as(result)
        outputs = [args[0]] if name == "setitem" else list(calls.tensors_in(result))
        if outputs:
            self._record(name, function, tuple(args), kwargs, written, outputs)
        elif name in calls.READS and any(self._value(tensor).dynamic for tensor, _ in written):
            self.record.branches.append(self._path)
        return result

    def compute(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call the function and return its result. A subclass may return zeros of the same shape."""
        return function(*args, **kwargs)

    @property
    def _path(self) -> str:
        return self._running[-1][1] if self._running else ""

    def _record(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any],
        written: Sequence[tuple[Tensor, int]], outputs: Sequence[Tensor],
    ) -> None:
        """Add a call to the record, with a new value for each output."""
        aliased = any(tensor in self._values and self._values[tensor].writes != count for tensor, count in written)
        given, named = calls.replaced((args, kwargs), Tensor, self._value)
        call = Call(name, function, given, named or NOTHING, (), self._path, self._layer, aliased)
        inputs = call.inputs
        used = {key: size for value in inputs for key, size in value.parameters.items()}
        dynamic = any(value.dynamic for value in inputs)
        own = used if name == "setitem" or not dynamic else NOTHING
        call.outputs = tuple(self._new(tensor, dynamic=dynamic, parameters=own) for tensor in outputs)
        self.has_used_parameters |= dynamic and bool(used)
        self._append(call)
        if self._keep and self._layer is None:
            for tensor in outputs:
                self._kept(tensor)

    def _append(self, call: Call) -> None:
        self.record.calls.append(call)
        (self.record.events if self._layer is None else self._layer.calls).append(call)

    # --- values

    def _new(self, tensor: Tensor, *, dynamic: bool, parameters: Mapping[int, int] | None = None) -> Value:
        """Create the value of a tensor that was just computed or overwritten."""
        if id(tensor) in self._parameters:
            parameters = {} if is_lazy(tensor) else {id(tensor): tensor.numel()}
        value = Value(
            shape=() if is_lazy(tensor) else tuple(tensor.shape),
            floating=is_lazy(tensor) or tensor.is_floating_point() or tensor.is_complex(),
            dynamic=dynamic,
            constant=None if dynamic else tensor,
            parameters=parameters or NOTHING,
            writes=writes_to(tensor),
        )
        self._values[tensor] = value
        return value

    def _value(self, tensor: Tensor) -> Value:
        """Return the value of a tensor. A tensor that no call made is a constant."""
        found: Value | None = self._values.get(tensor)
        return self._new(tensor, dynamic=False) if found is None else found

    def _kept(self, tensor: Tensor) -> Value:
        value = self._value(tensor)
        if self._keep:
            value.tensor = tensor
        return value


def ends_here(module: nn.Module, name: str) -> bool:
    """Return True for a layer, whose parts are not watched. A network of the user is no layer itself."""
    return is_leaf(module) and (name != "" or type(module).__module__.startswith("torch."))


def writes_to(tensor: Tensor) -> int:
    """Return the number of in-place writes to the tensor's memory.

    Returns 0 in inference mode, where torch does not count, and for a lazy parameter.
    """
    return 0 if is_lazy(tensor) or tensor.is_inference() else tensor._version
