"""Train all seeds of a recipe with a crew: worker processes of one thread each, here or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from featherweight.cores import free_cores
from featherweight.crews import Crew, Task, open_crew
from featherweight.errors import RunError
from featherweight.replication.elsewhere import receive, send
from featherweight.replication.job import Job, SeedsWatcher

WORK = "featherweight.replication.one_seed:train_here"
ELSEWHERE = "featherweight.replication.elsewhere:train_elsewhere"


@contextmanager
def crew_for(job: Job, count: int) -> Iterator[Crew]:
    """Yield the crew that trains `count` seeds of a job at the job's place. Raises as open_crew does."""
    here = job.place == "local"
    slots = min(free_cores(), count) if here else None
    with open_crew(job.place, WORK if here else ELSEWHERE, job, slots=slots, storage=job.storage) as crew:
        yield crew


def train_with_crew(
    job: Job, crew: Crew, seeds: Sequence[int], watcher: SeedsWatcher, should_stop: Callable[[], bool]
) -> list[int]:
    """Train these seeds, or resume them, and return the seeds that are finished.

    If a seed fails, the others are still trained. Then RunError is raised, with the name of the failed seed.
    """
    here = job.place == "local"
    for seed in seeds:
        crew.start(Task(str(seed), {"seed": seed} if here else send(job, seed)))
    done, failed, stopped = list[int](), dict[int, str](), False
    while crew.busy:
        if should_stop() and not stopped:
            stopped = True
            crew.stop()
        outcomes = crew.finished(0.2)       # short, so that a stop is noticed
        for key, standing in crew.messages():
            if int(key) not in done:        # on a cluster a message may arrive after the end of its seed
                watcher.on_standing(int(key), standing)
        for outcome in outcomes:
            seed, value = int(outcome.key), outcome.value or {}
            if outcome.failed is not None:
                failed[seed] = outcome.failed
            if "run" in value:
                receive(job, seed, value)
            if value.get("result"):
                done.append(seed)
                watcher.on_finish(seed, value["result"])
    if failed and not stopped:
        seed, why = next(iter(failed.items()))
        count = f"{len(failed)} of {len(seeds)}"
        raise RunError(f"{count} seeds failed, so there is no summary. Seed {seed}: {why}")
    return done
