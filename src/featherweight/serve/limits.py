"""How much one request, and all of them together, may ask of the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Limits:
    """Bytes, seconds and counts, each with the status that answers whoever goes beyond."""

    body_bytes: int = 5_000_000         # of one request: 413
    body_pieces: int = 10_000           # chunks of one body, or reads from the network: 400
    all_bodies: int = 64_000_000        # bytes, of all requests that are being read or answered: 503
    head_seconds: float = 10            # for a request's headers to arrive: the connection is closed
    body_seconds: float = 10            # for its body: 408
    answer_seconds: float = 10          # waiting and computing: 504
    reading_seconds: float = 30         # for a client to take its answer: the connection is closed
    stop_seconds: float = 3             # for what is in flight when the server is told to stop
    places: int = 64                    # requests that wait or are computed: 503
    workers: int = min(8, os.cpu_count() or 1)      # processes that answer
    hosts: tuple[str, ...] = LOOPBACK   # that a request may name as its host, the port apart: 403; empty: any
