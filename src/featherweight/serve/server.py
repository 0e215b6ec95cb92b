"""The server: a port or a sentence, the settings of uvicorn, and an end that answers what was asked."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from featherweight.errors import FeatherweightError
from featherweight.inference.bundle import Bundle
from featherweight.serve.app import build_app
from featherweight.serve.desk import Desk, ProcessWorker
from featherweight.serve.limits import Limits
from featherweight.serve.protocol import make_patient

SPARE = 32      # descriptors for all but connections: a worker takes 4 and some more while it starts
TAKEN = "port {port} of {host} is taken. Give another with --port, or --port 0 for one that is free."
NO_RIGHT = "port {port} needs rights that you do not have. Give one above 1023 with --port."
NO_HOST = "host {host!r} is not an address of this machine. Give 127.0.0.1 for this machine alone, 0.0.0.0 for all."


class Listener(socket.socket):
    """A socket that takes connections while descriptors are left, and closes the others at once.

    At the limit asyncio would write thousands of tracebacks, and no worker could be started.
    """

    def accept(self) -> tuple[socket.socket, Any]:
        taken, address = super().accept()
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY and taken.fileno() >= most - SPARE:   # a new one gets the lowest number
            taken.close()
            raise ConnectionAbortedError
        return taken, address


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections. FeatherweightError where the host or the port cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        made = Listener(family, kind, protocol)    # asyncio sends answers at once only where it knows it is TCP
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(2048)
        except OSError:
            made.close()
            raise
    except OSError as fault:
        said = {errno.EADDRINUSE: TAKEN, errno.EACCES: NO_RIGHT}.get(fault.errno or 0, NO_HOST)
        raise FeatherweightError(said.format(host=host, port=port)) from fault
    return made


def serve(bundle: Bundle, listening: socket.socket, limits: Limits, announce: Callable[[str], None]) -> None:
    """Answer until SIGTERM or Ctrl-C, and then what has been asked by then. announce is told the address."""
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)    # the sender is told what it warns of
    desk = Desk([ProcessWorker(bundle.path) for _ in range(limits.workers)], limits)
    app = build_app(bundle.card, desk, limits)
    config = uvicorn.Config(
        app, http=make_patient(limits), ws="none", lifespan="on", loop="asyncio",
        log_level="error", access_log=False, server_header=False, timeout_keep_alive=30,
        timeout_graceful_shutdown=int(limits.stop_seconds),
    )
    asyncio.run(Server(config, lambda: announce(address_of(listening))).serve([listening]))


def address_of(listening: socket.socket) -> str:
    """What a person opens."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}/"


class Server(uvicorn.Server):
    """uvicorn's server that says when it is ready, and for which being told to stop is no fault.

    Its own raises the signal again at the end.
    """

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self.announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.announce()     # by now signals are heeded

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
