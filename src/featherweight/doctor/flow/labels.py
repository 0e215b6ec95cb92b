"""Numbers that a data set adds to its labels."""

from __future__ import annotations

import ast

from featherweight.doctor.flow.roles import lineage
from featherweight.doctor.flow.values import Constant, Function, Library, Value, known
from featherweight.doctor.syntax import called

CONVERSIONS = ("int", "tensor", "as_tensor", "int64", "long", "LongTensor")     # they keep the number


def added_to_label(transform: Value) -> int | None:
    """Return the number that a target_transform adds to a label: 0 for int(label); None if it is not known."""
    transform = known(transform)
    if isinstance(transform, Library):
        return 0 if transform.name.rpartition(".")[2] in CONVERSIONS else None
    if isinstance(transform, Constant):
        return 0 if transform.value is None else None
    if not isinstance(transform, Function):
        return None
    names = [one.arg for one in transform.definition.args.args]
    return added_to(names[-1], result_of(transform.definition)) if names else None


def result_of(definition: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> ast.expr | None:
    """Return what a function of one statement returns, or None."""
    if isinstance(definition, ast.Lambda):
        return definition.body
    rest = definition.body[ast.get_docstring(definition) is not None:]
    return rest[0].value if len(rest) == 1 and isinstance(rest[0], ast.Return) else None


def added_to(name: str, node: ast.expr | None) -> int | None:
    """Return n for `name + n`, also inside a conversion; 0 for `name` alone; None for another expression."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and called(node) in CONVERSIONS:
        return added_to(name, node.args[0])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub) and isinstance(node.right, ast.Constant):
        before, number = added_to(name, node.left), node.right.value
        if before is None or type(number) is not int:
            return None
        return before + number if isinstance(node.op, ast.Add) else before - number
    return 0 if isinstance(node, ast.Name) and node.id == name else None


def shift_in(origin: tuple[Value, ...]) -> int:
    """Return the number that is added to the labels of a batch from these loaders or data sets."""
    return next((one.shift for source in origin for one in lineage(source) if one.shift), 0)
