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
    """Hold back the warnings raised inside, and raise each at the end, at the line of the user's code it came from.

    layer names the layer that runs. It is put first if no line of the network is the user's; the warning then
    stands at the line that asked to look. If the network fails, its warnings are dropped.
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
            warnings.simplefilter("ignore", hidden)     # as Python does for code that is imported
        warnings.showwarning = hold
        yield
    for text, category, (file, line) in found:
        warnings.warn_explicit(text, category, file, line)


def _phrase(message: Warning | str) -> str:
    """One line that says what to do, for the warnings that students meet most."""
    text = str(message)
    if implicit := _IMPLICIT.search(text):
        return f"{implicit[1]} without dim: name the dimension"
    return in_one_line(UserWarning(_TRIGGERED.sub("", text)))
