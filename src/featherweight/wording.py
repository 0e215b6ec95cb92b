"""Names of options and commands in messages: in the form of the command line, or in the form of Python.

The form of Python is the default. cli/__init__.py switches to the form of the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SWITCHES = ("force", "resume", "mixed", "int8")     # options without a value

_on_command_line = False    # per process, not per thread: the threads of a server share its command line


@contextmanager
def command_line() -> Iterator[None]:
    """Let messages inside this block name options as on the command line, such as --force."""
    global _on_command_line  # noqa: PLW0603  only this function sets it
    before, _on_command_line = _on_command_line, True
    try:
        yield
    finally:
        _on_command_line = before


def option(name: str, value: object = None) -> str:
    """Return an option in the form of the command line or of Python.

    - option("force"): --force or force=True.
    - option("out"): --out or out=.
    - option("device", "auto"): --device auto or device='auto'.
    - option("set", "KEY=VALUE"): --set KEY=VALUE or settings=['KEY=VALUE'].
    - option("seeds", 5): --seeds 5 or seeds=range(1, 6).
    """
    if _on_command_line:
        return f"--{name}" if value is None else f"--{name} {value}"
    if name == "set":
        return f"settings=['{value}']"
    if name == "seeds" and isinstance(value, int):
        return f"seeds=range(1, {value + 1})"
    if name in SWITCHES:
        return f"{name}=True"
    word = name.replace("-", "_")
    return f"{word}=" if value is None else f"{word}={value if isinstance(value, int) else repr(str(value))}"


def either(command_line: str, python: str) -> str:
    """Return the first text on the command line and the second in Python, for texts that `option` cannot build."""
    return command_line if _on_command_line else python


def call(name: str, *arguments: object, **options: object) -> str:
    """Return a command with its arguments in the form of the command line or of Python.

    call("train", "R", resume=True): featherweight train R --resume, or featherweight.train('R', resume=True).
    arguments: one in capitals is a placeholder and gets no quotes. options: written as by `option`; True is a switch.
    """
    named = [option(key, None if value is True else value) for key, value in options.items()]
    if _on_command_line:
        return " ".join(["featherweight", name, *map(str, arguments), *named])
    given = [str(one) if str(one).isupper() else repr(str(one)) for one in arguments]
    function = "train_seeds" if "seeds" in options else name
    return f"featherweight.{function}({', '.join([*given, *named])})"
