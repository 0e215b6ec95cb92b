"""The commands that show runs: report, plot, curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.data import DataDir
from featherweight.cli.look import parse_arguments, parse_shape
from featherweight.cli.output import check_output, console, status
from featherweight.cli.trusting import Trust
from featherweight.cli.use import RunPath
from featherweight.outside import say

Force = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]
KINDS = (   # those of report/drawing.py, which is heavy to import
    "curves", "confusion", "mistakes", "by-class", "calibration", "kernels", "activations", "cam",
    "receptive-field", "graph",
)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PAGE.html", help="Default: RUN/report.html, or report.html.")
    ] = None,
    image: Annotated[int | None, typer.Option("--image", help="The test image for the activation maps.")] = None,
    mixed: Annotated[bool, typer.Option("--mixed", help="Allow runs on different data sets.")] = False,
    force: Force = False,
    data_dir: DataDir = None,
    trust: Trust = False,
) -> None:
    """Write a page that shows one run, or several side by side: verdict, curves, mistakes, what the network sees."""
    from featherweight.report import write_report

    file = out or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html"))
    if out or len(runs) > 1:        # a run's own report is made anew
        check_output(file, (".html",), "--out", force=force)
    with status("looking at the runs"):
        write_report(runs, file, mixed=mixed, data_dir=data_dir, image=image)
    say(f"wrote {file}")


def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")],
    subject: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run folder; for some kinds a model will do.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A picture, .png or .svg.")],
    head: Annotated[str | None, typer.Option("--head", help="Which head of a network with several.")] = None,
    image: Annotated[int, typer.Option("--image", help="Which test image is looked at, counted from 0.")] = 0,
    autograd: Annotated[bool, typer.Option("--autograd", help="graph: how gradients flow.")] = False,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="C,H,W", help="graph, receptive-field: shape of one input; repeat for more."),
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An argument of the MODEL; repeatable.")
    ] = None,
    force: Force = False,
    data_dir: DataDir = None,
    trust: Trust = False,
) -> None:
    """Draw one picture of a run or a network."""
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
    width: Annotated[int | None, typer.Option("--width", help="In characters. Default: the terminal's.")] = None,
) -> None:
    """Draw a run's loss and accuracy by epoch as text, also of a run that is still training."""
    from featherweight.cli.textplot import text_curves
    from featherweight.runs import Run

    say(*text_curves(Run.open(run).history, width or console().width).split("\n"))


COMMANDS = (report, plot, curves)
