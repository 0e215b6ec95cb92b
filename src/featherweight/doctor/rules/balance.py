"""Weights of classes and images that are to balance rare classes, and do the opposite or nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, replaced, text_of
from featherweight.doctor.flow.roles import words_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Spot, known
from featherweight.doctor.syntax import assignments

COUNT_WORDS = frozenset(("count", "counts", "freq", "freqs", "frequency", "frequencies", "bincount", "counter", "hist"))


def frequent_first(trace: Trace) -> Iterator[Draft]:
    """Find a loss that weighs each class by its frequency: counts / counts.sum()."""
    for event in trace.of("criterion"):
        weights = known(event.value)
        share = frequency_in(weights.spot) if weights.spot is not None else None
        if share is not None:
            yield Draft("FW210", share, "The weights of the classes grow with their frequency.",
                        f"`{text_of(share)}` is largest for the class with the most images, so the loss leaves rare "
                        "classes out still more.", "Weigh each class by the inverse of its count.",
                        replaced(share, "counts.sum() / (len(counts) * counts)"))


def frequency_in(spot: Spot) -> Spot | None:
    """Return the place of `counts / counts.sum()` in the expression of a value, or None."""
    for node in ast.walk(spot.node):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            whole = ast.unparse(node.right).replace(" ", "")
            for name in (one.id for one in factors(node.left) if isinstance(one, ast.Name)):
                sums = (f"{name}.sum()", f"sum({name})", f"torch.sum({name})", f"np.sum({name})")
                if set(words_of(name)) & COUNT_WORDS and whole in sums:
                    return Spot(spot.source, node)
    return None


def factors(node: ast.expr) -> list[ast.expr]:
    """Return the factors of a product."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*factors(node.left), *factors(node.right)]
    return [node]


def weights_of_classes(trace: Trace) -> Iterator[Draft]:
    """Find a WeightedRandomSampler that gets one weight for each class, and not for each image."""
    for event in trace.of("sampler"):
        node, function = event.spot.node, event.calls[-1] if event.calls else event.spot.source.tree
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Name):
            continue
        name = node.args[0].id
        made = assignments(ast.walk(function)).get(name, [])
        if len(made) == 1 and one_for_each_class(made[0]):
            yield Draft("FW417", event.spot, f"`{name}` holds one weight for each class, not for each image.",
                        "The sampler takes the places of the weights as indices of images, so only the first few "
                        "images are ever drawn.", "Give it the weight of the class of each image.",
                        replaced(event.spot, text_of(event.spot, 300).replace(name, f"{name}[targets]", 1)))


def one_for_each_class(node: ast.expr) -> bool:
    """True for 1 / counts, and for a list over the classes or their counts."""
    while isinstance(node, ast.Call) and node.args:         # torch.tensor([...])
        node = node.args[0]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        named = isinstance(node.right, ast.Name | ast.Call | ast.Attribute)
        return named and bool(set(words_of(ast.unparse(node.right))) & COUNT_WORDS)
    if isinstance(node, ast.ListComp):
        words = set(words_of(ast.unparse(node.generators[0].iter)))
        return bool(words & (COUNT_WORDS | {"classes"})) and not words & {"labels", "targets", "samples"}
    return False


RULES = (frequent_first, weights_of_classes)
