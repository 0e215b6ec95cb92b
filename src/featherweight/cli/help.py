"""Help texts that people read: no Python types, no words broken at a hyphen, and a plain usage line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

HYPHEN = "\u2011"       # a hyphen at which no line is broken; written as "-"
Formatter: Any = typer.Context.formatter_class


class PlainFormatter(Formatter):  # type: ignore[misc]
    """A formatter that keeps words such as receptive-field and runs/NAME-seedN on one line."""

    def write_dl(self, rows: Sequence[tuple[str, str]], *sizes: int) -> None:
        """Write a list of names and their texts."""
        super().write_dl([(name, text.replace("-", HYPHEN)) for name, text in rows], *sizes)

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        super().write_text(text.replace("-", HYPHEN))

    def getvalue(self) -> str:
        """Return the text written so far."""
        return str(super().getvalue()).replace(HYPHEN, "-")


class PlainContext(typer.Context):
    """A context whose help is written by PlainFormatter."""

    formatter_class = PlainFormatter


class PlainCommand(TyperCommand):
    """A command whose help names its arguments without types: RUN instead of RUN <path>."""

    context_class = PlainContext

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for one in self.params:
            if one.param_type_name == "argument":
                one.display_type_rich = lambda ctx: None  # type: ignore[attr-defined]
            elif getattr(one, "min", None) is not None:     # "0 to 9" instead of "0<=x<=9"
                text = f"{one.min} to {one.max}"  # type: ignore[attr-defined]
                one._get_number_range_help_str = lambda text=text: text  # type: ignore[attr-defined]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line. Arguments that may be left out are in brackets."""
        arguments: list[Any] = [one for one in self.params if one.param_type_name == "argument"]
        return ["[OPTIONS]", *(one.metavar if one.required else f"[{one.metavar}]" for one in arguments)]


class PlainGroup(TyperGroup):
    """A group of commands with the same help."""

    context_class = PlainContext
