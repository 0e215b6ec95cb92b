"""A short queue before the workers, and a time by which there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor

from starlette.exceptions import HTTPException

from featherweight.serve.answers import Question
from featherweight.serve.limits import Limits
from featherweight.serve.workers import answer

LATER = {"Retry-After": "1"}


class Desk:
    """A question is taken while there is a place, which is free again once it is answered, even where nobody waits."""

    def __init__(self, start: Callable[[], Executor], limits: Limits) -> None:
        self.start, self.workers = start, start()
        self.places, self.seconds, self.taken = limits.places, limits.answer_seconds, 0

    async def ask(self, question: Question) -> bytes:
        """The answer. HTTPException 503 where no place is free or a worker died, 504 where it takes too long."""
        if self.taken >= self.places:
            raise HTTPException(503, "Too many requests at once. Try again in a second.", LATER)
        workers, loop = self.workers, asyncio.get_running_loop()
        try:
            future = workers.submit(answer, question)
            self.taken += 1
            future.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self.leave))
            return await asyncio.wait_for(asyncio.wrap_future(future), self.seconds)
        except TimeoutError as fault:
            raise HTTPException(504, f"No answer within {self.seconds:g} seconds. Try a smaller picture.") from fault
        except BrokenExecutor as fault:
            if self.workers is workers:     # the first to notice
                self.workers = self.start()
            raise HTTPException(503, "A worker was lost. Try again in a second.", LATER) from fault

    def leave(self) -> None:
        """Give a place back, in the loop's own thread."""
        self.taken -= 1

    def close(self) -> None:
        """End the workers; what still waits is dropped."""
        self.workers.shutdown(wait=True, cancel_futures=True)
