"""A budget as text for a terminal: what is used as bars, by layer, and the edits that fit."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from featherweight.anatomy import Summary
from featherweight.anatomy.table import bar, pixels, short
from featherweight.budgets.fitting import AMOUNTS, Limits, Offer
from featherweight.budgets.usage import Usage
from featherweight.models.words import PREFIX
from featherweight.outside import visible

BAR = 20        # characters of a full bar
NAMES = {"parameters": "parameters", "macs": "MACs", "ram": "RAM", "flash": "flash"}


def renderable(
    summary: Summary, limits: Limits, used: Usage, offers: Sequence[Offer], shown: int | None
) -> RenderableType:
    """Return the whole page. shown: edits of each kind, None for all."""
    shapes = " and ".join("x".join(map(str, shape)) for shape in summary.input_shapes)
    title = f"{visible(summary.model)} on {shapes}; RAM and flash in bytes, of the C code in {limits.form}"
    parts: list[RenderableType] = [Text(title, style="bold"), amounts(limits, used), *missing(limits, used), Text(""),
                                   layers(summary, max(limits.parameters, used.parameters)), Text("")]
    if limits.hold(used):
        more = [offer for offer in offers if offer.usage.parameters > used.parameters]
        less = [offer for offer in offers if offer.usage.parameters <= used.parameters]
        parts += [*edits("Edits that use what is left, the most parameters first", more, used, limits, shown),
                  Text(""), *edits("Edits that save, the most parameters first", less, used, limits, shown)]
    else:
        parts += edits("Edits that bring it under, the smallest first", offers, used, limits, shown)
    return Group(*parts)


def amounts(limits: Limits, used: Usage) -> Table:
    """Return one row for each amount: used, limit, bar, left."""
    rows, left = [], limits.left(used)
    for name in AMOUNTS:
        value, limit = used.amounts(limits.form)[name], getattr(limits, name)
        rest = left.get(name)
        said = "" if rest is None else f"{rest:,} left" if rest >= 0 else f"{-rest:,} over"
        drawn = "" if limit is None or value is None else bar(min(value / limit, 1), BAR)
        rows.append([NAMES[name], "-" if value is None else f"{value:,}", "" if limit is None else f"of {limit:,}",
                     drawn.ljust(BAR) if drawn else "", said])
    return plain(rows, right=(1, 2, 4))


def missing(limits: Limits, used: Usage) -> list[Text]:
    """Return a line with the reason if the C code cannot be counted."""
    return [Text(f"No C code in {limits.form}: {visible(used.refused)}")] if limits.form not in used.code else []


def layers(summary: Summary, whole: int) -> Table:
    """Return one row for each layer with parameters. whole: the budget, or the total if that is larger."""
    rows = [[visible(one.name), one.kind, f"{one.parameters:,}", short(one.macs),
             bar(one.parameters / whole, BAR)]
            for one in summary.layers if one.parameters]
    return plain(rows, ("Layer", "Kind", "Params", "MACs", "Share"), right=(2, 3))


def edits(
    title: str, offers: Sequence[Offer], used: Usage, limits: Limits, shown: int | None
) -> list[RenderableType]:
    """Return a table of edits with its title, and a line with the number of edits that are not shown."""
    if not offers:
        return [Text(f"{title}: no single edit fits.")]
    some = offers if shown is None else offers[:shown]
    rows = []
    for offer in some:
        changes = offer.changes(used, limits.form)
        rows.append([in_words(offer), *(signed(changes[name]) for name in AMOUNTS),
                     pixels(offer.usage.receptive_field), "x".join(map(str, offer.usage.last_map)) or "-"])
    made = plain(rows, ("Edit", "Params", "MACs", "RAM", "Flash", "Field", "Last map"), right=(1, 2, 3, 4, 5, 6))
    rest = len(offers) - len(some)
    tail = [Text(f"{rest} more: --all shows them, --json has them with both forms.")] if rest else []
    return [Text(title, style="bold"), made, *tail]


def in_words(offer: Offer) -> str:
    """Return the new words, or the layer with its line and the change."""
    if offer.edit.words:
        return offer.edit.words.removeprefix(PREFIX)
    where = visible(offer.edit.layer) + (f" (line {offer.line})" if offer.line else "")
    return f"{where}: {offer.edit.change}"


def signed(change: int | None) -> str:
    """Return a change with its sign, exact below 100,000: +1,024, or -1.56 M."""
    if change is None:
        return "-"
    size = f"{abs(change):,}" if abs(change) < 100_000 else short(abs(change))
    return f"{'-' if change < 0 else '+' if change else ''}{size}"


def plain(rows: Sequence[Sequence[str]], headings: Sequence[str] = (), right: Sequence[int] = ()) -> Table:
    """Return a table without edges. right: indices of the columns to align right."""
    made = Table(box=box.SIMPLE_HEAD if headings else None, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0),
                 show_header=bool(headings), header_style="bold")
    for index in range(len(rows[0]) if rows else 0):
        made.add_column(headings[index] if headings else "", justify="right" if index in right else "left",
                        overflow="fold", no_wrap=index > 0)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made
