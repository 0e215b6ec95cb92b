"""Questions to a syntax tree that several rules ask."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def called(node: ast.AST) -> str:
    """Return the last name of a called function: "kl_div" for F.kl_div(p, q); "" for another node."""
    return ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def argument(node: ast.AST, place: int, *names: str) -> ast.expr | None:
    """Return the argument of a call with one of the names, else the one in a place; None without either."""
    if not isinstance(node, ast.Call):
        return None
    named = [one.value for one in node.keywords if one.arg in names]
    return next(iter(named or node.args[place: place + 1]), None)


def assignments(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """Return name -> the expressions that the nodes assign to it."""
    found: dict[str, list[ast.expr]] = {}
    for node in (one for one in nodes if isinstance(one, ast.Assign)):
        for target in node.targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(node.value)
    return found
