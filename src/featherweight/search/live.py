"""Progress of a search as one live line, and its facts in words."""

from __future__ import annotations

from collections.abc import Mapping

from featherweight.progress import OneBar
from featherweight.search.finale import finalists
from featherweight.search.search import Effort
from featherweight.search.study import Study

UNITS = {"parameters": "parameters", "macs": "MACs", "ram": "bytes of RAM", "flash": "bytes of flash"}


class SearchProgress(OneBar):
    """Progress of a search: one bar for each of its parts."""

    def on_begin(self, study: Study, effort: Effort) -> None:
        """Keep the limits."""
        self.trials, self.seconds, self.seeds = effort.trials, 3600 * (effort.hours or 0), effort.seeds or 1
        self.unit = ""

    def on_change(self, study: Study, running: int, at: float) -> None:
        """Draw the line again, a few times per second at most."""
        unit, done, total = self.part(study)
        timed = bool(self.seconds) and unit != "tests"
        if unit != self.unit:
            if not self.unit:       # the workers have begun
                self.say(head_line(study))
            self.unit = unit
            self.begin(round(self.seconds) if timed else total or 1, round(at) if timed else done)
        title = f"{done}/{total} {unit}" if total else f"{done} {unit}"
        self.draw(min(round(at), self.total) if timed else done, title, f"{running} running, best {bests(study)}")

    def part(self, study: Study) -> tuple[str, int, int | None]:
        """Return the part of the search: its unit, how many are done, and at most how many there are, if known."""
        if study.frozen:
            return "tests", len(study.tests), sum(map(len, study.frozen.values()))
        checks = sum(map(len, study.checks.values())) + len(study.dropped)
        if checks:
            members = sum(len(finalists(study, cell)) for cell in range(len(study.cells)))
            return "checks", checks, members * self.seeds
        return "trials", study.done, self.trials


def bests(study: Study) -> str:
    """Return the best accuracy so far at each budget: "99.12 / 98.70 %"."""
    found = [f"{100 * one.accuracies[-1]:.2f}" if one else "-" for one in study.best]
    return " / ".join(found) + " %"


def head_line(study: Study) -> str:
    """Return the line with which a search begins."""
    epochs = ", ".join(map(str, study.epochs))
    return (f"{study.problem.data}: {study.problem.images:,} training images; budgets "
            f"{'; '.join(limits_in_words(cell) for cell in study.cells)}; epochs {epochs}")


def limits_in_words(limits: Mapping[str, int]) -> str:
    """Return the limits of a budget as text: "1,000 parameters, 4,096 bytes of RAM"."""
    return ", ".join(f"{limit:,} {UNITS[name]}" for name, limit in limits.items())


def correlation_in_words(study: Study) -> str:
    """Return a sentence on how well the first rung orders the networks."""
    found, epochs = study.correlation(), study.epochs
    if len(epochs) == 1:
        return "All trials train for all epochs."
    if found is None:
        return f"Too few networks reached {epochs[-1]} epochs to compare their order with that after {epochs[0]}."
    return f"Rank correlation of the accuracies after {epochs[0]} and after {epochs[-1]} epochs: {found:.2f}"

