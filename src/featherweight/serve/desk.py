"""The queue between the app and the worker processes, with a time limit per request."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from starlette.exceptions import HTTPException

from featherweight.errors import PictureError
from featherweight.serve.answers import PictureRequest
from featherweight.serve.limits import Limits
from featherweight.serve.worker import pack

BROKEN = "The server has an internal error. Your request did not cause it; the details are in the server's log."
LATER = {"Retry-After": "1"}


class Worker(Protocol):
    """The interface of a worker, which handles one request at a time."""

    async def start(self) -> None:
        """Start the worker, unless it runs already."""

    async def submit(self, question: PictureRequest) -> bytes:
        """Return the answer as JSON.

        Raises PictureError for an unreadable picture, EOFError or OSError if the worker crashed.
        """

    def kill(self) -> None:
        """Stop the worker at once, even during a request. `start` can be called again."""

    async def end(self) -> None:
        """Stop the worker and wait until it has ended."""


class ProcessWorker:
    """A worker that runs in a separate process.

    Preparing a picture is mostly Python code, which uses one core per process.
    """

    def __init__(self, folder: Path) -> None:
        self.arguments = ["-m", "featherweight.serve.worker", str(folder)]
        self.process: Process | None = None

    async def start(self) -> None:
        if self.process is None:    # a new session: Ctrl-C in the terminal must reach only the server
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *self.arguments, stdin=PIPE, stdout=PIPE, start_new_session=True
            )

    async def submit(self, question: PictureRequest) -> bytes:
        await self.start()
        assert self.process is not None
        questions, answers = self.process.stdin, self.process.stdout
        assert questions is not None
        assert answers is not None
        questions.write(pack(question))
        await questions.drain()
        head = json.loads(await answers.readuntil(b"\n"))
        body = await answers.readexactly(head["bytes"])
        if head["status"] == 422:
            raise PictureError(body.decode())
        if head["status"] != 200:
            raise HTTPException(500, BROKEN)
        return body

    def kill(self) -> None:
        if self.process and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)   # Process.kill may reap the process before asyncio does
        self.process = None

    async def end(self) -> None:
        process = self.process
        self.kill()
        if process:
            await process.communicate()


class Desk:
    """A queue of limited length in front of the workers. A waiting request gets the next free worker."""

    def __init__(self, workers: Sequence[Worker], limits: Limits) -> None:
        self.workers, self.places, self.seconds = workers, limits.places, limits.answer_seconds
        self.free, self.taken = list(workers), 0
        self.turns = asyncio.Semaphore(len(workers))    # keeps the order of arrival, which an asyncio.Queue does not

    async def submit(self, question: PictureRequest) -> bytes:
        """Return the answer as JSON.

        Raises HTTPException 503 if the queue is full or a worker crashed, 504 if the answer takes too long.
        """
        if self.taken >= self.places:
            raise HTTPException(503, "Too many requests at once. Try again in a second.", LATER)
        self.taken += 1
        try:
            async with asyncio.timeout(self.seconds):
                return await self.submit_next(question)
        except TimeoutError as fault:
            raise HTTPException(504, f"No answer within {self.seconds:g} seconds. Try a smaller picture.") from fault
        except (EOFError, OSError) as fault:
            raise HTTPException(503, "A worker was lost. Try again in a second.", LATER) from fault
        finally:
            self.taken -= 1

    async def submit_next(self, question: PictureRequest) -> bytes:
        """Return the answer of the next free worker.

        A worker that crashed or was interrupted is killed. The next request that gets this worker starts it again.
        """
        async with self.turns:
            worker = self.free.pop()
            try:
                return await worker.submit(question)
            except (asyncio.CancelledError, EOFError, OSError):
                worker.kill()
                raise
            finally:
                self.free.append(worker)

    async def start(self) -> None:
        """Start all workers. Does not wait until the workers are ready."""
        await asyncio.gather(*(worker.start() for worker in self.workers))

    async def end(self) -> None:
        """Stop all workers."""
        await asyncio.gather(*(worker.end() for worker in self.workers))
