"""Schedules and optimizers that do not fit the training, and a loss with the wrong sign."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, replaced, text_of
from featherweight.doctor.flow.trace import Event, Loop, Trace
from featherweight.doctor.flow.values import Criterion, Iteration, Module, Optimizer, Scheduler, constant, known
from featherweight.doctor.syntax import assignments

FACTOR = 1e-7       # of the first rate, below which nothing is learnt


def epochs_of(loop: Loop) -> int | None:
    """Return the number of turns of `for epoch in range(n)`, None if it is not known."""
    if loop.kind != "epochs" or not isinstance(loop.over, Iteration) or loop.over.kind != "range":
        return None
    limits = [constant(one) for one in loop.over.inner]
    if not limits or not all(isinstance(one, int) for one in limits):
        return None
    return int(limits[0]) if len(limits) == 1 else int(limits[1]) - int(limits[0])


def stepped_by_epoch(trace: Trace) -> Iterator[tuple[Event, Scheduler, int]]:
    """Yield each scheduler that is stepped once an epoch, with the number of epochs."""
    seen = set[int]()
    for event in trace.of("scheduler-step"):
        scheduler = event.subject
        if not isinstance(scheduler, Scheduler) or id(scheduler) in seen or event.arms or not event.loops:
            continue
        seen.add(id(scheduler))
        epochs = epochs_of(event.loops[-1])
        if epochs is not None:
            yield event, scheduler, epochs


def does_not_fit(trace: Trace) -> Iterator[Draft]:
    """Find schedules whose rate never falls, rises again, or vanishes within the epochs of the training."""
    for event, scheduler, epochs in stepped_by_epoch(trace):
        spot, length, gamma = scheduler.spot or event.spot, number(scheduler, "T_max"), number(scheduler, "gamma")
        if scheduler.name == "CosineAnnealingLR" and length and max(length, epochs) >= 2 * min(length, epochs) > 2:
            after = "never falls below half of its first value" if length > epochs else "rises again"
            yield Draft("FW327", spot, f"{name_of(scheduler, 'The schedule')} plans {length:g} epochs, not {epochs}.",
                        f"`{text_of(spot)}`: the rate {after}.", f"Set T_max={epochs}.",
                        replaced(spot, text_of(spot, 300).replace(f"{length:g}", str(epochs))))
        elif scheduler.name == "ExponentialLR" and gamma and 0 < gamma < 1 and gamma**epochs < FACTOR:
            yield Draft("FW327", spot, f"{name_of(scheduler, 'The schedule')} lets the rate vanish.",
                        f"After {epochs} epochs the rate is {gamma**epochs:.0e} of its first value, so most epochs "
                        "change nothing.", f"Choose gamma near {0.01 ** (1 / epochs):.2f}.")


def rising(trace: Trace) -> Iterator[Draft]:
    """Find schedules whose factor gamma makes the rate larger."""
    for event in trace.of("scheduler"):
        scheduler = event.subject
        if isinstance(scheduler, Scheduler) and scheduler.name in ("StepLR", "MultiStepLR", "ExponentialLR"):
            gamma = number(scheduler, "gamma")
            if gamma is not None and gamma > 1:
                yield Draft("FW327", event.spot, f"gamma {gamma:g} raises the learning rate.",
                            f"`{text_of(event.spot)}` multiplies the rate by {gamma:g} each time, until the loss is "
                            "NaN.", f"Give a factor below 1, such as {1 / gamma:.2g}.")


def number(scheduler: Scheduler, name: str) -> float | None:
    """Return a number that a scheduler was given, None if it is not known."""
    value = constant(scheduler.arguments.get(name))
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def built_anew(trace: Trace) -> Iterator[Draft]:
    """Find an optimizer that is built in each epoch, for a network that is built before."""
    for event in trace.of("optimizer"):
        optimizer, loop = event.subject, event.loops[-1] if event.loops else None
        if not isinstance(optimizer, Optimizer) or loop is None or loop.kind != "epochs" or event.arms:
            continue
        networks = [known(one) for one in optimizer.models]
        inside = {event.spot.node for event in trace.of("network") if event.inside(loop)}
        older = networks and all(isinstance(one, Module) and one.spot and one.spot.node not in inside
                                 for one in networks)
        if older and any(step.subject is optimizer and step.inside(loop) for step in trace.of("step")):
            yield Draft("FW328", event.spot, f"{name_of(optimizer, 'The optimizer')} is built anew in each epoch.",
                        "Its momentum and its averages of gradients begin at 0 each time, and a scheduler keeps the "
                        "first optimizer.", "Build it once, before the loop.")


def raised_loss(trace: Trace) -> Iterator[Draft]:
    """Find the negative of a cross-entropy that backward and the optimizer make smaller."""
    losses = {id(event.spot.node): event for event in trace.of("loss")}
    for event in trace.of("negate"):
        node = event.spot.node
        loss = losses.get(id(node.operand)) if isinstance(node, ast.UnaryOp) else None
        criterion = known(loss.subject) if loss is not None else None
        if not isinstance(criterion, Criterion) or criterion.name not in ("CrossEntropyLoss", "NLLLoss"):
            continue
        names = [name for name, values in assignments(event.spot.source.nodes).items() if node in values]
        backward = next((one for one in trace.of("backward") if one.calls == event.calls and one.loops == event.loops
                         and text_of(one.spot).partition(".")[0] in names), None)
        if backward is not None and any(one.index > backward.index and one.loops == event.loops
                                        for one in trace.of("step")):
            yield Draft("FW329", event.spot, f"`{text_of(event.spot)}` is made smaller, so the loss itself grows.",
                        "The optimizer walks away from the labels.", "Leave the minus out.",
                        replaced(event.spot, text_of(event.spot, 300)[1:]))


RULES = (does_not_fit, rising, built_anew, raised_loss)
