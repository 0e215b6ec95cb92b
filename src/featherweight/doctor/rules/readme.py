"""Arithmetic in a README beside a network: sums and products, tables of parameters, and their totals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from featherweight.doctor.draft import Draft
from featherweight.doctor.flow.layers import parameters_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Module, Spot, known
from featherweight.doctor.source import Source, plain_text

NAMES = ("README.md", "readme.md", "Readme.md", "README.txt", "README")
EQUATION = re.compile(r"[\d(][\d\s,.()+*x×·\-/]*=[\d\s,.()+*x×·\-/=]*\d")
OPERATOR = re.compile(r"[+*x×·/\-]")
SIZES = re.compile(r"\d+( ?[x×] ?\d+)+")
NUMBER = re.compile(r"\d[\d,]*")
PARAMETERS = re.compile(r"param|weights", re.I)
LONGEST = 200       # characters of an equation


def arithmetic(trace: Trace) -> Iterator[Draft]:
    """Check the equations and tables of the README in the folder of each network."""
    seen = set[Path]()
    networks = [event.subject for event in trace.of("network") if isinstance(event.subject, Module)]
    for network in networks:
        folder = network.cls.scope.source.path.parent if network.cls else None
        readme = None if folder is None or folder in seen else readme_in(folder)
        if folder is None or readme is None:
            continue
        seen.add(folder)
        for line, text in enumerate(readme.lines, 1):
            yield from equations(readme, line, text)
        yield from tables(readme, networks)


def readme_in(folder: Path) -> Source | None:
    """Return the README of a folder as lines without a syntax tree, or None without a readable one."""
    for name in NAMES:
        text = plain_text(folder / name)
        if text is not None:
            return Source(folder / name, text, tuple(text.split("\n")), ast.Module([], []), ())
    return None


def at(readme: Source, line: int, text: str) -> Spot:
    """Return the spot of a text in a line."""
    column = max(0, readme.lines[line - 1].find(text))
    return Spot(readme, ast.Pass(lineno=line, col_offset=column, end_lineno=line, end_col_offset=column + len(text)))


def equations(readme: Source, line: int, text: str) -> Iterator[Draft]:
    """Check `3x3x8x16 + 16 = 1,168` and chains such as `5*5*8 = 200 + 8 = 208`."""
    for found in EQUATION.finditer(text):
        sides = [side.strip().rstrip(".,") for side in found[0].split("=")]
        if len(found[0]) > LONGEST or not all(sides):
            continue
        for left, right in pairwise(sides):
            value, stated = value_of(left), value_of(right)
            if value is None or stated is None or not OPERATOR.search(left) or are_sizes(left, right):
                continue
            begun = value_of(NUMBER.match(right)[0]) if NUMBER.match(right) else None  # type: ignore[index]
            if value not in (stated, begun):
                yield Draft("FW123", at(readme, line, found[0].strip()), f"`{left} = {right}` is wrong.",
                            f"{left} is {value:,}, not {begun if begun is not None else stated:,}.",
                            "Correct the number; `featherweight summary` prints the true ones.")
                break


def are_sizes(left: str, right: str) -> bool:
    """True if both sides are sizes of images such as 28x28: then `=` states no arithmetic."""
    return bool(SIZES.fullmatch(left) and SIZES.fullmatch(right))


def value_of(text: str) -> int | None:
    """Return the value of arithmetic on whole numbers, or None for anything else."""
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    plain = re.sub(r"[x×·]", "*", plain)
    if not re.fullmatch(r"[\d\s()+*\-/]+", plain) or "**" in plain:
        return None
    try:
        return computed(ast.parse(plain.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        return None


def computed(node: ast.expr) -> int:
    """Return the value of a tree of whole numbers. Raises ValueError for a fraction or another kind of node."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -computed(node.operand)
    if not isinstance(node, ast.BinOp):
        raise ValueError("no arithmetic")
    a, b = computed(node.left), computed(node.right)
    if isinstance(node.op, ast.Div) and a % b == 0:
        return a // b
    if isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
        return a + b if isinstance(node.op, ast.Add) else a - b if isinstance(node.op, ast.Sub) else a * b
    raise ValueError("a fraction")


def tables(readme: Source, networks: Sequence[Module]) -> Iterator[Draft]:
    """Compare the column of parameters of each table with the layers, and its total with the sum of its rows."""
    true = parameters_by_name(networks)
    for head, rows in tables_of(readme):
        column = next((place for place, title in enumerate(head) if PARAMETERS.search(title)), None)
        if column is None:
            continue
        counts: list[int | None] = []
        for line, cells in rows:
            cell = cells[column] if column < len(cells) else ""
            stated = value_of(cell.strip("*_` "))
            name = cells[0].strip("*_` ")
            if name.lower().startswith("total") or name.lower() in ("sum", "all"):
                if stated is not None and counts and None not in counts and stated != (total := sum(filter(None,
                                                                                                         counts))):
                    yield Draft("FW123", at(readme, line, cell), f"The table states {stated:,} parameters in total.",
                                f"Its {len(counts)} rows sum to {total:,}.", "Correct the total.")
                counts = []
                continue
            counts.append(0 if cell.strip() in ("", "-", "–") else stated)
            right = true.get(name.removeprefix("self."))
            if stated is not None and right is not None and stated != right:
                yield Draft("FW123", at(readme, line, cell), f"The table states {stated:,} parameters for {name}.",
                            f"The layer in the source beside it has {right:,}.", "Correct the table.")


def parameters_by_name(networks: Sequence[Module]) -> dict[str, int]:
    """Return the parameters of each convolution and linear layer, by attribute.

    A name that two networks use for different layers is left out.
    """
    found: dict[str, set[int | None]] = {}
    for network in networks:
        for name, value in network.attributes.items():
            layer = known(value)
            if isinstance(layer, Module) and layer.name:
                count = parameters_of(layer.name.rpartition(".")[2], layer.arguments)
                found.setdefault(name, set()).add(count)
    return {name: count for name, counts in found.items() if len(counts) == 1 for count in counts if count is not None}


def tables_of(readme: Source) -> Iterator[tuple[list[str], list[tuple[int, list[str]]]]]:
    """Yield (titles, rows) of each Markdown table; a row is (line, cells)."""
    rows: list[tuple[int, list[str]]] = []
    for line, text in enumerate([*readme.lines, ""], 1):
        if text.strip().startswith("|"):
            rows.append((line, [cell.strip() for cell in text.strip().strip("|").split("|")]))
            continue
        if len(rows) > 2 and all(set(cell) <= set("-: ") for cell in rows[1][1]):
            yield rows[0][1], rows[2:]
        rows = []


RULES = (arithmetic,)
