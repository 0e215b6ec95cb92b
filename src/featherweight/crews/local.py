"""The local crew: worker processes with one thread each on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from featherweight.cores import free_cores
from featherweight.crews.crew import Outcome, Task, Tell, call_work
from featherweight.workers import Pool, open_pool


class LocalCrew:
    """A crew of worker processes on this machine."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._messages: list[tuple[str, Any]] = []

    @property
    def slots(self) -> int:
        return self._pool.slots

    def start(self, task: Task) -> None:
        self._pool.start(task)

    def finished(self, seconds: float) -> list[Outcome]:
        until, outcomes = time.monotonic() + seconds, list[Outcome]()
        while self._pool.busy and not outcomes:
            for event in self._pool.events(max(0.0, until - time.monotonic())):
                if event.kind == "tell":
                    self._messages.append((event.job.key, event.value))
                else:
                    value = event.value if event.kind == "done" else None
                    failed = event.value if event.kind == "failed" else None
                    outcomes.append(Outcome(event.job.key, value, failed))
            if time.monotonic() >= until:
                break
        return outcomes

    def messages(self) -> list[tuple[str, Any]]:
        told, self._messages = self._messages, []
        return told

    def stop(self) -> None:
        self._pool.stop()


@contextmanager
def open_local_crew(work: str, shared: Any, slots: int | None) -> Iterator[LocalCrew]:
    """Yield a crew of `slots` worker processes, by default one per core. All have ended when the block ends."""
    with open_pool(partial(run_task, work), shared, slots or free_cores()) as pool:
        yield LocalCrew(pool)


def run_task(work: str, shared: Any, task: Task, tell: Tell) -> dict[str, Any]:
    """Run a task in a worker process."""
    return call_work(work, shared, task.data, tell)
