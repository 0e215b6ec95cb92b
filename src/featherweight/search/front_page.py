"""front.html: one self-contained page about a front. It needs no script and no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from featherweight import __version__, plots
from featherweight.anatomy import Summary, summarize
from featherweight.models import build_model
from featherweight.outside import visible
from featherweight.search.best import COSTS, Mark
from featherweight.search.picture import draw
from featherweight.search.point_files import Found, spread
from featherweight.search.published import published_marks
from featherweight.search.records import Front, Tried
from featherweight.search.strip import Strip, strip
from featherweight.statistics import summarize_values
from featherweight.words import duration, percent

MOST_TRIED = 100        # rows in the table of tried candidates
SAID = {"parameters": "parameters", "macs": "MACs per image", "ram": "RAM, bytes", "flash": "flash, bytes"}


@dataclass(frozen=True)
class Shown:
    """One network of the front on the page. ship: the content of ship.json of its C code, or {}."""

    found: Found
    ship: Mapping[str, Any]

    @property
    def mark(self) -> Mark | None:
        """The network in the picture, with its accuracy on test, or on validation before. None before both."""
        point = self.found.point
        if not (values := point.test or point.validation):
            return None
        seeds = summarize_values(values)
        return Mark(str(self.found.number), point.costs, seeds.mean, seeds.lowest, seeds.highest, seeds.count)

    @property
    def summary(self) -> Summary:
        """The layers of the network."""
        found = self.found
        suggested = {"in_channels": found.shape[0], "classes": found.classes}
        words = found.point.candidate.words
        return summarize(build_model(words, found.arguments, suggested=suggested), found.shape, name=words)

    @property
    def curve(self) -> Markup | None:
        """The figure of loss and accuracy by epoch of all seeds, None before the training on all images."""
        histories = {f"seed {run.result['seed']}": run.history for run in self.found.runs}
        if not histories:
            return None
        label = f"Accuracy of network {self.found.number} by epoch, a line for each seed"
        return Markup(plots.inline_svg(plots.panel(plots.draw_accuracy, histories), label))

    @property
    def strips(self) -> list[tuple[str, str, Strip]]:
        """The distribution over seeds on validation and test: name, in words, and drawn."""
        point = self.found.point
        return [(name, spread(values), strip(values)) for name, values in
                (("Validation", point.validation), ("Test", point.test)) if values]


def front_page(front: Front, networks: Sequence[Shown], test_images: int) -> str:
    """Return the page as HTML text. networks: those of the front, from small to large."""
    published = published_marks(front.form) if front.data == "mnist" else ()
    marks = [network.mark for network in networks if network.mark]
    tried = [mark_of(one) for one in front.tried if one.accuracy is not None]
    floor = 0.5 / test_images
    pictures = [picture for cost in COSTS
                if (picture := draw(cost, marks, published, tried, front.budgets.get(cost), floor))]
    environment = Environment(
        loader=PackageLoader("featherweight.search", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "duration": duration, "spread": spread}
    environment.globals |= {"version": __version__, "said": SAID, "machine": in_words(front.machine)}
    page = environment.get_template("front.html").render(
        front=front, networks=networks, pictures=pictures, published=published, style=style(), best=best_tried(front),
        on="test" if networks and all(one.found.point.test for one in networks) else "validation",
    )
    return visible(page, lines=True)


def style() -> Markup:
    """Return the style sheet: that of the report page, and rules for the picture of the front."""
    folder = resources.files("featherweight")
    sheets = ("report/templates/style.css", "search/templates/front.css")
    return Markup("\n".join(folder.joinpath(sheet).read_text(encoding="utf-8") for sheet in sheets))


def mark_of(tried: Tried) -> Mark:
    """Return a tried candidate as a mark, with its accuracy at the last rung."""
    accuracy = tried.accuracy or 0.0
    return Mark(str(tried.number), tried.costs, accuracy, accuracy, accuracy)


def best_tried(front: Front) -> list[Tried]:
    """Return the tried candidates for the table: first those that got furthest, then the most accurate."""
    return sorted(front.tried, key=lambda one: (-one.rung, -(one.accuracy or 0.0), one.number))[:MOST_TRIED]


def in_words(machine: Mapping[str, Any]) -> str:
    """Return the machine as one line: {"cores": 2, "versions": {"torch": "2.13"}} gives "cores 2, torch 2.13"."""
    return ", ".join(in_words(value) if isinstance(value, Mapping) else f"{key.replace('_', ' ')} {value}"
                     for key, value in machine.items())
