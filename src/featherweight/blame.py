"""Where in the user's code an exception or a warning came from, and its text as one line.

A frame is the user's if its file is not of Python's library, an installed package or Featherweight.
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
_TYPED = ("<stdin>", "<string>", "<ipython-input")      # code without a file that a person wrote all the same
_CLEAR_WITHOUT_KIND = (RuntimeError, TypeError, ValueError, AttributeError, NameError, ImportError, OSError, Warning)
_INTERPRETER = "in the TorchScript interpreter"         # such a message ends with what went wrong
NOWHERE = "<network>"       # the file of a warning that no line of the user's led to

Place = tuple[str, int]     # a file and a line, counted from 1


def user_line(fault: BaseException) -> str:
    """The innermost line of the user's code that led to the exception, as "net.py:8"; "" if there is none."""
    place = user_place(fault)
    return at(place) if place else ""


def user_place(fault: BaseException) -> Place | None:
    """The file and line of `user_line`; for a syntax error, the line that cannot be read."""
    if isinstance(fault, SyntaxError) and fault.filename and fault.lineno and is_users(fault.filename):
        return fault.filename, fault.lineno
    frames = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(fault.__traceback__))
    return _innermost(reversed(list(frames)))


def running_place(ground: int = 0) -> Place | None:
    """The innermost line of the user's code that is being executed now, more than `ground` calls deep."""
    running = list(_running())
    return _innermost(running[: len(running) - ground])


def depth() -> int:
    """How many calls deep the caller is."""
    return len(list(_running())) - 1


def at(place: Place) -> str:
    """("/home/me/net.py", 8) -> "net.py:8"; in a notebook, "line 8 of a notebook cell"."""
    file, line = place
    if "ipykernel" in file or "ipython-input" in file:
        return f"line {line} of a notebook cell"
    return f"line {line}" if file.startswith("<") else f"{Path(file).name}:{line}"


def is_users(file: str) -> bool:
    """Whether code of this file name was written by the user."""
    if file.startswith("<"):
        return file.startswith(_TYPED)
    path = Path(file)
    return not _INSTALLED & set(path.parts) and not str(path.resolve()).startswith(_NOT_THE_USERS)


def in_one_line(fault: BaseException) -> str:
    """The exception's message as a phrase without a full stop; its kind is named if the message needs it."""
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
    """Return the user's line, the exception's kind and message, and a next move where one is known."""
    kind = "" if isinstance(fault, ImportError) else f"{type(fault).__name__}: "
    place, text = user_line(fault), shortened(f"{kind}{fault}".rstrip(". \n"), 400)
    return f"{place}: {text}{next_move(text)}" if place else f"{text}{next_move(text)}"


def next_move(text: str) -> str:
    """Return what to do about a message that is known, as a sentence to append; else ""."""
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
