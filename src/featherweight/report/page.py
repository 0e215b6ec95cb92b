"""Write the HTML report of runs as one self-contained page. The command `report` and `Run.report` use this file."""

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
from featherweight.report.remarks import remarks
from featherweight.runs import Run, open_runs
from featherweight.statistics import wilson_interval
from featherweight.verdict import outcome, verdict
from featherweight.words import duration, ending, percent, training_images

MOST_IN_FULL = 4        # runs; with more, the largest parts of the page are left out


@dataclass(frozen=True)
class Subject:
    """One run with everything that the page shows about it."""

    name: str
    examination: Examination
    summary: Summary
    analysis: list[str]
    remarks: Sequence[str]      # of the doctor on the network
    pictures: dict[str, Any]

    @property
    def run(self) -> Run:
        """The run folder."""
        return self.examination.run

    @property
    def result(self) -> Mapping[str, Any]:
        """The content of the run's result.json."""
        return self.run.result

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads of the run's task."""
        return self.examination.task.heads


def write_report(
    runs: Sequence[Run | str | Path], out: Path, *, mixed: bool = False, data_dir: Path | None = None,
    device: str = "cpu", image: int | None = None,
) -> None:
    """Write the page about one run, or about several side by side. The file is replaced atomically.

    mixed: allow runs on different data sets.
    image: index of the test image for the activation maps; default: the first image of the last class.

    Raises RunError for a folder without a finished run, for a run without weights, and for different data sets.
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
    """Return a short name for each run: the name of its folder. Equal names get the parent folder: "a/seed-1"."""
    names = [folder(run) for run in runs]
    return [
        name if names.count(name) == 1 else "/".join(Path(run.path).resolve().parts[-2:])
        for name, run in zip(names, runs, strict=True)
    ]


def look_at(run: Run, name: str, examination: Examination, full: bool, image: int | None) -> Subject:
    """Return one run with its summary, its analysis and its figures. Raises RunError if its record is incomplete."""
    check_record(run, examination.task.heads)
    images = tuple(examination.dataset.test.images.shape[1:])
    shapes = shapes_of(run.recipe)
    summary = summarize(examination.network, (images, *shapes[1:]), name=run.result["model"])
    return Subject(name, examination, summary, analyse(examination, summary), remarks(run) if full else (),
                   pictures_of(examination, full, image))


def check_record(run: Run, heads: Sequence[str]) -> None:
    """Raise RunError if the record of a finished run lacks an epoch or a head."""
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
    """Return the page as HTML text."""
    environment = Environment(
        loader=PackageLoader("featherweight.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "duration": duration}
    environment.filters |= {"ending": ending, "training_images": training_images}
    environment.filters |= {"verdict": verdict, "outcome": outcome}
    environment.globals |= {"wilson": wilson_interval, "version": __version__}
    style = resources.files("featherweight.report").joinpath("templates/style.css").read_text()
    template = environment.get_template("report.html")
    page = template.render(subjects=subjects, style=Markup(style), compared=compare(subjects),
                           curves=curve_figures(subjects), full=len(subjects) <= MOST_IN_FULL)
    return visible(page, lines=True)


def compare(subjects: Sequence[Subject]) -> dict[str, Any] | None:
    """Return the comparison of several runs: groups, differences, and a figure of parameters against accuracy.

    None for one run, and for runs without a common head.
    """
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
    """Return a group as a point in the figure of parameters against accuracy."""
    return plots.Point(group.name, group.parameters, group.mean(head), *group.interval(head))


def curve_figures(subjects: Sequence[Subject]) -> list[Markup]:
    """Return the figures of loss, accuracy and learning rate by epoch. Each figure shows all runs."""
    histories = {subject.name if len(subjects) > 1 else "": subject.run.history for subject in subjects}
    drawn = (("Loss", plots.draw_loss), ("Accuracy", plots.draw_accuracy), ("Learning rate", plots.draw_rate))
    return [svg(plots.panel(draw, histories), f"{what} by epoch; numbers in the table below") for what, draw in drawn]


def pictures_of(examination: Examination, full: bool, image: int | None) -> dict[str, Any]:
    """Return the figures of one run as SVG.

    full: include activation maps and class activation maps, which take much space.
    """
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
            found["cam"] = {"svg": svg(maps[0], "Evidence for the prediction in one image of each class"),
                            "exact": maps[1]}
    return found


def pictures_of_head(examination: Examination, head: str) -> dict[str, Markup | None]:
    """Return the figures of one head's test predictions as SVG. "mistakes" is `None` if no prediction is wrong."""
    score = examination.run.result["test"][head]
    mistakes = figures.mistakes(examination, head)
    right = f"{score['correct']:,} of {score['count']:,} right"
    return {
        "confusion": svg(figures.confusion(examination, head), f"Confusion matrix of {head}: {right}"),
        "by_class": svg(figures.by_class(examination, head), f"Accuracy of each class of {head}"),
        "calibration": svg(figures.calibration(examination, head), f"Confidence of {head} against accuracy"),
        "mistakes": None if mistakes is None else svg(mistakes, f"Wrong predictions of {head} with the highest loss"),
    }


def svg(figure: Figure, label: str) -> Markup:
    """Return a figure as inline SVG. label: description for screen readers."""
    return Markup(plots.inline_svg(figure, label))     # inline_svg escapes all texts
