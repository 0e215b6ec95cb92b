"""Servers as they run: a process of its own for each, on a free port, serving networks that know the bundled digits."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import featherweight
from featherweight.data import load_dataset
from featherweight.inference.bundle import Bundle
from featherweight.serve.answers import Answerer, PictureRequest
from featherweight.serve.app import build_app
from featherweight.serve.desk import Desk
from featherweight.serve.limits import Limits
from featherweight.shipping import make_bundle

USUAL = Limits()
SERVE_WITH = """
import sys
from featherweight.inference.bundle import Bundle
from featherweight.serve.limits import Limits
from featherweight.serve.server import listen, serve
limits = Limits(**{"workers": 1} | eval(sys.argv[2]))
serve(Bundle.open(sys.argv[1]), listen("127.0.0.1", 0), limits, lambda url: print(url, flush=True))
"""


@dataclass
class Running:
    """A server's process and address."""

    process: subprocess.Popen[str]
    url: str

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", httpx.URL(self.url).port

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal: (exit code, what else it printed, standard error)."""
        self.process.send_signal(number)
        out, fault = self.process.communicate(timeout=60)
        return self.process.returncode, out, fault


@pytest.fixture(scope="session")
def reader(tmp_path_factory) -> featherweight.Run:
    """A network that reads the bundled digits well enough for what is drawn with a mouse."""
    recipe = featherweight.Recipe.from_dict({
        "name": "reader", "model": {"name": "feather-fast"}, "data": {"dataset": "digits"},
        "schedule": {"name": "one-cycle"},
        "augmentation": {"rotation": 12, "shift": 0.05, "scale": 0.25, "shear": 10},
        "optimizer": {"lr": 0.2, "nesterov": True},
        "training": {"epochs": 12, "batch_size": 32, "precision": "float32"},
    })
    return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / "reader", device="cpu")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, reader) -> Bundle:
    return make_bundle(reader, tmp_path_factory.mktemp("bundles") / "digits")


@pytest.fixture(scope="session")
def sum_bundle(tmp_path_factory, sum_run) -> Bundle:
    return make_bundle(sum_run, tmp_path_factory.mktemp("bundles") / "sum")


class Here:
    """A worker in this process."""

    def __init__(self, bundle: Bundle) -> None:
        self.answerer = Answerer(bundle)

    async def start(self) -> None: ...

    async def submit(self, question: PictureRequest) -> bytes:
        return self.answerer.respond(question)

    def kill(self) -> None: ...

    async def end(self) -> None: ...


def start(arguments: list[str]) -> Running:
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    assert found, (line, process.communicate())
    return Running(process, found[0])


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """serve(bundle, places=1, ...): a server with limits of its own; it is gone after the test."""
    started: list[Running] = []

    def run(bundle: Bundle, **limits: object) -> Running:
        started.append(start(["-c", SERVE_WITH, str(bundle.path), repr(limits)]))
        return started[-1]

    yield run
    end(started)


@pytest.fixture(scope="session")
def server(bundle) -> Iterator[Running]:
    """The command on the digits' network, for all tests that leave it running."""
    running = start(["-m", "featherweight", "serve", str(bundle.path), "--port", "0"])
    yield running
    end([running])


@pytest.fixture(scope="session")
def sum_server(sum_bundle) -> Iterator[Running]:
    running = start(["-m", "featherweight", "serve", str(sum_bundle.path), "--port", "0"])
    yield running
    end([running])


def end(started: list[Running]) -> None:
    for running in started:
        running.process.kill()
        running.process.communicate()


@pytest.fixture(scope="session")
def ask(bundle):
    """ask("POST", "/predict", content=...): the app's answer without a server, within limits that may be given."""

    def ask_app(method: str, path: str, of: Bundle = bundle, limits: Limits = USUAL, **given) -> httpx.Response:
        async def go() -> httpx.Response:
            app = build_app(of.card, Desk([Here(of)], limits), limits)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **given)

        return asyncio.run(go())

    return ask_app


@pytest.fixture(scope="session")
def digit() -> Callable[[int], np.ndarray]:
    """digit(3): the most usual three among the test images, (28, 28), light on black."""
    test = load_dataset("digits").test

    def usual(label: int) -> np.ndarray:
        images = test.images[test.labels == label][:, 0].numpy().astype(float)
        distances = np.square(images - images.mean(axis=0)).sum(axis=(1, 2))
        return images[distances.argmin()].astype(np.uint8)

    return usual


@pytest.fixture(scope="session")
def drawing(digit) -> Callable[[int], bytes]:
    """drawing(3): the same as a PNG of dark ink on white paper."""

    def make(label: int) -> bytes:
        page = Image.new("L", (200, 240), 255)
        page.paste(Image.fromarray(255 - digit(label)).resize((140, 140)), (20, 60))
        return as_png(page)

    return make


@pytest.fixture(scope="session")
def large(digit) -> bytes:
    """A picture that takes some while to unpack and little to send."""
    return as_png(Image.fromarray(255 - digit(3)).resize((4000, 4000), Image.Resampling.NEAREST))


def as_png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def text_file(tmp_path) -> Path:
    file = tmp_path / "notes.txt"
    file.write_text("This is no picture.")
    return file
