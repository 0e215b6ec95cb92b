"""The command serve: a web page to draw on and an HTTP API."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.options import Trust
from featherweight.cli.output import status
from featherweight.outside import say

if TYPE_CHECKING:
    from featherweight.inference.bundle import Bundle

NEEDED = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def serve(
    network: Annotated[Path, typer.Argument(metavar="RUN|BUNDLE", help="Run folder, or a bundle that export wrote.")],
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port to listen on. 0 takes a free port.")
    ] = 8000,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on. 0.0.0.0 accepts other machines.")
    ] = "127.0.0.1",
    trust: Trust = False,
) -> None:
    """Serve a network as a drawing page and an HTTP API.

    Ctrl-C stops the server.
    """
    from featherweight.errors import MissingExtra

    for module, package in NEEDED.items():
        if find_spec(module) is None:
            raise MissingExtra(package, "serve")
    from dataclasses import replace

    from featherweight.serve.limits import Limits
    from featherweight.serve.server import listen
    from featherweight.serve.server import serve as answer

    limits = Limits() if host in ("127.0.0.1", "localhost", "::1") else replace(Limits(), hosts=())
    with listen(host, port) as listening, as_bundle(network) as bundle:
        answer(bundle, listening, limits, lambda address: announce(bundle, address))


@contextmanager
def as_bundle(path: Path) -> Iterator[Bundle]:
    """Yield the bundle at `path`. A run is first exported to a bundle in a temporary folder."""
    from featherweight.inference.bundle import Bundle, is_bundle

    if is_bundle(path):
        yield Bundle.open(path)
        return
    from featherweight.shipping import make_bundle

    with tempfile.TemporaryDirectory(prefix="featherweight-") as folder:
        with status(f"turning {path} into ONNX"):
            bundle = make_bundle(path, Path(folder))
        yield bundle


def announce(bundle: Bundle, address: str) -> None:
    """Print one line with the address of the page."""
    card = bundle.card
    say(f"{card.model} ({card.parameters:,} parameters) answers at {address}  Ctrl-C ends it.", flush=True)


COMMANDS = (serve,)
