"""Open the port and run the server with uvicorn. At the end, requests in progress still get their response."""

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

SPARE = 32      # file descriptors kept free of connections: a worker needs 4, and a few more while it starts
TAKEN = "port {port} of {host} is taken. Give another with --port, or --port 0 for one that is free."
NO_RIGHT = "port {port} needs rights that you do not have. Give one above 1023 with --port."
NO_HOST = "host {host!r} is not an address of this machine. Give 127.0.0.1 for this machine alone, 0.0.0.0 for all."


class Listener(socket.socket):
    """A listening socket that closes new connections at once if few file descriptors are left.

    Without this, asyncio would log thousands of tracebacks at the limit, and no worker could start.
    """

    def accept(self) -> tuple[socket.socket, Any]:
        taken, address = super().accept()
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY and taken.fileno() >= most - SPARE:   # the lowest free number
            taken.close()
            raise ConnectionAbortedError
        return taken, address


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises FeatherweightError if the host or the port cannot be used."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        made = Listener(family, kind, protocol)    # with `protocol`, asyncio recognises TCP and sends without delay
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
    """Serve a bundle until SIGTERM or Ctrl-C. Requests in progress then still get their response.

    announce: called with the address of the page when the server is ready.
    """
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)    # its warnings go to the client as errors
    desk = Desk([ProcessWorker(bundle.path) for _ in range(limits.workers)], limits)
    app = build_app(bundle.card, desk, limits)
    config = uvicorn.Config(
        app, http=make_patient(limits), ws="none", lifespan="on", loop="asyncio",
        log_level="error", access_log=False, server_header=False, timeout_keep_alive=30,
        timeout_graceful_shutdown=int(limits.stop_seconds),
    )
    asyncio.run(Server(config, lambda: announce(address_of(listening))).serve([listening]))


def address_of(listening: socket.socket) -> str:
    """Return the URL of the page for a browser on this machine."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}/"


class Server(uvicorn.Server):
    """A uvicorn server that calls `announce` when it is ready and ends normally after SIGINT or SIGTERM.

    uvicorn's own class raises the signal again at the end.
    """

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self.announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.announce()     # only now are the signal handlers installed

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
