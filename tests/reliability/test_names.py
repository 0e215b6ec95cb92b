"""Names from outside and extreme numbers reach no terminal, page or picture as they are, and end no command badly."""

from __future__ import annotations

import json
import math
import re
import shutil
from itertools import islice
from xml.etree import ElementTree

import numpy as np
import pytest
from battery.names import ROWS, a_run, resave, wrong_html, wrong_markdown

from featherweight import plots
from featherweight.inference.card import Card
from featherweight.runs import Run
from featherweight.shipping.card_page import card_page
from featherweight.specification import PictureSpecification


@pytest.mark.parametrize(("trials", "count"), list(zip(ROWS, (8, 10, 6), strict=True)))
def test_hostile_names_and_numbers(trials, count, tmp_path, warm):
    made = list(islice(trials(22, tmp_path, warm), count))
    assert len(made) == count
    assert [trial for trial in made if trial.fault] == []


@pytest.fixture(scope="module")
def base(tmp_path_factory, warm):
    """A finished run; tests copy it."""
    return a_run(tmp_path_factory.mktemp("base"), warm)


def spoiled(base, folder, change=lambda result, tensors: None):
    """A copy of the run with another record or other weights, and hashes that fit."""
    run = Run(shutil.copytree(base, folder / "run"))
    result, (tensors, _) = json.loads((run.path / "result.json").read_text()), run.load_tensors("model.safetensors")
    change(result, tensors)
    resave(run, result, tensors)
    return run.path


@pytest.mark.parametrize("value", [math.nan, math.inf, 3e38])
@pytest.mark.parametrize("command", [
    ["predict", "run", "picture.png", "--json"], ["predict", "run", "picture.png"], ["evaluate", "run", "--json"],
    ["evaluate", "tiny.py:Tiny", "--weights", "run/model.safetensors", "--data", "digits", "--json"],
    ["report", "run"], ["export", "run", "--to", "onnx", "--out", "shipped"],
])
def test_weights_that_are_no_numbers_are_refused(base, tmp_path, warm, value, command):
    spoiled(base, tmp_path, lambda result, tensors: [tensors[name].fill_(value) for name in ("0.weight", "5.weight")])
    for file in ("tiny.py", "picture.png"):
        shutil.copy(base.parent / file, tmp_path)
    done = warm.run(*command, "--trust", cwd=tmp_path)
    assert (done.code, done.out) == (2, ""), done
    assert done.err.splitlines()[-1].startswith("featherweight: ") and "Traceback" not in done.err


def test_a_page_holds_names_as_text(base, tmp_path, warm):
    name = "<img src=x onerror=alert(1)>$x^2$ ]]> &#x1b; 你好"
    spoiled(base, tmp_path, lambda result, tensors: result.update(
        classes=[name, *result["classes"][1:]], recipe=name, model=name, dataset=name, notes=[name, "a\x1b[31m\u202e"]))
    assert warm.run("report", "run", cwd=tmp_path).code == 0
    text = (tmp_path / "run" / "report.html").read_text()
    assert wrong_html(text) == "" and "<img" not in text and "\\x1b[31m\\u202e" in text and "$x^2$" in text


@pytest.mark.parametrize("kind", ["confusion", "by-class", "cam", "mistakes"])
def test_a_picture_is_well_formed_whatever_a_class_is_called(kind):
    classes = ["\x1b[31m\x00", "$x^2$", "$\\frac{", "<b>&]]>", "\ud800\ufffe", "مرحبا 你好 😀", ' id="x" #0072b2']
    boxes = [(0, 0, 1, 1)] * len(classes)
    many, image = range(len(classes)), np.zeros((8, 8), np.uint8)
    matrix = [[row + column for column in many] for row in many]
    draw = {"confusion": lambda: plots.confusion(matrix, classes), "by-class": lambda: plots.by_class(matrix, classes),
            "mistakes": lambda: plots.mistakes([image] * len(classes), classes),
            "cam": lambda: plots.class_maps([image] * len(boxes), [image] * len(boxes), boxes, classes)}[kind]
    for svg in (plots.inline_svg(draw(), "\x1b"), plots.figure.standalone_svg(draw()).decode()):
        ElementTree.fromstring(svg)
        assert "\\x1b[31m\\x00" in svg and "$\\frac{" in svg and ' id="x" #0072b2' in svg.replace("&quot;", '"')


@pytest.mark.parametrize("value", [1e-310, 1.7e308, -math.inf, math.nan])
def test_pictures_of_extreme_numbers_end(value):
    for shape in ((2, 1, 3, 3), (2, 3, 3, 3)):
        for weights in (np.full(shape, value), np.arange(math.prod(shape), dtype=float).reshape(shape)):
            weights.flat[0] = value
            plots.inline_svg(plots.kernels(weights), "kernels")
            plots.inline_svg(plots.activations([("a", weights[0])]), "activations")
            image = np.zeros((3, 3), np.uint8)
            plots.inline_svg(plots.class_maps([image], [weights[0, 0]], [(0, 0, 1, 1)], ["a"]), "cam")
    line = {"epoch": 1, "lr": abs(value), "train_loss": value, "train_accuracy": {"class": 1.0}}
    plots.inline_svg(plots.curves({"": [line, line | {"train_loss": 1.0, "lr": 0.1}]}), "curves")
    plots.inline_svg(plots.learning_rates({"1": [1.0, value]}, "a", "b"), "rates")


def test_pictures_of_extreme_counts_end():
    for count in (0, 10**18):
        plots.inline_svg(plots.confusion([[count, count], [1, 0]], ["a", "b"]), "confusion")
        plots.inline_svg(plots.pareto([plots.Point("a", count, 0.5, 0.4, 0.6)]), "pareto")
    many = plots.confusion([[1] * 300] * 300, ["a class"] * 300)
    assert len(plots.inline_svg(many, "confusion")) < 100_000 and max(many.get_size_inches()) < 50


def test_a_bundles_page_holds_names_as_text():
    label = "<b>x</b>|[a](http://b)`\n"
    card = Card(label, label, 7, label, {"class": (label, "b")}, False, (0.1,), (0.3,), {"class": 0.5},
                PictureSpecification())
    page = card_page(card, {"test": {"class": {"correct": 1, "count": 2}}}, 1000)
    prose = re.sub(r"```python.*?```", "", page, flags=re.S)
    assert wrong_markdown(prose) == "" and "\n|[a]" not in page and "<b>" not in prose


@pytest.mark.parametrize("name", ["[#a]", "a\n\x1b[31m"])
def test_a_path_is_no_markup(base, tmp_path, warm, name):
    shutil.copytree(base, tmp_path / name)
    done = warm.run("report", name, "--trust", cwd=tmp_path)
    assert (done.code, done.err) == (0, "") and len(done.out.splitlines()) == 1, done
