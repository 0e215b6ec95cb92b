"""Last stages of a search: choose the networks of the front with several seeds, then train and test them once.

Choosing uses validation images only, and seeds that no trial used. Then the choice is frozen in the ledger. Only after
that, networks are trained on all training images and measured on test images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from statistics import fmean, pvariance

from featherweight.crews import Task
from featherweight.search.driver import Job
from featherweight.search.ledger import Event
from featherweight.search.study import Member, Study

FINALISTS = 3       # of each cell
SURE = 3.0          # standard errors from which a finalist counts as worse than the best of its cell


class Choosing:
    """Trains the finalists of each cell with further seeds, and stops those that are surely worse.

    seeds: number of seeds. until: seconds of searching at which no training begins any more, None for never.
    """

    good, bad = "checked", "dropped"

    def __init__(self, study: Study, seeds: int, images: int, until: float | None = None) -> None:
        self.study, self.images, self.until = study, images, until
        self.seeds = [study.problem.seed + 1 + index for index in range(seeds)]
        self.cells = [finalists(study, cell) for cell in range(len(study.cells))]

    def next(self, running: Mapping[str, Job], at: float) -> Job | None:
        if self.study.frozen or (self.until is not None and at >= self.until):
            return None
        jobs = [job for members in self.cells for job in self.jobs(members) if job.task.key not in running]
        return min(jobs, key=lambda job: job.ends["seed"], default=None)

    def jobs(self, members: Sequence[Member]) -> Iterator[Job]:
        """Yield the jobs of the first seed that not all finalists left of a cell were trained with."""
        for index, seed in enumerate(self.seeds):
            left = still_in(self.study, members, self.seeds[:index], self.images)
            missing = [one for one in left if seed not in self.study.checks.get(one.number, {})]
            if missing and len(left) > 1:
                yield from (training_job(self.study, one, seed, "check") for one in missing)
                return


class Testing:
    """Trains the frozen networks on all training images and tests them once."""

    good, bad = "tested", "untested"

    def __init__(self, study: Study) -> None:
        self.study = study

    def next(self, running: Mapping[str, Job], at: float) -> Job | None:
        for number, seeds in self.study.frozen.items():
            for seed in seeds:
                job = training_job(self.study, self.study.members[number], seed, "test")
                if (number, seed) not in self.study.tests and job.task.key not in running:
                    return job
        return None


def training_job(study: Study, member: Member, seed: int, kind: str) -> Job:
    """Return the job that trains a member for all epochs with a seed. kind: "check" or "test"."""
    data = {"candidate": member.candidate.to_dict(), "epochs": study.epochs[-1], "seed": seed,
            "name": f"trial-{member.number}"}
    return Job(Task(f"{kind}.{member.number}.{seed}", data), None, {"number": member.number, "seed": seed})


def finalists(study: Study, cell: int) -> list[Member]:
    """Return the best members of a cell."""
    members = [one for one in study.members if one.cell == cell and one.accuracies and not one.reason]
    return sorted(members, key=lambda one: one.rank, reverse=True)[:FINALISTS]


def still_in(study: Study, members: Sequence[Member], seeds: Sequence[int], images: int) -> list[Member]:
    """Return the members that are not surely worse than the best, after these seeds. images: of validation."""
    left = [one for one in members if one.number not in study.dropped]
    scores = {one.number: [study.checks.get(one.number, {}).get(seed) for seed in seeds] for one in left}
    for count in range(1, len(seeds) + 1):
        known = {number: [one for one in row[:count] if one is not None] for number, row in scores.items()}
        full = {number: row for number, row in known.items() if len(row) == count}
        if not full:
            break
        leader = max(full.values(), key=fmean)
        left = [one for one in left if one.number in full and not surely_worse(full[one.number], leader, images)]
    return left


def surely_worse(mine: Sequence[float], best: Sequence[float], images: int) -> bool:
    """Return True if the mean of `mine` is more than SURE standard errors below that of `best`. Pairs share a seed.

    The variance of one difference is at least that of two counts over `images` images each.
    """
    differences = [b - a for a, b in zip(mine, best, strict=True)]
    level = fmean([*mine, *best])
    least = 2 * level * (1 - level) / images
    error = sqrt(max(least, pvariance(differences)) / len(differences))
    return fmean(differences) > SURE * error


def validation_of(study: Study, member: Member) -> list[float]:
    """Return the accuracies by which a member was chosen: those of further seeds, or else that of its trial."""
    checks = study.checks.get(member.number, {})
    return [checks[seed] for seed in sorted(checks)] or member.accuracies[-1:]


def winners(study: Study) -> list[Member]:
    """Return the best member of each cell, by parameters, without those for which a cheaper one is as good.

    If some reach the accuracy asked for, the others are left out.
    """
    chosen = []
    for cell in range(len(study.cells)):
        members = [one for one in finalists(study, cell) if one.number not in study.dropped]
        most = max((len(study.checks.get(one.number, {})) for one in members), default=0)
        members = [one for one in members if len(study.checks.get(one.number, {})) == most]
        if members:
            chosen.append(max(members, key=lambda one: (len(one.accuracies) if not most else 0,
                                                        fmean(validation_of(study, one)), -one.number)))
    front = [one for one in chosen if not any(beats(study, other, one) for other in chosen if other is not one)]
    good = [one for one in front if fmean(validation_of(study, one)) >= (study.problem.budgets.accuracy or 0)]
    return sorted(good or front, key=lambda one: one.costs.parameters)


def beats(study: Study, one: Member, other: Member) -> bool:
    """Return True if `one` is at least as accurate and costs no more in what the budget limits."""
    mine, yours = fmean(validation_of(study, one)), fmean(validation_of(study, other))
    pairs = [(getattr(one.costs, name), getattr(other.costs, name)) for name in study.problem.budgets.limits]
    no_more = all(a <= b for a, b in pairs)
    return no_more and mine >= yours and (mine > yours or pairs != [(b, b) for _, b in pairs] or
                                          one.number < other.number)


def freezing(study: Study, seeds: int) -> Event:
    """Return the event that freezes the networks of the front, and the seeds that they are tested with."""
    numbers = [one.number for one in winners(study)]
    return {"event": "frozen", "numbers": numbers, "seeds": [study.problem.seed + index for index in range(seeds)]}


def affordable_seeds(study: Study, seeds: int, seconds: float, slots: int) -> int:
    """Return the number of seeds, at least 1 and at most `seeds`, that the time left allows for testing."""
    each = study.seconds_of_training() * len(winners(study)) / slots
    return max(1, min(seeds, int(seconds / each))) if each else seeds
