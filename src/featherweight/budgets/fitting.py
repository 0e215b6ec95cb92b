"""The budget of a network: what is used, what is left, and each single edit that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from featherweight.budgets.edits import Edit
from featherweight.budgets.outline import adapted, parameters_of
from featherweight.budgets.usage import BATCH, Usage, inputs_for, usage_of
from featherweight.graph.calls import Shape

AMOUNTS = ("parameters", "macs", "ram", "flash")
Widths = Mapping[str, tuple[int, Callable[[int], Edit]]]       # layer -> channels, and the edit to n channels
HALVINGS = 12       # of the interval for the factor of all channels


@dataclass(frozen=True)
class Limits:
    """A budget: the most of each amount, None for any. form: of the C code whose RAM and flash count."""

    parameters: int
    macs: int | None = None
    ram: int | None = None
    flash: int | None = None
    form: str = "int8"

    def left(self, usage: Usage) -> dict[str, int]:
        """Return what is left of each limited amount. It is negative where the network is over budget."""
        used = usage.amounts(self.form)
        return {name: limit - (used[name] or 0) for name in AMOUNTS if (limit := getattr(self, name)) is not None}

    def hold(self, usage: Usage) -> bool:
        """Return True if the network is within the budget."""
        known = self.form in usage.code or (self.ram is None and self.flash is None)
        return known and min(self.left(usage).values()) >= 0


@dataclass(frozen=True)
class Offer:
    """An edit that fits: it was built and run, and `usage` was counted. line: where the layer is made."""

    edit: Edit
    usage: Usage
    line: int | None = None

    def changes(self, before: Usage, form: str) -> dict[str, int | None]:
        """Return the change of each amount."""
        old, new = before.amounts(form), self.usage.amounts(form)
        return {name: None if None in (one := old[name], two := new[name]) else two - one  # type: ignore[operator]
                for name in AMOUNTS}

    def to_dict(self, before: Usage) -> dict[str, Any]:
        """Return the values for JSON: the edit, what the network uses after it, and the changes in both forms."""
        after, old = self.usage.to_dict(), before.to_dict()
        numbers = [key for key in after if key in {"parameters", "macs"} or key.startswith(("ram_", "flash_"))]
        return {
            "kind": self.edit.kind, "layer": self.edit.layer, "change": self.edit.change, "line": self.line,
            "words": self.edit.words or None, "after": after,
            "changes": {key: None if after[key] is None or old[key] is None else after[key] - old[key]
                        for key in numbers},
        }


@dataclass(frozen=True)
class Trial:
    """The inputs and outputs that an edited network must keep, and the budget."""

    shapes: Sequence[Shape]
    outputs: Sequence[Shape]
    limits: Limits

    def outlined(self, edit: Edit) -> tuple[nn.Module, list[Tensor]] | None:
        """Build and run an edit, and return the network and its outputs; None if it cannot be built."""
        try:
            module = edit.build()
            outputs = adapted(module, inputs_for(self.shapes))
        except Exception:       # the forward of the network may raise anything for a map that is too small
            return None
        same = [tuple(one.shape) for one in outputs] == [(BATCH, *shape) for shape in self.outputs]
        return (module, outputs) if same else None

    def usage(self, edit: Edit) -> Usage | None:
        """Build and run an edit, and return its usage; None if it cannot be built or does not fit."""
        found = self.outlined(edit)
        if found is None or parameters_of(found[0]) > self.limits.parameters:
            return None
        try:
            usage = usage_of(found[0], self.shapes, found[1])
        except Exception:       # as above, for a network that mixes the images of a batch
            return None
        return usage if self.limits.hold(usage) else None

    def parameters(self, edit: Edit) -> int | None:
        """Build an edit and return its parameters, also if it does not fit; None if it cannot be built."""
        found = self.outlined(edit)
        return None if found is None else parameters_of(found[0])

    def fits(self, edit: Edit) -> bool:
        """Return True if an edit can be built and fits. Only its parameters are counted if nothing else is limited."""
        if (self.limits.macs, self.limits.ram, self.limits.flash) != (None, None, None):
            return self.usage(edit) is not None
        parameters = self.parameters(edit)
        return parameters is not None and parameters <= self.limits.parameters


def offers_of(edits: Iterable[Edit], trial: Trial, before: Usage, lines: Mapping[str, int]) -> Iterator[Offer]:
    """Yield the edits that fit. Edits with the same layer and change, or the same words, come once."""
    seen = set[tuple[str, ...]]()
    for edit in edits:
        key = (edit.words,) if edit.words else (edit.kind, edit.layer, edit.change)
        if key not in seen:
            seen.add(key)
            usage = trial.usage(edit)
            if usage is not None:
                yield Offer(edit, usage, lines.get(edit.layer))


def widest(widths: Widths, trial: Trial, before: Usage) -> Iterator[Edit]:
    """Yield for each layer the edit to the most channels whose parameters fit.

    The parameters grow by the same number with each channel.
    """
    for n, edit in widths.values():
        more = trial.parameters(edit(n + 1))
        if more is not None and more > before.parameters:
            most = n + (trial.limits.parameters - before.parameters) // (more - before.parameters)
            if most > 0 and most != n:
                yield edit(most)


def thinnest(thinner: Callable[[float], Edit], trial: Trial) -> Iterator[Edit]:
    """Yield the edit that multiplies all channels by the largest factor below 1 that fits, if there is one."""
    low, high, found = 0.0, 1.0, None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        edit = thinner(middle)
        if trial.fits(edit):
            low, found = middle, edit
        else:
            high = middle
    if found is not None:
        yield found


def in_order(offers: Iterable[Offer], before: Usage, limits: Limits) -> list[Offer]:
    """Return the offers sorted by what they buy.

    Over budget: the smallest cut first. Within the budget: first those that add parameters, the most first; then those
    that free the most.
    """
    over = not limits.hold(before)

    def key(offer: Offer) -> tuple[float, ...]:
        changes = offer.changes(before, limits.form)
        old = before.amounts(limits.form)
        parameters, macs, ram = (changes[name] or 0 for name in ("parameters", "macs", "ram"))
        if over:
            return (sum(abs(change or 0) / (old[name] or 1) for name, change in changes.items()),)
        return (0, -parameters, macs) if parameters > 0 else (1, parameters, ram, macs)

    return sorted(offers, key=key)


def start(module: nn.Module, shapes: Sequence[Shape]) -> tuple[Usage, tuple[Shape, ...]]:
    """Return what a network in evaluation mode uses, and the shapes of its outputs."""
    outputs = adapted(module, inputs_for(shapes))
    return usage_of(module, shapes, outputs), tuple(tuple(one.shape[1:]) for one in outputs)


@dataclass(frozen=True)
class Plan:
    """The edits of a network, and edits to any number of channels, of one layer and of all layers."""

    edits: Sequence[Edit]
    widths: Widths
    thinner: Callable[[float], Edit]
    lines: Mapping[str, int] = field(default_factory=dict)


def all_offers(plan: Plan, trial: Trial, before: Usage) -> list[Offer]:
    """Return all edits that fit, sorted by what they buy."""
    edits = [*plan.edits, *widest(plan.widths, trial, before)]
    if not trial.limits.hold(before):
        edits += thinnest(plan.thinner, trial)
    return in_order(offers_of(edits, trial, before, plan.lines), before, trial.limits)

