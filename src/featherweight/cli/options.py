"""Options and arguments that several commands share: each with its name, its help text and its parsing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.output import hushed, only_documents


def keep_clean(context: typer.Context, value: bool) -> bool:
    """With --json, reserve standard output for the JSON document until the command ends."""
    if value:
        context.with_resource(only_documents())
    return value


def be_quiet(value: bool) -> bool:
    """With --quiet, print no notes and no progress until the command ends."""
    if value:
        hushed.set(True)
    return value


def trust_all(value: bool) -> bool:
    """With --trust, trust the network code of every run that this command opens, now and in later commands."""
    if value:
        from featherweight.user_code import trust

        trust.trusting.set(True)
    return value


RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")]
RunPaths = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or folders that --seeds wrote.")]
InputShape = Annotated[
    str | None, typer.Option("--input", metavar="C,H,W", help="Shape of one input image: channels, height, width.")
]
InputShapes = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="C,H,W", help="Shape of one input: channels, height, width. Repeatable."),
]
ModelArguments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Argument of MODEL, e.g. dropout=0.1. Repeatable."),
]
Data = Annotated[str | None, typer.Option("--data", metavar="NAME|PATH", help="Data set: a name, or a file or folder.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Folder that holds the data set, as DIR/NAME/*.gz."),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="cuda, mps or cpu. auto takes the first that is available."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it already exists.")]
Trust = Annotated[
    bool, typer.Option("--trust", callback=trust_all, help="Trust the Python code of the network that a run contains.")
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=be_quiet, help="Print the result and errors only: no progress, no notes."),
]
Json = Annotated[
    bool,
    typer.Option("--json", callback=keep_clean, help="Print one JSON document on standard output and nothing else."),
]


def parse_shape(text: str) -> tuple[int, ...]:
    """Parse a shape: "1,28,28" or "1x28x28" -> (1, 28, 28). Raises typer.BadParameter for other text."""
    parts = text.replace("x", ",").split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"--input {text!r} is no shape of positive whole numbers such as 1,28,28.")
    return tuple(int(part) for part in parts)


def parse_arguments(settings: Sequence[str]) -> dict[str, object]:
    """Parse the values of --set into arguments: ["dropout=0.1"] -> {"dropout": 0.1}.

    A key may have the form of a recipe: "model.arguments.dropout=0.1" has the same result.
    """
    from featherweight.recipe import apply_setting

    arguments: dict[str, object] = {}
    for setting in settings:
        apply_setting(arguments, setting.strip().removeprefix("model.arguments."))
    return arguments
