"""The curves of several learning rates: what is in the picture, how it is written."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featherweight import plots
from featherweight.plots.learning_rates import spread

CURVES = {"2.0": [0.2, 0.1, 0.05], "0.5": [0.2, 0.15, 0.12], "0.1": [0.2, 0.0, 0.0]}


def test_every_curve_is_drawn_on_both_scales_and_named_at_its_end():
    figure = plots.learning_rates(CURVES, "A title", "what it is")
    plain, logarithmic = figure.axes
    assert [list(line.get_ydata()) for line in plain.lines][:2] == [CURVES["2.0"], CURVES["0.5"]]
    assert (plain.get_yscale(), logarithmic.get_yscale()) == ("linear", "log")
    ends = ["rate 2.0: 0.05", "rate 0.5: 0.12", "rate 0.1: below 1e-12"]
    assert [text.get_text() for text in logarithmic.texts] == ends
    assert [text.get_color() for text in logarithmic.texts] == [line.get_color() for line in logarithmic.lines]
    assert "A title" in figure.get_suptitle() and plain.get_xlabel() == "updates done"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_labels_never_lie_on_each_other(heights):
    placed = spread(heights, 0.05)
    ordered = sorted(placed)
    assert all(high - low >= 0.05 - 1e-12 for low, high in pairwise(ordered))
    assert all(new >= old for new, old in zip(placed, heights, strict=True))
    assert sorted(range(len(heights)), key=lambda i: (heights[i], placed[i])) == sorted(
        range(len(heights)), key=lambda i: placed[i]
    )


def test_a_picture_is_written_by_its_ending(tmp_path):
    figure = plots.learning_rates(CURVES, "A title", "")
    plots.save(figure, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG" and picture.width > 1000
    plots.save(figure, tmp_path / "curves.SVG")
    assert re.search(r"<svg [^>]*viewBox", (tmp_path / "curves.SVG").read_text())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["curves.SVG", "curves.png"]


@pytest.mark.parametrize("errors", [[0.2, 0.1], [0.2, 0.0], [1e-30, 1e-31], [0.1] * 5001])
def test_any_curve_can_be_drawn(errors, tmp_path):
    plots.save(plots.learning_rates({"1.0": errors}, "One", ""), tmp_path / "one.png")


def test_the_logarithmic_axis_has_numbers_and_no_formulas(tmp_path):
    figure = plots.learning_rates({"1.0": [0.9, 0.01, 1e-7]}, "One", "")
    plots.save(figure, tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text()
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert "1e-05" in labels and ">1e-05<" in text and "mathdefault" not in text and "$" not in "".join(labels)
