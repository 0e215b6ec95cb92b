"""Download files from mirrors into a folder, with checksums and atomic writes. A lock keeps two processes apart."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from featherweight.errors import DataError
from featherweight.files import LOCK, is_one_of, names_in, replacing, sha256_of
from featherweight.outside import say
from featherweight.wording import option

Progress = Callable[[str, int, int], None]
"""progress(file, bytes done, bytes in total); the total is 0 if the mirror does not send it."""

MOST_BYTES = 64_000_000     # per file: twice the largest published file
SLOWEST = 10_000            # lowest average speed in bytes per second, checked once `timeout` seconds have passed
MOST_REDIRECTS = 5
CHUNK = 1 << 16
REASONS = {
    "ConnectionError": "no connection",
    "IncompleteRead": "the transfer broke off",
    "ProtocolError": "the transfer broke off",
}


class _Unusable(Exception):
    """A mirror's response that is not the expected file. The exception's text gives the reason."""


def download(
    name: str,
    sha256: Mapping[str, str],
    mirrors: Sequence[str],
    folder: Path,
    *,
    progress: Progress | None = None,
    timeout: float = 30.0,
    looked_in: Sequence[str] = (),
) -> None:
    """Download every file of sha256 (name -> checksum) into folder, from the first mirror that sends the right content.

    Files with the right checksum are kept, so a second call resumes an interrupted one. Each file is written under a
    temporary name, and renamed after its checksum was verified.
    timeout: seconds without a byte, and seconds after which a mirror slower than SLOWEST is given up.
    looked_in: places that were searched before; named in the error message only.
    Raises DataError with the fault of each mirror if one file cannot be downloaded from any.
    """
    from filelock import FileLock

    order = list(mirrors)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK), _reporting(progress) as report:
            for leftover in names_in(folder):
                if is_one_of(leftover, sha256) and leftover not in sha256:  # left by a killed process; the lock is ours
                    (folder / leftover).unlink()
            for file, checksum in sha256.items():
                faults = _first_good(file, checksum, order, folder, report=report, timeout=timeout)
                if faults is not None:
                    raise DataError(_nothing_worked(name, file, faults, looked_in))
    except OSError as fault:
        raise DataError(
            f"data set {name!r} cannot be written to {folder}: {fault.strerror or fault}. "
            f"Set FEATHERWEIGHT_DATA to a folder that holds {name}/*.gz, or make that folder writable."
        ) from fault


def _first_good(
    file: str, checksum: str, order: list[str], folder: Path, *, report: Progress, timeout: float
) -> list[tuple[str, str]] | None:
    """Download one file from the first mirror that works. Return None, or (mirror, fault) of each if none works.

    Returns None at once if the folder already holds the file. A mirror that works is moved to the front of `order`.
    Therefore a dead mirror costs its timeout only once.
    """
    if (folder / file).is_file() and sha256_of(folder / file) == checksum:
        return None
    faults = []
    for mirror in list(order):
        try:
            _fetch(mirror + file, checksum, folder / file, report, timeout)
        except _Unusable as fault:
            faults.append((mirror, str(fault)))
        else:
            order.remove(mirror)
            order.insert(0, mirror)
            return None
    return faults


def _fetch(url: str, checksum: str, path: Path, report: Progress, timeout: float) -> None:
    """Download one file to `path`. Raise _Unusable for a fault of the mirror, OSError for a fault of the disk."""
    digest = hashlib.sha256()
    with replacing(path) as out, closing(_chunks(url, timeout)) as chunks:
        done = 0
        for total, chunk in chunks:
            out.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            report(path.name, done, total)
        if digest.hexdigest() != checksum:
            raise _Unusable("its sha256 is not the published one")


def _chunks(url: str, timeout: float) -> Generator[tuple[int, bytes], None, None]:
    """Yield (total bytes, next bytes) of the content of `url`. The total is 0 if the mirror does not send it.

    Bytes are never decompressed, even if the mirror announces a content encoding.
    """
    began, done = time.monotonic(), 0
    try:
        with _response(url, timeout) as response:
            said = response.headers.get("Content-Length", "")
            total = int(said) if said.isdecimal() else 0
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                done, seconds = done + len(chunk), time.monotonic() - began
                if max(done, total) > MOST_BYTES:
                    raise _Unusable(f"it sends more than {MOST_BYTES:,} bytes")
                if seconds > timeout and done < SLOWEST * seconds:
                    raise _Unusable("it is too slow")
                yield total, chunk
    except _Unusable:
        raise
    except Exception as fault:      # three libraries read the response, and each has its own exceptions
        raise _Unusable(_reason(fault)) from fault


def _response(url: str, timeout: float) -> Any:
    """Return the response for `url` after at most MOST_REDIRECTS redirects, with its body not yet read.

    Redirects are followed here because Session.get reads the whole body of each redirect.
    """
    import requests

    session = requests.Session()
    for _ in range(1 + MOST_REDIRECTS):
        if urlsplit(url).scheme not in ("http", "https"):
            raise _Unusable(f"it redirects to {urlsplit(url).scheme}:")
        request = session.prepare_request(requests.Request("GET", url, headers={"Accept-Encoding": "identity"}))
        settings = session.merge_environment_settings(url, {}, True, None, None)    # proxies, certificates
        response = session.get_adapter(url).send(request, timeout=timeout, **settings)
        if response.status_code == 200:
            return response
        response.close()
        if not response.is_redirect:
            raise _Unusable(f"HTTP {response.status_code}")
        url = urljoin(url, response.headers["Location"])
    raise _Unusable("it redirects without end")


def _reason(fault: Exception) -> str:
    if "timed out" in str(fault):  # requests has three classes for a timeout, one of them ConnectionError
        return "timed out"
    return REASONS.get(type(fault).__name__, type(fault).__name__)


def _nothing_worked(name: str, file: str, faults: list[tuple[str, str]], looked_in: Sequence[str]) -> str:
    tried = ", ".join(f"{mirror} ({reason})" for mirror, reason in faults) or "no mirror at all"
    looked = f"not all its files are in {' or '.join(looked_in)}, and " if looked_in else ""
    return (
        f"data set {name!r} is not on this machine: {looked}{file} could not be fetched from {tried}. "
        f"Set FEATHERWEIGHT_DATA or {option('data-dir')} to a folder that holds {name}/*.gz, or use "
        f"{option('data', 'digits')}."
    )


@contextmanager
def _reporting(progress: Progress | None) -> Iterator[Progress]:
    """Yield `progress` if it is given, else a function that reports on standard error.

    On a terminal the function draws a progress bar, elsewhere it prints a line for each file.
    """
    if progress is not None:
        yield progress
    elif sys.stderr.isatty():
        with _rich_bars() as report:
            yield report
    else:
        yield _lines()


@contextmanager
def _rich_bars() -> Iterator[Progress]:
    from rich import progress as bars

    from featherweight.terminal import console

    columns = ("{task.description}", bars.BarColumn(), bars.DownloadColumn(), bars.TransferSpeedColumn())
    with bars.Progress(*columns, console=console(stderr=True)) as display:
        tasks: dict[str, bars.TaskID] = {}

        def report(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = display.add_task(file)
            display.update(tasks[file], completed=done, total=total or None)

        yield report


def _lines() -> Progress:
    seen: set[str] = set()

    def report(file: str, done: int, total: int) -> None:
        if file not in seen:
            seen.add(file)
            say(f"fetching {file}" + (f" ({total:,} bytes)" if total else ""), error=True)

    return report
