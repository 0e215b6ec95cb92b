"""Run a fixed list of jobs in worker processes, and stop them all on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from featherweight.cores import free_cores
from featherweight.workers.pool import open_pool
from featherweight.workers.process import Work


@dataclass
class Outcomes:
    """Results of run_jobs: finished jobs, failed jobs with a message for the user, and True if it was stopped."""

    done: list[Any] = field(default_factory=list)
    failed: dict[Any, str] = field(default_factory=dict)
    stopped: bool = False


def run_jobs(
    work: Work,
    jobs: Sequence[Any],
    shared: Any,
    *,
    workers: int | None = None,
    on_message: Callable[[Any, Any], None] = lambda job, message: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcomes:
    """Call work(shared, job, tell) for every job in worker processes. Return the outcomes of the jobs.

    work: a function of a module, because each new process imports it.
    on_message: called in this process with (job, message) for each message that a job sends with tell.
    should_stop: if it returns True, running jobs get SIGTERM and are waited for, and no new job starts.
    A FeatherweightError or an OSError fails its own job only. Raises RuntimeError with the traceback for any other
    error of a job. Raises FeatherweightError if a worker cannot import the user's script.
    """
    outcomes = Outcomes()
    with open_pool(work, shared, min(workers or free_cores(), len(jobs))) as pool:
        for job in jobs:
            pool.start(job)
        while pool.busy:
            if should_stop() and not outcomes.stopped:
                outcomes.stopped = True
                pool.stop()
            for event in pool.events(0.2):      # short, so that a stop is noticed
                if event.kind == "tell":
                    on_message(event.job, event.value)
                elif event.kind == "failed":
                    outcomes.failed[event.job] = event.value
                elif event.kind == "done":
                    outcomes.done.append(event.job)
    return outcomes
