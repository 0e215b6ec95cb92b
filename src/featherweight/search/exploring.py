"""First stage of a search: new candidates, and more epochs for those that are among the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featherweight.crews import Task
from featherweight.errors import FeatherweightError
from featherweight.search.driver import Job
from featherweight.search.fitting import fitted
from featherweight.search.ledger import Event
from featherweight.search.sampler import Sampler
from featherweight.search.study import Member, Study, identity, member_of

ATTEMPTS = 200      # points that are drawn until one fits its limits
PARENTS = 5         # best candidates that get neighbours
CYCLE = 8           # proposals: six neighbours, and then two of TPE


class Exploring:
    """Proposes candidates. trials: most new candidates. until: seconds of searching at which nothing new begins."""

    good, bad = "measured", "failed"

    def __init__(self, study: Study, sampler: Sampler, trials: int | None, until: Until) -> None:
        self.study, self.sampler, self.trials, self.until = study, sampler, trials, until

    def next(self, running: Mapping[str, Job], at: float) -> Job | None:
        study = self.study
        for number, rung in study.pending.items():      # begun before a resume
            if key_of(number, rung) not in running:
                return self.job(study.members[number], rung, None)
        if self.until(at):
            return None
        if going := self.promoted():
            return going
        if self.trials is None or len(study.members) < self.trials:
            event = proposal(study, self.sampler)
            return self.job(member_of(event), 0, event)
        return self.promoted(at_least=1) if not running else None

    def promoted(self, at_least: int = 0) -> Job | None:
        """Return the job of a member that goes on to the next rung, None if none does.

        The first member of each cell goes on in any case, so the front is never below the form of the hand-made ones.
        """
        for member in self.study.firsts.values():
            rung = len(member.accuracies)
            if 0 < rung < len(self.study.epochs) and member.number not in self.study.pending and not member.reason:
                return self.going(member.number, rung)
        for ladder in self.study.ladders:
            for rung in reversed(range(len(ladder) - 1)):
                enough = at_least if not ladder[rung + 1].ranking else 0
                number = ladder[rung].promotable(at_least=enough)
                if number is not None:
                    return self.going(number, rung + 1)
        return None

    def going(self, number: int, rung: int) -> Job:
        """Return the job of a member that goes on to a rung."""
        return self.job(self.study.members[number], rung, {"event": "rung", "number": number, "rung": rung})

    def job(self, member: Member, rung: int, begins: Event | None) -> Job:
        """Return the job that measures a member at a rung."""
        data = {"candidate": member.candidate.to_dict(), "epochs": self.study.epochs[rung],
                "seed": self.study.problem.seed, "name": f"trial-{member.number}"}
        return Job(Task(key_of(member.number, rung), data), begins, {"number": member.number, "rung": rung})


class Until:
    """True when the search for new candidates ends: so that the time left suffices to choose and test the best.

    hours: None for no limit. trainings: number of complete trainings that choosing and testing take, at most.
    """

    LEAST = 0.5     # part of the time that is searched in any case

    def __init__(self, study: Study, hours: float | None, slots: int, trainings: int) -> None:
        self.study, self.seconds, self.slots, self.trainings = study, 3600 * (hours or 0), slots, trainings

    def __call__(self, at: float) -> bool:
        if not self.seconds:
            return False
        needed = self.study.seconds_of_training() * self.trainings / self.slots
        return at >= max(self.LEAST * self.seconds, self.seconds - needed)


def key_of(number: int, rung: int) -> str:
    """Return the key of a task."""
    return f"{number}.{rung}"


def proposal(study: Study, sampler: Sampler) -> Event:
    """Return the event of a new candidate within its limits. Raises FeatherweightError if none was found."""
    number, cell = len(study.members), cell_of(study)
    for attempt in range(ATTEMPTS):
        found = fitted(point := point_for(study, sampler, cell, attempt), study.problem, study.cells[cell])
        if found and identity(found[0]) not in study.known:
            return {"event": "trial", "number": number, "cell": cell, "point": point,
                    "candidate": found[0].to_dict(), "costs": found[1].to_dict()}
    raise FeatherweightError(f"{ATTEMPTS} points of the space gave no new network within the budget. It is too small "
                             "for more trials: raise it, or end the search with fewer trials.")


def point_for(study: Study, sampler: Sampler, cell: int, attempt: int) -> dict[str, Any]:
    """Return the point to try next in a cell: a start, a neighbour of the best, or one that Optuna proposes."""
    number, begun = len(study.members), study.sizes[cell]
    if begun + attempt < len(sampler.starts):
        return sampler.starts[begun + attempt]
    if number % CYCLE < CYCLE - 2 and not sampler.randomly and (parents := study.leaders(PARENTS)):
        return sampler.neighbour(number, attempt, parents)
    return sampler.point(number, attempt, study.window())


def cell_of(study: Study) -> int:
    """Return the cell of the next candidate: every second time the budget itself, else the smaller ones in turn.

    Cells above the smallest one that reaches the accuracy asked for are left out.
    """
    enough, whole = study.problem.budgets.accuracy, len(study.epochs)
    first = max((cell for cell, one in enumerate(study.best)
                 if enough and one and len(one.accuracies) == whole and one.accuracies[-1] >= enough), default=0)
    turn, smaller = divmod(len(study.members), 2)
    left = len(study.cells) - first - 1
    return first + (1 + turn % left if smaller and left else 0)
