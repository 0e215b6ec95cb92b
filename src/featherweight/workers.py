"""Jobs on worker processes of one thread each, as many at once as there are cores.

On small networks two processes of one thread train more than one process of two threads. A worker
that dies, killed by the system for instance, is replaced, and its job is done again from whatever it
left. Tensors in what is shared lie in memory that all processes see.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import torch
from torch import multiprocessing

from featherweight import interruption
from featherweight.errors import FeatherweightError, TrainingInterrupted
from featherweight.files import refusal

ATTEMPTS = 4        # of one job, before its deaths are taken for its own fault
STOPPING = 0.4      # seconds in which a worker may end by itself
NAME = "featherweight-worker"
WITHOUT_GUARD = 86  # exit code of a worker whose import of the user's script came to a call that starts workers
GUARD = "Put the call under: if __name__ == '__main__':"

Tell = Callable[[Any], None]
Work = Callable[[Any, Any, Tell], None]     # (shared, job, tell): tell sends a message to who started it


@dataclass
class Outcomes:
    """What came of the jobs: done, failed with a sentence a person can act on, or not done because of a stop."""

    done: list[Any] = field(default_factory=list)
    failed: dict[Any, str] = field(default_factory=dict)
    stopped: bool = False


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    job: Any = None
    imported: bool = False      # whether it has come to the end of importing the user's script


def run_jobs(
    work: Work,
    jobs: Sequence[Any],
    shared: Any,
    *,
    workers: int | None = None,
    on_message: Callable[[Any, Any], None] = lambda job, message: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcomes:
    """Call work(shared, job, tell) for every job, in worker processes; on_message gets (job, message) here.

    work is a function of a module, since the processes start afresh and import it. A FeatherweightError or an
    OSError fails its job alone; any other error of a job is raised here as RuntimeError, with its traceback. When
    should_stop says so, jobs under way get SIGTERM, are waited for, and nothing new begins. Raises FeatherweightError
    where a worker cannot import the user's script.
    """
    refuse_while_importing()
    waiting, outcomes, deaths = list(jobs), Outcomes(), dict.fromkeys(jobs, 0)
    with _crew(work, shared, min(workers or cores(), len(jobs))) as crew:
        while waiting or any(worker.job is not None for worker in crew):
            if should_stop() and not outcomes.stopped:
                outcomes.stopped, waiting = True, []
                for worker in crew:
                    worker.process.terminate()
            for worker in crew:
                if worker.job is None and waiting:
                    _hand_out(worker, waiting)
            for worker in _heard(crew):
                if (message := _receive(worker)) is None:       # it died
                    _bury(worker, waiting, outcomes, deaths)
                    if waiting and not outcomes.stopped:
                        with interruption.undivided():
                            crew[crew.index(worker)] = _start(work, shared)
                elif message[0] == "imported":
                    worker.imported = True
                elif message[0] == "tell":
                    on_message(worker.job, message[1])
                else:
                    _settle(worker, message, outcomes)
    return outcomes


def cores() -> int:
    """How many processes can compute at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_while_importing() -> None:
    """End this process, without a word, where it is a worker that still imports the user's script.

    A spawned process imports the main script first. Without a guard the script would train everything once more.
    All that a script calls to train calls this first; the process that started the worker says what is missing.
    """
    process = multiprocessing.current_process()
    if process.name == NAME and getattr(process, "_inheriting", False):
        os._exit(WITHOUT_GUARD)


def _work(pipe: Connection, work: Work, shared: Any) -> None:
    """A worker's life: jobs come through the pipe one by one, until there is none or the starter is gone."""
    sys.stdout = sys.stderr     # what a network prints is no result of the command
    torch.set_num_threads(1)
    try:
        pipe.send(("imported",))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interruption.heed()
        while (job := pipe.recv()) is not None:
            pipe.send(_do(work, shared, job[0], lambda message: pipe.send(("tell", message))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _do(work: Work, shared: Any, job: Any, tell: Tell) -> tuple[str, str]:
    try:
        work(shared, job, tell)
    except FeatherweightError as fault:
        return "failed", str(fault)
    except TrainingInterrupted:
        return "stopped", ""
    except (BrokenPipeError, ConnectionResetError):
        raise
    except OSError as fault:
        return "failed", refusal(fault)
    except Exception:
        return "error", traceback.format_exc()
    return "done", ""


@contextmanager
def _crew(work: Work, shared: Any, count: int) -> Iterator[list[_Worker]]:
    """Workers that wait for jobs; none is left behind."""
    crew: list[_Worker] = []
    with interruption.undone_at_the_end(lambda: _stop(crew)):
        try:
            for _ in range(count):
                with interruption.undivided():
                    crew.append(_start(work, shared))
            yield crew
            for worker in crew:
                _send(worker, None)
                worker.process.join()
        finally:
            for worker in crew:
                worker.process.kill()
                worker.process.join()


def _stop(crew: Sequence[_Worker]) -> None:
    """End all workers now: they remove what they are writing, if they do so in time."""
    for worker in crew:
        worker.process.terminate()
    until = time.monotonic() + STOPPING
    for worker in crew:
        wait([worker.process.sentinel], timeout=max(0.0, until - time.monotonic()))
        worker.process.kill()


class _Process(SpawnProcess):
    """A process that ends with its parent, from the moment before its imports."""

    def __reduce__(self) -> tuple[Any, ...]:
        return interruption.begin_worker, (os.getpid(),), self.__dict__


def _start(work: Work, shared: Any) -> _Worker:
    ours, theirs = multiprocessing.Pipe()       # a fork of a process with OpenMP threads can hang, so it is spawned
    process = _Process(name=NAME, target=_work, args=(theirs, work, shared), daemon=True)
    with _spared_ctrl_c():
        process.start()
    theirs.close()      # so that its death is an end of file here
    return _Worker(process, ours)


@contextmanager
def _spared_ctrl_c() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: the process that started them decides and sends SIGTERM."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()       # its start would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hand_out(worker: _Worker, waiting: list[Any]) -> None:
    worker.job = waiting.pop(0)
    _send(worker, (worker.job,))


def _send(worker: _Worker, message: Any) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):    # it is dead, which the next reading of its pipe finds
        worker.pipe.send(message)


def _heard(crew: Sequence[_Worker]) -> list[_Worker]:
    """Who has something to say, or died; an empty list now and then, so that a stop is noticed."""
    ready = wait([worker.pipe for worker in crew if worker.job is not None], timeout=0.2)
    return [worker for worker in crew if worker.pipe in ready]


def _receive(worker: _Worker) -> Any:
    try:
        return worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        return None


def _bury(worker: _Worker, waiting: list[Any], outcomes: Outcomes, deaths: dict[Any, int]) -> None:
    """Put a dead worker's job back in front, unless it was stopped or has died too often."""
    worker.process.join()
    job, worker.job = worker.job, None
    code = worker.process.exitcode
    deaths[job] += 1
    if outcomes.stopped:
        return
    if not worker.imported and code > 0:    # an exception; a signal may come from a system without memory
        raise FeatherweightError(_why_not_imported(code))
    if deaths[job] < ATTEMPTS:
        waiting.insert(0, job)
    else:
        how = f"signal {-code}, {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        outcomes.failed[job] = f"its process died {ATTEMPTS} times, last by {how}; perhaps memory ran out"


def _why_not_imported(code: int) -> str:
    """The message about a script that a worker could not import, by the worker's exit code."""
    if code == WITHOUT_GUARD:
        return f"train or train_seeds was called while a worker imported your script. {GUARD}"
    return f"a worker could not import your script; its traceback stands above. Is a guard missing? {GUARD}"


def _settle(worker: _Worker, message: tuple[str, str], outcomes: Outcomes) -> None:
    """A job has ended one way or another."""
    kind, text = message
    job, worker.job = worker.job, None
    if kind == "error":
        raise RuntimeError(f"job {job} failed:\n{text}")
    if kind == "failed":
        outcomes.failed[job] = text
    elif kind == "done":
        outcomes.done.append(job)
