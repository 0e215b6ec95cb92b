"""The driver: keeps all slots of a crew busy and writes down what happens. It is the only writer of the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from featherweight.crews import Crew, Outcome, Task
from featherweight.search.ledger import Event, Ledger
from featherweight.search.study import Study

Keep = Callable[["Job", dict[str, Any]], None]
WAIT = 0.2      # seconds between two looks at Ctrl-C


@dataclass(frozen=True)
class Job:
    """A task, with the event that begins it (None if it was begun before) and the keys of the event that ends it."""

    task: Task
    begins: Event | None
    ends: Event


class Stage(Protocol):
    """A part of the search. It decides which job is next."""

    good: str       # name of the event that ends a job
    bad: str        # name of the event for a job that failed

    def next(self, running: Mapping[str, Job], at: float) -> Job | None:
        """Return the next job, None if none can begin now. at: seconds of searching so far.

        The stage has ended when nothing runs and there is no next job.
        """


class Clock:
    """Seconds of searching, those before a resume included."""

    def __init__(self, before: float) -> None:
        self.started = time.monotonic() - before

    @property
    def at(self) -> float:
        """Seconds so far."""
        return round(time.monotonic() - self.started, 3)


class Driver:
    """Runs the stages of a search.

    caught: receives the signal of Ctrl-C. on_change: called after each change, and a few times a second.
    """

    def __init__(
        self, study: Study, ledger: Ledger, caught: Sequence[int],
        on_change: Callable[[Study, int, float], None] = lambda study, running, at: None,
    ) -> None:
        self.study, self.ledger, self.caught, self.on_change = study, ledger, caught, on_change
        self.clock = Clock(study.at)

    def record(self, events: Sequence[Event]) -> None:
        """Write events down, and then apply them."""
        if events:
            self.ledger.append(events)
            for event in events:
                self.study.apply(event)

    def run(self, stage: Stage, crew: Crew, keep: Keep = lambda job, value: None) -> None:
        """Run a stage to its end, or until Ctrl-C. keep: called with the result of a job before it is written down."""
        running: dict[str, Job] = {}
        while not self.caught:
            self.begin(stage, crew, running)
            self.on_change(self.study, len(running), self.clock.at)
            if not running:
                return
            outcomes = crew.finished(WAIT)
            crew.messages()
            self.record([self.ended(stage, running.pop(one.key), one, keep) for one in outcomes])

    def begin(self, stage: Stage, crew: Crew, running: dict[str, Job]) -> None:
        """Start jobs until all slots are busy or the stage has none."""
        while len(running) < crew.slots and (job := stage.next(running, self.clock.at)) is not None:
            if job.begins:
                self.record([job.begins])
            running[job.task.key] = job
            crew.start(job.task)

    def ended(self, stage: Stage, job: Job, outcome: Outcome, keep: Keep) -> Event:
        """Return the event of an outcome."""
        if outcome.value is None:
            reason = outcome.failed or "it was stopped"
            return {"event": stage.bad, **job.ends, "reason": reason, "seconds": 0.0, "at": self.clock.at}
        keep(job, outcome.value)
        value = {key: one for key, one in outcome.value.items() if key != "files"}
        return {"event": stage.good, **job.ends, **value, "at": self.clock.at}
