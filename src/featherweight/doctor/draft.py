"""A finding as a rule writes it, before it gets its place and its ignore comment."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from featherweight.doctor.codes import CODES
from featherweight.doctor.finding import Finding
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Op, Spot, Value, known

Rule = Callable[[Trace], Iterable["Draft"]]


@dataclass(frozen=True)
class Draft:
    """One mistake. what, why, how: as in Finding. severity: "" for that of the code."""

    code: str
    spot: Spot
    what: str
    why: str
    how: str
    corrected: str = ""
    severity: str = ""

    def finding(self) -> Finding:
        """Return the finding with its place, severity and the reason of an ignore comment."""
        node, source = self.spot.node, self.spot.source
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        last = getattr(node, "end_lineno", line) or line
        return Finding(
            self.code, self.severity or CODES[self.code][0], source.place(line, column), self.what, self.why, self.how,
            self.corrected, source.ignored(self.code, range(line, min(last, line + 20) + 1)),
        )


def line_of(spot: Spot) -> str:
    """Return the line of a spot without indentation and comment."""
    line = spot.source.lines[spot.line - 1] if spot.line <= len(spot.source.lines) else ""
    comment = spot.source.comments.get(spot.line)
    return (line.removesuffix(comment) if comment else line).strip()


def replaced(spot: Spot, new: str) -> str:
    """Return the line of a node with the node's text replaced. A node of several lines gives "new"."""
    node = spot.node
    start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0) or 0
    if getattr(node, "end_lineno", None) != spot.line or spot.line > len(spot.source.lines):
        return new
    line = spot.source.lines[spot.line - 1].encode()
    comment = spot.source.comments.get(spot.line, "")
    text = (line[:start] + new.encode() + line[end:]).decode(errors="replace")
    return text.removesuffix(comment).strip() if comment else text.strip()


def text_of(spot: Spot | None, longest: int = 60) -> str:
    """Return the source of a node in one line."""
    if spot is None:
        return ""
    try:
        text = ast.unparse(spot.node)
    except (ValueError, AttributeError, RecursionError):
        return ""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def name_of(value: Value | None, default: str) -> str:
    """Return the name that the source gives a value, or `default`."""
    label = known(value).label if value is not None else ""
    return f"`{label}`" if label else default


def built(op: Op) -> Spot:
    """Return the line to change for an operation: the one that applies it, or that of a Sequential's layer."""
    inside = isinstance(op.spot.node, ast.Call) and op.made is not None
    return op.made if inside and op.made is not None and not names_layer(op) else op.spot


def names_layer(op: Op) -> bool:
    """True if the operation's own call names the layer, as self.relu(x) does, and not the whole Sequential."""
    node = op.spot.node
    return isinstance(node, ast.Call) and op.name.lower() in ast.unparse(node.func).lower().replace("_", "")
