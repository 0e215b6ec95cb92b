"""The ledger of a search: one JSON object a line, appended and flushed to disk. Everything else is computed from it.

The first line is the problem. Each further line is an event with a key "event", see study.py. A process that is killed
leaves at most one torn line at the end. Readers ignore that line, and the next writer cuts it off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featherweight.documents import parse_json
from featherweight.errors import RunError
from featherweight.files import plain_file, sync_folder
from featherweight.outside import shortened
from featherweight.wording import option

NAME = "ledger.jsonl"
Event = dict[str, Any]


class Ledger:
    """The ledger of a search folder. Only one process may append; it holds the lock of the folder.

    header: events that are written before the first of a new ledger. Without any event no file is created.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.header: list[Event] = []
        self.handle: int | None = None

    @contextmanager
    def appending(self) -> Iterator[None]:
        """Allow `append` inside the block."""
        try:
            yield
        finally:
            if self.handle is not None:
                os.close(self.handle)
            self.handle = None

    def append(self, events: Sequence[Event]) -> None:
        """Append events and flush them to disk. Raises OSError if the disk is full."""
        if self.handle is None:
            self.handle = self.opened()
        text = b"".join(json.dumps(event, allow_nan=False).encode() + b"\n" for event in [*self.header, *events])
        self.header = []
        while text:
            text = text[os.write(self.handle, text) :]
        os.fsync(self.handle)

    def opened(self) -> int:
        """Open the file to append, and cut off a torn last line."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(handle, whole_bytes(self.path.read_bytes()))
        sync_folder(self.path.parent)
        return handle

    def read(self) -> list[Event]:
        """Return all events, without a torn last line. Raises RunError if there is no ledger or a line is damaged."""
        try:
            content = plain_file(self.path).read_bytes()
        except FileNotFoundError:
            raise RunError(f"{str(self.path.parent)!r} holds no search: it has no {NAME}. Give the folder of a search, "
                           f"or begin one without {option('resume')}.") from None
        lines = content[: whole_bytes(content)].decode(errors="replace").splitlines()
        return [self.parsed(line, number) for number, line in enumerate(lines, 1)]

    def parsed(self, line: str, number: int) -> Event:
        """Return one line as an event. Raises RunError if the line is damaged."""
        try:
            event = parse_json(line)
        except ValueError as fault:
            raise self.damaged(number, shortened(fault)) from fault
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            raise self.damaged(number, "it is no event")
        return event

    def damaged(self, number: int, why: str) -> RunError:
        """Return the error for a damaged line."""
        return RunError(f"{self.path}, line {number} is damaged: {why}. Cut the file before that line, or begin again "
                        f"in another folder with {option('out')}.")


def whole_bytes(content: bytes) -> int:
    """Return the number of bytes up to the end of the last whole line."""
    return content.rfind(b"\n") + 1
