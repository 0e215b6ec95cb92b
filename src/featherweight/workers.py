"""Run jobs on worker processes with one thread each, by default one process per free core.

On small networks two processes with one thread each are faster than one process with two threads. A worker that dies,
for instance because the system killed it, is replaced. Its job then runs again and can resume from its files. Tensors
in `shared` lie in memory that all processes share.
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
from featherweight.cores import children_wait_passively, free_cores
from featherweight.errors import FeatherweightError, TrainingInterrupted
from featherweight.files import refusal

ATTEMPTS = 4        # runs of one job that end with a dead worker, before the job counts as failed
STOPPING = 0.4      # seconds that a worker has to end by itself
NAME = "featherweight-worker"
WITHOUT_GUARD = 86  # exit code of a worker that reached a call to train while importing the script
GUARD = "Put the call under: if __name__ == '__main__':"

Tell = Callable[[Any], None]
Work = Callable[[Any, Any, Tell], None]     # (shared, job, tell): tell sends a message to the main process


@dataclass
class Outcomes:
    """Results of run_jobs: finished jobs, failed jobs with a message for the user, and True if it was stopped."""

    done: list[Any] = field(default_factory=list)
    failed: dict[Any, str] = field(default_factory=dict)
    stopped: bool = False


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    job: Any = None
    imported: bool = False      # True once the worker has imported the user's script


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
    refuse_while_importing()
    waiting, outcomes, deaths = list(jobs), Outcomes(), dict.fromkeys(jobs, 0)
    with _crew(work, shared, min(workers or free_cores(), len(jobs))) as crew:
        while waiting or any(worker.job is not None for worker in crew):
            if should_stop() and not outcomes.stopped:
                outcomes.stopped, waiting = True, []
                for worker in crew:
                    worker.process.terminate()
            for worker in crew:
                if worker.job is None and waiting:
                    _hand_out(worker, waiting)
            for worker in _heard(crew):
                if (message := _receive(worker)) is None:       # the worker died
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


def refuse_while_importing() -> None:
    """End this process without a message if it is a worker that is still importing the user's script.

    A spawned process imports the main script first. Without a guard the script would train everything once more.
    Every public function that trains calls this function first. The process that started the worker prints the message.
    """
    process = multiprocessing.current_process()
    if process.name == NAME and getattr(process, "_inheriting", False):
        os._exit(WITHOUT_GUARD)


def _work(pipe: Connection, work: Work, shared: Any) -> None:
    """Run jobs from the pipe one by one in a worker, until the pipe sends None or is closed."""
    sys.stdout = sys.stderr     # prints of a network must not mix with results of the command
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
    """Yield `count` workers that wait for jobs. All have ended when the block ends."""
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
    """End all workers now. Each has STOPPING seconds to remove unfinished files, then it is killed."""
    for worker in crew:
        worker.process.terminate()
    until = time.monotonic() + STOPPING
    for worker in crew:
        wait([worker.process.sentinel], timeout=max(0.0, until - time.monotonic()))
        worker.process.kill()


class _Process(SpawnProcess):
    """A process that ends when its parent ends, even during its own imports."""

    def __reduce__(self) -> tuple[Any, ...]:
        return interruption.begin_worker, (os.getpid(),), self.__dict__


def _start(work: Work, shared: Any) -> _Worker:
    ours, theirs = multiprocessing.Pipe()       # spawned, as a fork of a process with OpenMP threads can hang
    process = _Process(name=NAME, target=_work, args=(theirs, work, shared), daemon=True)
    with _spared_ctrl_c(), children_wait_passively():
        process.start()
    theirs.close()      # then the death of the worker closes the pipe, which raises EOFError here
    return _Worker(process, ours)


@contextmanager
def _spared_ctrl_c() -> Iterator[None]:
    """Block Ctrl-C for processes started in the block. Their parent decides on Ctrl-C and sends SIGTERM."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()       # starting it later would unblock Ctrl-C again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hand_out(worker: _Worker, waiting: list[Any]) -> None:
    worker.job = waiting.pop(0)
    _send(worker, (worker.job,))


def _send(worker: _Worker, message: Any) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):    # the worker is dead, which _receive notices
        worker.pipe.send(message)


def _heard(crew: Sequence[_Worker]) -> list[_Worker]:
    """Return the workers with a job that sent a message or died. Wait 0.2 s at most, so that a stop is noticed."""
    ready = wait([worker.pipe for worker in crew if worker.job is not None], timeout=0.2)
    return [worker for worker in crew if worker.pipe in ready]


def _receive(worker: _Worker) -> Any:
    try:
        return worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        return None


def _bury(worker: _Worker, waiting: list[Any], outcomes: Outcomes, deaths: dict[Any, int]) -> None:
    """Put the job of a dead worker back in front, unless jobs were stopped or this job has died ATTEMPTS times.

    Raises FeatherweightError if the worker could not import the user's script.
    """
    worker.process.join()
    job, worker.job = worker.job, None
    code = worker.process.exitcode
    deaths[job] += 1
    if outcomes.stopped:
        return
    if not worker.imported and code > 0:    # an exception; a signal (code < 0) may mean that memory ran out
        raise FeatherweightError(_why_not_imported(code))
    if deaths[job] < ATTEMPTS:
        waiting.insert(0, job)
    else:
        how = f"signal {-code}, {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        outcomes.failed[job] = f"its process died {ATTEMPTS} times, last by {how}; perhaps memory ran out"


def _why_not_imported(code: int) -> str:
    """Return the message for a script that a worker could not import. code: exit code of the worker."""
    if code == WITHOUT_GUARD:
        return f"train or train_seeds was called while a worker imported your script. {GUARD}"
    return f"a worker could not import your script; its traceback stands above. Is a guard missing? {GUARD}"


def _settle(worker: _Worker, message: tuple[str, str], outcomes: Outcomes) -> None:
    """Store the result of a job that ended. Raises RuntimeError if the job raised an unexpected error."""
    kind, text = message
    job, worker.job = worker.job, None
    if kind == "error":
        raise RuntimeError(f"job {job} failed:\n{text}")
    if kind == "failed":
        outcomes.failed[job] = text
    elif kind == "done":
        outcomes.done.append(job)
