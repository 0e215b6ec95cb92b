"""Trust in network code: networks trained by this user, and networks that the user trusted once, run unasked.

A run folder from somebody else may contain Python code of its network. The SHA-256 of the source identifies the code.
"""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path

from platformdirs import user_state_path

from featherweight.errors import Untrusted
from featherweight.files import plain_file
from featherweight.wording import either

trusting: ContextVar[bool] = ContextVar("trusting", default=False)     # True under --trust: all opened code is trusted
unwritten: set[str] = set()     # hashes trusted by this process if the store cannot be written


def check(sha256: str, place: Path) -> None:
    """Raise Untrusted unless the source with this hash is trusted. place: file or folder that the message names."""
    if trusting.get():
        remember(sha256)
    elif sha256 not in known():
        raise Untrusted(sha256, place, either("then open it with --trust", "then trust it: Run(...).trust()"))


def remember(sha256: str) -> None:
    """Trust the source with this hash from now on. If the store cannot be written, only within this process."""
    if sha256 in known():
        return
    try:
        store().parent.mkdir(parents=True, exist_ok=True)
        with plain_file(store()).open("a") as file:     # one short line is one write: lines of two processes do not mix
            file.write(f"{sha256}\n")
    except (OSError, RuntimeError):     # RuntimeError: the user has no home folder
        unwritten.add(sha256)


def known() -> set[str]:
    """Return the trusted hashes."""
    try:
        return unwritten | set(plain_file(store()).read_text().split())
    except (OSError, UnicodeDecodeError, RuntimeError):
        return unwritten


def store() -> Path:
    """Return the file of trusted hashes, one per line."""
    return user_state_path("featherweight") / "trusted-networks.txt"
