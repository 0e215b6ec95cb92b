"""The command export: write a finished run as ONNX, C or a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from featherweight.cli.options import DataDir, Force, Json, Quiet, RunPath, Trust
from featherweight.cli.output import fail, note, show, show_json, table
from featherweight.outside import say


def export(
    run: RunPath,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="Format: onnx, onnx-int8, c or bundle.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="For c: compute with 8-bit integers.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 1 if int8 loses more than 0.10 points of accuracy.")
    ] = False,
    data_dir: DataDir = None,
    force: Force = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Export a finished run as ONNX, C or a bundle.

    The export is compared with PyTorch on every test image.
    """
    from featherweight.shipping import export as make

    document = make(run, to, out, int8=int8, data_dir=data_dir, force=force, say=note)
    if as_json:
        show_json(document)
    else:
        show_export(document, out)
    verdict = document["verdict"]
    wrong = verdict["ruined"] or not verdict["agrees"]
    if wrong:
        fail(verdict["sentence"])
    if wrong or not verdict["proved"] or (strict and not verdict["holds"]):
        raise typer.Exit(1)


def show_export(document: Mapping[str, Any], out: Path) -> None:
    """Print a table that compares each exported form with PyTorch, then sizes and the verdict."""
    from featherweight.shipping.ship_page import proof_rows

    headings = "form", "head", "accuracy", "correct", "other class", "largest difference", "µs an image"
    show(table(*headings, rows=proof_rows(document), right=(2, 3, 4, 5, 6)))
    sizes = ", ".join(f"{name} {size:,}" for name, size in document["files"].items())
    memory = [f"RAM {document['ram']:,} bytes, flash {document['flash']:,} bytes of constants"] \
        if "ram" in document else []
    say("", f"{out}: {sizes} bytes", *memory, document["verdict"]["sentence"])


COMMANDS = (export,)
