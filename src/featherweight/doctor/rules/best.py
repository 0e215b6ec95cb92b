"""The best result so far: compared in the wrong direction, never updated, or kept from another value."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.roles import role_of, sources_of, words_of
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import Spot, constant, known
from featherweight.doctor.source import Source
from featherweight.doctor.syntax import called

SAVING = {"save", "state_dict", "save_file", "save_pretrained", "save_model", "save_checkpoint", "deepcopy"}


def never_better(trace: Trace) -> Iterator[Draft]:
    """Find `if accuracy < best` with a first best of 0, and `if loss > best` with infinity."""
    for event in trace.of("choose"):
        node, first = event.spot.node, constant(event.other if event.other is not None else event.value)
        best, _, measured = event.text.partition("|")
        if not isinstance(node, ast.Compare) or not isinstance(first, int | float) or isinstance(first, bool):
            continue
        left, operator = ast.unparse(node.left), node.ops[0]
        smaller = isinstance(operator, ast.Lt | ast.LtE) == (left == measured)
        if (smaller and (first in (0, -1) or first == -math.inf)) or (not smaller and first == math.inf):
            side = "below" if smaller else "above"
            yield Draft("FW515", event.spot, f"`{measured}` can never be {side} `{best}`.",
                        f"`{best}` begins at {first:g}, so no epoch is ever kept as the best one.",
                        f"Turn the comparison round, or begin with {'infinity' if smaller else '0'}.")


def kept_wrongly(trace: Trace) -> Iterator[Draft]:
    """Find a best result that is compared and never updated, or updated with another value."""
    for source in trace.sources("step"):
        loops = [node for node in source.nodes if isinstance(node, ast.For | ast.While)]
        for choice in {id(one): one for loop in loops for one in ast.walk(loop) if isinstance(one, ast.If)}.values():
            yield from judged(choice, source)


def judged(choice: ast.If, source: Source) -> Iterator[Draft]:
    """Yield the finding on one branch that saves the best network."""
    test = choice.test
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(
            test.ops[0], ast.Gt | ast.Lt | ast.GtE | ast.LtE):
        return
    sides = [test.left, test.comparators[0]]
    best = next((one for one in sides if isinstance(one, ast.Name) and "best" in one.id.lower()), None)
    if best is None or not any(called(node) in SAVING for one in choice.body for node in ast.walk(one)):
        return
    measured = sides[1] if sides[0] is best else sides[0]
    given = [value for one in source.nodes if isinstance(one, ast.Assign) for name, value in pairs_of(one)
             if name == best.id and any(one is inner for part in choice.body for inner in ast.walk(part))]
    elsewhere = [node for node in source.nodes if isinstance(node, ast.Name | ast.NamedExpr | ast.Global | ast.Nonlocal)
                 and best.id in stored(node)]
    if not given and len(elsewhere) == 1:
        yield Draft("FW515", Spot(source, test), f"`{best.id}` is never updated.",
                    f"Every epoch with `{text_of(Spot(source, test))}` counts as the best, and the last is kept.",
                    f"Store the value where it is better: {best.id} = {ast.unparse(measured)}.",
                    f"{best.id} = {ast.unparse(measured)}")
    elif len(given) == 1 and isinstance(given[0], ast.Name) and isinstance(measured, ast.Name) and (
            given[0].id != measured.id) and set(words_of(given[0].id)) & MEASURES:
        yield Draft("FW515", Spot(source, given[0]), f"`{best.id}` is compared with `{measured.id}`, but gets "
                    f"`{given[0].id}`.", "The next epochs are then compared with a number of another kind.",
                    f"Store {measured.id}.", f"{best.id} = {measured.id}")


MEASURES = {"acc", "accuracy", "loss", "score", "f1", "error", "val", "valid", "train", "test"}


def pairs_of(node: ast.Assign) -> list[tuple[str, ast.expr]]:
    """Return name and value of an assignment, also of `a, b = c, d`."""
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return [(ast.unparse(name), one) for name, one in zip(target.elts, value.elts, strict=True)]
    return [(ast.unparse(one), value) for one in (target.elts if isinstance(target, ast.Tuple) else [target])]


def stored(node: ast.AST) -> list[str]:
    """Return the names that a node stores or declares."""
    if isinstance(node, ast.Global | ast.Nonlocal):
        return node.names * 2
    name = node.target if isinstance(node, ast.NamedExpr) else node
    return [name.id] if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store) else []


def chosen_on_training(trace: Trace) -> Iterator[Draft]:
    """Find the best epoch chosen by its result on the training images, although others are measured."""
    measured = {role_of(event.loader) for event in trace.of("forward") if event.loader is not None}
    for event in trace.of("choose"):
        sources = sources_of(known(event.subject)) if event.loops and event.loops[-1].kind == "epochs" else ()
        if sources and all(role_of(one) == "train" for one in sources) and "validation" in measured and saves(event):
            yield Draft("FW516", event.spot, "The best epoch is chosen by its result on the training images.",
                        "That result rises as long as the network learns by heart, so the choice is nearly always the "
                        "last epoch.", "Compare the result on the validation images.")


def saves(event: Event) -> bool:
    """True if the branch of a choice stores the network."""
    loop = event.loops[-1].node if event.loops else None
    choices = [node for node in ast.walk(loop) if isinstance(node, ast.If) and any(
        one is event.spot.node for one in ast.walk(node.test))] if loop is not None else []
    return any(called(node) in SAVING for choice in choices for one in choice.body for node in ast.walk(one))


RULES = (never_better, kept_wrongly, chosen_on_training)
