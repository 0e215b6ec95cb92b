"""The commands that use finished runs: evaluate, predict, compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.data import DataDir
from featherweight.cli.look import Json
from featherweight.cli.output import duration, fail, percent, show, show_json, table
from featherweight.cli.training import Device

if TYPE_CHECKING:
    from featherweight.inference import Prediction

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def evaluate(
    run: RunPath,
    data: Annotated[str | None, typer.Option("--data", metavar="NAME", help="Another data set, or folder:DIR.")] = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a finished run again on test images."""
    from featherweight.cli.verdict import in_words
    from featherweight.examination import evaluate as measure_run

    scores = measure_run(run, data=data, data_dir=data_dir, device=device)
    if as_json:
        return show_json({"run": str(run), "test": {head: score.to_dict() for head, score in scores.items()}})
    show(table("head", "test", rows=[[head, in_words(score.to_dict())] for head, score in scores.items()]))
    return None


def predict(
    run: RunPath,
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Picture files.")],
    number: Annotated[
        int | None, typer.Option("--number", metavar="K", help="The number 0..9 to add (digit-sum).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what pictures show: the three most probable classes of each."""
    from featherweight.errors import PictureError
    from featherweight.inference import Predictor

    predictor = Predictor(run)
    predictor.check_number(number)
    answered, faults = [], 0
    for picture in pictures:
        try:
            answered.append(predictor.predict(picture, number=number))
        except PictureError as fault:       # the others are still answered
            fail(str(fault))
            faults += 1
    if as_json:
        show_json([prediction.to_dict() for prediction in answered])
    elif answered:
        show_predictions(answered)
    if faults:
        raise typer.Exit(2)


def show_predictions(predictions: Sequence[Prediction]) -> None:
    """A row for each picture and head."""
    several = len(predictions[0].answers) > 1
    rows = [
        [prediction.picture, *([head] if several else []), *(f"{name}  {share:.1%}" for name, share in ranked)]
        for prediction in predictions
        for head, ranked in prediction.answers.items()
    ]
    places = ("answer", "second", "third")[: len(rows[0]) - 1 - several]
    show(table("picture", *(["head"] if several else []), *places, rows=rows))


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    as_json: Json = False,
) -> None:
    """Lay finished runs side by side: parameters, accuracy, time, verdict."""
    from featherweight.runs import Run

    results = [(run, Run.open(run).result) for run in runs]
    if as_json:
        return show_json([{"run": str(run), **result} for run, result in results])
    rows = []
    for run, result in results:
        accuracy = " / ".join(percent(score["accuracy"]) for score in result["test"].values())
        verdict = {True: "met", False: "not met", None: "-"}[result["goal"]["met"]]
        times = [duration(result["seconds"]), verdict]
        rows.append([str(run), result["model"], result["dataset"], f"{result['parameters']:,}", accuracy, *times])
    show(table("run", "model", "data", "parameters", "test", "time", "goal", rows=rows, right=(3, 4, 5)))
    return None


COMMANDS = (evaluate, predict, compare)
