"""Warnings of a network's code, shown with the user's line instead of a line of this package."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from featherweight.blame import NOWHERE, Place, depth, in_one_line, running_place

_IMPLICIT = re.compile(r"Implicit dimension choice for (\w+)")
_TRIGGERED = re.compile(r"\s*\(Triggered internally at .*", re.DOTALL)


@contextmanager
def warnings_placed(layer: Callable[[], str]) -> Iterator[None]:
    """Hold back warnings inside the block, and raise them at its end, at the user's line that caused each.

    layer: returns the name of the running layer.
    If no line of the network is the user's, the message begins with that name. The warning then points to the line that
    started the analysis. If the network fails, its warnings are dropped.
    """
    ground = depth()
    found: dict[tuple[str, type[Warning], Place], None] = {}

    def hold(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        text, place = _phrase(message), running_place(ground)
        text = text if place or not layer() else f"{layer()}: {text}"
        found[text, category, place or running_place() or (NOWHERE, 1)] = None

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for hidden in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", hidden)     # as Python does for imported code
        warnings.showwarning = hold
        yield
    for text, category, (file, line) in found:
        warnings.warn_explicit(text, category, file, line)


def _phrase(message: Warning | str) -> str:
    """Return the warning as one line. For a warning that students meet often, the line says what to do."""
    text = str(message)
    if implicit := _IMPLICIT.search(text):
        return f"{implicit[1]} without dim: name the dimension"
    return in_one_line(UserWarning(_TRIGGERED.sub("", text)))
