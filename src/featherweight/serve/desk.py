"""A few threads that compute, a short queue before them, and a time by which there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.exceptions import HTTPException

Given = TypeVar("Given")
Made = TypeVar("Made")


class Desk:
    """Work is taken while there is a place; its place is free again once it is done, even where nobody waits."""

    def __init__(self, threads: int, places: int, seconds: float) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="answer")
        self.places, self.seconds, self.taken = places, seconds, 0

    async def do(self, work: Callable[[Given], Made], given: Given) -> Made:
        """work(given) in a thread. HTTPException 503 where no place is free, 504 where it takes too long."""
        if self.taken >= self.places:
            raise HTTPException(503, "Too many requests at once. Try again in a second.", {"Retry-After": "1"})
        self.taken += 1
        loop = asyncio.get_running_loop()
        future = self.executor.submit(work, given)
        future.add_done_callback(lambda done: self.leave(loop))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.seconds)
        except TimeoutError as fault:
            raise HTTPException(504, f"No answer within {self.seconds:g} seconds. Try a smaller picture.") from fault

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give a place back, from whichever thread was last to hold it."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(self.release)

    def release(self) -> None:
        """In the loop's own thread, where places are counted."""
        self.taken -= 1

    def close(self) -> None:
        """Let the threads end; what still waits is dropped."""
        self.executor.shutdown(wait=False, cancel_futures=True)


