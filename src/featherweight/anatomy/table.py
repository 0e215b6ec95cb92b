"""Layer records as text for a terminal and as HTML for a notebook. Nothing is printed here."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from featherweight.anatomy.geometry import Span
from featherweight.anatomy.layers import Layer, PerAxis
from featherweight.anatomy.receptive_field import Box, Check
from featherweight.anatomy.totals import Totals
from featherweight.outside import visible
from featherweight.terminal import text_console

HEADERS = {
    "layer": "Layer", "output": "Output shape", "params": "Params", "field": "Field", "jump": "Jump",
    "start": "Start", "macs": "MACs", "kib": "KiB", "share": "Share",
}

NAMED = 4       # names of unused layers and parameters in the table; JSON has all


@dataclass(frozen=True)
class _Layout:
    """Layout for one width: the columns, exact or short MACs, the bar's length, spaces between columns.

    brief: write shapes as 16x26x26 instead of [-1, 16, 26, 26].
    """

    columns: tuple[str, ...]
    exact: bool
    bar: int
    gap: int
    brief: bool = False

    def header(self, column: str) -> str:
        """Return the title of a column."""
        return "Output" if self.brief and column == "output" else HEADERS[column]


# From the widest to the narrowest. The first layout that fits is used, so that no number is cut.
_ALL = tuple(HEADERS)
_LAYOUTS = (
    _Layout(_ALL, True, 16, 2),
    _Layout(_ALL, True, 10, 2),
    _Layout(_ALL, True, 8, 1),
    *(
        _Layout(tuple(c for c in _ALL if c not in dropped), False, bar, gap)
        for dropped in ((), ("start",), ("start", "kib"), ("start", "kib", "jump"))
        for bar, gap in ((8, 2), (6, 1))
    ),
    _Layout(("layer", "output", "params", "field", "macs"), False, 6, 1),
    _Layout(("layer", "output", "params", "field"), False, 6, 1),
    _Layout(("layer", "output", "params", "field"), False, 6, 1, brief=True),
    _Layout(("layer", "output", "params"), False, 6, 1, brief=True),
)


def renderable(summary: Totals, width: int) -> RenderableType:
    """Return the table, the totals and the sizes, for a terminal of `width` columns."""
    for layout in _LAYOUTS:
        rows = [_cells(layer, summary.total_parameters, layout) for layer in summary.layers]
        headers = [layout.header(column) for column in layout.columns]
        widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
        total = sum(widths) + layout.gap * (len(widths) - 1)
        if total <= width:
            break
    shown = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, layout.gap - 1, 0, 0),
        header_style="bold",
    )
    for column, size in zip(layout.columns, widths, strict=True):
        left = column in ("layer", "share")
        shown.add_column(
            layout.header(column), justify="left" if left else "right", no_wrap=True, min_width=min(size, width),
            overflow="fold",
        )
    for layer, cells in zip(summary.layers, rows, strict=True):
        shown.add_row(*cells, style="dim" if layer.index is None else "")
    line = "─" * min(total, width)
    title = Text(f"{visible(summary.model)} on {_inputs(summary)}", style="bold")
    return Group(title, Text(line), shown, Text(line), *map(Text, _totals(summary, line)))


def as_text(content: RenderableType, width: int) -> str:
    """Return plain text of `width` columns, without colours and without spaces at line ends."""
    file = io.StringIO()
    text_console(file, width).print(content)
    return "\n".join(text.rstrip() for text in file.getvalue().splitlines())


def _cells(layer: Layer, total: int, layout: _Layout) -> list[str]:
    share = layer.parameters / total if total else 0.0
    cells = {
        "layer": layer.label,
        "output": brief_shape(layer) if layout.brief else output_shape(layer),
        "params": f"{layer.parameters:,}",
        "field": ("≤" if layer.uneven else "") + pixels(layer.receptive_field),
        "jump": ("~" if layer.uneven and layer.jump is not None else "") + pixels(layer.jump),
        "start": pixels(layer.start),
        "macs": f"{layer.macs:,}" if layout.exact else short(layer.macs),
        "kib": kibibytes(layer.activation_bytes),
        "share": "shared" if layer.shared else bar(share, layout.bar),
    }
    return [cells[column] for column in layout.columns]


def _totals(summary: Totals, line: str) -> list[str]:
    """Return the lines under the table, worded as in the documents."""
    sizes = summary.sizes_mb
    return [
        f"Total params: {summary.total_parameters:,}",
        f"Trainable params: {summary.trainable_parameters:,}",
        f"Non-trainable params: {summary.total_parameters - summary.trainable_parameters:,}",
        *_unused(summary),
        f"Multiply-accumulates (MACs) per image: {summary.total_macs:,}",
        line,
        f"Input size (MB): {sizes['input']:.2f}",
        f"Forward/backward pass size (MB): {sizes['forward_backward']:.2f}",
        f"Params size (MB): {sizes['parameters']:.2f}",
        f"Estimated Total Size (MB): {sizes['total']:.2f}",
    ]


def _unused(summary: Totals) -> list[str]:
    """Return lines about unused parts, such as "Not used by any layer: 1,290 (fc2, fc3.bias)".

    Layers without parameters have their own line: "Never called: drop".
    """
    counted = [one.name for one in summary.unused if one.parameters]
    empty = [one.name for one in summary.unused if not one.parameters]
    return [
        *([f"Not used by any layer: {summary.unused_parameters:,} ({_some(counted)})"] if counted else []),
        *([f"Never called: {_some(empty)}"] if empty else []),
    ]


def _some(names: Sequence[str]) -> str:
    """Return the first NAMED names, and the number of the remaining names."""
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def _inputs(summary: Totals) -> str:
    return " and ".join(str(list(shape)) for shape in summary.input_shapes)


def output_shape(layer: Layer) -> str:
    """Return "[-1, 8, 26, 26]" as in the documents; a list of shapes if the layer has several outputs."""
    shapes = [str([-1, *shape]) for shape in layer.output_shapes]
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


def brief_shape(layer: Layer) -> str:
    """Return "8x26x26", or the shapes with a space between them if the layer has several outputs."""
    return " ".join("x".join(map(str, shape)) for shape in layer.output_shapes)


def pixels(value: PerAxis) -> str:
    """Return "28", "28x14" if the axes differ, or "-" if the value has no meaning."""
    if value is None:
        return "-"
    return "x".join(f"{number:g}" for number in (value if isinstance(value, list) else [value]))


def short(number: int) -> str:
    """Return a number with three digits and a letter: 1557504 -> 1.56 M."""
    for size, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        value = number / size
        if value >= 0.9995:
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {letter}"
    return str(number)


def kibibytes(size: int) -> str:
    """Return bytes in units of 1,024, with two decimals below 1 unit and one decimal above."""
    return f"{size / 1024:,.{1 if size >= 1024 else 2}f}"


def bar(share: float, length: int) -> str:
    """Return a bar in eighths of a character. Every share above 0 is visible."""
    eighths = max(round(share * length * 8), 1) if share > 0 else 0
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


_CELL = "padding:1px 8px;white-space:nowrap;background:transparent;color:inherit;text-align:"


def html(summary: Totals) -> str:
    """Return a table that needs no other file, in the notebook's own colours, light or dark."""
    head = "".join(f'<th style="{_CELL}right">{escape(text)}</th>' for text in HEADERS.values())
    body = "".join(_html_row(layer, summary.total_parameters) for layer in summary.layers)
    totals = "<br>".join(escape(text) for text in _totals(summary, "") if text)
    return visible(
        '<div style="font-family:monospace;font-size:90%;color:inherit;overflow-x:auto">'
        f"<b>{escape(summary.model)}</b> on {escape(_inputs(summary))}"
        '<table style="border-collapse:collapse;color:inherit">'
        f'<thead><tr style="border-bottom:1px solid">{head}</tr></thead><tbody>{body}</tbody></table>'
        f'<p style="color:inherit">{totals}</p></div>'
    )


def _html_row(layer: Layer, total: int) -> str:
    cells = _cells(layer, total, _LAYOUTS[0])[:-1]
    share = 100 * layer.parameters / total if total else 0.0
    drawn = "shared" if layer.shared else (
        f'<div title="{share:.1f} %" style="height:.7em;width:{share:.1f}%;min-width:{1 if share else 0}px;'
        'background:currentColor;opacity:.6"></div>'
    )
    faint = ' style="opacity:.6"' if layer.index is None else ""
    numbers = "".join(f'<td style="{_CELL}right">{escape(text)}</td>' for text in cells)
    return (
        f'<tr{faint} title="{escape(layer.name)}">{numbers}'
        f'<td style="{_CELL}left;min-width:8em">{drawn}</td></tr>'
    )


def checks_renderable(checks: Sequence[Check]) -> RenderableType:
    """Return the results of verify, one row each, and a last line with the number of each verdict."""
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    shown.add_column("Layer", no_wrap=True)
    for header in ("Field", "By rule", "By gradient"):
        shown.add_column(header, justify="right", no_wrap=True)
    shown.add_column("Verdict")
    for check in checks:
        shown.add_row(
            check.layer.label,
            pixels(check.layer.receptive_field),
            *(_box_text(which, spans=check.equal is False) for which in (check.rule, check.gradient)),
            check.verdict + ("" if check.whole or check.equal is None else " inside the image"),
            style="bold red" if check.equal is False else "dim" if check.equal is None else "",
        )
    unchecked = next((check for check in checks if check.note), None)
    note = [Text(f"Not compared from {unchecked.layer.label} on: {unchecked.note}.")] if unchecked else []
    return Group(shown, *note, Text(counted(checks)))


def counted(checks: Sequence[Check]) -> str:
    """Return "Rule and gradient: 36 equal, 0 different, 0 not applicable"."""
    verdicts = [check.verdict for check in checks]
    return "Rule and gradient: " + ", ".join(
        f"{verdicts.count(verdict)} {verdict}" for verdict in ("equal", "different", "not applicable")
    )


def checks_text(checks: Sequence[Check], width: int = 80) -> str:
    """Return the results of verify as plain text of `width` columns."""
    return as_text(checks_renderable(checks), width)


def _box_text(found: Box | None, *, spans: bool) -> str:
    if found is None:
        return "-"
    if spans:
        return " ".join("none" if span is None else f"{span[0]}..{span[1]}" for span in found)
    sizes = [_length(span) for span in found]
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def _length(span: Span) -> int:
    return 0 if span is None else span[1] - span[0]
