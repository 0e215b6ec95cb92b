"""The commands that draw runs: report, plot, curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.completion import KINDS, kinds
from featherweight.cli.options import (
    DataDir,
    Force,
    InputShapes,
    Json,
    ModelArguments,
    Quiet,
    RunPath,
    RunPaths,
    Trust,
    parse_shape,
)
from featherweight.cli.output import check_output, console, show_file, show_json, status
from featherweight.cli.subjects import arguments_for, is_run
from featherweight.outside import say


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
        typer.Option(
            "--image", metavar="N",
            help="Number of the test image for activation maps. Default: the first image of the last class.",
        ),
    ] = None,
    mixed: Annotated[bool, typer.Option("--mixed", help="Allow runs on different data sets.")] = False,
    force: Force = False,
    data_dir: DataDir = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write an HTML page about one run or several.

    The page shows the verdict, the curves, the mistakes and the activations. Several runs stand side by side.
    """
    file = out or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html"))
    if out or len(runs) > 1:        # the report in a run's own folder is always replaced
        check_output(file, (".html",), "--out", force=force)
    from featherweight.report import write_report

    with status("looking at the runs"):
        write_report(runs, file, mixed=mixed, data_dir=data_dir, image=image)
    show_file(file, as_json=as_json)


def plot(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", autocompletion=kinds, help=f"Kind of picture: {', '.join(KINDS)}.")
    ],
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Run folder. For graph, kernels and receptive-field also a network, as for `featherweight summary`.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Picture to write, .png or .svg.")],
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="NAME", help="Head of a network with several heads. Default: the first."),
    ] = None,
    image: Annotated[
        int, typer.Option("--image", metavar="N", help="Number of the test image to show, counted from 0.")
    ] = 0,
    autograd: Annotated[bool, typer.Option("--autograd", help="For graph: draw the graph of gradients.")] = False,
    input: InputShapes = None,
    set: ModelArguments = None,
    force: Force = False,
    data_dir: DataDir = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Draw one picture of a run or a network.

    --set applies to a MODEL only, --input to the kinds graph and receptive-field only.
    """
    from featherweight.errors import UnknownName

    if kind not in KINDS:
        raise UnknownName("kind of picture", kind, KINDS)
    if autograd and kind != "graph":
        raise typer.BadParameter(f"--autograd is about graph, not {kind}.")
    if input and kind not in ("graph", "receptive-field"):
        raise typer.BadParameter(f"--input is about graph and receptive-field, not {kind}.")
    check_output(out, (".png", ".svg"), "--out", force=force)
    arguments = arguments_for(subject, set or [])

    from featherweight import plots
    from featherweight.models import full_name
    from featherweight.report import drawing

    figure = drawing.plot(
        kind, subject if is_run(subject) else full_name(subject), head=head, image=image, autograd=autograd,
        data_dir=data_dir, arguments=arguments,
        input_shapes=tuple(parse_shape(text) for text in input or ()),
    )
    plots.save(figure, out)
    show_file(out, as_json=as_json)


def curves(
    run: RunPath,
    width: Annotated[
        int | None,
        typer.Option("--width", metavar="N", help="Width in characters. Default: that of the terminal."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a run's loss and accuracy by epoch as text.

    A run that is still training works too. With --json: the numbers of each epoch.
    """
    from featherweight.runs import Run

    history = Run.open(run).history
    if as_json:
        return show_json(history)
    from featherweight.cli.textplot import text_curves

    return say(*text_curves(history, width or console().width).split("\n"))


COMMANDS = (report, plot, curves)
