"""What a record means: each sentence against records made to mean it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featherweight.anatomy import summarize
from featherweight.examination import examine
from featherweight.models import build_model
from featherweight.report import analysis


def lines(accuracies, rates=None, watched=None):
    rates = rates or [0.1] * len(accuracies)
    return [
        {"epoch": n, "lr": rate, "train_loss": 1.0, "train_accuracy": {"class": accuracy},
         "curve": {"class": {"accuracy": watched[n - 1]}} if watched else None,
         "curve_on": "validation" if watched else None}
        for n, (accuracy, rate) in enumerate(zip(accuracies, rates, strict=True), start=1)
    ]


def result(train, test):
    return {"train": {"accuracy": {"class": train}}, "test": {"class": {"accuracy": test}}}


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [(0.999, 0.98, "a gap of 1.90 points"), (0.97, 0.99, "harder than test"), (0.991, 0.99, "hardly a gap")],
)
def test_the_gap(train, test, words):
    said = analysis.gap(result(train, test), "class")
    assert words in said and f"{100 * train:.2f} %" in said and f"{100 * test:.2f} %" in said


def test_hard_training_images_are_not_blamed_on_augmentation():
    said = analysis.gap(result(0.98, 0.995), "class", fraction=0.33)
    assert said.endswith("on test 99.50 %: it took 33 % of the training images, half of them the hardest.")


def test_where_the_curve_flattened():
    flat = analysis.flattening(lines([0.1] * 6, watched=[0.9, 0.95, 0.9900, 0.9901, 0.9902, 0.9901]), "class")
    assert flat == "From epoch 3 on the accuracy on validation moved by less than 0.05 points."
    assert "still moving" in analysis.flattening(lines([0.5, 0.6, 0.7, 0.8]), "class")
    assert analysis.flattening(lines([0.5, 0.6]), "class") == ""


def test_what_the_schedule_did():
    step = analysis.schedule(lines([0.90, 0.91, 0.95, 0.951], rates=[0.1, 0.1, 0.01, 0.01]), "class")
    assert "fell from 0.1 to 0.01 in epoch 3" in step and "+4.00 points" in step and "+1.00 in the one before" in step
    assert "stayed at 0.1" in analysis.schedule(lines([0.9, 0.91, 0.92]), "class")
    smooth = analysis.schedule(lines([0.9, 0.92, 0.94, 0.95], rates=[0.05, 0.1, 0.09, 0.08]), "class")
    assert "highest in epoch 2" in smooth and "+1.00 points" in smooth
    assert analysis.schedule(lines([0.9]), "class") == ""


def test_the_classes_confused_most():
    said = analysis.confusions([[9, 1, 0], [4, 6, 0], [0, 2, 8]], ["a", "b", "c"], most=2)
    assert said == "Of 7 wrong answers on test, the most frequent: b read as a (4), c read as b (2)."
    assert analysis.confusions([[1, 0], [0, 1]], ["a", "b"]) == "No test image was classified wrong."


@pytest.mark.parametrize(
    ("right", "words"), [(0.5, "too sure by 40.00"), (0.9, "are reliable"), (0.99, "too unsure by 9.00")]
)
def test_calibration(right, words):
    answers = torch.tensor([[0.9, 0.1]] * 10).log()
    assert words in analysis.calibration(answers, {"accuracy": right, "calibration_error": 0.01})


def test_where_the_parameters_are():
    said = analysis.heaviest_layer(summarize(build_model("session5")))
    assert "Linear-16 holds 204,850" in said or "204,850 of the 593,200 parameters (35 %)" in said or "295,168" in said
    assert analysis.heaviest_layer(summarize(build_model("session6"))) == ""


def test_weights_that_do_little():
    network = nn.Sequential(nn.Linear(4, 5, bias=False))
    with torch.no_grad():
        network[0].weight.fill_(1.0)[0] = 0.001
    assert analysis.idle_parameters(network).startswith("4 of 20 weights (20.0 %)")


def test_a_real_run_says_several_things(digits_run):
    found = examine(digits_run, device="cpu")
    said = analysis.analyse(found, summarize(found.network))
    assert len(said) >= 5 and all(sentence[0].isupper() or sentence[0].isdigit() for sentence in said)
    assert all(sentence.endswith(".") for sentence in said)
