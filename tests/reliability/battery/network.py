"""Mirrors that lie, and many processes at a cold cache: the files that are kept are the published ones.

A server of our own plays the mirror. The data set is made up and known to the tried process alone.
"""

from __future__ import annotations

import gzip
import hashlib
import signal
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

from battery.trial import Trial, wrong_end
from battery.warm import Done, Started, Warm

NAMES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
         "t10k-labels-idx1-ubyte.gz")
MOST = 64_000_000       # bytes that a file may have, as the product has it
PATIENCE = 0.5          # seconds without a byte, for the tried process
TAUGHT = """
import functools
from dataclasses import replace
from featherweight import data
from featherweight.data import finding, sources
known = replace(sources.SOURCES["mnist"], name="tiny", mirrors={mirrors!r}, sha256={sha256!r})
sources.SOURCES["tiny"] = known
data.fetch = functools.partial(finding.fetch, timeout={patience})
"""


def made_up(random: Random) -> dict[str, bytes]:
    """Four packed files of three classes, 6 images each."""
    def idx(*shape: int) -> bytes:
        count = 1
        for side in shape:
            count *= side
        body = random.randbytes(count) if len(shape) == 3 else bytes(n % 3 for n in range(count))
        return gzip.compress(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + body, mtime=0)

    return dict(zip(NAMES, (idx(600, 8, 8), idx(600), idx(60, 8, 8), idx(60)), strict=True))


class Handler(BaseHTTPRequestHandler):
    """Answers /HOW/FILE in the way that HOW names."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer, and tell nobody when the other side goes away."""
        self.close_connection = True
        _, how, name = self.path.split("/", 2)
        self.server.asked[f"{how}/{name}"] += 1
        with suppress(OSError):
            LIES[how](self, self.server.files[name], name)

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def head(self, length: object = None, code: int = 200, **headers: str) -> None:
        """Send the lines before the body."""
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()

    def pour(self, body: bytes, pause: float = 0, piece: int = 1 << 16) -> None:
        """Send a body in pieces."""
        for at in range(0, len(body), piece):
            self.wfile.write(body[at : at + piece])
            self.wfile.flush()
            self.server.released.wait(pause)

    def for_ever(self, piece: bytes, pause: float = 0) -> None:
        """Send without end, and count."""
        while not self.server.released.wait(pause):
            self.wfile.write(piece)
            self.server.poured += len(piece)


class Server(ThreadingHTTPServer):
    """The mirrors, one for each lie."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked, self.poured = files, Counter[str](), 0
        self.released = threading.Event()

    def mirror(self, how: str) -> str:
        """The address of one."""
        return f"http://127.0.0.1:{self.server_port}/{how}/"

    def handle_error(self, *_: object) -> None:
        """Quiet: the other side went away."""


def good(it: Handler, body: bytes, name: str) -> None:
    """The truth."""
    it.head(len(body))
    it.pour(body)


def slow(it: Handler, body: bytes, name: str) -> None:
    """The truth, in a tenth of a second."""
    it.head(len(body))
    it.pour(body, 0.02, len(body) // 5 + 1)


def stall(it: Handler, body: bytes, name: str) -> None:
    """Half, then silence."""
    it.head(len(body))
    it.pour(body[: len(body) // 2])
    it.server.released.wait(20)


def silence(it: Handler, body: bytes, name: str) -> None:
    """Nothing at all."""
    it.server.released.wait(20)


def cut(it: Handler, body: bytes, name: str) -> None:
    """Half, then the end."""
    it.head(len(body))
    it.pour(body[: len(body) // 2])


def too_short(it: Handler, body: bytes, name: str) -> None:
    """A length smaller than the body."""
    it.head(len(body) // 2)
    it.pour(body)


def negative(it: Handler, body: bytes, name: str) -> None:
    """A length below zero."""
    it.head(-5)
    it.pour(body[:-1] + b"x")


def no_number(it: Handler, body: bytes, name: str) -> None:
    """A length that is no number."""
    it.head("many")
    it.pour(body[:-1])


def huge(it: Handler, body: bytes, name: str) -> None:
    """A length of ten terabytes."""
    it.head(10**13)
    it.for_ever(bytes(1 << 16))


def without_length(it: Handler, body: bytes, name: str) -> None:
    """No length, and half of the body."""
    it.head()
    it.pour(body[: len(body) // 2])


def endless(it: Handler, body: bytes, name: str) -> None:
    """No length, no end."""
    it.head()
    it.for_ever(bytes(1 << 16))


def endless_chunks(it: Handler, body: bytes, name: str) -> None:
    """Chunks without end."""
    it.head(Transfer_Encoding="chunked")
    it.for_ever(b"10000\r\n" + bytes(1 << 16) + b"\r\n")


def bad_chunks(it: Handler, body: bytes, name: str) -> None:
    """A chunk whose size is no number."""
    it.head(Transfer_Encoding="chunked")
    it.pour(b"zz\r\n" + body)


def drip(it: Handler, body: bytes, name: str) -> None:
    """A byte at a time."""
    it.head(len(body))
    it.pour(body, 0.05, 1)


def other(it: Handler, body: bytes, name: str) -> None:
    """Other bytes of the right length."""
    it.head(len(body))
    it.pour(bytes(len(body)))


def bomb(it: Handler, body: bytes, name: str) -> None:
    """Zeros that a decoder would blow up a thousandfold."""
    packed = gzip.compress(bytes(50_000_000))
    it.head(len(packed), Content_Encoding="gzip")
    it.pour(packed)


def encoded(it: Handler, body: bytes, name: str) -> None:
    """The truth packed once more, as if that had been asked for."""
    packed = gzip.compress(body)
    it.head(len(packed), Content_Encoding="gzip")
    it.pour(packed)


def loop(it: Handler, body: bytes, name: str) -> None:
    """A redirect to itself."""
    it.head(0, 302, Location=it.path)


def endless_redirect(it: Handler, body: bytes, name: str) -> None:
    """A redirect with a body without end."""
    it.head(code=302, Location=it.path)
    it.for_ever(bytes(1 << 16))


def to_file(it: Handler, body: bytes, name: str) -> None:
    """A redirect to a file of this machine."""
    it.head(0, 302, Location="file:///etc/passwd")


def to_nowhere(it: Handler, body: bytes, name: str) -> None:
    """A redirect to what is no address."""
    it.head(0, 302, Location="http://[::bad/\x7f")


def to_closed(it: Handler, body: bytes, name: str) -> None:
    """A redirect to a port where nobody listens."""
    it.head(0, 302, Location="http://127.0.0.1:1/x")


def missing(it: Handler, body: bytes, name: str) -> None:
    """404, with a body without end."""
    it.head(code=404)
    it.for_ever(bytes(1 << 16))


def busy(it: Handler, body: bytes, name: str) -> None:
    """429 and a time to wait."""
    it.head(0, 429, Retry_After="3600")


def failing(it: Handler, body: bytes, name: str) -> None:
    """500."""
    it.head(0, 500)


def part(it: Handler, body: bytes, name: str) -> None:
    """206: a part that nobody asked for."""
    it.head(len(body) // 2, 206)
    it.pour(body[: len(body) // 2])


def headers(it: Handler, body: bytes, name: str) -> None:
    """Headers without end."""
    it.send_response(200)
    it.flush_headers()
    it.for_ever(b"X-More: " + bytes(b"y" * 1000) + b"\r\n")


def no_http(it: Handler, body: bytes, name: str) -> None:
    """Bytes that are no HTTP."""
    it.pour(b"\x00\xff" * 1000)


Lie = Callable[[Handler, bytes, str], None]
ALL: tuple[Lie, ...] = (
    stall, silence, cut, too_short, negative, no_number, huge, without_length, endless, endless_chunks, bad_chunks,
    drip, other, bomb, encoded, loop, endless_redirect, to_file, to_nowhere, to_closed, missing, busy, failing, part,
    headers, no_http,
)
LIES: dict[str, Lie] = {one.__name__: one for one in (good, slow, *ALL)}


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    """The mirrors, for as long as the block lasts."""
    server = Server(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def start_fetching(warm: Warm, cache: Path, server: Server, mirrors: tuple[str, ...]) -> Started:
    """Start `data get` in a process that knows of the made-up data set."""
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in server.files.items()}
    first = TAUGHT.format(mirrors=tuple(map(server.mirror, mirrors)), sha256=sha256, patience=PATIENCE)
    env = {"XDG_CACHE_HOME": str(cache), "FEATHERWEIGHT_DATA": "", "NO_PROXY": "127.0.0.1"}
    return warm.start("data", "get", "tiny", cwd=cache, env=env, first=first)


def in_cache(cache: Path) -> dict[str, bytes]:
    """What the cache holds, without the lock."""
    folder = cache / "featherweight" / "tiny"
    return {file.name: file.read_bytes() for file in folder.glob("*") if file.name != ".lock"}


def lies(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Each lie alone, and before a mirror that tells the truth; into a cold cache, or one with a damaged file."""
    random = Random(seed)
    files = made_up(random)
    cases = [(one.__name__, helped, cold) for one in ALL for helped in (False, True) for cold in (True, False)]
    with serving(files) as server:
        number = 0
        while True:
            random.shuffle(cases)
            for how, helped, cold in cases:
                number += 1
                cache = folder / str(number)
                (cache / "featherweight" / "tiny").mkdir(parents=True)
                before = {} if cold else {NAMES[0]: b"damaged", NAMES[1]: files[NAMES[1]]}
                for name, content in before.items():
                    (cache / "featherweight" / "tiny" / name).write_bytes(content)
                server.poured = 0
                done = start_fetching(warm, cache, server, (how, *(["good"] if helped else []))).wait(60)
                what = f"{how}{', then the truth' if helped else ''}, {'cold' if cold else 'damaged'} cache"
                fault = wrong_fetch(done, in_cache(cache), files if helped else before, server)
                yield Trial("lying mirror", what, "fetched" if done.code == 0 else "refused", fault)


def wrong_fetch(done: Done, found: dict[str, bytes], expected: dict[str, bytes], server: Server) -> str:
    """Return what is wrong with the end of one fetch."""
    if wrong := wrong_end(done):
        return wrong
    if found != expected:
        return f"the cache holds {({name: len(content) for name, content in found.items()})}"
    if (done.code == 0) != (expected == server.files):
        return f"exit code {done.code}: {done.err[-200:]}"
    if server.poured > 2 * MOST:
        return f"took {server.poured:,} bytes"
    return ""


def crowds(seed: int, folder: Path, warm: Warm, count: int = 16) -> Iterator[Trial]:
    """Many processes at once at a cold cache; in every second trial some of them are killed and started again."""
    random = Random(seed)
    files = made_up(random)
    with serving(files) as server:
        number = 0
        while True:
            number += 1
            cache = folder / f"crowd{number}"
            cache.mkdir()
            server.asked.clear()
            all_of_them = [start_fetching(warm, cache, server, ("slow",)) for _ in range(count)]
            killed = random.sample(range(count), random.randint(1, count // 2)) if number % 2 == 0 else []
            for one in killed:
                time.sleep(random.uniform(0, 0.05))
                all_of_them[one].send(signal.SIGKILL)
            ends = [started.wait(60) for started in all_of_them]
            again = [start_fetching(warm, cache, server, ("slow",)).wait(60)] if killed else []
            fault = wrong_crowd([*(end for n, end in enumerate(ends) if n not in killed), *again], cache, server,
                                len(killed))
            what = f"{count} processes, {len(killed)} of them killed (number {number} of seed {seed})"
            yield Trial("cold cache", what, "fetched with kills" if killed else "fetched", fault)


def wrong_crowd(ends: list[Done], cache: Path, server: Server, killed: int) -> str:
    """Return what is wrong: an end, the files, or a file that was fetched more often than kills explain."""
    for end in ends:
        if end.code != 0 or "Traceback" in end.err:
            return f"exit code {end.code}: {end.err[-300:]}"
    if in_cache(cache) != server.files:
        return f"the cache holds {sorted(in_cache(cache))}"
    total = sum(server.asked.values())
    if total > len(NAMES) + killed:
        return f"{total} requests for {len(NAMES)} files and {killed} kills"
    return ""


ROWS = (lies, crowds)
