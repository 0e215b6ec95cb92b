"""Sums and metrics over batches and epochs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.roles import words_of
from featherweight.doctor.flow.trace import Event, Loop, Trace
from featherweight.doctor.flow.values import (
    HITS,
    LABEL,
    LOSS,
    PREDICTION,
    Loader,
    Number,
    Tensor,
    Value,
    constant,
    known,
)

GUESS_WORDS = frozenset(("pred", "preds", "prediction", "predictions", "predicted", "guess", "guesses", "hat"))
TRUE_WORDS = frozenset(("true", "truth", "target", "targets", "label", "labels", "gt", "gold", "actual"))
FULL_METERS = ("update", "add")


def never_reset(trace: Trace) -> Iterator[Draft]:
    """Find sums of losses or right answers that go on from epoch to epoch, and are reported in each."""
    seen = set[str]()
    for event in trace.of("add"):
        batches, epochs = loops_around(event)
        if epochs is None or batches is None or event.text in seen or not event.text.isidentifier():
            continue
        if measures(event.value) and not binds(epochs.node, event.text) and reported(epochs.node, batches.node,
                                                                                     event.text):
            seen.add(event.text)
            yield Draft("FW512", event.spot, f"`{event.text}` goes on from epoch to epoch.",
                        "It is set to 0 before the loop over the epochs, so the results of later epochs hold those of "
                        "all epochs before.", f"Set `{event.text}` to 0 at the start of each epoch.",
                        f"{event.text} = 0")


def loops_around(event: Event) -> tuple[Loop | None, Loop | None]:
    """Return the loop over batches around an event and the loop around that one, in the same function."""
    inner = next((place for place, loop in enumerate(event.loops) if loop.kind == "batches"), None)
    if inner is None or inner == 0:
        return None, None
    batches, epochs = event.loops[inner], event.loops[inner - 1]
    held = any(node is batches.node for node in ast.walk(epochs.node))
    inside = any(node is event.spot.node for node in ast.walk(batches.node))
    return (batches, epochs) if held and inside and isinstance(epochs.node, ast.For) else (None, None)


def measures(value: Value | None) -> bool:
    """True for a loss or a number of right answers."""
    value = known(value)
    return (isinstance(value, Tensor) and value.meaning in (LOSS, HITS)) or (
        isinstance(value, Number) and value.unit in ("hits", "mean-loss", "sum-loss", "mean-accuracy"))


def binds(loop: ast.AST, name: str) -> bool:
    """True if a loop sets a name anew."""
    return any(isinstance(node, ast.Assign | ast.AnnAssign) and any(
        isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Store) for one in ast.walk(node))
        for node in ast.walk(loop))


def reported(epochs: ast.AST, batches: ast.AST, name: str) -> bool:
    """True if the loop over the epochs reads a name outside of the loop over the batches."""
    inner = {id(node) for node in ast.walk(batches)}
    return any(isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
               and id(node) not in inner for node in ast.walk(epochs))


def full_meters(trace: Trace) -> Iterator[Draft]:
    """Find a meter that counts each batch as a full one: meter.update(loss.item(), batch_size)."""
    seen = set[int]()
    for event in trace.of("watch", "call", "use"):
        node, loop = event.spot.node, event.batch_loop()
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or loop is None:
            continue
        loader = loop.over
        if node.func.attr not in FULL_METERS or id(node) in seen or not isinstance(loader, Loader) or constant(
                loader.arguments.get("drop_last")) is True:
            continue
        given = [*node.args, *(one.value for one in node.keywords)]
        full = next((one for one in given if is_batch_size(one)), None)
        if full is not None and len(given) > 1:
            seen.add(id(node))
            yield Draft("FW507", event.spot, f"`{text_of(event.spot)}` counts the last batch as a full one.",
                        "If the last batch is smaller, its images count more than others.",
                        "Give the meter the number of images in the batch.",
                        text_of(event.spot, 300).replace(ast.unparse(full), "images.size(0)"))


def is_batch_size(node: ast.expr) -> bool:
    """True for a name such as batch_size or args.batch_size, but not for images.size(0)."""
    if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        return False
    words = set(words_of(ast.unparse(node)))
    return {"batch", "size"} <= words or bool(words & {"bs", "batchsize"})


def swapped_metric(trace: Trace) -> Iterator[Draft]:
    """Find a metric of scikit-learn that gets predictions where it takes the true labels."""
    for event in trace.of("metric"):
        node = event.spot.node
        if not isinstance(node, ast.Call) or len(node.args) < 2:
            continue
        first, second = node.args[:2]
        if guessed(first, event.subject) and labelled(second, event.value):
            right = f"{ast.unparse(node.func)}({ast.unparse(second)}, {ast.unparse(first)}"
            yield Draft("FW206", event.spot, f"`{text_of(event.spot)}` takes the true labels first.",
                        "Rows and columns are exchanged, so recall is printed as precision and precision as recall.",
                        "Exchange the two arguments.", f"{right})" if len(node.args) == 2 and not node.keywords else "")


def guessed(node: ast.expr, value: Value | None) -> bool:
    """True for predictions, by meaning or by name."""
    value = known(value)
    return (isinstance(value, Tensor) and value.meaning == PREDICTION) or bool(
        set(words_of(ast.unparse(node))) & GUESS_WORDS)


def labelled(node: ast.expr, value: Value | None) -> bool:
    """True for true labels, by meaning or by name."""
    value, words = known(value), set(words_of(ast.unparse(node)))
    return not words & GUESS_WORDS and ((isinstance(value, Tensor) and value.meaning == LABEL) or bool(
        words & TRUE_WORDS))


RULES = (never_reset, full_meters, swapped_metric)
