"""Mistakes with what an optimizer holds, and with weights that are kept for later."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, line_of, name_of, replaced, text_of
from featherweight.doctor.flow.trace import Loop, Trace
from featherweight.doctor.flow.values import Module, Optimizer, Table, Tensor, Unknown, Value, Weights, known
from featherweight.doctor.rules.network import has_parameters, related


def other_model(trace: Trace) -> Iterator[Draft]:
    """Find an optimizer whose parameters are not those of the trained network."""
    events = trace.of("backward", "step")
    for step in trace.of("step"):
        optimizer = step.subject
        if not isinstance(optimizer, Optimizer) or not optimizer.models or not optimizer.name:
            continue
        loop = step.loops[-1] if step.loops else None
        losses = [event.subject for event in events if event.kind == "backward" and event.index < step.index
                  and event.same_turn(step, loop) and event.calls[:1] == step.calls[:1]]
        trained = [model for loss in losses if isinstance(loss, Tensor) for model in loss.models]
        if not trained or any(isinstance(loss, Unknown) for loss in losses) or not all(
                isinstance(model, Module) and (model.cls or model.name) for model in (*trained, *optimizer.models)):
            continue
        if not any(model is one or related(model, one) for model in trained for one in optimizer.models):
            model = name_of(trained[0], "the network")
            spot = optimizer.spot or step.spot
            yield Draft("FW313", spot, f"{name_of(optimizer, 'The optimizer')} holds the parameters of another network "
                        f"than {model}.", f"`{text_of(spot)}` received other weights, so {model} never changes.",
                        f"Build the optimizer from {model}.parameters(), after the network.", "")


def untrained_model(trace: Trace) -> Iterator[Draft]:
    """Find two optimizers of the same network, while no optimizer has another network that the loss trains."""
    built = [(event, event.subject) for event in trace.of("optimizer") if isinstance(event.subject, Optimizer)]
    held = [model for _, optimizer in built for model in optimizer.models]
    if any(not optimizer.models for _, optimizer in built):      # an optimizer of parameters that are not known
        return
    losses = [event.subject for event in trace.of("backward") if isinstance(event.subject, Tensor)]
    trained = [model for loss in losses for model in loss.models if isinstance(model, Module) and model.label]
    left = next((model for model in trained if has_parameters(model)
                 and not any(model is one or related(model, one) for one in held)), None)
    for index, (event, optimizer) in enumerate(built):
        twins = [one for _, one in built[:index] if set(map(id, one.models)) == set(map(id, optimizer.models))]
        if left is not None and twins and event.calls == built[0][0].calls:
            yield Draft("FW313", event.spot, f"{name_of(optimizer, 'The optimizer')} holds the same parameters as "
                        f"{name_of(twins[0], 'the other')}, and `{left.label}` has no optimizer.",
                        f"`{left.label}` takes part in the loss but keeps its first weights.",
                        f"Build it from {left.label}.parameters().")


def moved_after_optimizer(trace: Trace) -> Iterator[Draft]:
    """Find a network that moves to its device after its optimizer was built."""
    optimizers = trace.of("optimizer")
    for move in trace.of("move"):
        if move.text not in ("to", "cuda", "xpu", "mps") or move.loops or is_dtype(move.spot.node):
            continue
        for built in optimizers:
            optimizer = built.subject
            if isinstance(optimizer, Optimizer) and built.index < move.index and move.subject in optimizer.models and (
                    built.calls == move.calls and not built.loops):
                yield Draft("FW314", move.spot, f"{name_of(move.subject, 'The network')} moves after its optimizer was "
                            "built.", f"`{text_of(built.spot)}` at {built.spot.where} may keep the old "
                                      f"parameters on "
                            "some devices.", "Move the network first, then build the optimizer.", line_of(move.spot))
                break


def is_dtype(node: ast.AST) -> bool:
    """True for model.to(torch.float64) and model.to("cpu")."""
    return isinstance(node, ast.Call) and any("cpu" in ast.unparse(one) for one in node.args)


def replaced_layer(trace: Trace) -> Iterator[Draft]:
    """Find a layer that is replaced after the optimizer received the parameters of the old one."""
    for event in trace.of("attribute"):
        network, layer, before = event.subject, known(event.value), known(event.other)
        if not isinstance(network, Module) or not isinstance(layer, Module) or not has_parameters(layer):
            continue
        for built in trace.of("optimizer"):
            optimizer = built.subject
            if built.index > event.index or not isinstance(optimizer, Optimizer) or layer in optimizer.models:
                continue
            holds = before in optimizer.models or any(model is network for model in optimizer.models)
            if holds and event.other is not None and any(
                    step.subject is optimizer and step.index > event.index for step in trace.of("step")):
                yield Draft("FW313", event.spot, f"`{text_of(event.spot)}` is replaced after its optimizer was built.",
                            f"`{text_of(built.spot)}` at {built.spot.where} holds the parameters of the old layer, "
                            "so the new one keeps its first weights.",
                            "Replace the layer first, then build the optimizer.", line_of(event.spot))
                break


def without_a_group(trace: Trace) -> Iterator[Draft]:
    """Find a part of a network that is in none of the parameter groups of the only optimizer."""
    built = trace.of("optimizer")
    for event in built if len(built) == 1 else ():
        optimizer = event.subject
        if not isinstance(optimizer, Optimizer) or len(optimizer.models) < GROUPS or (
                "requires_grad" in event.spot.source.text):
            continue
        for network in (one.subject for one in trace.of("network")):
            parts = network.attributes if isinstance(network, Module) else {}
            left = [name for name, part in parts.items() if isinstance(part, Module) and part.spot is not None
                    and has_parameters(part) and part not in optimizer.models]
            if left and network is not None and all(model in parts.values() for model in optimizer.models):
                yield Draft("FW313", event.spot, f"No group of {name_of(optimizer, 'the optimizer')} holds "
                            f"`{network.label or 'model'}.{left[0]}`.",
                            "It takes part in the loss, but keeps its first weights.",
                            f"Add a group with {network.label or 'model'}.{left[0]}.parameters().", "", "warning")


GROUPS = 2      # parts of a network that an optimizer must hold before the others are missed


def kept_by_reference(trace: Trace) -> Iterator[Draft]:
    """Find the best weights of a training that are kept without a copy."""
    used = [(event, one) for event in trace.of("load-weights", "save") for one in weights_in(
        event.value if event.kind == "load-weights" else event.subject)]
    seen = set[int]()
    for taken in trace.of("weights"):
        weights = taken.subject
        if not isinstance(weights, Weights) or weights.copied or not taken.arms or id(taken.spot.node) in seen:
            continue
        outside = [event for event, one in used if one is weights and event.loops != taken.loops
                   and event.loops == taken.loops[: len(event.loops)]]
        if outside and trained_in(trace, taken.loops[len(outside[0].loops)], weights):
            seen.add(id(taken.spot.node))
            text = text_of(taken.spot)
            yield Draft("FW316", taken.spot, f"`{text}` keeps no copy of the best weights.",
                        f"It refers to the tensors that the training goes on to change, so {outside[0].spot.where} "
                        "gets the weights of the last epoch.", "Keep a copy.",
                        replaced(taken.spot, f"copy.deepcopy({text})"))


def weights_in(value: Value | None) -> list[Weights]:
    """Return the weights that a value is, or that a checkpoint holds."""
    value = known(value)
    parts = [value, *value.items.values()] if isinstance(value, Table) else [value]
    return [part for part in map(known, parts) if isinstance(part, Weights)]


def trained_in(trace: Trace, loop: Loop, weights: Weights) -> bool:
    """True if an optimizer steps in a loop, or if the network is given to a function that is not in the file."""
    inside = [event for event in trace.of("step", "call") if event.inside(loop)]
    return any(event.kind == "step" or known(event.value) is weights.model for event in inside)


RULES = (other_model, untrained_model, moved_after_optimizer, replaced_layer, without_a_group, kept_by_reference)
