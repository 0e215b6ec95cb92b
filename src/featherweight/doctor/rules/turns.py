"""Loops over batches that end too early or begin to count anew, and predictions of another shape than the labels."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Spot
from featherweight.doctor.source import Source
from featherweight.doctor.syntax import argument, called


def batch_loops(trace: Trace) -> list[tuple[Source, ast.For]]:
    """Return the loops over batches in which a network computes, each with its file."""
    found = {id(loop.node): (event.spot.source, loop.node) for event in trace.of("forward")
             if (loop := event.batch_loop()) is not None and isinstance(loop.node, ast.For)}
    return [(source, node) for source, node in found.values() if isinstance(node, ast.For)]


def first_batch_only(trace: Trace) -> Iterator[Draft]:
    """Find a loop that adds up results or trains, and leaves in its first turn."""
    for source, loop in batch_loops(trace):
        left = next((one for one in loop.body if isinstance(one, ast.Return | ast.Break)), None)
        adds = any(isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) for node in loop.body)
        steps = any(called(node) == "step" for one in loop.body for node in ast.walk(one))
        if left is not None and (adds or steps):
            yield Draft("FW517", Spot(source, left), "The loop ends after the first batch.",
                        "The other batches take no part in the " + ("training." if steps else "result."),
                        "Put it behind the loop, one level less indented." if isinstance(left, ast.Return) else
                        "Leave it out, or give it a condition.")


def counted_anew(trace: Trace) -> Iterator[Draft]:
    """Find a sum over batches that each batch sets to 0 again."""
    for source, loop in batch_loops(trace):
        added = {node.target.id for node in loop.body if isinstance(node, ast.AugAssign)
                 and isinstance(node.target, ast.Name)}
        used = {node.id for node in source.nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
                and node.lineno > (loop.end_lineno or 0)}
        for statement in loop.body:
            names = [one.id for one in statement.targets if isinstance(one, ast.Name)] if isinstance(
                statement, ast.Assign) and is_zero(statement.value) else []
            if names and set(names) <= added & used and not read_inside(loop, names[0]):
                yield Draft("FW518", Spot(source, statement), f"`{names[0]}` begins at 0 again in each batch.",
                            "After the loop it holds the last batch only.", "Set it to 0 before the loop.")


def is_zero(node: ast.expr) -> bool:
    """True for the number 0."""
    return isinstance(node, ast.Constant) and node.value == 0 and not isinstance(node.value, bool)


def read_inside(loop: ast.For, name: str) -> bool:
    """True if the body of a loop reads a name, for instance to print it for each batch."""
    return any(isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
               for one in loop.body for node in ast.walk(one))


def column_against_row(trace: Trace) -> Iterator[Draft]:
    """Find classes of shape (N, 1) that are compared with labels of shape (N,)."""
    for source, loop in batch_loops(trace):
        nodes = [node for one in loop.body for node in ast.walk(one)]
        columns = {target.id for node in nodes if isinstance(node, ast.Assign) and keeps_axis(node.value)
                   for target in node.targets if isinstance(target, ast.Name)}
        labels = {ast.unparse(loop.target.elts[-1])} if isinstance(loop.target, ast.Tuple) else set()
        changed = {target.id for node in nodes if isinstance(node, ast.Assign) and any(
            word in ast.unparse(node.value) for word in ("view", "unsqueeze", "reshape", "[:, None]"))
            for target in node.targets if isinstance(target, ast.Name)}
        for node in nodes:
            sides = compared(node)
            if len(sides) == 2 and {ast.unparse(one) for one in sides} & columns - changed and {
                    ast.unparse(one) for one in sides} & labels - changed:
                spot = Spot(source, node)
                yield Draft("FW519", spot, f"`{text_of(spot)}` compares a column with a row.",
                            "The classes have the shape (N, 1) and the labels (N,), so each class meets all labels.",
                            "Take the classes without keepdim=True.")


def keeps_axis(node: ast.expr) -> bool:
    """True for argmax(1, keepdim=True) and for the classes of max(1, keepdim=True)."""
    call = node.value if isinstance(node, ast.Subscript) else node
    kept = argument(call, 99, "keepdim")
    return called(call) in ("argmax", "max") and isinstance(kept, ast.Constant) and kept.value is True


def compared(node: ast.AST) -> list[ast.expr]:
    """Return both sides of a == b, a.eq(b) and torch.eq(a, b); nothing for other nodes."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
        return [node.left, node.comparators[0]]
    if called(node) == "eq" and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return [*node.args] if len(node.args) == 2 else [node.func.value, *node.args]
    return []


RULES = (first_batch_only, counted_anew, column_against_row)
