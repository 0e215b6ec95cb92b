"""Everything that can go wrong because of what a person gave us, as a tree.

FeatherweightError            one line: the value, what is allowed, the next move
├── UnknownName               a model, data set, recipe, key ... that does not exist; with did-you-mean
├── RecipeError               one or more faults of a recipe, all at once
├── DataError                 files of a data set: missing, corrupt, swapped, not to be fetched
├── ModelError                a network that cannot be imported, built or looked at
├── RunError                  a run folder: exists already, is none, lacks a file
│   └── Untrusted             a run that brings a network of its own, which nobody here has trusted
├── PictureError              a file that is no picture
├── ByHandError               a value that the network trained by hand cannot take
├── ExportError               an export that cannot be made or proved
├── MissingExtra              an optional dependency is not installed
├── DeviceError               a device that this machine does not have, or that cannot do what a network asks
└── TrainingDiverged          the loss is no longer a number
TrainingInterrupted           Ctrl-C or SIGTERM: the checkpoint is written and says how to go on
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

MOST = 800      # characters of a line; more is a file's content, not a message


class FeatherweightError(Exception):
    """Base of all faults that a user can mend; its text is the whole message, whose long lines lose their middle."""

    def __init__(self, message: str) -> None:
        super().__init__("\n".join(map(shortened, message.split("\n"))))


class UnknownName(FeatherweightError):
    """A name that is not in a list of names."""

    def __init__(self, kind: str, name: str, allowed: Iterable[str], next_move: str = "") -> None:
        hint = did_you_mean(name, allowed)
        super().__init__(" ".join(part for part in (f"unknown {kind} {name!r}.", hint, next_move) if part))


class RecipeError(FeatherweightError):
    """A recipe that does not hold: every fault on a line of its own."""


class DataError(FeatherweightError):
    """A file of a data set that is missing, damaged or not what it should be."""


class ModelError(FeatherweightError):
    """A network that cannot be imported, built or traced."""


class RunError(FeatherweightError):
    """A run folder that exists already, is none, or lacks what is asked of it."""


class Untrusted(RunError):
    """A network's own source, with its hash, that would be executed and is not trusted."""

    def __init__(self, sha256: str, place: Path, next_move: str) -> None:
        self.sha256, self.place = sha256, place
        super().__init__(f"{str(place)!r} holds a network of its own, which is a program. Read it, {next_move}.")


class PictureError(FeatherweightError):
    """A file that cannot be read as a picture."""


class ByHandError(FeatherweightError):
    """A value that the network trained by hand cannot start from, or that a spreadsheet cannot hold."""


class ExportError(FeatherweightError):
    """An export that cannot be made, or whose C does not run as it must."""


class DeviceError(FeatherweightError):
    """A device that this machine does not have, or that cannot do what a network asks."""


class TrainingDiverged(FeatherweightError):
    """The loss became infinite or not a number."""


class MissingExtra(FeatherweightError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: pip install 'featherweight[{extra}]'")


class TrainingInterrupted(Exception):
    """Training was asked to stop; carries the signal's number and the command that continues."""

    def __init__(self, signal_number: int, message: str) -> None:
        self.signal_number = signal_number
        super().__init__(message)


def shortened(line: str) -> str:
    """Return the line without its middle, if it has over 800 characters: its begin and its end say what to do."""
    return line if len(line) <= MOST else f"{line[: MOST - 250]} ... {line[-245:]}"


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """The nearest allowed name as a question, or the whole list where none is near."""
    names = list(allowed)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {lowered[near[0]]!r}?"
    return f"Allowed: {', '.join(names)}." if names else ""
