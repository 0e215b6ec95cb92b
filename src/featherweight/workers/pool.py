"""A pool of worker processes that takes jobs as they come. A worker starts when the first job needs it.

A worker that dies, for instance because the system killed it, is replaced. Its job then runs again and can resume from
its files.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from featherweight import interruption
from featherweight.errors import FeatherweightError
from featherweight.workers.process import (
    ATTEMPTS,
    Work,
    Worker,
    receive,
    refuse_while_importing,
    send,
    start_worker,
    why_not_imported,
)

STOPPING = 0.4      # seconds that a worker has to end by itself


@dataclass(frozen=True)
class Event:
    """A message of a job, or the end of a job.

    kind: "tell", "done", "failed" or "stopped".
    value: the job's message, the value that its work returned, a message for the user, or None.
    """

    kind: str
    job: Any
    value: Any = None


@dataclass(eq=False)
class _Order:
    """A job in the pool, and how often a worker died with it."""

    job: Any
    deaths: int = 0


class Pool:
    """Worker processes that call work(shared, job, tell) for each job.

    slots: number of jobs that run at the same time.
    """

    def __init__(self, work: Work, shared: Any, slots: int) -> None:
        self.slots = slots
        self._work, self._shared = work, shared
        self._workers: list[Worker] = []
        self._waiting: deque[_Order] = deque()
        self._stopped = False

    @property
    def busy(self) -> bool:
        """True while a job runs or waits."""
        return bool(self._waiting) or any(worker.order is not None for worker in self._workers)

    def start(self, job: Any) -> None:
        """Start a job, or let it wait for a free slot. Returns at once."""
        if not self._stopped:
            self._waiting.append(_Order(job))
            self._hand_out()

    def events(self, seconds: float) -> list[Event]:
        """Return what the jobs reported. Wait at most `seconds` for the first event.

        Raises RuntimeError with the traceback if a job raised an unexpected error.
        Raises FeatherweightError if a worker cannot import the user's script.
        """
        pipes = {worker.pipe: worker for worker in self._workers if worker.order is not None}
        ready = [pipes[pipe] for pipe in wait(list(pipes), timeout=seconds)]    # type: ignore[index]
        found = [event for worker in ready if (event := self._hear(worker)) is not None]
        self._hand_out()
        return found

    def stop(self) -> None:
        """Drop the waiting jobs and send SIGTERM to the running ones, which may write their files before they end."""
        self._stopped = True
        self._waiting.clear()
        for worker in self._workers:
            worker.process.terminate()

    def _hand_out(self) -> None:
        while self._waiting and (worker := self._idle()):
            worker.order = self._waiting.popleft()
            send(worker, (worker.order.job,))

    def _idle(self) -> Worker | None:
        """Return a worker without a job. Start one if the pool has a free slot."""
        for worker in [one for one in self._workers if one.order is None]:
            if worker.process.is_alive():
                return worker
            self._workers.remove(worker)
        if len(self._workers) == self.slots:
            return None
        with interruption.undivided():
            self._workers.append(start_worker(self._work, self._shared))
        return self._workers[-1]

    def _hear(self, worker: Worker) -> Event | None:
        """Receive one message of a worker and return its event, None for a message about the worker itself."""
        if (message := receive(worker)) is None:
            return self._bury(worker)
        kind, value = message
        if kind == "imported":
            worker.imported = True
            return None
        job = worker.order.job
        if kind == "error":
            raise RuntimeError(f"job {job} failed:\n{value}")
        if kind != "tell":
            worker.order = None
        return Event(kind, job, value)

    def _bury(self, worker: Worker) -> Event | None:
        """Remove a dead worker. Put its job back in front, unless jobs were stopped or it has died ATTEMPTS times.

        Raises FeatherweightError if the worker could not import the user's script.
        """
        worker.process.join()
        self._workers.remove(worker)
        order, code = worker.order, worker.process.exitcode
        order.deaths += 1
        if self._stopped:
            return Event("stopped", order.job)
        if not worker.imported and code > 0:    # an exception; a signal (code < 0) may mean that memory ran out
            raise FeatherweightError(why_not_imported(code))
        if order.deaths < ATTEMPTS:
            self._waiting.appendleft(order)
            return None
        how = f"signal {-code}, {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Event("failed", order.job, f"its process died {ATTEMPTS} times, last by {how}; perhaps memory ran out")

    def _dismiss(self) -> None:
        """Let idle workers end by themselves, and end the others within STOPPING seconds."""
        for worker in self._workers:
            send(worker, None)
        if not self._stopped:
            end_workers([worker for worker in self._workers if worker.order is not None])
        for worker in self._workers:
            worker.process.join()


@contextmanager
def open_pool(work: Work, shared: Any, slots: int) -> Iterator[Pool]:
    """Yield a pool of at most `slots` workers. All have ended when the block ends, also if a signal ends it."""
    refuse_while_importing()
    pool = Pool(work, shared, slots)
    with interruption.undone_at_the_end(lambda: end_workers(pool._workers)):
        try:
            yield pool
            pool._dismiss()
        finally:
            for worker in pool._workers:
                worker.process.kill()
                worker.process.join()


def end_workers(workers: Sequence[Worker]) -> None:
    """End all workers now. Each has STOPPING seconds to remove unfinished files, then it is killed."""
    for worker in workers:
        worker.process.terminate()
    until = time.monotonic() + STOPPING
    for worker in workers:
        wait([worker.process.sentinel], timeout=max(0.0, until - time.monotonic()))
        worker.process.kill()
