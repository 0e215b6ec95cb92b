"""One worker process with one thread: its start, its loop over jobs, and its messages.

On small networks two processes with one thread each are faster than one process with two threads. Tensors in `shared`
lie in memory that all processes share.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import torch
from torch import multiprocessing

from featherweight import interruption
from featherweight.cores import children_wait_passively
from featherweight.errors import FeatherweightError, TrainingInterrupted
from featherweight.files import refusal

ATTEMPTS = 4        # runs of one job that end with a dead worker, before the job counts as failed
NAME = "featherweight-worker"
WITHOUT_GUARD = 86  # exit code of a worker that reached a call to train while importing the script
GUARD = "Put the call under: if __name__ == '__main__':"

Tell = Callable[[Any], None]
Work = Callable[[Any, Any, Tell], Any]      # (shared, job, tell): tell sends a message to the main process


@dataclass(eq=False)
class Worker:
    """A worker process, the pipe to it, and the job that it runs."""

    process: Any
    pipe: Connection
    order: Any = None           # the job that the worker has, with its count of deaths
    imported: bool = False      # True once the worker has imported the user's script


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
        pipe.send(("imported", None))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interruption.heed()
        while (job := pipe.recv()) is not None:
            pipe.send(_do(work, shared, job[0], lambda message: pipe.send(("tell", message))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _do(work: Work, shared: Any, job: Any, tell: Tell) -> tuple[str, Any]:
    try:
        return "done", work(shared, job, tell)
    except FeatherweightError as fault:
        return "failed", str(fault)
    except TrainingInterrupted:
        return "stopped", None
    except (BrokenPipeError, ConnectionResetError):
        raise
    except OSError as fault:
        return "failed", refusal(fault)
    except Exception:
        return "error", traceback.format_exc()


class _Process(SpawnProcess):
    """A process that ends when its parent ends, even during its own imports."""

    def __reduce__(self) -> tuple[Any, ...]:
        return interruption.begin_worker, (os.getpid(),), self.__dict__


def start_worker(work: Work, shared: Any) -> Worker:
    """Start a worker process and return at once, while the process still imports."""
    ours, theirs = multiprocessing.Pipe()       # spawned, as a fork of a process with OpenMP threads can hang
    process = _Process(name=NAME, target=_work, args=(theirs, work, shared), daemon=True)
    with _spared_ctrl_c(), children_wait_passively():
        process.start()
    theirs.close()      # then the death of the worker closes the pipe, which raises EOFError here
    return Worker(process, ours)


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


def send(worker: Worker, message: Any) -> None:
    """Send a message to a worker. Does nothing if the worker is dead, because `receive` reports that."""
    with suppress(BrokenPipeError, ConnectionResetError):
        worker.pipe.send(message)


def receive(worker: Worker) -> Any:
    """Return the next message of a worker, (kind, value), or None if the worker died."""
    try:
        return worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        return None


def why_not_imported(code: int) -> str:
    """Return the message for a script that a worker could not import. code: exit code of the worker."""
    if code == WITHOUT_GUARD:
        return f"train or train_seeds was called while a worker imported your script. {GUARD}"
    return f"a worker could not import your script; its traceback stands above. Is a guard missing? {GUARD}"
