"""Source text for a network without its own: the graph from torch.export, written as Python.

The text defines a module with the same weight names. Its forward calls torch's functions one by one, as the network
did in evaluation mode. The text is stored and loaded like any network's source, without pickle.
"""

from __future__ import annotations

import copy
import math
import operator
import types
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from featherweight.blame import in_one_line
from featherweight.errors import ModelError
from featherweight.user_code import Source, quietly

if TYPE_CHECKING:
    from torch.export import ExportedProgram

ENTRY, ATTRIBUTE = "graph.py", "Network"
MOST_CONSTANTS = 10_000     # largest number of values of a constant in the text
BOUND = (types.BuiltinFunctionType, types.MethodDescriptorType)     # types of torch's bindings to C++ functions
NAMESPACES = (("torch", torch), ("torch.nn.functional", nn.functional), ("torch.Tensor", Tensor))

HEAD = '''"""The network as torch.export found it in evaluation mode, since its source text was not at hand."""

import math
import operator

import torch
from torch import nn

WEIGHTS = [     # name, shape, type, and the name under which the parameter comes first; "" for a buffer
{weights}]
CONSTANTS = {{{constants}}}


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        for name, shape, dtype, first in WEIGHTS:
            module, (*path, last) = self, name.split(".")
            for part in path:
                if part not in module._modules:
                    module.add_module(part, nn.Module())
                module = module._modules[part]
            value = torch.zeros(shape, dtype=dtype)
            if first:
                module.register_parameter(last, nn.Parameter(value) if first == name else self.get_parameter(first))
            else:
                module.register_buffer(last, value)

    def forward(self, {inputs}):
        _weights = dict(self.state_dict(keep_vars=True))
{lines}'''


def is_graph(source: Source) -> bool:
    """True for source that exported_source wrote. Its network always computes as in evaluation mode."""
    return source.files[source.entry].startswith(HEAD.partition("\n")[0])


def exported_source(model: nn.Module, inputs: Sequence[Tensor]) -> Source:
    """Return the network's exported graph as source text. inputs: one batch per input, on the network's device.

    Raises ModelError if torch cannot export the network for batches of any size, or if it contains large constants.
    """
    from torch.export import Dim, export  # imported here: takes half a second and is seldom needed

    twin = copy.deepcopy(model).eval()
    shapes = tuple({0: Dim.AUTO} for _ in inputs)
    try:
        with quietly(), torch.no_grad():
            program = export(twin, tuple(inputs), dynamic_shapes=(shapes,) if takes_all(twin) else shapes)
    except Exception as fault:      # the exporter wraps any exception from the network's code
        raise ModelError(
            f"{type(model).__name__} has no source text at hand, and torch cannot export it: {in_one_line(fault)}. "
            "Write its class into a file, or into a cell."
        ) from fault
    return Source(ENTRY, ATTRIBUTE, {ENTRY: text_of(program, twin)})


def takes_all(model: nn.Module) -> bool:
    """True for forward(*inputs): torch.export expects its dynamic shapes as one tuple."""
    return model.forward.__code__.co_flags & 0x04 != 0 and model.forward.__code__.co_argcount <= 1


def text_of(program: ExportedProgram, model: nn.Module) -> str:
    """Return the source text of an exported program of `model`."""
    first = {parameter: name for name, parameter in model.named_parameters()}
    shared = {name: first[parameter] for name, parameter in model.named_parameters(remove_duplicate=False)}
    weights = [
        f"    ({name!r}, {list(value.shape)}, {value.dtype}, {shared.get(name, '')!r}),\n"
        for name, value in model.state_dict().items()
    ]
    names, inputs, constants = bound_names(program)
    lines = [f"        {line}\n" for line in calls_of(program.graph, names)]
    return HEAD.format(weights="".join(weights), constants=", ".join(constants), inputs=", ".join(inputs),
                       lines="".join(lines))


def bound_names(program: ExportedProgram) -> tuple[dict[str, str], list[str], list[str]]:
    """Return (placeholder -> Python expression, names of the inputs, constants as dictionary items in text)."""
    from torch.export.graph_signature import InputKind

    names, inputs, constants = dict[str, str](), list[str](), list[str]()
    for spec in program.graph_signature.input_specs:
        placeholder = spec.arg.name
        if spec.kind == InputKind.USER_INPUT:
            inputs.append(placeholder)
        elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER) and spec.target in program.state_dict:
            names[placeholder] = f"_weights[{spec.target!r}]"
        else:
            value = program.constants[str(spec.target)]
            if not isinstance(value, Tensor) or value.numel() > MOST_CONSTANTS:
                raise ModelError(f"the network holds the constant {spec.target!r}, which is too large for a text. "
                                 "Register it as a buffer.")
            constants.append(f"{spec.target!r}: torch.tensor({written(value.tolist(), {})}, dtype={value.dtype})")
            names[placeholder] = f"CONSTANTS[{spec.target!r}]"
    return names, inputs, constants


def calls_of(graph: fx.Graph, names: dict[str, str]) -> Iterator[str]:
    """Yield the lines of forward. names: placeholder -> Python expression."""
    for node in graph.nodes:
        if node.op == "call_function" and node.name not in names:
            if is_check(node):
                continue
            given = [written(value, names) for value in node.args]
            given += [f"{key}={written(value, names)}" for key, value in node.kwargs.items()]
            yield f"{node.name} = {function_of(node.target)}({', '.join(given)})"
        elif node.op == "get_attr":     # a nested graph: torch.cond, or a part under no_grad
            raise ModelError("the network's source text is not at hand, and its graph holds another graph, as of "
                             "torch.cond. Write its class into a file, or into a cell.")
        elif node.op == "output":
            found = node.args[0]
            yield f"return {written(found[0] if len(found) == 1 else tuple(found), names)}"


def is_check(node: fx.Node) -> bool:
    """True for a call that only checks sizes or metadata."""
    return "assert" in str(node.target) or "sym_constrain" in str(node.target)


def function_of(target: Any) -> str:
    """Return the Python name of a function in the graph: aten.conv2d.default -> "torch.conv2d".

    Only C++ bindings are used under their short name. A function written in Python, such as F.unfold, may differ from
    the operator in its arguments or result, so the name under torch.ops is used.
    """
    if getattr(target, "__module__", "") == "_operator" or target is operator.getitem:
        return f"operator.{target.__name__}"
    if getattr(target, "__module__", "") in ("torch", "math"):      # functions on sizes: torch.sym_max, math.floor
        return f"{target.__module__}.{target.__name__}"
    name = str(target).split(".")[1] if str(target).startswith("aten.") else ""
    for prefix, namespace in NAMESPACES:
        if name and isinstance(getattr(namespace, name, None), BOUND):
            return f"{prefix}.{name}"
    return f"torch.ops.{target}"


def written(value: Any, names: dict[str, str]) -> str:
    """Return an argument of a call as Python text."""
    if isinstance(value, fx.Node):
        return names.get(value.name, value.name)
    if isinstance(value, list | tuple):
        inside = ", ".join(written(item, names) for item in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside},)"
    if isinstance(value, torch.device):
        return f"torch.device({str(value)!r})"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    return repr(value)
