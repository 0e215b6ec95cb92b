"""Files from mirrors into a folder: checked, never half-written, safe when two processes want the same."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from featherweight.errors import DataError
from featherweight.interruption import undone_at_the_end
from featherweight.outside import say
from featherweight.wording import option

Progress = Callable[[str, int, int], None]
"""progress(file, bytes done, bytes in all); bytes in all is 0 where the mirror does not say."""

REASONS = {
    "ConnectionError": "no connection",
    "ChunkedEncodingError": "the transfer broke off",
    "ValueError": "its sha256 is not the published one",
}


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
    """Bring every file of sha256 (name -> checksum) into folder, each from the first mirror with a good one.

    Files that are there and good are left alone, so a second call goes on where the first stopped. A file
    is written under a temporary name and moved when its checksum holds. timeout: seconds without a byte.
    Raises DataError, which names looked_in, the mirrors and what was wrong with each.
    """
    from filelock import FileLock

    order = list(mirrors)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"), _reporting(progress) as report, undone_at_the_end(partial(_sweep, folder)):
            _sweep(folder)
            for file, checksum in sha256.items():
                faults = _first_good(file, checksum, order, folder, report=report, timeout=timeout)
                if faults is not None:
                    raise DataError(_nothing_worked(name, file, faults, looked_in))
    except OSError as fault:
        raise DataError(
            f"data set {name!r} cannot be written to {folder}: {fault.strerror or fault}. "
            f"Set FEATHERWEIGHT_DATA to a folder that holds {name}/*.gz, or make that folder writable."
        ) from fault


def _sweep(folder: Path) -> None:
    """Remove what a process that was killed left of a download; the caller holds the lock, so nobody else is here."""
    for leftover in folder.glob("tmp*"):
        leftover.unlink()


def _first_good(
    file: str, checksum: str, order: list[str], folder: Path, *, report: Progress, timeout: float
) -> list[tuple[str, str]] | None:
    """None when the file is in the folder, else (mirror, fault) for each.

    A mirror that works moves to the front of order, so a dead one costs its timeout once.
    """
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)  # it announces each file; we do that ourselves
    faults = []
    for mirror in list(order):
        downloader = pooch.HTTPDownloader(progressbar=_Bar(file, report), chunk_size=1 << 16, timeout=timeout)
        try:
            pooch.retrieve(mirror + file, known_hash=checksum, fname=file, path=folder, downloader=downloader)
        except (OSError, ValueError) as fault:
            if isinstance(fault, OSError) and fault.errno:  # the disk; requests sets no number
                raise
            faults.append((mirror, _reason(fault)))
        else:
            order.remove(mirror)
            order.insert(0, mirror)
            return None
    return faults


def _reason(fault: Exception) -> str:
    response = getattr(fault, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    if "timed out" in str(fault):  # requests has three classes for it, one of them ConnectionError
        return "timed out"
    return REASONS.get(type(fault).__name__, type(fault).__name__)


def _nothing_worked(name: str, file: str, faults: list[tuple[str, str]], looked_in: Sequence[str]) -> str:
    tried = ", ".join(f"{mirror} ({reason})" for mirror, reason in faults) or "no mirror at all"
    looked = f"not all its files are in {' or '.join(looked_in)}, and " if looked_in else ""
    return (
        f"data set {name!r} is not at hand: {looked}{file} could not be fetched from {tried}. "
        f"Set FEATHERWEIGHT_DATA or {option('data-dir')} to a folder that holds {name}/*.gz, or use "
        f"{option('data', 'digits')}."
    )


class _Bar:
    """The progress bar that pooch expects, told to a plain function."""

    def __init__(self, file: str, report: Progress) -> None:
        self.file, self.report = file, report
        self.total = 0
        self.done = 0

    def update(self, count: int) -> None:
        self.done = min(self.done + count, self.total) if self.total else self.done + count
        self.report(self.file, self.done, self.total)

    def reset(self) -> None:
        """Pooch resets and refills at the end; what is done stays done."""

    def close(self) -> None:
        """Nothing to free."""


@contextmanager
def _reporting(progress: Progress | None) -> Iterator[Progress]:
    """The function given; else a bar on a terminal's standard error, or a line for each file."""
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
