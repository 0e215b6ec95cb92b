"""Tables of a search for the terminal: its front, and its state while it runs."""

from __future__ import annotations

from statistics import fmean

from rich.console import Group, RenderableType
from rich.text import Text

from featherweight.cli.output import table
from featherweight.search.finale import finalists
from featherweight.search.live import correlation_in_words, limits_in_words
from featherweight.search.records import Front, Point
from featherweight.search.study import Study
from featherweight.words import duration, percent


def state_of(study: Study) -> RenderableType:
    """Return the state of a search as a table: the best network of each budget so far."""
    rows = []
    for limits, cell in zip(study.cells, range(len(study.cells)), strict=True):
        top = finalists(study, cell)[:1]
        for one in top:
            accuracy = percent(one.accuracies[-1])
            epochs = f"{study.epochs[len(one.accuracies) - 1]} epochs"
            rows.append([limits_in_words(limits), accuracy, epochs, one.candidate.words.removeprefix("words:")])
        if not top:
            rows.append([limits_in_words(limits), "-", "", ""])
    begun = f"{study.done} trials done, {len(study.pending)} begun; {duration(study.at)} so far"
    lines: list[RenderableType] = [Text(begun), Text(""),
             table("budget", "validation", "after", "best network", rows=rows, right=(1,))]
    return Group(*lines, Text(""), Text(correlation_in_words(study)))


def front_table(front: Front) -> RenderableType:
    """Return the networks of a front as a table."""
    rows = [[f"{one.costs.parameters:,}", f"{one.costs.macs:,}", f"{one.costs.ram:,}", f"{one.costs.flash:,}",
             percent(fmean(one.validation)) if one.validation else "-", tested(one)] for one in front.points]
    headings = ("parameters", "MACs", "RAM", "flash", "validation", "test")
    names = [Text(f"{number}  {one.candidate.words}") for number, one in enumerate(front.points, 1)]
    return Group(table("", *headings, rows=[[str(number), *row] for number, row in enumerate(rows, 1)],
                       right=tuple(range(7))), Text(""), *names)


def tested(point: Point) -> str:
    """Return the mean test accuracy of a network with its number of seeds."""
    if not point.test:
        return "-"
    seeds = f"{len(point.test)} seed{'s' * (len(point.test) > 1)}"
    return f"{percent(fmean(point.test))} ({seeds})"
