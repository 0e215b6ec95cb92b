"""The function `budget`, and its result, which shows itself in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import torch
from rich.console import Console, ConsoleOptions, RenderableType
from torch import nn

from featherweight.anatomy import Summary, summarize
from featherweight.anatomy.layers import Shapes, as_shapes
from featherweight.anatomy.table import as_text
from featherweight.budgets import table
from featherweight.budgets.edits import Edit, edits_of, thinner, weighted, width_edit, width_of
from featherweight.budgets.fitting import Limits, Offer, Plan, Trial, all_offers, start
from featherweight.budgets.outline import Uninitialised, hollow, is_depthwise
from featherweight.budgets.places import build_with_lines
from featherweight.budgets.usage import FORMS, Usage, inputs_for, run
from featherweight.budgets.word_edits import edits_of_words, thinner_words, widths_of_words
from featherweight.errors import FeatherweightError, UnknownName
from featherweight.graph.calls import Shape
from featherweight.graph.passes import prepare
from featherweight.graph.twin import one_thread, untouched_random_state
from featherweight.models import blueprint_of, find_blueprint, input_shapes
from featherweight.models.words import PREFIX
from featherweight.wording import option

SHOWN = 12      # edits of each kind in the text; JSON has all


@dataclass(frozen=True, repr=False)
class Budget:
    """Use of a network, the rest of its budget, and all single edits that fit. Print it to see a table."""

    summary: Summary
    limits: Limits
    used: Usage
    offers: tuple[Offer, ...]
    shown: int | None = SHOWN       # edits of each kind in the text; None for all

    @property
    def left(self) -> dict[str, int]:
        """Rest of each limited amount. The rest is negative if the network is over budget."""
        return self.limits.left(self.used)

    @property
    def holds(self) -> bool:
        """True if the network is within the budget."""
        return self.limits.hold(self.used)

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        limits = {f"max_{name}": getattr(self.limits, name) for name in ("parameters", "macs", "ram", "flash")}
        layers = [{"name": one.name, "kind": one.kind, "parameters": one.parameters, "macs": one.macs}
                  for one in self.summary.layers if one.parameters or one.macs]
        return {
            "model": self.summary.model, "limits": limits | {"form": self.limits.form}, "used": self.used.to_dict(),
            "layers": layers, "left": self.left, "fits": self.holds,
            "edits": [offer.to_dict(self.used) for offer in self.offers],
        }

    def to_text(self, width: int = 80) -> str:
        """Return the tables for a terminal of `width` columns."""
        return as_text(self.renderable(), width)

    def renderable(self) -> RenderableType:
        """Return the tables for rich."""
        return table.renderable(self.summary, self.limits, self.used, self.offers, self.shown)

    def __repr__(self) -> str:
        return self.to_text()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield self.renderable()

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.to_text(100))}</pre>"


def budget(
    model: str | type[nn.Module] | Callable[..., nn.Module] | nn.Module, *, max_parameters: int,
    max_macs: int | None = None, max_ram: int | None = None, max_flash: int | None = None, form: str = "int8",
    arguments: Mapping[str, Any] | None = None, input_shapes: Shapes | None = None, shown: int | None = SHOWN,
) -> Budget:
    """Return what a network uses of a budget, and each single edit that fits. The network is left as it was.

    model: a name, a class, a function or a module. arguments: of its builder.
    max_macs: multiply-accumulates per image. max_ram, max_flash: bytes of the C code in `form`, "int8" or "float".
    Raises UnknownName for an unknown name or form, and ModelError for a network that does not run.
    Raises FeatherweightError for a limit on RAM or flash if the network cannot be exported to C.
    """
    for name, value in (("parameters", max_parameters), ("macs", max_macs), ("ram", max_ram), ("flash", max_flash)):
        check_limit(f"max-{name}", value)
    limits = Limits(max_parameters, max_macs, max_ram, max_flash, form)
    if form not in FORMS:
        raise UnknownName("form", form, FORMS)
    blueprint = blueprint_of(model)
    module, lines = build_with_lines(blueprint, arguments or {})
    shapes = as_shapes(input_shapes or own_shapes(module))
    summary = summarize(module, shapes, name=blueprint.name)
    with torch.inference_mode(False), untouched_random_state(module), one_thread(), torch.no_grad():
        base = hollow(prepare(module, shapes).float())
        used, outputs = start(base, shapes)
        if used.refused and form not in used.code and (max_ram, max_flash) != (None, None):
            raise FeatherweightError(f"RAM and flash cannot be counted: {used.refused} Leave out "
                                     f"{option('max-ram')} and {option('max-flash')}.")
        words = blueprint.name if blueprint.name.startswith(PREFIX) and isinstance(model, str) else None
        plan = plan_of_words(words, arguments or {}) if words else plan_of(base, shapes, outputs, lines)
        offers = all_offers(plan, Trial(shapes, outputs, limits), used)
    return Budget(summary, limits, used, tuple(offers), shown)


own_shapes = input_shapes       # `budget` has an argument of this name


def check_limit(name: str, value: int | None) -> None:
    """Raise FeatherweightError if a limit is less than 1."""
    if value is not None and value < 1:
        raise FeatherweightError(f"{option(name)} is {value}, allowed are whole numbers from 1. Give a larger one.")


def plan_of(base: nn.Module, shapes: Shapes, outputs: Sequence[Shape], lines: Mapping[str, int]) -> Plan:
    """Return the edits of a module. base: its skeleton. outputs: shapes of one image's outputs.

    All layers together become thinner without those whose channels cannot change, such as a head.
    """
    record = run(base, inputs_for(as_shapes(shapes)))
    layers = weighted(record)
    widths = {layer.path: (width_of(layer.module), lambda n, path=layer.path: width_edit(base, path, n))
              for layer in layers[:-1] if not is_depthwise(layer.module)}
    trial = Trial(as_shapes(shapes), outputs, Limits(2**62))
    free = [layer for layer in layers if layer.path in widths and trial.outlined(widths[layer.path][1](1)) is not None]
    return Plan(list(edits_of(base, record)), widths, lambda factor: thinner(base, free, factor), lines)


def plan_of_words(name: str, arguments: Mapping[str, Any]) -> Plan:
    """Return the edits of a network in words. Each edit is built by its new words."""
    def edit(kind: str, layer: str, change: str, words: str) -> Edit:
        return Edit(kind, layer, change, lambda: built(words, arguments), words)

    widths = {layer: (n, lambda m, change=change: edit(*change(m))) for layer, n, change in widths_of_words(name)}
    thin = lambda factor: edit("all channels", "all words", f"channels x {factor:.3f}", thinner_words(name, factor))  # noqa: E731
    return Plan([edit(*found) for found in edits_of_words(name)], widths, thin)


def built(words: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Return the network in words, in evaluation mode and without values."""
    with Uninitialised():
        return hollow(find_blueprint(words).build(arguments).eval())
