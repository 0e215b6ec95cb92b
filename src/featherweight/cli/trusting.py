"""The question to the user before the network code in somebody else's run is executed."""

from __future__ import annotations

import sys

import typer

from featherweight.errors import Untrusted


def ask_for_trust(fault: Untrusted) -> bool:
    """Ask at the terminal if a network's code may be executed. Return the answer, and remember a yes.

    Return False without a terminal.
    """
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    question = f"{str(fault.place)!r} holds a network of its own, which is a program. Run it?"
    agreed = typer.confirm(question, default=False, err=True)
    if agreed:
        from featherweight.user_code import trust

        trust.remember(fault.sha256)
    return agreed
