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
from featherweight.report.comparison import (
    Group,
    check_same_data,
    common_heads,
    folder_of_seeds,
    group_runs,
)
from featherweight.report.differences import differences, in_sentences
from featherweight.report.likeness import called, difference_lines, identical, in_order, recipe_differences
from featherweight.report.remarks import remarks
from featherweight.report.use_of_test import sentences_on_use
from featherweight.report.verdict import class_names, is_uneven
from featherweight.runs import Run, open_runs
from featherweight.statistics import wilson_interval
from featherweight.verdict import curve_on_test, outcome, verdict
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
    def verdict(self) -> str:
        """The verdict on the run in words."""
        return verdict(self.result["goal"])

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
    opened = in_order([one for run in runs for one in ([run] if isinstance(run, Run) else open_runs(run))])
    check_same_data(opened, mixed=mixed)
    full = len(opened) <= MOST_IN_FULL
    subjects = [
        look_at(run, name, examine(run, data_dir=data_dir, device=device), full, image,
                alone=sum(folder_of_seeds(one) == folder_of_seeds(run) for one in opened) == 1)
        for run, name in zip(opened, called(opened), strict=True)
    ]
    write_atomically(out, render(subjects).encode())


def look_at(
    run: Run, name: str, examination: Examination, full: bool, image: int | None, *, alone: bool = True
) -> Subject:
    """Return one run with its summary, its analysis and its figures. Raises RunError if its record is incomplete.

    alone: no other seed of its folder is on the page.
    """
    check_record(run, examination.task.heads)
    images = tuple(examination.dataset.test.images.shape[1:])
    shapes = shapes_of(run.recipe)
    summary = summarize(examination.network, (images, *shapes[1:]), name=run.result["model"])
    analysis = [*sentences_on_use(run, alone=alone), *analyse(examination, summary)]
    return Subject(name, examination, summary, analysis, remarks(run) if full else (),
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
    environment.filters |= {"outcome": outcome, "is_uneven": is_uneven, "class_names": class_names}
    environment.globals |= {"wilson": wilson_interval, "version": __version__}
    style = resources.files("featherweight.report").joinpath("templates/style.css").read_text()
    template = environment.get_template("report.html")
    page = template.render(subjects=subjects, style=Markup(style), compared=compare(subjects),
                           curves=curve_figures(subjects), full=len(subjects) <= MOST_IN_FULL,
                           any_curve_on_test=any(curve_on_test(subject.result) for subject in subjects),
                           notes=notes_of(subjects),
                           texts={part: texts_of(subjects, part) for part in ("target", "results", "analysis")})
    return visible(page, lines=True)


def texts_of(subjects: Sequence[Subject], part: str) -> dict[str, str]:
    """Return the texts of the recipes' goals: text -> names of its runs, "" if it is that of all runs.

    part: "target", "results" or "analysis". Of a goal for other data, only the target is taken.
    """
    found: dict[str, list[str]] = {}
    for subject in subjects:
        text = getattr(subject.run.recipe.goal, part)
        if text and (part == "target" or not subject.result["goal"].get("dataset")):
            found.setdefault(text, []).append(subject.name)
    return {text: "" if len(names) == len(subjects) else ", ".join(names) for text, names in found.items()}


def notes_of(subjects: Sequence[Subject]) -> dict[str, str]:
    """Return the notes of all runs: sentence -> names of its runs, "" if there is one run."""
    found: dict[str, list[str]] = {}
    for subject in subjects:
        for sentence in subject.result.get("notes", []):        # runs of earlier versions lack the key
            found.setdefault(sentence, []).append(subject.name)
    return {sentence: ", ".join(names) if len(subjects) > 1 else "" for sentence, names in found.items()}


def compare(subjects: Sequence[Subject]) -> dict[str, Any] | None:
    """Return the comparison of several runs: groups, differences, and a figure of parameters against accuracy.

    None for one run, and for runs without a common head.
    """
    if len(subjects) == 1:
        return None
    runs, names = [subject.run for subject in subjects], [subject.name for subject in subjects]
    groups = group_runs(runs)
    heads = common_heads(groups)
    if not heads:
        return None
    points = [point(group, heads[0]) for group in groups]
    label = "Parameters against test accuracy: " + "; ".join(
        f"{one.name}, {one.parameters:,} parameters, {percent(one.accuracy)}" for one in points
    )
    sentences = [*in_sentences(groups, differences(groups)), *identical(names, runs)]
    return {"groups": groups, "head": heads[0], "sentences": sentences,
            "settings": difference_lines(recipe_differences(names, runs)), "pareto": svg(plots.pareto(points), label)}


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
        found["cam"] = evidence(examination)
    return found


def evidence(examination: Examination) -> dict[str, Any]:
    """Return the class activation maps as SVG with their layer, or the reason for their absence."""
    maps = figures.class_maps(examination, examination.task.heads[0])
    if isinstance(maps, str):
        return {"svg": None, "reason": maps[:1].upper() + maps[1:]}
    label = "Evidence for the prediction in one image of each class"
    return {"svg": svg(maps.figure, label), "exact": maps.exact, "layer": maps.layer}


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
