"""`featherweight serve` as a process of its own, spoken to over plain sockets, as no HTTP client would."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from battery.warm import Warm

TINY = """from torch import nn


class Tiny(nn.Sequential):
    def __init__(self, in_channels=1, classes=10):
        super().__init__(
            nn.Conv2d(in_channels, 8, 3, stride=3), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=3), nn.ReLU(), nn.Flatten(),
            nn.Linear(72, classes),
        )
"""
RECIPE = 'name = "tiny"\n[model]\nname = "tiny.py:Tiny"\n[data]\ndataset = "digits"\n[training]\nepochs = 1\n'


@dataclass(frozen=True)
class Reply:
    """One HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Served:
    """A server that runs. Use it in a with block."""

    def __init__(self, network: Path, folder: Path, *, descriptors: int = 0) -> None:
        self.log = folder / "server.log"
        limit = [] if not descriptors else ["prlimit", f"--nofile={descriptors}:{descriptors}"]
        command = [*limit, sys.executable, "-m", "featherweight", "serve", str(network), "--port", "0"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, (line, self.log.read_text())
        self.address = "127.0.0.1", int(found[1])
        self.said = 0       # characters of the log that were looked at

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

    def connect(self, timeout: float = 20) -> socket.socket:
        return socket.create_connection(self.address, timeout=timeout)

    def ask(self, raw: bytes, timeout: float = 30) -> Reply:
        """Send a request whole and return the answer."""
        with self.connect(timeout) as line:
            line.sendall(raw)
            return replies(read(line, timeout))[0]

    def workers(self) -> list[int]:
        """Return the process ids of those who answer."""
        started = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(one) for one in started]

    def processes(self) -> list[int]:
        return [self.process.pid, *self.workers()]

    def peak(self) -> int:
        """Return the most bytes of memory that one of its processes had until now."""
        found = [re.search(r"VmHWM:\s+(\d+) kB", status) for status in map(status_of, self.processes())]
        return max(1024 * int(one[1]) for one in found if one)

    def news(self) -> str:
        """Return what the log has got since the last call; the line of a signal is no news."""
        text = self.log.read_text(errors="replace").replace("featherweight: interrupted.\n", "")
        new, self.said = text[self.said:], len(text)
        return new

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def status_of(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/status").read_text()
    return ""


def resident(process: int) -> int:
    """Return the bytes of memory that a process has now."""
    found = re.search(r"VmRSS:\s+(\d+) kB", status_of(process))
    return 1024 * int(found[1]) if found else 0


def descriptors(process: int) -> int:
    """Return how many descriptors a process has open."""
    return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


def make_bundle(folder: Path, warm: Warm) -> Path:
    """Train a tiny network on the bundled digits and export it, unless the folder has it."""
    if (folder / "bundle").is_dir():
        return folder / "bundle"
    (folder / "tiny.py").write_text(TINY)
    (folder / "tiny.toml").write_text(RECIPE)
    for arguments in (("train", "tiny.toml", "--out", "run"), ("export", "run", "--to", "bundle", "--out", "bundle")):
        done = warm.run(*arguments, cwd=folder)
        assert done.code == 0, done.err
    return folder / "bundle"


def read(line: socket.socket, seconds: float, *, headless: bool = False) -> bytes:
    """Read until the answers are whole, the server closes, or the time is over. headless: without a body."""
    found, until = b"", time.monotonic() + seconds
    with suppress(ConnectionError, TimeoutError):
        while (left := until - time.monotonic()) > 0 and not (headless and found) and not whole(found):
            line.settimeout(left)
            part = line.recv(1 << 20)
            if not part:
                break
            found += part
    return found


def whole(found: bytes) -> bool:
    """True when one or several responses are complete, apart from 100 Continue."""
    with suppress(ValueError):
        return bool(replies(found))
    return False


def replies(found: bytes) -> list[Reply]:
    """Return the responses in what was read. Raises ValueError for bytes that are not whole responses."""
    all_of_them = []
    while found:
        head, blank, found = found.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3})( .*)?", first)
        if not match or not blank:
            raise ValueError(f"no response: {head[:100]!r}")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if match[1] == "100":
            continue
        length = int(headers["content-length"]) if "content-length" in headers else len(found)
        if len(found) < length:
            raise ValueError("a response has no end")
        all_of_them.append(Reply(int(match[1]), headers, found[:length]))
        found = found[length:]
    return all_of_them


def request(body: bytes = b"", *heads: str, method: str = "POST", path: str = "/predict", host: str = "localhost",
            length: str | None = None) -> bytes:
    """Return an HTTP request; length: what it says of the body in place of the truth."""
    sizes = [] if method == "GET" and not body else [f"Content-Length: {len(body) if length is None else length}"]
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *sizes, *heads]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()
