"""The commands that use finished runs: evaluate, predict, compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featherweight.cli.options import (
    Data,
    DataDir,
    Device,
    Force,
    InputShape,
    Json,
    ModelArguments,
    Quiet,
    RunPaths,
    Trust,
    parse_arguments,
    parse_shape,
)
from featherweight.cli.output import check_output, fail, note, show, show_json, table
from featherweight.outside import say
from featherweight.statistics import summarize_values
from featherweight.verdict import other_data, outcome
from featherweight.words import duration, percent

if TYPE_CHECKING:
    from featherweight.evaluation import Score
    from featherweight.inference import Prediction

WHERE_THEY_DIFFER = ("data", "seeds", "lowest")     # columns of compare that are hidden if all rows agree


def evaluate(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Run folder. With --weights a network: a catalogue name, or path/to/file.py:Class.",
        ),
    ],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="FILE", help="Weights of MODEL: a .safetensors, .pth or .pt file."),
    ] = None,
    input: InputShape = None,
    set: ModelArguments = None,
    data: Data = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measure a finished run again on the test images.

    With --weights: measure a network with weights that were trained elsewhere. --input and --set apply to this
    network only. Default of --data: the data set of the run; with --weights, mnist.
    """
    from featherweight.examination import against_record
    from featherweight.examination import evaluate as measure_run
    from featherweight.report.verdict import score_rows
    from featherweight.runs import Run

    result: Mapping[str, Any] = {}
    if weights is None and (input or set):
        raise typer.BadParameter("--input and --set are about a MODEL. Give its --weights too.")
    if weights is None:
        opened = Run.open(subject)
        scores = measure_run(opened, data=data, data_dir=data_dir, device=device)
        result = {} if data else opened.result
        differences = against_record(opened, scores) if data is None else []
        for difference in differences:
            note(f"not as recorded: {difference}")
        content: dict[str, Any] = {"run": subject, "as_recorded": None if data else not differences}
    else:
        shape, arguments = parse_shape(input) if input else None, parse_arguments(set or [])
        content, scores = measure_model(subject, weights, shape, arguments, data or "mnist", data_dir, device)
    if as_json:
        return show_json({**content, "test": {head: score.to_dict() for head, score in scores.items()}})
    show(table("head", "test", rows=score_rows(scores, result)))
    return None


def measure_model(
    model: str, weights: Path, shape: tuple[int, ...] | None, arguments: dict[str, object], data: str,
    data_dir: Path | None, device: str,
) -> tuple[dict[str, Any], dict[str, Score]]:
    """Measure a network with weights from a file. Return its description for --json, and the score of each head."""
    from featherweight.examination import evaluate_weights
    from featherweight.files import sha256_of
    from featherweight.models import full_name

    model = full_name(model)
    found = evaluate_weights(
        model, weights, data=data, arguments=arguments, shape=shape, data_dir=data_dir, device=device
    )
    count = sum(parameter.numel() for parameter in found.network.parameters() if parameter.requires_grad)
    note(f"{model}: {count:,} parameters from {weights}, test images of {found.dataset.name}")
    return {"model": model, "weights": str(weights), "sha256": sha256_of(weights), "parameters": count,
            "dataset": found.dataset.name}, found.scores


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or a bundle that export wrote.")],
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="Picture files, folders or glob patterns.")
    ],
    number: Annotated[
        int | None, typer.Option("--number", metavar="K", help="For digit-sum: the number to add, 0 to 9.")
    ] = None,
    many: Annotated[bool, typer.Option("--many", help="Classify each digit of a picture, line by line.")] = False,
    strip: Annotated[
        Path | None, typer.Option("--show", metavar="STRIP.png", help="Picture to write: the network's input images.")
    ] = None,
    force: Force = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Classify pictures: the three most probable classes of each."""
    from featherweight.cli.pictures import answer_all, save_strip
    from featherweight.picture_files import expand, left_out

    if strip:
        check_output(strip, (".png",), "--show", force=force)
    files, faults = expand(pictures)
    for fault in faults:
        fail(fault)
    for sentence in left_out(pictures):
        note(sentence)
    answered, more = answer_all(run, files, number, many=many, keep=strip is not None)
    if strip and answered:
        save_strip(answered, strip)
    if as_json:
        show_json([prediction.to_dict() for prediction in answered])
    elif answered:
        show_predictions(answered)
    if faults or more:
        raise typer.Exit(2)


def show_predictions(predictions: Sequence[Prediction]) -> None:
    """Print a table with one row per picture and head."""
    several, digits = len(predictions[0].answers) > 1, any(prediction.digit for prediction in predictions)
    rows = [
        [prediction.picture, *([str(prediction.digit)] if digits else []), *([head] if several else []),
         *in_columns(ranked, doubted=prediction.doubted)]
        for prediction in predictions
        for head, ranked in prediction.answers.items()
    ]
    titles = ["picture", *(["digit"] if digits else []), *(["head"] if several else [])]
    places = ("answer", "second", "third")[: len(rows[0]) - len(titles)]
    show(table(*titles, *places, rows=rows))


def in_columns(ranked: Sequence[tuple[str, float]], *, doubted: bool) -> list[str]:
    """Return the cells of one prediction. Of a doubted one: "I don't know", and the candidates."""
    cells = [f"{name}  {percent(share, 1)}" for name, share in ranked]
    return ["I don't know", *cells][: len(cells)] if doubted else cells


def compare(
    runs: RunPaths,
    as_json: Json = False,
) -> None:
    """Compare finished runs, and show in which settings they differ.

    Recipes that share seeds are also compared by the mean difference over these seeds. Single runs are compared on
    their common test images.
    """
    from featherweight.report.comparison import group_runs
    from featherweight.report.differences import differences, in_sentences
    from featherweight.report.likeness import called, difference_lines, identical, in_order, recipe_differences
    from featherweight.runs import open_runs

    opened = {folder: open_runs(folder) for folder in in_order(runs)}
    everything = [run for several in opened.values() for run in several]
    groups = [] if len({run.result["dataset"] for run in everything}) > 1 else group_runs(everything)
    found, names = differences(groups), called(everything)
    if as_json:
        return show_json({
            "runs": [{"run": str(run.path), **run.result} for run in everything],
            "settings": recipe_differences([str(run.path) for run in everything], everything),
            "differences": [asdict(difference) for difference in found],
        })
    rows = [side_by_side(str(folder), [run.result for run in several]) for folder, several in opened.items()]
    right = ("parameters", "seeds", "test", "lowest", "time")
    headings = [name for name in rows[0] if name not in WHERE_THEY_DIFFER or len({row[name] for row in rows}) > 1]
    cells = [[row[name] for name in headings] for row in rows]
    show(table(*headings, rows=cells, right=tuple(headings.index(name) for name in right if name in headings)))
    alone = len(everything) == len(opened)
    firsts = [several[0] for several in opened.values()]
    differing = recipe_differences(called(firsts) if alone else list(map(str, opened)), firsts, seed=alone)
    goals = other_data(run.result["goal"] for run in everything)
    said = [*goals, *difference_lines(differing), *in_sentences(groups, found), *identical(names, everything)]
    if said:
        say("", *said)
    return None


def side_by_side(folder: str, results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return one row of compare: column -> text. Several seeds give their mean and lowest accuracy."""
    first = results[0]
    common = [head for head in first["test"] if all(head in result["test"] for result in results)]
    heads = [summarize_values([result["test"][head]["accuracy"] for result in results]) for head in common]
    goals = [result["goal"] for result in results]
    met = sum(goal["met"] is True for goal in goals)
    return {
        "run": folder,
        "model": first["model"],
        "data": first["dataset"],
        "parameters": f"{first['parameters']:,}",
        "seeds": str(len(results)),
        "test": " / ".join(percent(head.mean) for head in heads),
        "lowest": " / ".join(percent(head.lowest) for head in heads) if len(results) > 1 else "-",
        "time": duration(fmean(result["seconds"] for result in results)),
        "goal": outcome(goals[0]) if len(goals) == 1 else f"{met} of {len(goals)}",
    }


COMMANDS = (evaluate, predict, compare)
