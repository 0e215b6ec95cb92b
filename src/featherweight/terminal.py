"""A rich console that shows characters that cannot be seen, whatever it is given to print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from featherweight.outside import visible


class CleanConsole(Console):
    """A console in which every text is visible; rich's own colours and cursor moves are kept."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Return the segments of what is printed, their texts visible."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text, lines=True), segment.style)


def console(*, stderr: bool = False) -> Console:
    """A console without rich's guessing of what in a text might deserve colour."""
    return CleanConsole(stderr=stderr, highlight=False, soft_wrap=False, markup=False, emoji=False)


def text_console(file: IO[str], width: int) -> Console:
    """A console that writes plain text of this many columns into a file."""
    return CleanConsole(     # in a notebook rich would display the text and leave the file empty
        file=file, width=width, color_system=None, force_terminal=False, force_jupyter=False, legacy_windows=False
    )
