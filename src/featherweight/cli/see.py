"""The commands that draw runs: report, plot, curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.options import (
    DataDir,
    Force,
    InputShapes,
    ModelArguments,
    RunPath,
    RunPaths,
    Trust,
    parse_arguments,
    parse_shape,
)
from featherweight.cli.output import check_output, console, status
from featherweight.outside import say

KINDS = (   # the same as in report/drawing.py, which is slow to import
    "curves", "confusion", "mistakes", "by-class", "calibration", "kernels", "activations", "cam",
    "receptive-field", "graph",
)


def report(
    runs: RunPaths,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="PAGE.html", help="Page to write. Default: RUN/report.html; for several runs, report.html."
        ),
    ] = None,
    image: Annotated[
        int | None,
        typer.Option("--image", help="Number of the test image for activation maps. Default: first of the last class."),
    ] = None,
    mixed: Annotated[bool, typer.Option("--mixed", help="Allow runs on different data sets.")] = False,
    force: Force = False,
    data_dir: DataDir = None,
    trust: Trust = False,
) -> None:
    """Write an HTML page about one run or several.

    The page shows the verdict, the curves, the mistakes and the activations. Several runs stand side by side.
    """
    from featherweight.report import write_report

    file = out or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html"))
    if out or len(runs) > 1:        # the report in a run's own folder is always replaced
        check_output(file, (".html",), "--out", force=force)
    with status("looking at the runs"):
        write_report(runs, file, mixed=mixed, data_dir=data_dir, image=image)
    say(f"wrote {file}")


def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"Kind of picture: {', '.join(KINDS)}.")],
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Run folder. For graph, kernels and receptive-field also a network: a catalogue name, or "
            "path/to/file.py:Class.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Picture to write, .png or .svg.")],
    head: Annotated[
        str | None, typer.Option("--head", help="Head of a network with several heads. Default: the first.")
    ] = None,
    image: Annotated[int, typer.Option("--image", help="Number of the test image to show, counted from 0.")] = 0,
    autograd: Annotated[bool, typer.Option("--autograd", help="For graph: draw the graph of gradients.")] = False,
    input: InputShapes = None,
    set: ModelArguments = None,
    force: Force = False,
    data_dir: DataDir = None,
    trust: Trust = False,
) -> None:
    """Draw one picture of a run or a network.

    --set applies to a MODEL only, --input to the kinds graph and receptive-field only.
    """
    from featherweight import plots
    from featherweight.errors import UnknownName
    from featherweight.report import drawing

    if kind not in KINDS:
        raise UnknownName("kind of picture", kind, KINDS)
    if autograd and kind != "graph":
        raise typer.BadParameter(f"--autograd is about graph, not {kind}.")
    if input and kind not in ("graph", "receptive-field"):
        raise typer.BadParameter(f"--input is about graph and receptive-field, not {kind}.")
    check_output(out, plots.ENDINGS, "--out", force=force)
    arguments = parse_arguments(set or [])
    if arguments and (Path(subject) / "recipe.toml").is_file():
        raise typer.BadParameter(f"--set is about a MODEL; {subject!r} is a run, which has its arguments.")
    figure = drawing.plot(
        kind, subject, head=head, image=image, autograd=autograd, data_dir=data_dir, arguments=arguments,
        input_shapes=tuple(parse_shape(text) for text in input or ()),
    )
    plots.save(figure, out)
    say(f"wrote {out}")


def curves(
    run: RunPath,
    width: Annotated[
        int | None, typer.Option("--width", help="Width in characters. Default: that of the terminal.")
    ] = None,
) -> None:
    """Draw a run's loss and accuracy by epoch as text.

    A run that is still training works too.
    """
    from featherweight.cli.textplot import text_curves
    from featherweight.runs import Run

    say(*text_curves(Run.open(run).history, width or console().width).split("\n"))


COMMANDS = (report, plot, curves)
