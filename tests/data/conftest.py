"""A tiny data set in the shape of MNIST, and a real web server whose mirrors can be made to fail."""

from __future__ import annotations

import gzip
import hashlib
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from featherweight.data.finding import locate
from featherweight.data.places import IDX_FILES
from featherweight.data.sources import Source

REAL_MNIST = locate("mnist")  # before any test hides the environment


@dataclass
class Tiny:
    """12 training and 6 test images of 8x8 in 3 classes, as a source and as packed files."""

    source: Source
    files: dict[str, bytes]
    train_images: np.ndarray
    train_labels: np.ndarray

    @property
    def sources(self) -> dict[str, Source]:
        return {self.source.name: self.source}

    def write(self, folder: Path, *, packed: bool = True) -> Path:
        """Into folder/tiny; gives folder."""
        target = folder / self.source.name
        target.mkdir(parents=True)
        for name, content in self.files.items():
            file = target / (name if packed else name.removesuffix(".gz"))
            file.write_bytes(content if packed else gzip.decompress(content))
        return folder


@dataclass
class Mirrors:
    """A server: behaviour maps "/mirror/file" or "/mirror" to good, missing, corrupt, cut, stall or slow."""

    address: str
    files: dict[str, bytes]
    behaviour: dict[str, str] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    released: threading.Event = field(default_factory=threading.Event)

    def url(self, mirror: str) -> str:
        return f"{self.address}/{mirror}/"


def _encode_idx(values: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{values.ndim}I", 0, 0x08, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture(scope="session")
def encode_idx() -> Callable[[np.ndarray], bytes]:
    return _encode_idx


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data of this machine, no cache of this user, no proxy before the local server."""
    monkeypatch.delenv("FEATHERWEIGHT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home-cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def tiny() -> Tiny:
    generator = np.random.default_rng(7)
    images = [generator.integers(0, 256, (count, 8, 8), dtype=np.uint8) for count in (12, 6)]
    labels = [np.arange(count, dtype=np.uint8) % 3 for count in (12, 6)]
    contents = (images[0], labels[0], images[1], labels[1])
    files = {
        name: gzip.compress(_encode_idx(values), mtime=0)
        for name, values in zip(IDX_FILES, contents, strict=True)
    }
    source = Source(
        name="tiny",
        about="made up",
        classes=("ant", "bee", "cow"),
        train_count=12,
        test_count=6,
        licence="none",
        citation="none",
        sha256={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    )
    return Tiny(source, files, images[0], labels[0])


@pytest.fixture
def mirrors(tiny: Tiny) -> Iterator[Mirrors]:
    state = Mirrors("", tiny.files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests[self.path] += 1
            mirror, file = self.path.rsplit("/", 1)
            how = state.behaviour.get(self.path, state.behaviour.get(mirror, "good"))
            _answer(self, state, how, state.files[file])

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    state.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def _answer(handler: BaseHTTPRequestHandler, state: Mirrors, how: str, content: bytes) -> None:
    if how == "missing":
        handler.send_error(404)
        return
    body = bytes(len(content)) if how == "corrupt" else content
    handler.send_response(200)
    if how != "unsized":
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    half = len(body) // 2
    handler.wfile.write(body[:half])
    handler.wfile.flush()
    if how == "cut":
        return
    if how in ("stall", "slow"):
        state.released.wait(10 if how == "stall" else 0.2)  # a client without a timeout gets it all
    handler.wfile.write(body[half:])


@pytest.fixture
def real_mnist() -> Path:
    """The folder that holds mnist/, where this machine has the real thing."""
    if REAL_MNIST is None:
        pytest.skip("MNIST is not at hand: set FEATHERWEIGHT_DATA to a folder that holds mnist/*.gz")
    return REAL_MNIST.files[0].parent.parent
