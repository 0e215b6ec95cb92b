"""Mistakes in the definition of a network."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, replaced, text_of
from featherweight.doctor.flow.layers import KINDS, key_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import (
    NORM,
    WEIGHTED,
    Class,
    Items,
    Module,
    Spot,
    Table,
    Tensor,
    Value,
    constant,
    known,
    modules_in,
)
from featherweight.doctor.source import Source

CLASSIFYING = ("CrossEntropyLoss", "NLLLoss")


def number_in(node: ast.expr) -> int | None:
    """Return the whole number that a node states."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -node.operand.value if isinstance(node.operand.value, int) else None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else None


def layers_in_lists(trace: Trace) -> Iterator[Draft]:
    """Find layers with parameters in a Python list or dictionary of a network."""
    for event in trace.of("attribute"):
        owner, value = event.subject, event.value
        if not isinstance(owner, Module) or owner.cls is None or not isinstance(value, Items | Table):
            continue
        if owner.attributes.get(event.text) is not value or event.nested:
            continue
        hidden = [module for module in modules_in(value) if has_parameters(module)]
        registered = {id(part) for name, one in owner.attributes.items() if name != event.text
                      for module in modules_in(one) if isinstance(one, Module) for part in module.parts()}
        registered |= {id(module) for module in owner.children for module in modules_in(module)}
        hidden = [module for module in hidden if id(module) not in registered]
        if hidden:
            kind = "ModuleDict" if isinstance(value, Table) else "ModuleList"
            right = event.spot.node
            statement = f"nn.{kind}({text_of(value.spot, 200)})" if value.spot else f"nn.{kind}()"
            corrected = f"{ast.unparse(right)} = {statement}"
            yield Draft("FW108", event.spot,
                        f"`self.{event.text}` holds layers in a Python "
                        f"{'dict' if isinstance(value, Table) else 'list'}.",
                        f"model.parameters() does not contain {hidden[0].name.rpartition('.')[2] or 'them'} layers "
                        f"there, "
                        "so the optimizer never trains them.", f"Wrap them in nn.{kind}.", corrected)


def own_modules(trace: Trace) -> list[tuple[Module, Class]]:
    """Return the first module of each class of the file that a network is or holds, with its class."""
    found: dict[int, tuple[Module, Class]] = {}
    for event in trace.of("network"):
        for part in event.subject.parts() if isinstance(event.subject, Module) else ():
            if part.cls is not None:
                found.setdefault(id(part.cls.definition), (part, part.cls))
    return list(found.values())


def related(a: Value, b: Value) -> bool:
    """True if one module is a part of the other."""
    return isinstance(a, Module) and isinstance(b, Module) and (b in a.parts() or a in b.parts())


def has_parameters(module: Module) -> bool:
    """True for a layer with weights."""
    return any(KINDS.get(key_of(part.name)) in (WEIGHTED, NORM) or key_of(part.name) in ("embedding", "lstm", "gru")
               for part in module.parts())


def unused_layers(trace: Trace) -> Iterator[Draft]:
    """Find layers that a network builds and no method uses."""
    seen, names = set[int](), dict[int, set[str]]()
    for event in trace.of("network"):
        network = event.subject
        if not isinstance(network, Module) or network.cls is None or id(network.cls.definition) in seen:
            continue
        seen.add(id(network.cls.definition))
        if network.cls.method("forward") is None or uses_all_children(network.cls.definition):
            continue
        source = network.cls.scope.source
        if id(source) not in names:
            names[id(source)] = used_names(source)
        used = names[id(source)]
        for name, value in network.attributes.items():
            module = known(value)
            spot = module.spot
            layer = isinstance(module, Module) and (module.name.startswith("torch.nn.") or module.cls is not None)
            if layer and name not in used and spot and spot.source is network.cls.scope.source:
                weights = isinstance(module, Module) and has_parameters(module)
                yield Draft("FW109", spot, f"`self.{name}` is built but never used.",
                            "Its weights are counted and stored, but no output depends on them." if weights else
                            "No output depends on it, so its setting has no effect.",
                            f"Call self.{name} in forward, or delete the line.", "", "warning" if weights else "note")


def used_names(source: Source) -> set[str]:
    """Return the attributes that a file reads, and its texts, since getattr may use them."""
    found = {node.attr for node in source.nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    return found | {node.value for node in source.nodes if isinstance(node, ast.Constant)
                    and isinstance(node.value, str)}


def uses_all_children(definition: ast.ClassDef) -> bool:
    """True if a class reaches its layers without naming them."""
    names = {node.attr for node in ast.walk(definition) if isinstance(node, ast.Attribute)}
    calls = {node.func.id for node in ast.walk(definition)
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return bool(names & {"children", "modules", "_modules", "named_children", "named_modules"}) or bool(
        calls & {"getattr", "vars", "setattr"})


def bias_before_norm(trace: Trace) -> Iterator[Draft]:
    """Find biases that the next batch normalisation subtracts again."""
    for event in trace.of("layer"):
        module, tensor = event.subject, event.value
        if not isinstance(module, Module) or "batchnorm" not in key_of(module.name) or not isinstance(tensor, Tensor):
            continue
        before = tensor.trail[-1] if tensor.trail else None
        if before is None or before.kind != WEIGHTED or before.made is None or has_no_bias(before.made.node):
            continue
        node = before.made.node
        if isinstance(node, ast.Call):
            others = [one for one in node.keywords if one.arg != "bias"]
            inside = ", ".join([ast.unparse(one) for one in (*node.args, *others)] + ["bias=False"])
            yield Draft("FW110", before.made,
                        f"{before.name} has a bias, and {module.name.rpartition('.')[2]} follows.",
                        "The normalisation subtracts the mean, and the bias with it; its parameters have no effect.",
                        "Set bias=False.", replaced(before.made, f"{ast.unparse(node.func)}({inside})"))


def has_no_bias(node: ast.AST) -> bool:
    """True if a layer's call states that it has no bias, or may do so by a name or in **options."""
    if not isinstance(node, ast.Call) or len(node.args) > 7:
        return True
    stated = [one for one in node.keywords if one.arg in ("bias", None)]
    return any(not isinstance(one.value, ast.Constant) or one.value.value is not True for one in stated)


def layers_built_in_forward(trace: Trace) -> Iterator[Draft]:
    """Find layers with weights that forward builds anew."""
    for event in trace.of("build"):
        module = event.subject
        if not isinstance(module, Module) or not event.nested or event.arms or not event.calls:
            continue
        name = getattr(event.calls[-1], "name", "")
        if name == "forward" and has_parameters(module) and not module.children:
            last = module.name.rpartition(".")[2]
            yield Draft("FW111", event.spot, f"{last} is built inside forward.",
                        "Each call starts with new random weights, which no optimizer ever trains.",
                        "Build it once in __init__ and call it here.", "")


def mixing_views(trace: Trace) -> Iterator[Draft]:
    """Find x.view(-1, n) on images, which changes the batch if the size is another."""
    for event in trace.of("apply"):
        node = event.spot.node
        if event.text not in ("view", "reshape") or not event.nested or not isinstance(node, ast.Call):
            continue
        if len(node.args) != 2 or number_in(node.args[0]) != -1 or not isinstance(node.func, ast.Attribute):
            continue
        width, tensor = whole_number(node.args[1]), event.subject
        width = constant(event.other) if width is None and event.other is not None else width
        if not isinstance(width, int) or not isinstance(tensor, Tensor) or tensor.axes == 2:
            continue
        x = ast.unparse(node.func.value)
        values = values_of(tensor)
        if values is not None and values != width:
            yield Draft("FW112", event.spot, f"`{text_of(event.spot)}` mixes images: one gives {values:,} values, not "
                        f"{width:,}.", "The batch silently gets another size, and its rows are parts of images.",
                        "Keep the batch, and give the next layer the right width.",
                        replaced(event.spot, f"{x}.flatten(1)"), "error")
            continue
        if values is not None or number_in(node.args[1]) is None:
            continue
        yield Draft("FW112", event.spot, f"`{text_of(event.spot)}` sets the width and lets PyTorch choose the batch.",
                    f"If an image does not give exactly {width} values, the batch silently gets another size.",
                    "Keep the batch and let PyTorch choose the width.", replaced(event.spot, f"{x}.flatten(1)"))


def values_of(tensor: Tensor) -> int | None:
    """Return the number of values of one image, or None if channels, height or width are not known."""
    found = tensor.geometry
    return found.channels * found.size**2 if found is not None and found.channels and found.size else None


def whole_number(node: ast.expr) -> int | None:
    """Return the whole number that a node states, also as a product such as 64 * 4 * 4."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = whole_number(node.left), whole_number(node.right)
        return None if left is None or right is None else left * right
    return number_in(node)


def forward_outside(trace: Trace) -> Iterator[Draft]:
    """Find a module-level `def forward(self, ...)` below a network that has no forward."""
    seen = set[int]()
    for event in trace.of("network"):
        network = event.subject
        if not isinstance(network, Module) or network.cls is None or network.cls.method("forward") is not None:
            continue
        tree = network.cls.scope.source.tree
        if id(tree) in seen or any(not isinstance(base, type(None)) and base.endswith("Sequential")
                                   for base in network.cls.library_bases()):
            continue
        seen.add(id(tree))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == "forward" and node.args.args[:1] and (
                    node.args.args[0].arg == "self"):
                yield Draft("FW114", Spot(network.cls.scope.source, node),
                            f"`forward` stands outside of class {network.cls.definition.name}.",
                            "The class has no forward of its own, so calling the network raises NotImplementedError.",
                            "Indent the function so that it belongs to the class.")


RULES = (
    layers_in_lists, unused_layers, bias_before_norm, layers_built_in_forward, mixing_views, forward_outside,
)
