"""Networks whose parts are put together in the wrong order or for another order of axes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, replaced, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Class, Module, Spot, constant
from featherweight.doctor.rules.network import own_modules

ATTENTION = ("MultiheadAttention", "TransformerEncoderLayer")
IMAGES_FIRST = ("flatten(2).transpose(1, 2)", "flatten(2).transpose(-1, -2)", "flatten(2).mT")
TURNED = ("transpose(0, 1)", "permute(1, 0, 2)", "permute(2, 0, 1)", "swapaxes(0, 1)", "swapdims(0, 1)")


def initialised_too_early(trace: Trace) -> Iterator[Draft]:
    """Find an initialisation of all layers that __init__ calls before it builds them."""
    for _, cls in own_modules(trace):
        start = cls.method("__init__")
        for place, statement in enumerate(start.body if start is not None else ()):
            call = statement.value if isinstance(statement, ast.Expr) else None
            if start is None or not isinstance(call, ast.Call) or not visits_all(call, cls):
                continue
            later = [one for one in start.body[place + 1:] if isinstance(one, ast.Assign) and builds(one, cls)]
            if later:
                spot = Spot(cls.scope.source, call)
                yield Draft("FW125", spot, "The weights are initialised before the layers are built.",
                            f"`{text_of(spot)}` visits the layers that are there already. That of "
                            f"{Spot(cls.scope.source, later[0]).where} keeps the weights that PyTorch gives it.",
                            "Call it at the end of __init__.")


def visits_all(call: ast.Call, cls: Class) -> bool:
    """True for self.apply(...), and for a method of the class that loops over all modules or parameters."""
    if not isinstance(call.func, ast.Attribute) or ast.unparse(call.func.value) != "self":
        return False
    method = cls.method(call.func.attr)
    text = ast.unparse(method) if method is not None else ""
    return call.func.attr == "apply" or any(word in text for word in ("self.modules()", "self.parameters()",
                                                                      "self.named_parameters()"))


def builds(statement: ast.Assign, cls: Class) -> bool:
    """True for a statement that sets an attribute of self to layers."""
    attribute = any(ast.unparse(one).startswith(("self.", "(self.")) for one in statement.targets)
    text = ast.unparse(statement.value)
    return attribute and ("nn." in text or any(f"{word}(" in text for word in ("Linear", "Conv2d", "Sequential")) or (
        text.startswith("self._make") or text.startswith("self.make")))


def attention_over_images(trace: Trace) -> Iterator[Draft]:
    """Find attention of tokens (N, T, C) by a layer that takes (T, N, C)."""
    for event in trace.of("build"):
        layer = event.subject
        if not isinstance(layer, Module) or layer.name.rpartition(".")[2] not in ATTENTION or constant(
                layer.arguments.get("batch_first")) is True:
            continue
        node = event.spot.node
        text = event.spot.source.text
        if isinstance(node, ast.Call) and any(word in text for word in IMAGES_FIRST) and not any(
                word in text for word in TURNED):
            inside = ", ".join([ast.unparse(one) for one in (*node.args, *node.keywords)] + ["batch_first=True"])
            yield Draft("FW126", event.spot, "The attention takes images for positions.",
                        "Without batch_first=True it expects (positions, images, channels), so the images of a batch "
                        "attend to each other.", "Build it with batch_first=True.",
                        replaced(event.spot, f"{ast.unparse(node.func)}({inside})"))


RULES = (initialised_too_early, attention_over_images)
