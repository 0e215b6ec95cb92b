"""One update written out with all its numbers, as on paper."""

from __future__ import annotations

import textwrap
from itertools import groupby

from featherweight.byhand.formulas import GIVEN, Quantity, quantities, replace_names
from featherweight.byhand.network import Network, Row

TOGETHER = "\N{NO-BREAK SPACE}"     # marks places where a line must not be broken


def explain(network: Network, rows: list[Row], rate: float, width: int = 80) -> str:
    """Return update 0 of a training as text: forward pass, error, derivatives with their factors, new weights.

    rows: the result of train, at least rows 0 and 1.
    width: largest length of a line in characters. Lines that cannot be broken may be longer.
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
    """The heading of a section: the text with a capital letter."""
    return text[0].upper() + text[1:]


def starting(network: Network, now: Row, rate: float, width: int) -> str:
    """Return the section of values before the update."""
    names = ["i1", "i2"], ["t1", "t2"], network.weights, list(network.bias_of.values())
    said = ["  ".join(f"{name} = {now[name]:g}".replace(" ", TOGETHER) for name in part) for part in names if part]
    lines = [wrapped("  ", line, width) for line in said]
    return "\n".join([heading("the starting values"), *lines, f"  rate = {rate:g}"])


def worked_out(quantity: Quantity, row: Row, width: int) -> str:
    """Return the lines of one number: chain rule, formula, formula with numbers inserted, value."""
    in_numbers = replace_names(quantity.formula, row, lambda name: number(row[name]))
    parts = [quantity.chain, quantity.formula, in_numbers, f"{row[quantity.name]:.9g}"]
    return chained(quantity.name, [part for part in parts if part], width)


def stepped(name: str, now: Row, after: Row, rate: float, width: int) -> str:
    """Return the lines of one gradient step of a parameter."""
    gradient = f"∂E/∂{name}"
    in_numbers = f"{number(now[name])} - {rate:g}*{number(now[gradient])}"
    return chained(f"new {name}", [f"{name} - rate*{gradient}", in_numbers, f"{after[name]:.9g}"], width)


def chained(name: str, parts: list[str], width: int) -> str:
    """Return "name = a = b" on one line, or one line per part if it is longer than `width`."""
    line = " = ".join([f"  {name}", *parts])
    if len(line) <= width:
        return line
    starts = [f"  {name} = ", *[f"  {' ' * len(name)} = "] * (len(parts) - 1)]
    return "\n".join(wrapped(start, part, width) for start, part in zip(starts, parts, strict=True))


def wrapped(start: str, text: str, width: int) -> str:
    """Return `start` and `text`, wrapped to `width`. Further lines are indented by the length of `start`."""
    indent = " " * len(start)
    filled = textwrap.fill(text, width, initial_indent=start, subsequent_indent=indent, break_long_words=False)
    return filled.replace(TOGETHER, " ")


def number(value: float) -> str:
    """A number with six digits for use in a formula. Negative numbers are in parentheses."""
    return f"({value:.6g})" if value < 0 else f"{value:.6g}"
