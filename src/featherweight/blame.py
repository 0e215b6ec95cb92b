"""Find the line of the user's code that led to an exception or a warning, and shorten its message to one line.

A frame belongs to the user's code unless its file is part of Python's library, an installed package or Featherweight.
"""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from featherweight.outside import shortened

_NOT_THE_USERS = tuple(
    str(Path(folder).resolve())
    for folder in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), Path(__file__).parent)
)
_INSTALLED = {"site-packages", "dist-packages"}
_TYPED = ("<stdin>", "<string>", "<ipython-input")      # code that the user typed, without a file
_CLEAR_WITHOUT_KIND = (RuntimeError, TypeError, ValueError, AttributeError, NameError, ImportError, OSError, Warning)
_INTERPRETER = "in the TorchScript interpreter"         # a message with this text states the fault in its last line
NOWHERE = "<network>"       # file name of a warning that no line of the user's code led to

Place = tuple[str, int]     # a file and a line number, counted from 1


def user_line(fault: BaseException) -> str:
    """Return the innermost line of the user's code that led to the exception, as "net.py:8", or "" without such."""
    place = user_place(fault)
    return at(place) if place else ""


def user_place(fault: BaseException) -> Place | None:
    """Return the file and line of `user_line`, or None. For a syntax error: the line that cannot be parsed."""
    if isinstance(fault, SyntaxError) and fault.filename and fault.lineno and is_users(fault.filename):
        return fault.filename, fault.lineno
    frames = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(fault.__traceback__))
    return _innermost(reversed(list(frames)))


def running_place(ground: int = 0) -> Place | None:
    """Return the innermost line of the user's code that is being executed, or None.

    ground: number of outermost calls to ignore, from `depth`.
    """
    running = list(_running())
    return _innermost(running[: len(running) - ground])


def depth() -> int:
    """Number of calls on the stack, including the caller of this function."""
    return len(list(_running())) - 1


def at(place: Place) -> str:
    """Return a place as text: ("/home/me/net.py", 8) gives "net.py:8", in a notebook "line 8 of a notebook cell"."""
    file, line = place
    if "ipykernel" in file or "ipython-input" in file:
        return f"line {line} of a notebook cell"
    return f"line {line}" if file.startswith("<") else f"{Path(file).name}:{line}"


def is_users(file: str) -> bool:
    """Return True if the code with this file name belongs to the user."""
    if file.startswith("<"):
        return file.startswith(_TYPED)
    path = Path(file)
    return not _INSTALLED & set(path.parts) and not str(path.resolve()).startswith(_NOT_THE_USERS)


def in_one_line(fault: BaseException) -> str:
    """Return the exception's message as one phrase without a full stop.

    The phrase begins with the exception's kind unless the message is clear without it.
    """
    kind = type(fault).__name__
    if isinstance(fault, SyntaxError):
        return f"{kind}: {shortened(fault.msg)}"
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    if not lines:
        return kind
    text = lines[-1] if _INTERPRETER in lines[0] else lines[0]
    if text.endswith(":") and len(lines) > 1:
        text = f"{text} {lines[1]}"
    text = shortened(text.rstrip(". "))
    return text if isinstance(fault, _CLEAR_WITHOUT_KIND) and len(text) > len(kind) else f"{kind}: {text}"


def explain(fault: BaseException) -> str:
    """Return the line of the user's code, the exception's kind and message, and the next move if one is known."""
    kind = "" if isinstance(fault, ImportError) else f"{type(fault).__name__}: "
    place, text = user_line(fault), shortened(f"{kind}{fault}".rstrip(". \n"), 400)
    return f"{place}: {text}{next_move(text)}" if place else f"{text}{next_move(text)}"


def next_move(text: str) -> str:
    """Return the next move for a known message, as a sentence to append, else ""."""
    if "not compiled with CUDA" in text or "NVIDIA driver" in text or "No CUDA GPUs" in text:
        return ". This machine has no CUDA device: write .to(x.device) where the network says .cuda()"
    return ""


def _running() -> Iterator[Place]:
    frame = sys._getframe(1)
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back    # type: ignore[assignment]


def _innermost(places: Iterable[Place]) -> Place | None:
    return next((place for place in places if is_users(place[0])), None)
