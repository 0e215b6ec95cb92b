"""Many clients at once, some of them slow on purpose: what the honest ones lose and how long they wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from statistics import quantiles

from battery.served import replies

SLOW_SECONDS = 1.0      # between two bytes of a slow client


@dataclass
class Load:
    """What became of the requests of honest clients."""

    asked: int
    waits: list[float] = field(default_factory=list)    # milliseconds of each that was answered rightly
    refused: int = 0                                    # answered with another status
    slow: int = 0                                       # slow connections that were opened

    @property
    def lost(self) -> int:
        return self.asked - len(self.waits)

    def percentile(self, percent: int) -> float:
        """Return the milliseconds in which so many of a hundred were answered."""
        return quantiles(self.waits, n=100)[percent - 1] if len(self.waits) > 1 else float("inf")

    def __str__(self) -> str:
        p50, p99 = self.percentile(50), self.percentile(99)
        return f"{self.asked:,} asked, {self.lost} lost, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {self.slow} slow clients"


def loaded(address: tuple[str, int], requests: Sequence[bytes], count: int, clients: int = 32, slow: int = 0) -> Load:
    """Send count requests, drawn in turn, from clients that keep their connections, beside slow ones."""
    return asyncio.run(go(address, requests, Load(count), clients, slow))


async def go(address: tuple[str, int], requests: Sequence[bytes], load: Load, clients: int, slow: int) -> Load:
    turns = iter(range(load.asked))
    crowd = [asyncio.create_task(dawdle(address, requests[0], k, load)) for k in range(slow)]
    await asyncio.sleep(SLOW_SECONDS if slow else 0)        # by now all of them hold a connection
    await asyncio.gather(*(honest(address, requests, turns, load) for _ in range(clients)))
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    return load


async def honest(address: tuple[str, int], requests: Sequence[bytes], turns: Iterator[int], load: Load) -> None:
    """One client: it asks again as soon as it is answered, and connects again if it was cut off."""
    line = None
    for turn in turns:
        started = time.perf_counter()
        try:
            line = line or await asyncio.open_connection(*address)
            status = await exchange(*line, requests[turn % len(requests)])
        except (OSError, EOFError):
            if line:
                line[1].close()
            line = None
            continue
        if status == 200:
            load.waits.append(1000 * (time.perf_counter() - started))
        else:
            load.refused += 1
    if line:
        line[1].close()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send a request; return the status of its answer, read whole."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return replies(head + await reader.readexactly(length))[0].status


async def dawdle(address: tuple[str, int], request: bytes, number: int, load: Load) -> None:
    """One slow client after the other: a byte a second, of the head or after it of the body, until it is cut off."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(*address)
            load.slow += 1
            begun = request.index(b"\r\n\r\n") + 4 if number % 2 else 0
            with closing(writer):
                writer.write(request[:begun])
                for at in range(begun, len(request)):
                    writer.write(request[at : at + 1])
                    await writer.drain()
                    await asyncio.sleep(SLOW_SECONDS)
