"""Progress of a search as one live line, and its facts in words."""

from __future__ import annotations

from collections.abc import Mapping

from featherweight.progress import OneBar
from featherweight.search.study import Study


class SearchProgress(OneBar):
    """Progress of a search. trials, hours: its limits."""

    def __init__(self, trials: int | None, hours: float | None, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self.trials, self.seconds, self.begun = trials, 3600 * (hours or 0), False

    def on_change(self, study: Study, running: int, at: float) -> None:
        """Draw the line again, a few times per second at most."""
        tests = sum(map(len, study.frozen.values()))
        total, done, unit = (tests, len(study.tests), "tests") if tests else (self.trials, study.done, "trials")
        length, place = (self.seconds, at) if self.seconds else (total or 1, done)
        if not self.begun:
            self.begun = True
            self.say(head_line(study))
            self.begin(round(length), 0 if self.seconds else done)
        self.total = round(length)
        checks = sum(map(len, study.checks.values()))
        title = f"{done}/{total} {unit}" if total else f"{done} {unit}"
        title += f", {checks} checks" if checks and not study.frozen else ""
        self.draw(min(round(place), self.total), title, f"{running} running  {bests(study)}")


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
    """Return the limits of a budget as text: "1,000 parameters, 4,096 ram"."""
    return ", ".join(f"{limit:,} {name}" for name, limit in limits.items())


def correlation_in_words(study: Study) -> str:
    """Return a sentence on how well the first rung orders the networks."""
    found, epochs = study.correlation(), study.epochs
    if len(epochs) == 1:
        return "All trials train for all epochs."
    if found is None:
        return f"Too few networks reached {epochs[-1]} epochs to compare their order with that after {epochs[0]}."
    return f"Rank correlation of the accuracies after {epochs[0]} and after {epochs[-1]} epochs: {found:.2f}"

