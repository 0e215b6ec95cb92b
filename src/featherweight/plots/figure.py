"""Colours and functions that all pictures share: colours for print and dark pages, writing PNG and SVG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, NullFormatter

from featherweight.files import replacing
from featherweight.outside import visible

ENDINGS = (".png", ".svg")
INK, PALE, LINE, PAPER = "#222222", "#666666", "#e2e2e2", "#ffffff"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d1f", "#56b4e9")     # Okabe and Ito (2008), darkened yellow
GOOD, BAD = "#0072b2", "#d55e00"
NAMED = {INK: "ink", PALE: "pale", LINE: "line", PAPER: "paper"} | {c: f"series-{n}" for n, c in enumerate(SERIES)}
TITLE = "title: "       # prefix of an artist's gid: the rest becomes its tooltip in SVG


class Picture(Figure):
    """A figure that notebooks display without configuration."""

    def _repr_png_(self) -> bytes:
        return png_of(self, dpi=100)


def new_figure(width: float = 5.2, height: float = 3.2) -> Figure:
    """Return an empty figure. width, height: inches."""
    return Picture(figsize=(width, height), layout="constrained", facecolor=PAPER)


def plain(axes: Axes, grid: str = "y") -> Axes:
    """Remove unneeded lines from the axes. Return the axes. grid: "x", "y", "both", or "" for no grid."""
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(colors=PALE, labelcolor=INK, labelsize=9)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=LINE)        # type: ignore[arg-type]
    return axes


def named(text: str) -> str:
    """Return the gid for an artist whose tooltip is `text`."""
    return TITLE + text


def powers_of_ten(axis: Axis) -> None:
    """Give a logarithmic axis the labels 0.01, 1, 100 or 1e-06. Matplotlib's own are formulas, which pictures show raw.

    axis: with a scale that is already logarithmic.
    """
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def fit_margins(figure: Figure) -> None:
    """Prepare all texts: colour INK unless set, control characters made visible, dollar signs not read as formulas."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
        text.set_text(visible(text.get_text(), lines=True))
        if text.get_color() == "black":
            text.set_color(INK)


def save(figure: Figure, file: Path) -> None:
    """Write a figure atomically, as PNG or SVG by the file's ending."""
    content = standalone_svg(figure) if file.suffix.lower() == ".svg" else png_of(figure, dpi=150)
    with replacing(file) as opened:
        opened.write(content)


def png_of(figure: Figure, dpi: int) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    fit_margins(figure)
    buffer = io.BytesIO()
    with boxes_for_letters():
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def standalone_svg(figure: Figure) -> bytes:
    """Return a figure as the bytes of an SVG file. Equal figures give equal bytes."""
    return with_titles(raw_svg(figure)).encode()


def inline_svg(figure: Figure, label: str) -> str:
    """Return a figure as SVG text for an HTML page.

    The picture scales with the page and uses its colours. label: text for screen readers.
    """
    text = with_titles(raw_svg(figure, transparent=True))
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    for size in ("width", "height"):
        text = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", text, count=1)
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r"<[^>]*>", lambda tag: short_tag(tag[0]), text)      # tags only, not the texts between them
    return text.replace("<svg ", f'<svg role="img" aria-label="{escaped(label)}" ', 1).strip()


def short_tag(tag: str) -> str:
    """Return an SVG tag with the page's colours and two decimals. Ids are removed unless the SVG refers to them."""
    tag = re.sub(r' (d|x|y|width|height|transform)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), tag)
    tag = re.sub(r' id="(?!(m|p|image)[0-9a-f]{10})[^"]*"', "", tag)
    for colour, name in NAMED.items():
        tag = re.sub(colour, f"var(--{name}, {colour})", tag, flags=re.I)
    return tag


@contextmanager
def boxes_for_letters() -> Iterator[None]:
    """Hide warnings about letters that the font lacks inside the block. They are drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph ")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")     # scripts such as Thai
        yield


def raw_svg(figure: Figure, *, transparent: bool = False) -> str:
    """Return matplotlib's SVG of a figure: text stays text, no date, and ids that depend on the figure only."""
    fit_margins(figure)
    buffer = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "featherweight", "font.family": "sans-serif"}
    with boxes_for_letters(), mpl.rc_context(settings):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=transparent)
    return visible(buffer.getvalue().decode(), lines=True)


def with_titles(svg: str) -> str:
    """Replace each gid that starts with TITLE by an SVG <title> element, which browsers show as a tooltip."""
    return re.sub(rf"""<g id=(["']){TITLE}(.*?)\1>""", r'<g class="named"><title>\2</title>', svg)


def escaped(text: str) -> str:
    """Return text escaped for an XML attribute."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
