"""Parts of a network that are frozen by mistake, or not frozen although they should be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import Module, Optimizer, Spot, Value, constant, known
from featherweight.doctor.rules.network import has_parameters
from featherweight.doctor.source import Source
from featherweight.doctor.syntax import argument, assignments, called

MISSPELT = ("require_grad", "require_grads", "requires_grads")
LOADING = re.compile(r"torch\.load$|copy_$|load_(?:.*weights|checkpoint|pretrained|model|file)|restore|unfreeze"
                     r"|from_pretrained")
LAST = re.compile(r"\.(?:fc|head|heads|classifier|last|linear|output|probe|clf)\b|get_classifier")


def frozen_by_attribute(trace: Trace) -> Iterator[Draft]:
    """Find `model.requires_grad = False`, which sets an attribute that nothing reads."""
    for event in trace.of("attribute"):
        if event.text == "requires_grad" and isinstance(event.subject, Module):
            network, value = ast.unparse(event.spot.node).rpartition(".")[0], constant(event.value)
            yield Draft("FW320", event.spot, f"`{text_of(event.spot)}` changes no parameter of `{network}`.",
                        "Python sets a new attribute of the module; its parameters are trained as before.",
                        "Call requires_grad_ of the module.", f"{network}.requires_grad_({value})"
                        if isinstance(value, bool) else "")


def misspelt(trace: Trace) -> Iterator[Draft]:
    """Find `p.require_grad = False`, which is no attribute of a parameter."""
    for source in trace.sources():
        for node in source.nodes if any(f".{name}" in source.text for name in MISSPELT) else ():
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(target, ast.Attribute) and target.attr in MISSPELT:
                right = ast.unparse(node).replace(f".{target.attr}", ".requires_grad", 1)
                yield Draft("FW320", Spot(source, target), f"`{ast.unparse(target)}` is no property of a parameter.",
                            "Python sets a new attribute that nothing reads; the parameter is trained as before.",
                            "The name is requires_grad.", right)


def trained_without_gradient(trace: Trace) -> Iterator[Draft]:
    """Find a layer that forward runs without gradients, and that an optimizer holds in a group of its own."""
    held = [model for event in trace.of("optimizer") if isinstance(event.subject, Optimizer)
            for model in event.subject.models]
    for event in trace.of("network"):
        network = event.subject
        method = network.cls.method("forward") if isinstance(network, Module) and network.cls is not None else None
        if method is None or not isinstance(network, Module) or network.cls is None:
            continue
        for call in calls_without_gradient(method):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            layer: Value = known(network.attributes.get(name))
            if any(layer is one for one in held) and (not isinstance(layer, Module) or may_learn(layer)):
                yield Draft("FW322", Spot(network.cls.scope.source, call),
                            f"`self.{name}` runs without gradients, but the optimizer is to train it.",
                            "None of its parameters gets a gradient, so it keeps its first weights.",
                            "Remove no_grad(), or leave the layer out of the optimizer.")


def may_learn(layer: Module) -> bool:
    """True for a layer with parameters, and for one whose contents are not known."""
    return has_parameters(layer) or not layer.name.startswith("torch.nn.")


def calls_without_gradient(method: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of parts of the network inside `with torch.no_grad():`."""
    for block in ast.walk(method):
        if isinstance(block, ast.With) and any("no_grad(" in ast.unparse(item) for item in block.items):
            for node in (one for statement in block.body for one in ast.walk(statement)):
                if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("self."):
                    yield node


def random_features(trace: Trace) -> Iterator[Draft]:
    """Find a network of a library that is frozen with random weights, below a new layer that is trained."""
    built = {id(event.spot.node): event for event in trace.of("pretrained") if untrained(event)}
    if not built or not trace.of("optimizer") or any(loads(source) for source in trace.sources()):
        return
    for source in trace.sources("pretrained"):
        functions = [one for one in source.nodes if isinstance(one, ast.FunctionDef)]
        for name, frozen in frozen_networks(source):
            around = [one for one in functions if one.lineno <= frozen.lineno <= (one.end_lineno or 0)]
            inner = max(around, key=lambda one: one.lineno, default=None)
            nodes = source.nodes if inner is None else tuple(ast.walk(inner))
            made = [one for one in nodes if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == name]
            event = built.get(id(made[0].value)) if len(made) == 1 else None
            if event is not None and made[0].lineno < frozen.lineno and has_new_layer(nodes, name, frozen):
                yield Draft("FW326", event.spot, f"`{name}` is frozen with random weights.",
                            f"`{text_of(event.spot)}` loads no weights, so the new layer is trained on random "
                            "features.", "Load trained weights, or train all layers.")


def untrained(event: Event) -> bool:
    """True if a network of torchvision or timm is surely built without trained weights."""
    node, name = event.spot.node, event.subject.name if isinstance(event.subject, Module) else ""
    if not isinstance(node, ast.Call) or not (re.fullmatch(r"torchvision\.models\.\w+", name) or name.endswith(
            "timm.create_model")):
        return False
    given = [one for one in node.keywords if one.arg is None or re.search("weight|pretrained|checkpoint", one.arg)]
    places = 1 if name.endswith(("create_model", "get_model")) else 0
    return len(node.args) <= places and all(one.arg and isinstance(one.value, ast.Constant) and not one.value.value
                                            for one in given)


def loads(source: Source) -> bool:
    """True if a file may give a network other weights, or trains all layers later.

    A network may get back its own weights, which the file took by state_dict().
    """
    stated = assignments(source.nodes)
    last = {id(part) for one in source.nodes if isinstance(one, ast.For) and LAST.search(ast.unparse(one.iter))
            for part in ast.walk(one)}
    for node in source.nodes:
        other = called(node) == "load_state_dict" and not gives_back(node, stated)
        other = other or (isinstance(node, ast.Call) and LOADING.search(ast.unparse(node.func)) is not None)
        if other or (turns(node, True) and id(node) not in last and not LAST.search(ast.unparse(node))):
            return True
    return False


def gives_back(load: ast.AST, stated: dict[str, list[ast.expr]]) -> bool:
    """True for load_state_dict(best) if all that the file assigns to the name comes from state_dict()."""
    given = argument(load, 0, "state_dict")
    own = stated.get(given.id, []) if isinstance(given, ast.Name) else []
    return bool(own) and all("state_dict()" in ast.unparse(one) or ast.unparse(one) == "None" for one in own)


def turns(node: ast.AST, on: bool) -> bool:
    """True for `p.requires_grad = on` and `p.requires_grad_(on)`. A value that is not stated may turn gradients on."""
    value: ast.expr | None = None
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith(".requires_grad"):
        value = node.value
    call = node.value if isinstance(node, ast.Expr) else node
    if isinstance(call, ast.Call) and called(call) == "requires_grad_":
        value = argument(call, 0, "requires_grad") or ast.Constant(True)
    off = isinstance(value, ast.Constant) and value.value is False
    return value is not None and off != on


def frozen_networks(source: Source) -> Iterator[tuple[str, ast.stmt]]:
    """Yield (name, statement) of each network whose parameters are all frozen without a condition."""
    branches = [one for one in source.nodes if isinstance(one, ast.If) and "__name__" not in ast.unparse(one.test)]
    inside = {id(part) for branch in branches for part in ast.walk(branch)}
    for node in source.nodes:
        if id(node) in inside:
            continue
        if isinstance(node, ast.Expr) and turns(node, False):
            yield ast.unparse(node.value).rpartition(".requires_grad_")[0], node
        elif isinstance(node, ast.For) and called(node.iter) in ("parameters", "named_parameters") and any(
                turns(one, False) for one in node.body):
            yield ast.unparse(node.iter).rpartition(".")[0], node


def has_new_layer(nodes: Sequence[ast.AST], network: str, frozen: ast.stmt) -> bool:
    """True if a linear layer is put into the network after freezing, or is built beside it as its last layer."""
    for node in nodes:
        if not isinstance(node, ast.Assign) or called(node.value) not in ("Linear", "LazyLinear", "Sequential"):
            continue
        name, single = ast.unparse(node.targets[0]), called(node.value) != "Sequential"
        if name.startswith(f"{network}."):
            if node.lineno > frozen.lineno:
                return True
        elif LAST.search(f".{name}") or (single and name.startswith("self.")) or (
                network in [ast.unparse(one) for one in ast.walk(node.value)]):
            return True
    return False


RULES = (frozen_by_attribute, misspelt, trained_without_gradient, random_features)
