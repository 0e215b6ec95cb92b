"""Layers whose first values or averages keep a network from learning, and results that nothing uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, replaced, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Spot
from featherweight.doctor.syntax import argument, called

NORMS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
CONSTANTS = ("zeros_", "ones_", "constant_", "zero_", "fill_")
HIGH = 0.9      # Keras writes 0.99 for an average that keeps 99 %; PyTorch writes 0.01


def momentum_of_keras(trace: Trace) -> Iterator[Draft]:
    """Find batch normalisation with a momentum near 1."""
    for source in trace.sources():
        for node in source.nodes if "momentum" in source.text else ():
            given = argument(node, 2, "momentum") if called(node) in NORMS else None
            if isinstance(given, ast.Constant) and isinstance(given.value, float) and HIGH <= given.value < 1:
                spot = Spot(source, node)
                right = f"{1 - given.value:g}"
                yield Draft("FW127", spot, f"Momentum {given.value:g} lets the running averages follow single batches.",
                            f"In PyTorch it is the part of the new batch, so {right} of the old average stays. "
                            "Evaluation then depends on the last batch.", f"Set momentum={right}.",
                            replaced(spot, text_of(spot, 300).replace(str(given.value), right)))


def all_weights_equal(trace: Trace) -> Iterator[Draft]:
    """Find a loop that sets all parameters of a network to one value."""
    for source in trace.sources():
        for loop in (node for node in source.nodes if isinstance(node, ast.For)):
            if called(loop.iter) not in ("parameters", "named_parameters"):
                continue
            names = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
            for statement in loop.body:
                call = statement.value if isinstance(statement, ast.Expr) else None
                if called(call or statement) in CONSTANTS and isinstance(call, ast.Call) and names & {
                        node.id for node in ast.walk(call) if isinstance(node, ast.Name)}:
                    spot = Spot(source, call)
                    yield Draft("FW128", spot, "All parameters get the same value.",
                                f"`{text_of(spot)}`: units of a layer then have equal gradients and stay equal for "
                                "ever.", "Draw the weights at random: nn.init.kaiming_normal_. Only biases may be 0.")


def unused_result(trace: Trace) -> Iterator[Draft]:
    """Find operations whose result nothing uses."""
    for event in trace.of("unused"):
        yield Draft("FW129", event.spot, "The result of this operation is not used.",
                    f"`{text_of(event.spot)}` returns a new tensor and leaves the old one as it was.",
                    "Assign the result.", f"x = {text_of(event.spot, 300)}")


RULES = (momentum_of_keras, all_weights_equal, unused_result)
