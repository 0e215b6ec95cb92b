"""`featherweight report`: run folders -> one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from featherweight import __version__, plots
from featherweight.anatomy import Summary, summarize
from featherweight.errors import RunError
from featherweight.examination import Examination, examine
from featherweight.files import write_atomically
from featherweight.networks import shapes_of
from featherweight.outside import visible
from featherweight.record import NEXT_MOVE
from featherweight.report import figures
from featherweight.report.analysis import analyse
from featherweight.report.comparison import Group, check_same_data, common_heads, differences, folder, group_runs
from featherweight.runs import Run, open_runs
from featherweight.statistics import wilson_interval
from featherweight.words import duration, ending, percent, training_images

MOST_IN_FULL = 4        # runs; of more, what takes much room is left out
GOALS = {"accuracy": "accuracy ≥ {:.2%}", "max_parameters": "parameters ≤ {:,}", "max_epochs": "epochs ≤ {:,}"}


@dataclass(frozen=True)
class Subject:
    """One run as the page shows it."""

    name: str
    examination: Examination
    summary: Summary
    analysis: list[str]
    pictures: dict[str, Any]

    @property
    def run(self) -> Run:
        """The run folder."""
        return self.examination.run

    @property
    def result(self) -> Mapping[str, Any]:
        """Its result.json."""
        return self.run.result

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads of its task."""
        return self.examination.task.heads


def write_report(
    runs: Sequence[Run | str | Path], out: Path, *, mixed: bool = False, data_dir: Path | None = None,
    device: str = "cpu", image: int | None = None,
) -> None:
    """Write the page of one run, or of several side by side, in one move.

    image: the test image whose activation maps are shown; without it the first of the last class. Raises RunError for
    a folder that is no finished run, for one without weights, and for runs on different data sets unless mixed.
    """
    opened = [one for run in runs for one in ([run] if isinstance(run, Run) else open_runs(run))]
    check_same_data(opened, mixed=mixed)
    full = len(opened) <= MOST_IN_FULL
    subjects = [
        look_at(run, name, examine(run, data_dir=data_dir, device=device), full, image)
        for run, name in zip(opened, called(opened), strict=True)
    ]
    write_atomically(out, render(subjects).encode())


def called(runs: Sequence[Run]) -> list[str]:
    """A short name for each run: its folder's, with the folder above where two are alike."""
    names = [folder(run) for run in runs]
    return [
        name if names.count(name) == 1 else "/".join(Path(run.path).resolve().parts[-2:])
        for name, run in zip(names, runs, strict=True)
    ]


def look_at(run: Run, name: str, examination: Examination, full: bool, image: int | None) -> Subject:
    """One run with its anatomy, what its record means, and its pictures."""
    check_record(run, examination.task.heads)
    images = tuple(examination.dataset.test.images.shape[1:])
    shapes = shapes_of(run.recipe)
    summary = summarize(examination.network, (images, *shapes[1:]), name=run.result["model"])
    return Subject(name, examination, summary, analyse(examination, summary), pictures_of(examination, full, image))


def check_record(run: Run, heads: Sequence[str]) -> None:
    """RunError for a finished run whose record is not that of all of its epochs and heads."""
    result, history = run.result, run.history
    trained = (result.get("train") or {}).get("accuracy", {})
    kept = (result.get("kept") or {}).get("epoch", 1)
    if len(history) != result["epochs"] or kept > len(history):
        raise RunError(f"{run.path / 'history.jsonl'} has {len(history):,} epochs, result.json {result['epochs']:,}. "
                       f"{NEXT_MOVE}")
    if any(head not in found for head in heads for found in (trained, history[0]["train_accuracy"],
                                                             history[0].get("curve") or trained)):
        raise RunError(f"run {str(run.path)!r} has no training accuracy of each head of its task. {NEXT_MOVE}")


def render(subjects: Sequence[Subject]) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("featherweight.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "duration": duration}
    environment.filters |= {"ending": ending, "training_images": training_images}
    environment.globals |= {"wilson": wilson_interval, "version": __version__, "goals": goals}
    style = resources.files("featherweight.report").joinpath("templates/style.css").read_text()
    template = environment.get_template("report.html")
    page = template.render(subjects=subjects, style=Markup(style), compared=compare(subjects),
                           curves=curve_figures(subjects), full=len(subjects) <= MOST_IN_FULL)
    return visible(page, lines=True)


def compare(subjects: Sequence[Subject]) -> dict[str, Any] | None:
    """The groups, their differences in words and the picture of size against accuracy; nothing for one run."""
    if len(subjects) == 1:
        return None
    groups = group_runs([subject.run for subject in subjects])
    heads = common_heads(groups)
    if not heads:
        return None
    points = [point(group, heads[0]) for group in groups]
    label = "Parameters against test accuracy: " + "; ".join(
        f"{one.name}, {one.parameters:,} parameters, {percent(one.accuracy)}" for one in points
    )
    return {"groups": groups, "head": heads[0], "differences": differences(groups),
            "pareto": svg(plots.pareto(points), label)}


def point(group: Group, head: str) -> plots.Point:
    """A group in the picture of size against accuracy."""
    return plots.Point(group.name, group.parameters, group.mean(head), *group.interval(head))


def curve_figures(subjects: Sequence[Subject]) -> list[Markup]:
    """Loss, accuracy and learning rate of all runs."""
    histories = {subject.name if len(subjects) > 1 else "": subject.run.history for subject in subjects}
    drawn = (("Loss", plots.draw_loss), ("Accuracy", plots.draw_accuracy), ("Learning rate", plots.draw_rate))
    return [svg(plots.panel(draw, histories), f"{what} by epoch; the table below has it") for what, draw in drawn]


def pictures_of(examination: Examination, full: bool, image: int | None) -> dict[str, Any]:
    """The pictures of one run; in full with those that take much room."""
    heads = {head: pictures_of_head(examination, head) for head in examination.task.heads}
    kernels = figures.kernels(examination.network)
    found: dict[str, Any] = {
        "heads": heads, "cam": None, "activations": None,
        "kernels": kernels and svg(kernels, "Kernels of the first convolution; blue is negative, red positive"),
    }
    if full:
        image = examination.an_image_of_each_class()[-1] if image is None else examination.check_image(image)
        found["activations"] = svg(figures.activations(examination, image), "Activation maps of every layer")
        if maps := figures.class_maps(examination, examination.task.heads[0]):
            found["cam"] = {"svg": svg(maps[0], "Where the evidence for the answer lies in one image of each class"),
                            "exact": maps[1]}
    return found


def pictures_of_head(examination: Examination, head: str) -> dict[str, Markup | None]:
    """The pictures of one head's answers."""
    score = examination.run.result["test"][head]
    mistakes = figures.mistakes(examination, head)
    right = f"{score['correct']:,} of {score['count']:,} right"
    return {
        "confusion": svg(figures.confusion(examination, head), f"Confusion matrix of {head}: {right}"),
        "by_class": svg(figures.by_class(examination, head), f"Share of right answers for each class of {head}"),
        "calibration": svg(figures.calibration(examination, head), f"How sure {head} was, and how often right"),
        "mistakes": None if mistakes is None else svg(mistakes, f"The wrong answers of {head} with the highest loss"),
    }


def svg(figure: Figure, label: str) -> Markup:
    """A figure as a safe part of the page."""
    return Markup(plots.inline_svg(figure, label))     # its texts are escaped where they are drawn


def goals(goal: Mapping[str, Any]) -> list[str]:
    """What was promised, each with whether it was missed."""
    return [
        words.format(goal[key]) + (" (missed)" if key in goal["missed"] else "")
        for key, words in GOALS.items() if key in goal
    ]
