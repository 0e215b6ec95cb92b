"""One update worked out in numbers, as on paper."""

from __future__ import annotations

import textwrap
from itertools import groupby

from featherweight.byhand.formulas import GIVEN, Quantity, quantities, replace_names
from featherweight.byhand.network import Network, Row

TOGETHER = "\N{NO-BREAK SPACE}"     # where a line is not to be broken


def explain(network: Network, rows: list[Row], rate: float, width: int = 80) -> str:
    """Update 0 of a training as text: forward, error, each derivative by its named factors, the new weights.

    rows: what train gave; at least rows 0 and 1. width: of the lines, in characters, where a formula can be broken.
    """
    now, after = rows[0], rows[1]
    sections = [starting(network, now, rate, width)]
    for group, members in groupby(quantities(network), key=lambda quantity: quantity.group):
        if group != GIVEN:
            lines = [worked_out(quantity, now, width) for quantity in members]
            sections.append("\n".join([heading(group), *lines]))
    steps = [stepped(name, now, after, rate, width) for name in network.parameters]
    sections.append("\n".join([heading("the new weights"), *steps]))
    return "\n\n".join([*sections, f"E_total goes from {now['E_total']:.9f} to {after['E_total']:.9f}."])


def heading(text: str) -> str:
    """A section's heading."""
    return text[0].upper() + text[1:]


def starting(network: Network, now: Row, rate: float, width: int) -> str:
    """The values before the update."""
    names = ["i1", "i2"], ["t1", "t2"], network.weights, list(network.bias_of.values())
    said = ["  ".join(f"{name} = {now[name]:g}".replace(" ", TOGETHER) for name in part) for part in names if part]
    lines = [wrapped("  ", line, width) for line in said]
    return "\n".join([heading("the starting values"), *lines, f"  rate = {rate:g}"])


def worked_out(quantity: Quantity, row: Row, width: int) -> str:
    """A number as its factors, its formula, the formula in numbers, and what that gives."""
    in_numbers = replace_names(quantity.formula, row, lambda name: number(row[name]))
    parts = [quantity.chain, quantity.formula, in_numbers, f"{row[quantity.name]:.9g}"]
    return chained(quantity.name, [part for part in parts if part], width)


def stepped(name: str, now: Row, after: Row, rate: float, width: int) -> str:
    """A weight's step down its gradient."""
    gradient = f"∂E/∂{name}"
    in_numbers = f"{number(now[name])} - {rate:g}*{number(now[gradient])}"
    return chained(f"new {name}", [f"{name} - rate*{gradient}", in_numbers, f"{after[name]:.9g}"], width)


def chained(name: str, parts: list[str], width: int) -> str:
    """ "name = a = b", broken before each "=" where one line is too short."""
    line = " = ".join([f"  {name}", *parts])
    if len(line) <= width:
        return line
    starts = [f"  {name} = ", *[f"  {' ' * len(name)} = "] * (len(parts) - 1)]
    return "\n".join(wrapped(start, part, width) for start, part in zip(starts, parts, strict=True))


def wrapped(start: str, text: str, width: int) -> str:
    """The text after start, on as many lines as it needs."""
    indent = " " * len(start)
    filled = textwrap.fill(text, width, initial_indent=start, subsequent_indent=indent, break_long_words=False)
    return filled.replace(TOGETHER, " ")


def number(value: float) -> str:
    """Six digits; a negative number in parentheses, as it stands inside a formula."""
    return f"({value:.6g})" if value < 0 else f"{value:.6g}"
