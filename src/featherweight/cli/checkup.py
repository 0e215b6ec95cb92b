"""The command that finds mistakes in source and networks: doctor."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.options import DataDir, Force, InputShapes, Json, Trust, parse_shape
from featherweight.cli.output import check_output, console, fail, show, show_json

if TYPE_CHECKING:
    from rich.text import Text

    from featherweight.doctor import Finding, Report

LIMITS = {
    "read": "the built network and its training: only source was read",
    "probe": "the training on real images: networks ran on random images. Give --data NAME",
}
STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def doctor(
    targets: Annotated[
        list[str], typer.Argument(
            metavar="TARGET...",
            help="Scripts (.py), notebooks (.ipynb), folders of them, networks (as for summary), recipes or run "
            "folders.",
        )
    ],
    select: Annotated[
        str | None, typer.Option("--select", metavar="CODES", help="Report these codes only, such as FW301,FW4.")
    ] = None,
    ignore: Annotated[str | None, typer.Option("--ignore", metavar="CODES", help="Leave these codes out.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if an error is found.")] = False,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", metavar="FILE", help="SARIF file to write, for editors and code hosts.")
    ] = None,
    input: InputShapes = None,
    classes: Annotated[
        int | None, typer.Option("--classes", min=2, max=1000, metavar="N", help="Number of classes of the images.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="NAME|PATH", help="Data set on which networks train for 30 steps.")
    ] = None,
    data_dir: DataDir = None,
    trust: Trust = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find known mistakes of training scripts, networks and runs.

    Source files are read, and nothing of them is executed. A network, such as session1 or net.py:Net, is built and runs
    once on random images, with --data also 30 training steps. A run folder is judged by its record. A comment
    `# doctor: ignore[FW301] reason` silences a finding on its line.
    """
    from featherweight.doctor import Options, consult
    from featherweight.doctor.sarif import to_sarif
    from featherweight.files import replacing

    chosen, left_out = codes_in(select or "", "--select"), codes_in(ignore or "", "--ignore")
    if sarif:
        check_output(sarif, (".sarif", ".json"), "--sarif", force=force)
    shapes = [parse_shape(text) for text in input] if input else None
    options = Options(shapes, classes, data, None if data_dir is None else str(data_dir))
    report = consult(targets, options).kept(chosen, left_out)
    for fault in report.unread:
        fail(fault)
    if sarif:
        with replacing(sarif) as file:
            file.write(json.dumps(to_sarif(report), indent=2).encode())
    if as_json:
        show_json(report.to_dict())
    else:
        print_report(report)
    if strict and report.count("error"):
        raise typer.Exit(1)
    if report.unread:
        raise typer.Exit(2)


def codes_in(text: str, option: str) -> list[str]:
    """Return the codes or prefixes of an option. Raises typer.BadParameter for one that no code begins with."""
    from featherweight.doctor import CODES

    found = [code.strip().upper() for code in text.split(",") if code.strip()]
    for code in found:
        if not any(known.startswith(code) for known in CODES):
            raise typer.BadParameter(f"{option} {code!r} is no code. Codes are FW101 to FW907, families FW1 to FW9.")
    return found


def print_report(report: Report) -> None:
    """Print the findings, then what was checked and what could not be checked."""
    from rich.text import Text

    width = min(console().width, 100)
    for finding in report.findings:
        for text in lines_of(finding, width):
            show(text)
        show("")
    show(Text(report.verdict(), style="bold"))
    lines = [f"checked: {line}" for line in report.checked]
    levels = [level for level in report.levels if level != "probe" or "try" not in report.levels]
    lines += [f"not checked: {line}" for line in (*report.unchecked, *(LIMITS[one] for one in levels if one in LIMITS))]
    for line in lines:
        for piece in wrapped(line, width, "", "  "):
            show(Text(piece, style="dim"))


def lines_of(finding: Finding, width: int) -> list[Text]:
    """Return the lines of one finding: place and code, mistake, reason, change and the corrected line."""
    from rich.text import Text

    head = Text.assemble((f"{finding.place} ", "bold"), (f"{finding.severity} {finding.code}",
                                                         STYLES[finding.severity]))
    body = wrapped(finding.what, width, "  ", "  ")
    body += wrapped(finding.why, width, "  why: ", "       ")
    body += wrapped(finding.how, width, "  do:  ", "       ")
    right = [Text(f"  +    {line}", style="green", overflow="fold") for line in finding.corrected.split("\n") if line]
    return [head, *map(Text, body), *right]


def wrapped(text: str, width: int, first: str, later: str) -> list[str]:
    """Return text in lines of at most `width` columns. first, later: the beginnings of the lines."""
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


COMMANDS = (doctor,)
