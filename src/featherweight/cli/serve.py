"""The command that serves a network: a page to draw on and an API."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.output import status
from featherweight.cli.trusting import Trust
from featherweight.outside import say

if TYPE_CHECKING:
    from featherweight.inference.bundle import Bundle

NEEDED = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def serve(
    network: Annotated[Path, typer.Argument(metavar="RUN|BUNDLE", help="A run folder, or what export made of it.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes one that is free.")] = 8000,
    host: Annotated[str, typer.Option("--host", help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    trust: Trust = False,
) -> None:
    """Serve a network on a page to draw on, and to programs; Ctrl-C ends it."""
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
    """A bundle as it is; a run as a bundle in a folder that goes again."""
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
    """The one line that says where to look."""
    card = bundle.card
    say(f"{card.model} ({card.parameters:,} parameters) answers at {address}  Ctrl-C ends it.", flush=True)


COMMANDS = (serve,)
