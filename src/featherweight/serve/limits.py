"""Limits on one request and on all requests together, so that the server cannot be overloaded."""

from __future__ import annotations

from dataclasses import dataclass

from featherweight.cores import free_cores

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Limits:
    """Limits of the server in bytes, seconds and counts. Comments name the HTTP status of a request above a limit."""

    body_bytes: int = 5_000_000         # body of one request: 413
    body_pieces: int = 10_000           # chunks of one body, or reads from the network: 400
    all_bodies: int = 64_000_000        # bodies of all requests in progress: 503
    head_seconds: float = 10            # until the headers of a request have arrived: the connection is closed
    body_seconds: float = 10            # until the body has arrived: 408
    answer_seconds: float = 10          # waiting in the queue and computing: 504
    reading_seconds: float = 30         # until the client has read the response: the connection is closed
    stop_seconds: float = 3             # to finish requests in progress when the server stops
    places: int = 64                    # requests in the queue or in a worker: 503
    workers: int = min(8, free_cores())  # processes that compute predictions
    hosts: tuple[str, ...] = LOOPBACK   # allowed host names, without port: 403; empty allows any
