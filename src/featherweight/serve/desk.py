"""A short queue before the workers, and a time by which there is an answer."""

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
from featherweight.serve.answers import Question
from featherweight.serve.limits import Limits
from featherweight.serve.worker import pack

BROKEN = "Something broke here, and not through your fault. The server's log has it."
LATER = {"Retry-After": "1"}


class Worker(Protocol):
    """Answers one question at a time."""

    async def start(self) -> None:
        """Get ready, where it is not."""

    async def ask(self, question: Question) -> bytes:
        """The answer; PictureError for a picture that cannot be read, EOFError or OSError where the worker is lost."""

    def kill(self) -> None:
        """Stop at once, even in the middle of a question; start begins anew."""

    async def end(self) -> None:
        """Stop, and see it gone."""


class ProcessWorker:
    """A worker in a process of its own, since preparing a picture is mostly Python's own work: one for each core."""

    def __init__(self, folder: Path) -> None:
        self.arguments = ["-m", "featherweight.serve.worker", str(folder)]
        self.process: Process | None = None

    async def start(self) -> None:
        if self.process is None:    # in a session of its own, Ctrl-C reaches the server and not the worker
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *self.arguments, stdin=PIPE, stdout=PIPE, start_new_session=True
            )

    async def ask(self, question: Question) -> bytes:
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
                os.kill(self.process.pid, signal.SIGKILL)   # Process.kill may reap it before asyncio does
        self.process = None

    async def end(self) -> None:
        process = self.process
        self.kill()
        if process:
            await process.communicate()


class Desk:
    """A question is taken while there is a place, and waits there for the next worker that is free."""

    def __init__(self, workers: Sequence[Worker], limits: Limits) -> None:
        self.workers, self.places, self.seconds = workers, limits.places, limits.answer_seconds
        self.free, self.taken = list(workers), 0
        self.turns = asyncio.Semaphore(len(workers))    # first come, first served; a Queue lets newcomers pass

    async def ask(self, question: Question) -> bytes:
        """The answer. HTTPException 503 where no place is free or a worker is lost, 504 where it takes too long."""
        if self.taken >= self.places:
            raise HTTPException(503, "Too many requests at once. Try again in a second.", LATER)
        self.taken += 1
        try:
            async with asyncio.timeout(self.seconds):
                return await self.ask_next(question)
        except TimeoutError as fault:
            raise HTTPException(504, f"No answer within {self.seconds:g} seconds. Try a smaller picture.") from fault
        except (EOFError, OSError) as fault:
            raise HTTPException(503, "A worker was lost. Try again in a second.", LATER) from fault
        finally:
            self.taken -= 1

    async def ask_next(self, question: Question) -> bytes:
        """The answer of the next worker; one that is stopped in the middle or lost is started anew by whoever comes."""
        async with self.turns:
            worker = self.free.pop()
            try:
                return await worker.ask(question)
            except (asyncio.CancelledError, EOFError, OSError):
                worker.kill()
                raise
            finally:
                self.free.append(worker)

    async def start(self) -> None:
        """Start all workers, without waiting until they are ready."""
        await asyncio.gather(*(worker.start() for worker in self.workers))

    async def end(self) -> None:
        """Stop all workers."""
        await asyncio.gather(*(worker.end() for worker in self.workers))
