"""Placement of a column by Graphviz, if its program dot is installed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from itertools import chain

from featherweight.layout.column import (
    GAP,
    LAYER_GAP,
    Column,
    Key,
    Line,
    Link,
    Placed,
    Point,
    bezier,
    boxed,
    weights_of,
)
from featherweight.layout.layers import by_layers

SIDES = {"in": "source", "out": "sink"}     # name of a column's side -> name of dot's rank


def by_graphviz(column: Column) -> Placed:
    """Place a column with Graphviz' dot, or with by_layers if dot fails."""
    keys = list(column.sizes)
    number = {key: index for index, key in enumerate(keys)}
    try:
        text = _dot(column, number)
        done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return by_layers(column)
    centres: dict[Key, Point] = {}
    lines: dict[Link, Line] = {}
    for words in map(str.split, done.stdout.splitlines()):
        if words[0] == "node":
            centres[keys[int(words[1])]] = (72 * float(words[2]), -72 * float(words[3]))
        elif words[0] == "edge":
            numbers = [72 * float(word) for word in words[4 : 4 + 2 * int(words[3])]]
            spline = [(x, -y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            curves = [bezier(spline[k : k + 4]) for k in range(0, len(spline) - 1, 3)]
            lines[keys[int(words[1])], keys[int(words[2])]] = tuple(dict.fromkeys(chain.from_iterable(curves)))
    return boxed(centres, lines, column.sizes)


def _dot(column: Column, number: Mapping[Key, int]) -> str:
    """Return the column in dot's language, in inches. Ports are points in the top or bottom layer."""
    ports = {kind: [at for key, at in number.items() if isinstance(key, tuple) and key[1] == kind] for kind in SIDES}
    ranked = ((SIDES[kind], " ".join(map(str, who))) for kind, who in ports.items())
    weights = weights_of(column.links, column.ranks)
    sizes = (f"{number[key]} [width={w / 72:.4f} height={h / 72:.4f}]" for key, (w, h) in column.sizes.items())
    return "\n".join([
        f"digraph {{ graph [nodesep={GAP / 72:.4f} ranksep={LAYER_GAP / 72:.4f}]",
        'node [shape=box fixedsize=true label=""] edge [dir=none]',
        *sizes,
        *(f"{{ rank={where} {who} }}" for where, who in ranked if who),
        *(f"{number[a]} -> {number[b]} [weight={min(weights[a], weights[b]) ** 0.25:.0f}]" for a, b in column.links),
        "}",
    ])
