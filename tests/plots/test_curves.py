"""Curves of runs: which lines, which titles."""

from __future__ import annotations

import pytest

from featherweight.plots import curves, draw_accuracy, draw_loss, draw_rate, panel


def line(epoch, watched=True, heads=("class",)):
    curve = {head: {"accuracy": 0.9 + epoch / 100, "loss": 0.2 / epoch} for head in heads} if watched else None
    return {"epoch": epoch, "lr": 0.1 / epoch, "train_loss": 1.0 / epoch, "seconds": 1.0,
            "train_accuracy": dict.fromkeys(heads, 0.8 + epoch / 100), "curve": curve,
            "curve_on": "validation" if watched else None}


def lines_of(figure):
    return {one.get_label(): list(one.get_ydata()) for one in figure.axes[0].lines}


def titles_of(figure):
    return [patch.get_gid() for patch in figure.axes[0].patches if patch.get_gid()]


def test_loss_of_one_run_with_validation():
    figure = panel(draw_loss, {"": [line(1), line(2)]})
    assert lines_of(figure) == {"train": [1.0, 0.5], "validation": [0.2, 0.1]}
    assert titles_of(figure) == ["title: epoch 1: train 1.0000, validation 0.2000",
                                 "title: epoch 2: train 0.5000, validation 0.1000"]


def test_accuracy_of_every_head():
    figure = panel(draw_accuracy, {"": [line(1, heads=("digit", "sum"))]})
    assert set(lines_of(figure)) == {"digit train", "digit validation", "sum train", "sum validation"}
    assert lines_of(figure)["sum validation"] == [pytest.approx(91)]


def test_several_runs_are_told_apart_and_may_differ_in_length():
    figure = panel(draw_rate, {"a": [line(1), line(2), line(3)], "b": [line(1)]})
    assert set(lines_of(figure)) == {"a", "b"} and len(titles_of(figure)) == 3
    assert titles_of(figure)[0] == "title: epoch 1: a 0.1, b 0.1"
    assert titles_of(figure)[2] == "title: epoch 3: a 0.0333"
    assert len({one.get_color() for one in figure.axes[0].lines}) == 2


def test_without_validation_there_is_only_training():
    assert set(lines_of(panel(draw_loss, {"": [line(1, watched=False)]}))) == {"train"}


def test_the_first_epochs_do_not_squeeze_the_last():
    early = [line(n) | {"train_accuracy": {"class": value}, "curve": None} for n, value in
             enumerate((0.1, 0.5, 0.98, 0.985, 0.99, 0.99), start=1)]
    assert panel(draw_accuracy, {"": early}).axes[0].get_ylim()[0] > 97


def test_three_panels_side_by_side():
    assert [axes.get_title(loc="left") for axes in curves({"": [line(1), line(2)]}).axes] == [
        "Loss", "Accuracy (%)", "Learning rate"]
