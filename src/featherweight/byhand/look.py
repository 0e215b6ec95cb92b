"""The colours and cell formats of the workbook."""

from __future__ import annotations

from dataclasses import dataclass

from xlsxwriter import Workbook
from xlsxwriter.format import Format

from featherweight.byhand.formulas import BACK, ERROR, FORWARD, GIVEN, GRADIENT

TINTS = {GIVEN: "#DCE6F1", FORWARD: "#E2EFDA", ERROR: "#FCE4D6", BACK: "#E4DFEC", GRADIENT: "#FFF2CC"}
RATE_COLOURS = (    # from dark for the first rate to light for the last
    "#3B0F70", "#414487", "#31688E", "#26828E", "#1F9E89", "#35B779",
    "#6DCD59", "#A5B92B", "#C9A227", "#D98E2B", "#D9703A", "#C8505A",
)
INK, PALE = "#222222", "#7F7F7F"


@dataclass(frozen=True)
class Look:
    """The cell formats of one workbook."""

    title: Format
    text: Format
    pale: Format
    heading: Format
    value: Format           # the result of a formula
    fine: Format            # with more digits, for errors and derivatives
    count: Format
    typed: Format           # a number that the user may change
    linked: Format          # a number from another sheet, which the user may replace
    name: Format
    notation: Format
    where: Format
    bands: dict[str, Format]        # group -> heading above its columns
    sections: dict[str, Format]     # group -> heading above its lines
    headers: dict[str, Format]


def make_look(book: Workbook) -> Look:
    """Add all formats to the workbook and return them."""
    typed = {"font_color": "#0000FF", "bg_color": "#FFFFCC", "border": 1, "border_color": "#BFBFBF", "align": "center",
             "num_format": "0.00##########"}
    band = {"bold": True, "align": "center", "valign": "vcenter", "font_color": INK}
    header = {"bold": True, "align": "center", "bottom": 1}
    return Look(
        title=book.add_format({"bold": True, "font_size": 14, "font_color": INK}),
        text=book.add_format({"indent": 1}),
        pale=book.add_format({"font_color": PALE}),
        heading=book.add_format({**header, "align": "left", "bg_color": "#F2F2F2"}),
        value=book.add_format({"num_format": "0.000000"}),
        fine=book.add_format({"num_format": "0.000000000"}),
        count=book.add_format({"align": "center", "font_color": PALE}),
        typed=book.add_format(typed),
        linked=book.add_format({**typed, "font_color": "#00802B", "bg_color": "#F3FAF3"}),
        name=book.add_format({"bold": True, "align": "center"}),
        notation=book.add_format({"font_name": "Consolas", "font_size": 10}),
        where=book.add_format({"font_color": "#0563C1", "underline": 1, "align": "center"}),
        bands={group: book.add_format({**band, "bg_color": tint}) for group, tint in TINTS.items()},
        sections={group: book.add_format({**band, "bg_color": tint, "align": "left"}) for group, tint in TINTS.items()},
        headers={group: book.add_format({**header, "bg_color": tint}) for group, tint in TINTS.items()},
    )


def rate_colour(index: int, count: int) -> str:
    """Return the colour of curve `index` out of `count`. The curves use the whole colour scale."""
    return RATE_COLOURS[index * (len(RATE_COLOURS) - 1) // max(count - 1, 1)]
