"""The picture of a network's graph: rounded boxes, arrows, and a legend of the colours."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from featherweight.anatomy.graph import Graph, Kind, Node
from featherweight.layout.column import Line, Place
from featherweight.layout.place import (
    LINE_HEIGHT,
    LINE_SIZE,
    PADDING,
    TITLE_SIZE,
    Box,
    layout,
    text_width,
)
from featherweight.plots.figure import INK, PALE, PAPER, SERIES, Picture

BLUE, ORANGE, GREEN, PINK, *_ = SERIES
COLOURS: dict[Kind, str] = {
    "input": GREEN, "layer": BLUE, "operation": PALE, "junction": PINK, "output": ORANGE,
    "parameter": BLUE, "loss": ORANGE,
}
MEANINGS: dict[Kind, str] = {
    "input": "input", "layer": "layer with parameters", "operation": "operation", "junction": "flows meet or part",
    "output": "output", "parameter": "parameter", "loss": "loss",
}
MARGIN, HEADING, SWATCH = 10.0, 22.0, 10.0      # points
TINT = 0.16


def draw_graph(graph: Graph, title: str = "", *, place: Place | None = None) -> Figure:
    """Draw a graph from top to bottom. Boxes fit their text; sizes are in points.

    place: function that places the boxes, as in layout.place.layout.
    """
    where = layout(graph, place)
    kinds = [kind for kind in MEANINGS if any(node.kind == kind for node in graph.nodes)]
    top = HEADING * (1 + bool(title))
    width = max(where.width, _legend_width(kinds), text_width(title, 12, bold=True)) + 2 * MARGIN
    height = where.height + 2 * MARGIN + top
    figure = Picture(figsize=(width / 72, height / 72), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(-MARGIN, width - MARGIN), ylim=(where.height + MARGIN, -MARGIN - top))
    axes.set_axis_off()
    if title:
        axes.text(0, -top, title, fontsize=12, fontweight="bold", color=INK, va="center", parse_math=False)
    _draw_legend(axes, kinds, -HEADING + SWATCH / 2)
    for line in where.lines.values():
        _draw_line(axes, line)
    for node in graph.nodes:
        _draw_node(axes, node, where.boxes[node.id])
    return figure


def _draw_node(axes: Axes, node: Node, box: Box) -> None:
    _draw_box(axes, box, node.kind, 4)
    first = box.y - box.height / 2 + PADDING / 2 + LINE_HEIGHT / 2
    for number, text in enumerate((node.title, *node.lines)):
        axes.text(
            box.x, first + number * LINE_HEIGHT, text, ha="center", va="center_baseline", parse_math=False,
            fontsize=LINE_SIZE if number else TITLE_SIZE, color=PALE if number else INK,
            fontweight="normal" if number or node.kind == "parameter" else "bold",
        )


def _draw_box(axes: Axes, box: Box, kind: Kind, radius: float) -> None:
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    style = f"round,pad=0,rounding_size={radius}"
    colour = COLOURS[kind]
    axes.add_patch(FancyBboxPatch(corner, box.width, box.height, style, facecolor=(colour, TINT), edgecolor=colour))


def _draw_line(axes: Axes, line: Line) -> None:
    head = "-|>,head_length=3.6,head_width=1.6"
    axes.add_patch(FancyArrowPatch(path=Path(line), arrowstyle=head, mutation_scale=1.3, color=PALE, linewidth=1))


def _draw_legend(axes: Axes, kinds: list[Kind], y: float) -> None:
    x = 0.0
    for kind in kinds:
        _draw_box(axes, Box(x + SWATCH / 2, y, SWATCH, SWATCH), kind, 2)
        axes.text(x + 1.5 * SWATCH, y, MEANINGS[kind], fontsize=LINE_SIZE, color=INK, va="center_baseline")
        x += _legend_width([kind])


def _legend_width(kinds: list[Kind]) -> float:
    return sum(3 * SWATCH + text_width(MEANINGS[kind], LINE_SIZE) for kind in kinds)
