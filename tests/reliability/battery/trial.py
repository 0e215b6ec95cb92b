"""One fault made on purpose, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from battery.warm import Done, Warm

SLOW, LARGE = 5.0, 1_000_000_000    # seconds of computing and bytes that no command on a damaged file may need
HUNG = 20.0                         # seconds by the clock; more than SLOW, since other work may hold the cores


@dataclass(frozen=True)
class Trial:
    """One fault made on purpose."""

    kind: str           # the row of the table: "mutated PNG"
    what: str           # enough to make the fault again: "seed 7: byte 1041 set to 0x7f"
    outcome: str        # how it ended, a few words that can be counted: "refused", "same answer", "resumed"
    fault: str = ""     # what is wrong with that end; "" if the fault was survived


Trials = Callable[[int, Path, Warm], Iterator[Trial]]
"""trials(seed, folder, warm): yields one Trial after the other without end; folder is empty and its own."""


def wrong_end(done: Done) -> str:
    """Return what no command may do whatever it is given: a traceback, a hang, another exit code; "" for a good end."""
    lines = done.err.splitlines()
    if done.code is None:
        return f"still running after {done.seconds:.1f} s"
    if "Traceback" in done.err:
        return f"traceback: {lines[-1][:300]}"
    if done.code not in (0, 2):
        return f"exit code {done.code}: {done.err[-300:]}"
    if done.code == 2 and not any(line.startswith("featherweight: ") for line in lines):
        return f"exit code 2 without a line that says why: {done.err[-300:]!r}"
    if done.code == 2 and max(map(len, lines)) > 1000:
        return f"a line of {max(map(len, lines)):,} characters"
    if done.cpu > SLOW or done.seconds > HUNG:
        return f"took {done.seconds:.1f} s, of them {done.cpu:.1f} computing"
    return f"took {done.peak / 1e9:.1f} GB" if done.peak > LARGE else ""
