"""Mistakes in the order of a training loop: gradients, backward, step."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, line_of, name_of, text_of
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import (
    LOSS,
    Module,
    Optimizer,
    Tensor,
    Value,
    known,
)
from featherweight.doctor.rules.network import related


def gradients_not_cleared(trace: Trace) -> Iterator[Draft]:
    """Find loops in which gradients of one step stay for the next."""
    events = trace.of("backward", "step", "zero_grad", "use", "call")
    for first in (event for event in events if event.kind == "step" and event.loops):
        second = next((event for event in events if event.kind == "step" and event.index > first.index
                       and event.subject is first.subject and event.spot.node is first.spot.node
                       and event.calls == first.calls), None)
        if second is None or not same_pass(first, second):
            continue
        between = [event for event in events if first.index < event.index < second.index]
        backwards = [event for event in between if event.kind == "backward"]
        if not backwards or any(clears(event, first.subject) for event in between):
            continue
        spot = backwards[0].spot
        optimizer = name_of(first.subject, "the optimizer").strip("`")
        yield Draft("FW301", spot, f"Gradients are never cleared between two steps of `{optimizer}`.",
                    f"`{text_of(spot)}` adds to the gradients of all batches before, so each step goes on with old "
                    f"ones.",
                    f"Clear them before {spot.where}.", f"{optimizer}.zero_grad()")


def same_pass(first: Event, second: Event) -> bool:
    """True if two steps are of the same loop, in different turns of it or of the loops around it."""
    return len(first.loops) == len(second.loops) and all(
        a.node is b.node for a, b in zip(first.loops, second.loops, strict=True))


def clears(event: Event, optimizer: Value | None) -> bool:
    """True if an event may set the gradients of an optimizer's parameters to zero."""
    if event.kind == "zero_grad":
        subject = known(event.subject)
        if isinstance(subject, Optimizer) and isinstance(optimizer, Optimizer):
            return subject is optimizer or not subject.models or not optimizer.models or bool(
                set(map(id, subject.models)) & set(map(id, optimizer.models)))
        models = optimizer.models if isinstance(optimizer, Optimizer) else ()
        if isinstance(subject, Module) and models:
            return any(subject is model or related(subject, model) for model in models)
        return True
    if event.kind in ("use", "call"):       # an unknown function that gets the optimizer or the network may clear them
        passed = known(event.value)
        return (passed is optimizer and event.text not in SCALER) or "zero" in event.text
    return False


SCALER = ("step", "unscale_", "scale", "update", "unscale_gradients")     # methods of a GradScaler


def wrong_order(trace: Trace) -> Iterator[Draft]:
    """Find a step before backward, and zero_grad between backward and step."""
    events = trace.of("backward", "step", "zero_grad")
    for step in (event for event in events if event.kind == "step"):
        loop = step.loops[-1] if step.loops else None
        turn = [event for event in events if event.same_turn(step, loop) and step.same_turn(event, loop)
                and event.calls[: len(step.calls)] == step.calls]
        earlier = [event for event in turn if event.index < step.index and not event.excludes(step)]
        later = [event for event in turn if event.index > step.index and event.kind == "backward"]
        if step.arms and not (later and later[0].arms == step.arms):
            later = []
        if later and not any(event.kind == "backward" for event in earlier) and not backward_in_callee(step, events):
            yield Draft("FW303", step.spot, f"`{text_of(step.spot)}` runs before `{text_of(later[0].spot)}`.",
                        "The step uses gradients of the batch before, and in the first turn none at all.",
                        "Call backward first, then step.", line_of(later[0].spot))
            continue
        yield from erased(step, earlier)


def one_step_for_all(trace: Trace) -> Iterator[Draft]:
    """Find a step after a loop over batches that clears the gradients in each turn."""
    events = trace.of("backward", "step", "zero_grad")
    for step in (event for event in events if event.kind == "step"):
        before = [event for event in events if event.index < step.index and event.batch_loop() is not None
                  and event.loops[: len(step.loops)] == step.loops and len(event.loops) > len(step.loops)]
        last = [event.kind for event in events if event.index < step.index][-1:]
        if step.arms or last != ["backward"] or any(event.arms or event.kind == "step" for event in before):
            continue
        cleared = [event for event in before if event.kind == "zero_grad" and clears(event, step.subject)]
        if len(cleared) > 1 and sum(event.kind == "backward" for event in before) > 1:
            yield Draft("FW302", step.spot, f"`{text_of(step.spot)}` follows the loop over the batches.",
                        f"`{text_of(cleared[-1].spot)}` at {cleared[-1].spot.where} clears those of each batch, "
                        "so only the last batch is learnt.", "Step inside the loop, after backward.",
                        line_of(step.spot))


def backward_in_callee(step: Event, events: list[Event]) -> bool:
    """True if backward runs in a function around this one, as in a helper that only steps."""
    return any(event.kind == "backward" and event.index < step.index and event.calls != step.calls
               and event.calls == step.calls[: len(event.calls)] and len(event.calls) < len(step.calls)
               for event in events)


def erased(step: Event, earlier: list[Event]) -> Iterator[Draft]:
    """Yield FW302 if the last event before a step erases the gradients of a backward of the same turn."""
    relevant = [event for event in earlier if event.kind == "backward" or clears(event, step.subject)]
    if len(relevant) < 2 or relevant[-1].kind != "zero_grad" or relevant[-1].arms != step.arms:
        return
    if any(event.kind == "backward" for event in relevant[:-1]):
        zero = relevant[-1]
        previous_step = False
        if isinstance(zero.subject, Optimizer) and zero.subject is not step.subject:
            previous_step = True
        if not previous_step and not stepped_between(step, relevant):
            yield Draft("FW302", zero.spot, "Gradients are cleared between backward and step.",
                        f"`{text_of(step.spot)}` at {step.spot.where} then finds gradients of 0 and changes "
                        f"nothing.",
                        "Clear the gradients before backward.", "")


def stepped_between(step: Event, relevant: list[Event]) -> bool:
    """True if the clearing belongs to another optimizer's turn: its gradients were used already."""
    backward = next(event for event in reversed(relevant) if event.kind == "backward")
    models = step.subject.models if isinstance(step.subject, Optimizer) else ()
    loss = backward.subject
    return bool(models) and isinstance(loss, Tensor) and bool(loss.models) and not any(
        model is one or related(model, one) for model in models for one in loss.models)


def kept_graphs(trace: Trace) -> Iterator[Draft]:
    """Find `total += loss` and losses.append(loss) with the graph of every batch."""
    backwards = trace.of("backward")
    for event in trace.of("add", "append"):
        before, loss = event.subject, event.value
        if not isinstance(loss, Tensor) or not loss.attached or (not event.loops and not in_method(event)):
            continue
        own = [one for one in backwards if one.subject is loss or same_loss(one.subject, loss) or (
            loss.meaning == LOSS and one.calls == event.calls and loss_text(one.spot.node) in names_in_sum(event))]
        total = [one for one in backwards if isinstance(one.subject, Tensor) and one.subject is not loss
                 and one.index > event.index and one.spot.node is not event.spot.node and uses(one, event)]
        measured = loss.meaning == LOSS and event.batch_loop() is not None and not backwards_in(event, backwards)
        if (own or (measured and is_evaluation(event))) and not total:
            left = event.text or name_of(before, "the list").strip("`")
            text = text_of(event.spot)
            name = argument_text(event)
            yield Draft("FW311", event.spot, f"`{left}` keeps each loss with its graph.",
                        f"`{text}` holds all activations of the network, so memory grows with each batch.",
                        f"Add the number: {name}.item().",
                        line_of(event.spot).replace(name, f"{name}.item()", 1) if event.kind == "append" else
                        f"{left} += {name}.item()")


def in_method(event: Event) -> bool:
    """True for an append to an attribute: the list lives longer than the call."""
    node = event.spot.node
    return event.kind == "append" and isinstance(node, ast.Call) and ast.unparse(node.func).startswith("self.")


def argument_text(event: Event) -> str:
    """Return the source of the loss that is added."""
    node = event.spot.node
    if isinstance(node, ast.Call) and node.args:
        return ast.unparse(node.args[-1])
    if isinstance(node, ast.AugAssign):
        return ast.unparse(node.value)
    return ast.unparse(node.right) if isinstance(node, ast.BinOp) else "loss"


def same_loss(first: Value | None, second: Tensor) -> bool:
    """True if two values stand for the same loss of one batch, perhaps after an accumulation."""
    return isinstance(first, Tensor) and first.spot is not None and first.spot == second.spot


def names_in_sum(event: Event) -> set[str]:
    """Return the names in what `total += loss * n` or losses.append(loss) adds."""
    node = event.spot.node
    added = node.value if isinstance(node, ast.AugAssign) else node
    return {one.id for one in ast.walk(added) if isinstance(one, ast.Name)}


def uses(backward: Event, event: Event) -> bool:
    """True if a backward runs on the total itself: by name, outside of the loop of the addition."""
    node = backward.spot.node
    name = event.text or (known(event.subject).label if event.subject else "")
    return bool(name) and name in ast.unparse(node).split(".")[0] if isinstance(node, ast.Call) else False


def backwards_in(event: Event, backwards: list[Event]) -> bool:
    """True if backward runs in the function of an event, or later on a loss of the same loader."""
    return any(one.calls[: len(event.calls)] == event.calls and one.index > event.index - 200 for one in backwards)


def is_evaluation(event: Event) -> bool:
    """True for an event in a loop over validation or test batches."""
    from featherweight.doctor.flow.roles import role_of
    return role_of(event.loader) in ("test", "validation")


def unscaled_accumulation(trace: Trace) -> Iterator[Draft]:
    """Find steps every n batches with losses that are not divided by n."""
    backwards = trace.of("backward")
    for step in trace.of("step"):
        arm = next((arm for arm in reversed(step.arms) if is_every_nth(arm.node)), None)
        if arm is None:
            continue
        loop = step.loops[-1] if step.loops else None
        for event in backwards:
            inside = any(one.node is arm.node for one in event.arms)
            same = event.same_turn(step, loop) and event.calls == step.calls and event.index < step.index
            if not same or inside or not isinstance(event.subject, Tensor) or event.subject.scaled:
                continue
            used = any(event.index < one.index < step.index and one.same_turn(step, loop) for one in trace.of("step"))
            if used or has_division(event.spot.node) or (event.subject.reduction == "sum" and event.subject.criterion):
                continue
            number = divisor(arm.node)
            loss = loss_text(event.spot.node)
            yield Draft("FW312", event.spot, f"Gradients of {number} batches are added without scaling.",
                        f"`{text_of(step.spot)}` runs every {number} batches, so each step is {number} times as large.",
                        f"Divide the loss by {number}.", f"({loss} / {number}).backward()")
            break


def cleared_accumulation(trace: Trace) -> Iterator[Draft]:
    """Find gradients that are cleared in each batch, but used every n batches."""
    for step in trace.of("step"):
        arm = next((arm for arm in reversed(step.arms) if is_every_nth(arm.node)), None)
        loop = step.batch_loop()
        if arm is None or loop is None:
            continue
        around = step.arms[: step.arms.index(arm)]
        if any(arm in event.arms for event in trace.of("backward")):     # as a GAN trains its generator
            continue
        zero = next((event for event in trace.of("zero_grad") if event.arms == around and event.loops == step.loops
                     and event.calls == step.calls and clears(event, step.subject)), None)
        if zero is not None:
            number = divisor(arm.node)
            yield Draft("FW302", zero.spot, f"Gradients are cleared in each batch, but used every {number} batches.",
                        f"`{text_of(step.spot)}` at {step.spot.where} then sees one batch of {number}.",
                        f"Clear them after `{text_of(step.spot)}`, inside the `if`.")


def is_every_nth(node: ast.AST) -> bool:
    """True for `if (i + 1) % n == 0`."""
    return isinstance(node, ast.If) and any(
        isinstance(one, ast.BinOp) and isinstance(one.op, ast.Mod) for one in ast.walk(node.test))


def divisor(node: ast.AST) -> str:
    """Return the source of n in `% n`."""
    found = [one.right for one in ast.walk(node.test) if isinstance(one, ast.BinOp)  # type: ignore[attr-defined]
             and isinstance(one.op, ast.Mod)]
    return ast.unparse(found[0])


def has_division(node: ast.AST) -> bool:
    """True if the backward's own expression divides."""
    return any(isinstance(one, ast.BinOp) and isinstance(one.op, ast.Div | ast.Mult) for one in ast.walk(node))


def loss_text(node: ast.AST) -> str:
    """Return the source of the loss in `loss.backward()`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return ast.unparse(node.func.value)
    return "loss"


RULES = (
    gradients_not_cleared, wrong_order, one_step_for_all, kept_graphs, unscaled_accumulation, cleared_accumulation,
)
