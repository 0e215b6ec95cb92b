"""How a message names what a person gives: as the command line writes it, or as Python does.

Python's words are the rule; the command line says that it is speaking, once, in cli/__init__.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SWITCHES = ("force", "resume", "mixed", "int8")     # options without a value

_on_command_line = False    # of the process, not of a thread: a server's threads answer for its command line


@contextmanager
def command_line() -> Iterator[None]:
    """Let messages speak of options such as --force in this block."""
    global _on_command_line  # noqa: PLW0603  the one place that knows who asked
    before, _on_command_line = _on_command_line, True
    try:
        yield
    finally:
        _on_command_line = before


def option(name: str, value: object = None) -> str:
    """Name an option: --force or force=True, --out or out=, --device auto or device='auto'.

    A setting of a recipe is --set KEY=VALUE or settings=['KEY=VALUE']; a count of seeds --seeds 5 or seeds=range(1, 6).
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
    """Return the words of the command line or those of Python, for what has no common form."""
    return command_line if _on_command_line else python


def call(name: str, *arguments: object, **options: object) -> str:
    """Name a command with its arguments: featherweight train R --resume, or featherweight.train('R', resume=True).

    An argument in capitals stands for what a person fills in. Options are written as `option` does; True is a switch.
    """
    named = [option(key, None if value is True else value) for key, value in options.items()]
    if _on_command_line:
        return " ".join(["featherweight", name, *map(str, arguments), *named])
    given = [str(one) if str(one).isupper() else repr(str(one)) for one in arguments]
    function = "train_seeds" if "seeds" in options else name
    return f"featherweight.{function}({', '.join([*given, *named])})"
