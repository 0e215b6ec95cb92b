"""Which networks' programs this user runs without being asked: those trained here, and those that were trusted once.

A run of somebody else may bring a network of its own, which is a program. It is known by the hash of its source.
"""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path

from platformdirs import user_state_path

from featherweight.errors import Untrusted
from featherweight.files import plain_file
from featherweight.wording import either

trusting: ContextVar[bool] = ContextVar("trusting", default=False)     # --trust: whatever is opened is trusted
unwritten: set[str] = set()     # trusted by this process, where the store cannot be written


def check(sha256: str, place: Path) -> None:
    """Raise Untrusted unless the source with this hash is trusted. place: the folder or file to read first."""
    if trusting.get():
        remember(sha256)
    elif sha256 not in known():
        raise Untrusted(sha256, place, either("then open it with --trust", "then trust it: Run(...).trust()"))


def remember(sha256: str) -> None:
    """Trust the source with this hash from now on; where nothing can be written, as long as this process."""
    if sha256 in known():
        return
    try:
        store().parent.mkdir(parents=True, exist_ok=True)
        with plain_file(store()).open("a") as file:     # one short line: two processes do not mix theirs
            file.write(f"{sha256}\n")
    except (OSError, RuntimeError):     # RuntimeError: nobody knows the user's home
        unwritten.add(sha256)


def known() -> set[str]:
    """Return the hashes that are trusted."""
    try:
        return unwritten | set(plain_file(store()).read_text().split())
    except (OSError, UnicodeDecodeError, RuntimeError):
        return unwritten


def store() -> Path:
    """Return the file that holds them, one a line."""
    return user_state_path("featherweight") / "trusted-networks.txt"
