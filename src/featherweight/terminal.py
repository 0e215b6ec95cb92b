"""Consoles of rich that escape all invisible and control characters in the texts they print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from featherweight.outside import visible


class CleanConsole(Console):
    """A console that escapes invisible characters in every text. Rich's own colours and cursor moves are kept."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments of a renderable, with invisible characters escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text, lines=True), segment.style)


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints texts unchanged: without rich's highlighting, markup and emoji codes."""
    return CleanConsole(stderr=stderr, highlight=False, soft_wrap=False, markup=False, emoji=False)


def text_console(file: IO[str], width: int) -> Console:
    """Return a console that writes plain text into `file`, `width` columns wide."""
    return CleanConsole(     # in a notebook rich would display the text and leave the file empty
        file=file, width=width, color_system=None, force_terminal=False, force_jupyter=False, legacy_windows=False
    )
