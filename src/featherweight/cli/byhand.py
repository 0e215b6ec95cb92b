"""The command byhand: train a tiny network by hand, as a workbook, as one worked update, and as curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featherweight.cli.options import Force, Json, Quiet
from featherweight.cli.output import check_output, console, note, show, show_json, status, table
from featherweight.outside import say

if TYPE_CHECKING:
    from featherweight.byhand import Network, Row


def byhand(
    out: Annotated[Path | None, typer.Option("--out", metavar="BOOK.xlsx", help="Workbook to write.")] = None,
    explained: Annotated[bool, typer.Option("--explain", help="Print one update with all its numbers.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="PICTURE", help="Picture to write, .png or .svg: the error at each rate."),
    ] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option("--rate", metavar="X", help="Learning rate. Repeatable. Default: 2, 1, 0.8, 0.5, 0.2 and 0.1."),
    ] = None,
    updates: Annotated[int, typer.Option("--updates", metavar="N", help="Number of updates.")] = 70,
    output: Annotated[
        str, typer.Option("--output", metavar="NAME", help="Activation of the outputs: softmax or sigmoid.")
    ] = "softmax",
    loss: Annotated[
        str,
        typer.Option(
            "--loss", metavar="NAME",
            help="squared, cross-entropy (softmax only) or binary-cross-entropy (sigmoid only).",
        ),
    ] = "squared",
    inputs: Annotated[
        str | None, typer.Option("--inputs", metavar="I1,I2", help="The two inputs. Default: 0.05,0.10.")
    ] = None,
    targets: Annotated[
        str | None, typer.Option("--targets", metavar="T1,T2", help="The two targets. Default: 0.01,0.99.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="W1,W2,...", help="First weights w1, w2, ... With --biases also b1, b2, ..."),
    ] = None,
    hidden: Annotated[int, typer.Option("--hidden", metavar="N", help="Number of hidden neurons, 1 to 8.")] = 2,
    biases: Annotated[bool, typer.Option("--biases", help="Give each neuron a trainable bias.")] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", metavar="N", help="Seed for random first weights. Default: none if --hidden is 2, else 1."
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a network of 2 inputs and 2 outputs by hand.

    The results are a workbook of live formulas (--out), one update with all its numbers (--explain), or error
    curves (--plot).
    """
    from featherweight.byhand import INPUTS, RATES, TARGETS, Network, check_rates, check_updates, starting_values, train

    for file, endings, option in ((out, (".xlsx",), "--out"), (plot, (".png", ".svg"), "--plot")):
        if file:
            check_output(file, endings, option, force=force)
    network = Network(hidden, output, loss, biases)
    rates = rate or list(RATES)
    check_rates(rates)
    check_updates(updates)
    given = {"inputs": numbers("inputs", inputs) or INPUTS, "targets": numbers("targets", targets) or TARGETS}
    start = starting_values(network, **given, weights=numbers("weights", weights), seed=seed)
    runs = {one: train(network, start, one, updates) for one in rates}
    if out:
        write_book(out, network, runs)
    if plot:
        plot_rates(plot, network, runs)
    if as_json:
        return show_json(as_document(network, runs, explained))
    report(network, runs, explained)
    if not (out or plot or explained):
        note("--out BOOK.xlsx writes a workbook, --explain works one update out, --plot PICTURE draws the curves.")
    return None


def numbers(option: str, text: str | None) -> list[float] | None:
    """Parse numbers separated by commas: "0.05,0.1" -> [0.05, 0.1]. None stays None.

    Raises ByHandError, naming the option, for a part that is not a number.
    """
    from featherweight.errors import ByHandError

    if text is None:
        return None
    found = []
    for part in text.split(","):
        try:
            found.append(float(part))
        except ValueError:
            example = "Give numbers separated by commas, such as 0.05,0.1."
            raise ByHandError(f"--{option} {text!r}: {part.strip()!r} is not a number. {example}") from None
    return found


def write_book(out: Path, network: Network, runs: Mapping[float, list[Row]]) -> None:
    """Write the workbook and print a note. Raises MissingExtra without XlsxWriter."""
    from featherweight.errors import MissingExtra

    try:
        from featherweight.byhand.workbook import write_workbook
    except ModuleNotFoundError as fault:
        if fault.name != "xlsxwriter":
            raise
        raise MissingExtra("XlsxWriter", "workbook") from None
    with status(f"writing {out}"):
        write_workbook(out, network, runs)
    sheets = f"{len(runs)} {'sheet' if len(runs) == 1 else 'sheets'} of {len(next(iter(runs.values())))} rows"
    note(f"wrote {out}: {sheets}, the network, graphs, the derivation")


def plot_rates(plot: Path, network: Network, runs: Mapping[float, list[Row]]) -> None:
    """Write the picture of error curves and print a note."""
    from featherweight import plots
    from featherweight.byhand import rate_text

    neurons = "1 hidden sigmoid neuron" if network.hidden == 1 else f"{network.hidden} hidden sigmoid neurons"
    subtitle = f"2 inputs, {neurons}, 2 {network.output} outputs, {network.loss} error; a curve for each learning rate."
    curves = {rate_text(rate): [row["E_total"] for row in rows] for rate, rows in runs.items()}
    plots.save(plots.learning_rates(curves, "The error of a network that learns one example by hand", subtitle), plot)
    note(f"wrote {plot}")


def report(network: Network, runs: Mapping[float, list[Row]], explained: bool) -> None:
    """Print the worked update if `explained`, else a table of the error that each rate reached."""
    from featherweight.byhand import explain, rate_text

    if explained:
        rate, rows = next(iter(runs.items()))
        return say(*explain(network, rows, rate, max(console().width, 40)).split("\n"))
    last = len(next(iter(runs.values()))) - 1
    shown = sorted({0, 1, min(10, last), last})
    lines = [[rate_text(rate), *(f"{rows[n]['E_total']:.9f}" for n in shown)] for rate, rows in runs.items()]
    show(table("rate", *(f"E_total at {n}" for n in shown), rows=lines, right=tuple(range(len(shown) + 1))))
    return None


def as_document(network: Network, runs: Mapping[float, list[Row]], explained: bool) -> dict[str, Any]:
    """Return the JSON document: the network, its start, and the errors and final parameters at each rate.

    If `explained`, add every number of the first update, at the first rate.
    """
    from dataclasses import asdict

    first = next(iter(runs.values()))[0]
    start = {name: first[name] for name in ("i1", "i2", "t1", "t2", *network.parameters)}
    trained = [
        {"rate": rate, "E_total": [row["E_total"] for row in rows],
         "parameters": {name: rows[-1][name] for name in network.parameters}}
        for rate, rows in runs.items()
    ]
    return {"network": asdict(network), "start": start, "runs": trained} | ({"update": first} if explained else {})


COMMANDS = (byhand,)
