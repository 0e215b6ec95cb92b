"""Exceptions for faults that a user can correct, as a tree.

        FeatherweightError            base; one line: the value, what is allowed, the next move
        ├── UnknownName               an unknown model, data set, recipe or key; suggests a similar name
        ├── RecipeError               a recipe with faults; lists all of them
        ├── DataError                 a file of a data set: missing, damaged, swapped, not downloadable
        ├── ModelError                a network that cannot be imported, built or traced
        ├── RunError                  a run folder: exists already, is not a run, lacks a file
        │   ├── NoNumbers             a network whose outputs are NaN or infinite
        │   └── Untrusted             a run with source code that the user has not trusted
        ├── PictureError              a file that cannot be read as a picture
        ├── SourceError               a script or notebook that cannot be read or parsed
        ├── ByHandError               a value that the network trained by hand cannot use
        ├── ExportError               an export that cannot be made, or that fails its proof
        ├── MissingExtra              an optional dependency that is not installed
        ├── DeviceError               a device that is missing, or that lacks an operation of the network
        └── TrainingDiverged          a loss that is NaN or infinite
        TrainingInterrupted           Ctrl-C or SIGTERM; the checkpoint is written, the text says how to resume
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path

from featherweight.outside import visible

LONGEST_LINE = 800      # characters; the middle of a longer line is left out


class FeatherweightError(Exception):
    """Base of all faults that a user can correct. The text of the exception is the whole message.

    lines: the lines of the message. Control characters in them are escaped.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n  ".join(whole(visible(line)) for line in lines))


class UnknownName(FeatherweightError):
    """A name that is not in the list of allowed names."""

    def __init__(self, kind: str, name: str, allowed: Iterable[str], next_move: str = "") -> None:
        hint = did_you_mean(name, allowed)
        super().__init__(" ".join(part for part in (f"unknown {kind} {name!r}.", hint, next_move) if part))


class RecipeError(FeatherweightError):
    """A recipe with faults. Each fault has its own line."""


class DataError(FeatherweightError):
    """Data that are missing, damaged or of a wrong form: a file of a data set, or objects passed in Python."""


class ModelError(FeatherweightError):
    """A network that cannot be imported, built or traced."""


class RunError(FeatherweightError):
    """A run folder that exists already, is not a run, or lacks a required file."""


class Untrusted(RunError):
    """A run folder with the source of a network that would be executed but is not trusted.

    sha256: hash of the source. place: its file or folder.
    """

    def __init__(self, sha256: str, place: Path, next_move: str) -> None:
        self.sha256, self.place = sha256, place
        super().__init__(f"{str(place)!r} holds a network of its own, which is a program. Read it, {next_move}.")


class NoNumbers(RunError):
    """A network whose outputs are NaN or infinite."""

    def __init__(self, place: Path, head: str) -> None:
        super().__init__(f"the network of {str(place)!r} predicts {head} with NaN or infinity: its weights are NaN or "
                         "too large. Train again, e.g. with a lower optimizer.lr.")


class PictureError(FeatherweightError):
    """A file that cannot be read as a picture."""


class SourceError(FeatherweightError):
    """A script or notebook that cannot be read or parsed."""


class ByHandError(FeatherweightError):
    """A value that the network trained by hand cannot start with, or that a spreadsheet cannot hold."""


class ExportError(FeatherweightError):
    """An export that cannot be made, or whose C program does not compile or run correctly."""


class DeviceError(FeatherweightError):
    """A device that this machine does not have, or that lacks an operation of the network."""


class TrainingDiverged(FeatherweightError):
    """A training whose loss became NaN or infinite."""


class MissingExtra(FeatherweightError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed. Install it with: {install_command(extra)}")


class TrainingInterrupted(Exception):
    """A training that a signal stopped. Holds the signal's number; the text names the command that resumes."""

    def __init__(self, signal_number: int, message: str) -> None:
        self.signal_number = signal_number
        super().__init__(visible(message))


def install_command(extra: str) -> str:
    """Return the command that installs an extra into this environment: from the clone, if the package lies in one."""
    clone = Path(__file__).resolve().parents[2]
    if (clone / "pyproject.toml").is_file():
        return f'{sys.executable or "python"} -m pip install -e "{clone}[{extra}]"'
    return f'{sys.executable or "python"} -m pip install "featherweight[{extra}]"'


def whole(line: str) -> str:
    """Return the line. If it is longer than LONGEST_LINE, replace its middle by "..."."""
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Return the most similar allowed name as a question, or a list of all names if no name is similar."""
    names = list(allowed)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {lowered[near[0]]!r}?"
    return f"Allowed: {', '.join(names)}." if names else ""
