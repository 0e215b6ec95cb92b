"""Half precision without the factor that keeps small gradients."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Module, Optimizer, Spot
from featherweight.doctor.source import Source
from featherweight.doctor.syntax import argument, assignments, called

SCALING = ("GradScaler", "accelerat", "Fabric", "lightning", "deepspeed", "apex")


def half_without_scaler(trace: Trace) -> Iterator[Draft]:
    """Find a training in float16 whose loss is not scaled."""
    for source in trace.sources("backward"):
        if any(word in source.text for word in SCALING):
            continue
        for node in source.nodes:
            if isinstance(node, ast.Call) and called(node) == "autocast" and in_half(node, source):
                yield Draft("FW323", Spot(source, node), "The network is trained in float16 without a GradScaler.",
                            f"`{text_of(Spot(source, node))}`: gradients below 6e-8 become 0, so parts of the network "
                            "stop learning.", "Scale the loss with torch.amp.GradScaler, or use torch.bfloat16.")
                break


def half_network(trace: Trace) -> Iterator[Draft]:
    """Find a network that is turned into float16 and then trained."""
    for event in trace.of("move"):
        text = text_of(event.spot)
        turned = event.text == "half" or "torch.float16" in text or "torch.half" in text
        if turned and isinstance(event.subject, Module) and any(
                isinstance(step.subject, Optimizer) and event.subject in step.subject.models
                for step in trace.of("step")):
            yield Draft("FW323", event.spot, "The weights themselves are trained in float16.",
                        f"`{text}`: a step smaller than a two-thousandth of a weight is lost, and gradients below 6e-8 "
                        "become 0.", "Keep float32 weights, and compute the forward pass under torch.autocast.")


def in_half(node: ast.Call, source: Source) -> bool:
    """True for an autocast to float16: by its dtype, directly or by a name of the file."""
    given = argument(node, 1, "dtype")
    text = ast.unparse(given) if given is not None else ""
    if isinstance(given, ast.Name):
        made = assignments(source.nodes).get(text, [])
        text = ast.unparse(made[0]) if len(made) == 1 else ""
    return text in ("torch.float16", "torch.half")


RULES = (half_without_scaler, half_network)
