"""Layers that are shared by mistake, and NumPy or detached values inside a network."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, replaced, text_of
from featherweight.doctor.flow.layers import key_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Class, Module, Spot, Tensor, known
from featherweight.doctor.rules.network import has_parameters, used_names

OF_NUMPY = frozenset((
    "abs", "argmax", "argmin", "clip", "concatenate", "dot", "exp", "log", "matmul", "max", "maximum", "mean", "min",
    "minimum", "sqrt", "stack", "sum", "tanh", "transpose", "where", "zeros_like", "array", "asarray",
))


def shared_layers(trace: Trace) -> Iterator[Draft]:
    """Find a layer with weights that stands in several places: in one container, or under two names of a network."""
    for event in trace.of("build"):
        container = event.subject
        if not isinstance(container, Module) or not container.children:
            continue
        layers = [known(child) for child in container.children]
        twice = next((one for place, one in enumerate(layers) if isinstance(one, Module) and has_parameters(one)
                      and any(one is other for other in layers[:place])), None)
        if isinstance(twice, Module):
            count = sum(one is twice for one in layers)
            yield Draft("FW115", event.spot, f"The same {kind_of(twice)} stands in {count} places of this container.",
                        f"All {count} places share one set of weights, so the network is smaller than it looks.",
                        "Build one layer for each place.", separate(event.spot, twice))
    yield from shared_norms(trace)
    yield from shared_names(trace)


def kind_of(module: Module) -> str:
    """Return the class of a layer or network."""
    return module.name.rpartition(".")[2] or (module.cls.definition.name if module.cls else "layer")


def separate(spot: Spot, twice: Module) -> str:
    """Return the line with a list comprehension in place of `[layer] * n`, or ""."""
    for node in ast.walk(spot.node):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.left, ast.List):
            inside = ast.unparse(node.left)[1:-1]
            return replaced(Spot(spot.source, node), f"[{inside} for _ in range({ast.unparse(node.right)})]")
    return ""


def shared_norms(trace: Trace) -> Iterator[Draft]:
    """Find one batch normalisation that a forward calls in several places."""
    places: dict[int, list[tuple[Module, Spot]]] = {}
    for event in trace.of("layer"):
        layer, node = event.subject, event.spot.node
        if not isinstance(layer, Module) or not isinstance(node, ast.Call) or "batchnorm" not in key_of(layer.name):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if called and called == layer.label and not any(node is spot.node for _, spot in places.get(id(layer), [])):
            places.setdefault(id(layer), []).append((layer, event.spot))
    for found in places.values():
        layer, spot = found[0]
        if len(found) > 1 and layer.spot is not None:
            yield Draft("FW115", layer.spot, f"One {kind_of(layer)} normalises in {len(found)} places of forward.",
                        "Its running mean and variance mix the values of all places, so evaluation differs from "
                        f"training (first at {spot.where}).", "Build one normalisation for each place.")


def shared_names(trace: Trace) -> Iterator[Draft]:
    """Find `self.conv2 = self.conv1`, where both names are used."""
    seen = set[int]()
    for event in trace.of("network"):
        network = event.subject
        if not isinstance(network, Module) or network.cls is None or id(network.cls.definition) in seen:
            continue
        seen.add(id(network.cls.definition))
        used, first = used_names(network.cls.scope.source), dict[int, str]()
        for name, value in network.attributes.items():
            layer = known(value)
            if not isinstance(layer, Module) or not layer.name.startswith("torch.nn.") or not has_parameters(layer):
                continue
            before = first.setdefault(id(layer), name)
            spot = assignment_of(network.cls, name)
            if before != name and {before, name} <= used and spot is not None:
                yield Draft("FW115", spot, f"`self.{name}` is the same layer as `self.{before}`.",
                            f"Both names share one set of weights of {kind_of(layer)}.",
                            f"Build a layer of its own for self.{name}.",
                            f"self.{name} = {text_of(layer.spot, 200)}" if layer.spot else "")


def assignment_of(cls: Class, name: str) -> Spot | None:
    """Return the line of a class that assigns `self.name`."""
    for node in ast.walk(cls.definition):
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == f"self.{name}" for target in node.targets):
            return Spot(cls.scope.source, node)
    return None


def cut_graph(trace: Trace) -> Iterator[Draft]:
    """Find an output that forward cuts off from its weights, by detach() or NumPy."""
    seen = set[int]()
    for event in trace.of("returned", "network"):
        network = event.subject
        if not isinstance(network, Module) or network.cls is None:
            continue
        method = network.cls.method("forward")
        if event.kind == "returned" and isinstance(event.value, Tensor) and event.value.detached is not None:
            spot = event.value.detached
            if method is not None and not event.value.maybe and holds(method, spot) and id(spot.node) not in seen:
                seen.add(id(spot.node))
                yield numpy_draft(spot)
        if event.kind == "network" and method is not None and id(method) not in seen:
            seen.add(id(method))
            for call in numpy_calls(method):
                if id(call) not in seen:
                    seen.add(id(call))
                    yield numpy_draft(Spot(network.cls.scope.source, call))


def holds(method: ast.AST, spot: Spot) -> bool:
    """True if a spot lies inside a method."""
    return any(node is spot.node for node in ast.walk(method))


def numpy_draft(spot: Spot) -> Draft:
    """Return the finding on one expression of forward."""
    return Draft("FW117", spot, f"`{text_of(spot)}` in forward leaves autograd's graph.",
                 "No gradient reaches the layers before it, so they keep their first weights, or training stops.",
                 "Compute with torch's functions, and detach outside of the network.")


def numpy_calls(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.Call]:
    """Yield the calls of NumPy in forward on values that layers computed."""
    computed = {name.id for node in ast.walk(method) if isinstance(node, ast.Assign) and calls_a_layer(node.value)
                for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args and (
                ast.unparse(node.func.value) in ("np", "numpy") and node.func.attr in OF_NUMPY):
            names = {one.id for one in ast.walk(node.args[0]) if isinstance(one, ast.Name)}
            if names & computed or calls_a_layer(node.args[0]):
                yield node


def calls_a_layer(node: ast.AST) -> bool:
    """True if an expression calls self.layer(...)."""
    return any(isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute)
               and isinstance(one.func.value, ast.Name) and one.func.value.id == "self" for one in ast.walk(node))


MADE = ("tensor", "zeros", "ones", "full", "eye", "arange", "linspace", "rand", "randn", "from_numpy", "as_tensor")


def unregistered_tensors(trace: Trace) -> Iterator[Draft]:
    """Find tensors that a network keeps as plain attributes and uses in forward, where the network is moved."""
    moved = [event.subject for event in trace.of("move") if isinstance(event.subject, Module)
             and event.text in ("to", "cuda")]
    seen = set[int]()
    for network in (part for one in moved for part in one.parts()):
        first = network.cls.method("__init__") if network.cls is not None else None
        method = network.cls.method("forward") if network.cls is not None else None
        if network.cls is None or first is None or method is None or id(first) in seen:
            continue
        seen.add(id(first))
        for name, node in plain_tensors(first):
            text = ast.unparse(network.cls.definition)
            handled = any(f"self.{name}{end}" in text for end in (".to(", ".cuda(", ".type_as(", ".data", "["))
            if f"self.{name}" in ast.unparse(method) and not handled and text.count(f"self.{name} =") == 1:
                spot = Spot(network.cls.scope.source, node)
                yield Draft("FW118", spot, f"`self.{name}` does not move with the network.",
                            "to(device) moves parameters and buffers only, so forward stops on a GPU, and "
                            "state_dict() does not hold it.", "Register it as a buffer.",
                            f'self.register_buffer("{name}", {ast.unparse(node.value)})')


def plain_tensors(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, ast.Assign]]:
    """Yield name and assignment of each `self.name = torch.tensor(...)`, also with a method behind it."""
    for node in ast.walk(method):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Attribute):
            continue
        maker = node.value
        while isinstance(maker, ast.Call) and isinstance(maker.func, ast.Attribute) and isinstance(
                maker.func.value, ast.Call):
            maker = maker.func.value
        text = ast.unparse(node.value)
        if isinstance(maker, ast.Call) and ast.unparse(maker.func) in {f"torch.{one}" for one in MADE} and not any(
                word in text for word in ("device", ".to(", ".cuda(")):
            yield node.targets[0].attr, node


RULES = (shared_layers, cut_graph, unregistered_tensors)
