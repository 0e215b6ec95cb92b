"""Mistakes with learning-rate schedulers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, text_of
from featherweight.doctor.flow.roles import words_of
from featherweight.doctor.flow.trace import Event, Loop, Trace
from featherweight.doctor.flow.values import Number, Optimizer, Scheduler, constant, known

FEW = 100       # a step size below counts epochs: a schedule in batches needs hundreds of steps


def never_stepped(trace: Trace) -> Iterator[Draft]:
    """Find schedulers that nothing steps."""
    for event in trace.of("scheduler"):
        scheduler = event.subject
        if not isinstance(scheduler, Scheduler) or scheduler.steps or scheduler.escaped or event.nested:
            continue
        if is_named(trace, scheduler, event) or not trace.of("step"):
            continue
        name = name_of(scheduler, "the scheduler").strip("`")
        rate = rate_of(scheduler)
        unit = "" if scheduler.name != "ReduceLROnPlateau" else "validation_loss"
        yield Draft("FW304", event.spot, f"`{name}` is built but never stepped.",
                    f"{scheduler.name} changes the learning rate only in step(), so it stays {rate}.",
                    f"Call {name}.step({unit}) at the end of each epoch.", f"{name}.step({unit})")


def rate_of(scheduler: Scheduler) -> str:
    """Return the learning rate of a scheduler's optimizer in words."""
    optimizer = known(scheduler.optimizer)
    rate = constant(optimizer.arguments.get("lr")) if isinstance(optimizer, Optimizer) else None
    return f"at {rate}" if isinstance(rate, int | float) else "what the optimizer was given"


def is_named(trace: Trace, scheduler: Scheduler, event: Event) -> bool:
    """True if the file calls step on something with the scheduler's name in code that was not followed."""
    if not scheduler.label:
        return True
    steps = [node for node in event.spot.source.nodes if isinstance(node, ast.Attribute) and node.attr in (
        "step", "step_update", "batch_step")]
    return any(ast.unparse(node.value).rpartition(".")[2] == scheduler.label for node in steps) or bool(trace.missing)


def wrong_unit(trace: Trace) -> Iterator[Draft]:
    """Find schedules in epochs that are stepped per batch, and schedules in batches that are stepped per epoch."""
    seen = set[int]()
    for event in trace.of("scheduler-step"):
        scheduler = event.subject
        if not isinstance(scheduler, Scheduler) or id(event.spot.node) in seen or not scheduler.name:
            continue
        trains = [step for step in trace.of("step") if step.subject is known(scheduler.optimizer)]
        batch = training_loop(event, trains)
        counted = counts_batches(scheduler)
        name = name_of(scheduler, "the scheduler")
        if batch and counted is False and not event.arms:
            seen.add(id(event.spot.node))
            yield Draft("FW305", event.spot, f"{name} counts epochs, but is stepped for each batch.",
                        f"`{text_of(scheduler.spot)}` reaches its end within the first epoch.",
                        "Step it once, after the loop over the batches.", "")
        elif not batch and counted is True and event.loops and trains and all(
                step.loops and step.loops[: len(event.loops)] != step.loops for step in trains) and in_epoch(event,
                                                                                                             trains):
            seen.add(id(event.spot.node))
            yield Draft("FW305", event.spot, f"{name} counts batches, but is stepped once an epoch.",
                        f"`{text_of(scheduler.spot)}` plans a step for each batch, so the rate hardly changes.",
                        "Step it after each optimizer.step().", "")


def training_loop(event: Event, trains: list[Event]) -> Loop | None:
    """Return the loop over batches in which both scheduler and optimizer step."""
    loop = event.batch_loop()
    if loop is None or event.loops[-1].node is not loop.node:
        return None
    return loop if any(step.inside(loop) for step in trains) else None


def in_epoch(event: Event, trains: list[Event]) -> bool:
    """True if the optimizer steps in a loop inside the loop of the scheduler's step."""
    return any(step.loops[: len(event.loops) - 1] == event.loops[:-1] and len(step.loops) > len(event.loops)
               and step.loops[len(event.loops) - 1].node is event.loops[-1].node for step in trains)


def counts_batches(scheduler: Scheduler) -> bool | None:
    """Return True if a schedule is planned in batches, False if in epochs, None if it cannot be told."""
    arguments = scheduler.arguments
    if scheduler.name == "OneCycleLR":
        steps, total = known(arguments.get("steps_per_epoch")), known(arguments.get("total_steps"))
        if isinstance(steps, Number) and steps.unit == "batches":
            return True
        return True if isinstance(total, Number) and total.unit in ("batches", "full-batches") else None
    length = known(arguments.get("T_max"))
    if isinstance(length, Number) and length.unit in ("batches", "full-batches"):
        return True
    period = constant({"StepLR": arguments.get("step_size"), "CosineAnnealingLR": length}.get(scheduler.name))
    if isinstance(period, int):
        return False if period < FEW else None
    milestones = constant(arguments.get("milestones"))
    if scheduler.name == "MultiStepLR" and isinstance(milestones, tuple) and milestones:
        return False if all(isinstance(one, int) and one < 2 * FEW for one in milestones) else None
    return False if scheduler.name == "ReduceLROnPlateau" else None


def before_optimizer(trace: Trace) -> Iterator[Draft]:
    """Find schedulers that step before the optimizer does."""
    seen = set[int]()
    for event in trace.of("scheduler-step"):
        scheduler = event.subject
        if not isinstance(scheduler, Scheduler) or id(scheduler) in seen or not event.loops:
            continue
        seen.add(id(scheduler))
        steps = [step for step in trace.of("step") if step.subject is known(scheduler.optimizer)]
        earlier = [step for step in steps if step.index < event.index]
        later = [step for step in steps if step.index > event.index and step.same_turn(event, event.loops[-1])]
        if later and not earlier and not event.arms:
            yield Draft("FW306", event.spot, f"{name_of(scheduler, 'The scheduler')} steps before the optimizer.",
                        f"`{text_of(event.spot)}` runs before `{text_of(later[0].spot)}` at {later[0].spot.where}: "
                        "the first rate is skipped.", "Step the scheduler after the optimizer.", "")


def plateau_without_value(trace: Trace) -> Iterator[Draft]:
    """Find ReduceLROnPlateau.step() without the measured value."""
    for event in trace.of("scheduler-step"):
        scheduler = event.subject
        if isinstance(scheduler, Scheduler) and scheduler.name == "ReduceLROnPlateau" and event.value is None:
            name = name_of(scheduler, "scheduler").strip("`")
            yield Draft("FW307", event.spot, f"`{name}.step()` gets no value.",
                        "ReduceLROnPlateau compares a measured value; without one it raises TypeError.",
                        "Pass the validation loss.", f"{name}.step(validation_loss)")


def wrong_direction(trace: Trace) -> Iterator[Draft]:
    """Find a plateau schedule that waits for an accuracy to fall, or for a loss to rise."""
    for event in trace.of("scheduler-step"):
        scheduler, node = event.subject, event.spot.node
        if not isinstance(scheduler, Scheduler) or scheduler.name != "ReduceLROnPlateau" or not isinstance(
                node, ast.Call) or not node.args:
            continue
        mode = constant(scheduler.arguments.get("mode"), "unknown") if "mode" in scheduler.arguments else "min"
        words = set(words_of(ast.unparse(node.args[0])))
        rises, falls = bool(words & RISING), bool(words & FALLING)
        if (mode == "min" and rises and not falls) or (mode == "max" and falls and not rises):
            better, right = ("larger", "max") if rises else ("smaller", "min")
            yield Draft("FW317", event.spot, f"`{text_of(event.spot)}` watches a value that is better when {better}, "
                        f"in mode {mode!r}.",
                        f"`{text_of(scheduler.spot)}` takes each improvement for a plateau, and lowers the rate.",
                        f"Pass mode={right!r} to ReduceLROnPlateau.")


RISING = frozenset(("acc", "accuracy", "f1", "auc", "precision", "recall", "top1"))
FALLING = frozenset(("loss", "error", "err", "losses"))
RULES = (never_stepped, wrong_unit, before_optimizer, plateau_without_value, wrong_direction)
