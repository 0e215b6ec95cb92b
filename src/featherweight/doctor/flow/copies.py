"""Rows that are repeated: copies of images, or changed copies beside the originals."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import Items, Spot, Value, constant, known
from featherweight.doctor.syntax import argument

JOINS = frozenset(("pandas.concat", "numpy.concatenate", "numpy.vstack", "torch.cat", "torch.concat"))
REPEATS = frozenset(("sklearn.utils.resample", "numpy.repeat"))


def copies_in(values: Iterable[Value | None]) -> Spot | None:
    """Return the place where the rows of one of the values, or of an item of it, were repeated."""
    for value in map(known, values):
        found = value.copies or (copies_in(value.items) if isinstance(value, Items) else None)
        if found is not None:
            return found
    return None


def copies_made(call: Call) -> Spot | None:
    """Return the place of a call that repeats rows: concat([rows] * 3), concatenate([x, flip(x)]), repeat(x, 2, 0)."""
    node = call.spot.node
    if not isinstance(node, ast.Call) or not node.args:
        return None
    if call.name in REPEATS:
        again = axis_of(node, 2) == 0 if call.name == "numpy.repeat" else constant(call.keywords.get("replace"), True)
        return call.spot if again else None
    parts = node.args[0]
    listed = isinstance(parts, ast.BinOp) and isinstance(parts.op, ast.Mult) and isinstance(parts.left, ast.List)
    rows = call.name in JOINS and axis_of(node, 1) in (0, None)
    return call.spot if rows and (listed or shares_a_name(parts)) else None


def axis_of(node: ast.Call, place: int) -> object:
    """Return the axis that a call states, by name or in a place; None without one, "unknown" if it is no number."""
    given = argument(node, place, "axis", "dim")
    return given.value if isinstance(given, ast.Constant) else given and "unknown"


def shares_a_name(parts: ast.expr) -> bool:
    """True for a list with a variable and something that is computed from it: [x, flip(x)] or [df, df[mask]]."""
    if not isinstance(parts, ast.List | ast.Tuple):
        return False
    whole = [one.id for one in parts.elts if isinstance(one, ast.Name)]
    names = [{one.id for one in ast.walk(part) if isinstance(one, ast.Name)} for part in parts.elts]
    return any(sum(name in found for found in names) > 1 for name in whole)
