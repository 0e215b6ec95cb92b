"""Functions with which all commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

from featherweight.blame import NOWHERE, at, is_users
from featherweight.outside import say, visible

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image
    from rich.console import Console, RenderableType

hushed: ContextVar[bool] = ContextVar("hushed", default=False)        # set by --quiet: no notes, no progress
_for_documents: ContextVar[TextIO | None] = ContextVar("for_documents", default=None)


def fail(*lines: str) -> None:
    """Print an error on standard error. Further lines list the individual faults of a recipe."""
    say("featherweight: " + lines[0], *lines[1:], error=True)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print each warning about the user's code once inside the block, as one line: "net.py:31: text".

    Warnings about other code are shown by the usual handler.
    """
    shown = set()
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], file: str, line: int, *rest: Any) -> None:
            if not is_users(file) and file != NOWHERE:
                return usual(visible(message, lines=True), category, file, line, *rest)
            text = str(message) if file == NOWHERE else f"{at((file, line))}: {message}"
            if text not in shown:
                shown.add(text)
                say(text, error=True)
            return None

        warnings.showwarning = show  # type: ignore[assignment]
        yield


def console(*, stderr: bool = False) -> Console:
    """Return a rich console without automatic highlighting of numbers and names."""
    from featherweight import terminal

    return terminal.console(stderr=stderr)


def status(message: str) -> AbstractContextManager[object]:
    """Return a context manager that shows `message` with a spinner on standard error. Nothing with --quiet."""
    from rich.text import Text

    if hushed.get():
        return nullcontext()
    return console(stderr=True).status(Text(visible(message)))


def note(message: str) -> None:
    """Print a message for the user on standard error. Print nothing with --quiet."""
    from rich.text import Text

    if hushed.get():
        return
    console(stderr=True).print(Text(visible(message), style="dim"), soft_wrap=True)


def show(content: RenderableType) -> None:
    """Print a result for people on standard output."""
    console().print(content)


def show_json(content: Any) -> None:
    """Print a result for programs: one JSON document on standard output."""
    text = json.dumps(content, indent=2, allow_nan=False).replace("\x7f", "\\u007f")     # json.dumps does not escape it
    print(text, file=_for_documents.get())


def show_file(file: Path, *, as_json: bool) -> None:
    """Print the file that a command wrote: as a line, or as a JSON document."""
    show_json({"file": str(file)}) if as_json else say(f"wrote {file}")


@contextmanager
def only_documents() -> Iterator[None]:
    """Send all printed text inside the block to standard error. Only show_json writes to standard output.

    Reason: a user's network may print when it is imported or run.
    """
    before = _for_documents.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _for_documents.reset(before)


def check_output(file: Path, endings: tuple[str, ...], option: str, *, force: bool) -> None:
    """Raise FeatherweightError, before any work, if `file` cannot be written.

    Reasons: the ending is not one of `endings`, the folder is missing, or the file exists and `force` is false.
    option: name of the option, for the message.
    """
    from featherweight.errors import FeatherweightError

    if file.suffix.lower() not in endings:
        example = " or ".join(f"NAME{ending}" for ending in endings)
        raise FeatherweightError(f"{str(file)!r} does not end in {' or '.join(endings)}. Give {option} {example}.")
    if not file.parent.is_dir():
        raise FeatherweightError(f"folder {str(file.parent)!r} does not exist. Make it, or give another {option}.")
    if file.is_dir():
        raise FeatherweightError(f"{str(file)!r} is a folder. Give another {option}.")
    if file.exists() and not force:
        raise FeatherweightError(f"{str(file)!r} exists. Give another {option}, or --force to replace it.")


def save_png(picture: Image, file: Path) -> None:
    """Write a picture as PNG, atomically."""
    from featherweight.files import replacing

    with replacing(file) as opened:
        picture.save(opened, "PNG")


def table(
    *headings: str, rows: list[list[str]], right: tuple[int, ...] = (), whole: tuple[int, ...] = ()
) -> RenderableType:
    """Return a plain table. right: indices of the columns to align right. whole: of those that are never wrapped."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for index, heading in enumerate(headings):
        made.add_column(heading, justify="right" if index in right else "left", overflow="fold", no_wrap=index in whole)
    for row in rows:
        made.add_row(*(Text(visible(cell)) for cell in row))
    return made
