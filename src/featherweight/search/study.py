"""The state of a search, computed from the events of its ledger. Nothing else changes it.

Events, by their key "event":
- trial: a new candidate begins at the first rung.        - rung: a candidate begins at a higher rung.
- measured: its accuracy at that rung.                    - failed: why its training failed.
- checked: a finalist was trained with another seed.      - dropped: why that training failed.
- frozen: the networks of the front and their seeds are chosen.
- tested: one of them was trained on all training images and tested.      - untested: why that failed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log10
from pathlib import Path
from statistics import fmean
from typing import Any

from featherweight.errors import RunError
from featherweight.search.fitting import cells_of
from featherweight.search.ledger import Event
from featherweight.search.problem import Problem
from featherweight.search.records import Candidate, Costs, State, Tried
from featherweight.search.rungs import Rung, epochs_of_rungs, rank_correlation
from featherweight.search.sampler import Observation
from featherweight.wording import option

LEAST_ERROR = 1e-4      # smaller errors count as this one
STEP = 10.0             # between the scores of two rungs: more than the logarithm of two errors can differ
WINDOW = 50             # TPE sees the 50 best members and the last 50


@dataclass
class Member:
    """A candidate of the study. cell: index of its limits. accuracies: by rung, on validation images."""

    number: int
    cell: int
    point: dict[str, Any]
    candidate: Candidate
    costs: Costs
    accuracies: list[float] = field(default_factory=list)
    score: float | None = None      # among the members of all cells, higher is better
    reason: str = ""        # of a failure
    seconds: float = 0.0

    @property
    def rank(self) -> tuple[int, float, int]:
        """Key to sort by: higher is better. Measurements at a higher rung count more."""
        return len(self.accuracies), self.accuracies[-1] if self.accuracies else 0.0, -self.number


class Study:
    """The state of a search."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.epochs = epochs_of_rungs(problem.budgets.epochs)
        self.cells = cells_of(problem)
        self.members: list[Member] = []
        self.known = set[tuple[str, str]]()                     # candidates, so that none is tried twice
        self.pending: dict[int, int] = {}                       # number -> rung that is being measured
        self.ladders = [[Rung() for _ in self.epochs] for _ in self.cells]
        self.order: list[tuple[float, int]] = []                # (-score, number) of the members of all cells
        self.reference: dict[tuple[int, int], float] = {}       # cell, rung -> error that scores are compared with
        self.sizes = [0 for _ in self.cells]                    # members of each cell
        self.firsts: dict[int, Member] = {}                     # cell -> its first member
        self.checks: dict[int, dict[int, float]] = {}           # number -> seed -> accuracy on validation images
        self.dropped = set[int]()
        self.frozen: dict[int, list[int]] = {}                  # number -> seeds
        self.tests: dict[tuple[int, int], dict[str, Any] | None] = {}       # None: failed
        self.at = 0.0                                           # seconds of searching so far
        self.done = 0                                           # members that were measured or failed

    def apply(self, event: Event) -> None:
        """Change the state by one event."""
        getattr(self, f"_{event['event']}")(event)
        self.at = event.get("at", self.at)

    def _trial(self, event: Event) -> None:
        member = member_of(event)
        self.members.append(member)
        self.known.add(identity(member.candidate))
        self.sizes[event["cell"]] += 1
        self.firsts.setdefault(event["cell"], member)
        self.pending[event["number"]] = 0

    def _rung(self, event: Event) -> None:
        self.ladders[self.members[event["number"]].cell][event["rung"] - 1].gone.add(event["number"])
        self.pending[event["number"]] = event["rung"]

    def _measured(self, event: Event) -> None:
        member, rung = self._ended(event)
        member.accuracies.append(event["accuracy"])
        self.ladders[member.cell][rung].add(member.number, event["accuracy"])
        self._place(member, self._score(member.cell, rung, event["accuracy"]))

    def _score(self, cell: int, rung: int, accuracy: float) -> float:
        """Return how many times smaller the error is than the first one of this cell and rung, as a logarithm.

        So one model learns from all cells. A member of a higher rung has a higher score than all of lower rungs.
        """
        error = max(LEAST_ERROR, 1 - accuracy)
        return STEP * rung + log10(self.reference.setdefault((cell, rung), error) / error)

    def _place(self, member: Member, score: float | None) -> None:
        """Set the score of a member, None if its training failed."""
        if member.score is not None:
            del self.order[bisect_left(self.order, (-member.score, member.number))]
        if score is not None:
            insort(self.order, (-score, member.number))
        member.score = score

    @property
    def best(self) -> list[Member | None]:
        """The best member of each cell, None for a cell in which nothing was measured."""
        return [next((self.members[number] for _, number in self.order if self.members[number].cell == cell), None)
                for cell in range(len(self.cells))]

    def leaders(self, count: int) -> list[Observation]:
        """Return the best members of all cells."""
        return [Observation(number, self.members[number].point, -key) for key, number in self.order[:count]]

    def window(self) -> list[Observation]:
        """Return the best members and the last ones, by number."""
        numbers = {number for _, number in self.order[:WINDOW]} | set(range(len(self.members))[-WINDOW:])
        found = [self.members[number] for number in sorted(numbers)]
        return [Observation(one.number, one.point, one.score) for one in found if one.accuracies or one.reason]

    def _failed(self, event: Event) -> None:
        member, _ = self._ended(event)
        member.reason = event["reason"]
        self._place(member, None)

    def _ended(self, event: Event) -> tuple[Member, int]:
        member, rung = self.members[event["number"]], self.pending.pop(event["number"])
        member.seconds += event["seconds"]
        self.done += rung == 0
        return member, rung

    def _checked(self, event: Event) -> None:
        self.checks.setdefault(event["number"], {})[event["seed"]] = event["accuracy"]

    def _dropped(self, event: Event) -> None:
        self.dropped.add(event["number"])

    def _frozen(self, event: Event) -> None:
        seeds: list[int] = event["seeds"]
        self.frozen = dict.fromkeys(event["numbers"], seeds)

    def _tested(self, event: Event) -> None:
        self.tests[event["number"], event["seed"]] = event

    def _untested(self, event: Event) -> None:
        self.tests[event["number"], event["seed"]] = None

    def tried(self, member: Member) -> Tried:
        """Return the record of a member."""
        rung = len(member.accuracies) - 1
        whole = rung == len(self.epochs) - 1
        state: State = "done" if whole else "running" if member.number in self.pending else "stopped"
        accuracy = member.accuracies[-1] if member.accuracies else None
        return Tried(member.number, member.candidate, member.costs, rung, accuracy,
                     "failed" if member.reason else state, member.reason, round(member.seconds, 3))

    def correlation(self) -> float | None:
        """Return the rank correlation of the first rung with a complete training, over the members that have both.

        Finalists that did not reach the last rung count with the mean over their further seeds.
        """
        whole = {one.number: one.accuracies[-1] for one in self.members if len(one.accuracies) == len(self.epochs) > 1}
        checked = {number: fmean(found.values()) for number, found in self.checks.items()}
        first = {one.number: one.accuracies[0] for one in self.members if one.accuracies}
        return rank_correlation(first, checked | whole)

    def seconds_of_training(self) -> float:
        """Return the mean seconds of training a network for all epochs, on one thread. 0 if nothing was measured."""
        measured = [one for one in self.members if one.accuracies]
        epochs = sum(sum(self.epochs[: len(one.accuracies)]) for one in measured)
        return sum(one.seconds for one in measured) / epochs * self.epochs[-1] if epochs else 0.0


def identity(candidate: Candidate) -> tuple[str, str]:
    """Return the words and settings of a candidate as a key."""
    return candidate.words, repr(sorted(candidate.settings.items()))


def member_of(event: Event) -> Member:
    """Return the member that an event adds."""
    return Member(event["number"], event["cell"], event["point"], Candidate.from_dict(event["candidate"]),
                  Costs.from_dict(event["costs"]))


def study_of(events: Sequence[Event], folder: Path) -> Study:
    """Return the state after the events of a ledger; the first of them is the problem.

    Raises RunError for a ledger of another version or another space, or whose events contradict each other.
    """
    study = Study(Problem.read(events[0] if events else {}, folder))
    for number, event in enumerate(events[1:], 2):
        try:
            study.apply(event)
        except (KeyError, IndexError, TypeError, AttributeError) as fault:
            raise RunError(f"line {number} of the ledger in {str(folder)!r} does not fit the lines before it. Cut the "
                           f"file before that line, or give another folder with {option('out')}.") from fault
    return study
