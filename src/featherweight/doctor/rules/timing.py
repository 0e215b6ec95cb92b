"""Times of a GPU that are read before its work is done."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Module, Spot
from featherweight.doctor.syntax import called

CLOCKS = ("time", "perf_counter", "monotonic")
WAITING = (".item(", ".cpu(", ".numpy(", ".tolist(", "synchronize", "print(")       # code that waits for the GPU
TRAINING = (".backward(", "train(")         # the time of a whole epoch, in which one wait counts little


def without_synchronising(trace: Trace) -> Iterator[Draft]:
    """Find a clock that is read around calls of a network on a GPU without waiting for it."""
    forwards = [event for event in trace.of("forward") if isinstance(event.subject, Module) and event.calls]
    seen = set[int]()
    for event in forwards:
        function, source = event.calls[-1], event.spot.source
        if "cuda" not in source.text or id(function) in seen or not isinstance(function, ast.FunctionDef):
            continue
        seen.add(id(function))
        for start, stop in timed(function):
            inside = [one for one in forwards if one.calls[-1] is function and start < one.spot.line < stop.lineno]
            between = "\n".join(source.lines[start: stop.lineno - 1])
            if inside and not any(word in between for word in WAITING + TRAINING):
                yield Draft("FW607", Spot(source, stop), "The clock is read before the GPU has finished.",
                            f"`{text_of(inside[0].spot)}` only starts the work on a GPU and returns at once.",
                            "Wait before each reading of the clock.", "torch.cuda.synchronize()")
                break


def timed(function: ast.FunctionDef) -> Iterator[tuple[int, ast.BinOp]]:
    """Yield (line of `start = clock()`, node of `clock() - start`) of a function."""
    begun = [node for node in ast.walk(function) if isinstance(node, ast.Assign) and reads(node.value)]
    starts = {target.id: node.lineno for node in begun for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and reads(node.left) and isinstance(
                node.right, ast.Name) and node.right.id in starts:
            yield starts[node.right.id], node


def reads(node: ast.expr) -> bool:
    """True for a call of a clock, such as time.perf_counter()."""
    return isinstance(node, ast.Call) and not node.args and called(node) in CLOCKS


RULES = (without_synchronising,)
