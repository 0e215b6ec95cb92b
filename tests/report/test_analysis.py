"""What a record means: each sentence against records made to mean it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featherweight.anatomy import summarize
from featherweight.examination import examine
from featherweight.models import build_model
from featherweight.recipe import Recipe
from featherweight.report import analysis
from featherweight.report.gap import causes_of, gap


def lines(accuracies, rates=None, watched=None):
    rates = rates or [0.1] * len(accuracies)
    return [
        {"epoch": n, "lr": rate, "train_loss": 1.0, "train_accuracy": {"class": accuracy},
         "curve": {"class": {"accuracy": watched[n - 1]}} if watched else None,
         "curve_on": "validation" if watched else None}
        for n, (accuracy, rate) in enumerate(zip(accuracies, rates, strict=True), start=1)
    ]


def result(train, test, count=10_000, **more):
    score = {"accuracy": test, "correct": round(count * test), "count": count}
    return {"train": {"accuracy": {"class": train}}, "test": {"class": score}, **more}


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [(0.999, 0.98, "a gap of 1.90 points"), (0.97, 0.99, "the test images were easier"),
     (0.993, 0.99, "hardly a gap"), (0.991, 0.99, "no difference that 10,000 test images can show")],
)
def test_the_gap(train, test, words):
    said = gap(result(train, test), "class")
    assert words in said and f"{100 * train:.2f} %" in said and f"{100 * test:.2f} %" in said


def test_a_gap_within_the_interval_of_few_images_is_none():
    assert "no difference that 100 test images can show" in gap(result(0.97, 0.94, count=100), "class")
    assert "a gap of 3.00 points" in gap(result(0.97, 0.94), "class")


def test_hard_training_images_are_not_blamed_on_augmentation():
    said = gap(result(0.98, 0.995), "class", fraction=0.33, causes=["its images were augmented"])
    assert said.endswith("on test 99.50 %: it took 33 % of the training images, half of them the hardest.")


def test_a_harder_training_names_only_its_own_causes():
    said = gap(result(0.97, 0.99), "class", causes=["dropout was on"])
    assert said.endswith("training was harder: dropout was on.")


def recipe(**sections):
    return Recipe.from_dict({"name": "a", "model": {"name": "session6"}, **sections})


@pytest.mark.parametrize(("sections", "network", "epoch", "words"), [
    ({}, nn.Linear(4, 2), 2, []),
    ({}, nn.Dropout(0.0), 2, []),
    ({}, nn.Dropout(0.1), 2, ["dropout was on"]),
    ({}, nn.Linear(4, 2), 1, ["its accuracy is an average over the epoch, while the network still improved"]),
    ({"augmentation": {"rotation": 7}}, nn.Linear(4, 2), 2, ["its images were augmented"]),
    ({"augmentation": {"crop": 20}}, nn.Linear(4, 2), 2, []),       # with probability 0
    ({"augmentation": {"rotation": 7, "fade": 1.0}, "training": {"epochs": 2}}, nn.Linear(4, 2), 2,
     ["its images were augmented"]),
    ({"augmentation": {"rotation": 7, "fade": 1.0}, "training": {"epochs": 20}}, nn.Linear(4, 2), 20, []),
    ({"data": {"strokes": 100}}, nn.Linear(4, 2), 2, ["it includes drawn images"]),
    ({"training": {"ema": 0.9}}, nn.Linear(4, 2), 2, ["its accuracy is that of the weights before averaging"]),
])
def test_causes_of_a_harder_training(sections, network, epoch, words):
    assert causes_of(recipe(**sections), network, [0.9] * 20, epoch) == words


def test_an_epoch_that_still_improved_is_a_cause():
    assert causes_of(recipe(), nn.Linear(4, 2), [0.9, 0.95], 2) != []
    assert causes_of(recipe(), nn.Linear(4, 2), [0.9, 0.901], 2) == []


def test_where_the_curve_flattened():
    flat = analysis.flattening(lines([0.1] * 6, watched=[0.9, 0.95, 0.9900, 0.9901, 0.9902, 0.9901]), "class")
    assert flat == "From epoch 3 on the accuracy on validation moved by less than 0.05 points."
    moving = analysis.flattening(lines([0.5, 0.6, 0.7, 0.8]), "class")
    assert moving.startswith("The training accuracy moved by 20.00 points within the last three epochs")
    assert analysis.flattening(lines([0.5, 0.6]), "class") == ""


def test_what_the_schedule_did():
    step = analysis.schedule(lines([0.90, 0.91, 0.95, 0.951], rates=[0.1, 0.1, 0.01, 0.01]), "class")
    assert "fell from 0.1 to 0.01 in epoch 3" in step and "+4.00 points" in step and "+1.00 in the one before" in step
    assert "was 0.1 at the end of every epoch" in analysis.schedule(lines([0.9, 0.91, 0.92]), "class")
    smooth = analysis.schedule(lines([0.9, 0.92, 0.94, 0.95], rates=[0.05, 0.1, 0.09, 0.08]), "class")
    assert "highest in epoch 2" in smooth and "the last epoch brought +1.00 points" in smooth
    falling = analysis.schedule(lines([0.9, 0.92, 0.94], rates=[0.1, 0.05, 0.01]), "class")
    assert "fell from" not in falling and "highest in epoch 1" in falling
    assert analysis.schedule(lines([0.9]), "class") == ""


def test_a_drop_in_epoch_2_has_no_epoch_before_it_to_compare():
    said = analysis.schedule(lines([0.90, 0.95, 0.951, 0.952], rates=[0.1, 0.01, 0.01, 0.01]), "class")
    assert said.endswith("in epoch 2: training accuracy moved by +5.00 points in that epoch.")


def test_the_classes_confused_most():
    said = analysis.confusions([[9, 1, 0], [4, 6, 0], [0, 2, 8]], ["a", "b", "c"], most=2)
    assert said == "Of 7 wrong answers on test, the most frequent: b read as a (4), c read as b (2)."
    assert analysis.confusions([[1, 0], [0, 1]], ["a", "b"]) == "No test image was classified wrong."
    assert analysis.confusions([[1, 1], [0, 1]], ["a", "b"]) == "One test image was classified wrong."
    assert "no two confuse the same classes" in analysis.confusions([[1, 1], [1, 1]], ["a", "b"])


@pytest.mark.parametrize(
    ("right", "words"), [(0.5, "too sure by 40.00"), (0.9, "are reliable"), (0.99, "too unsure by 9.00")]
)
def test_calibration(right, words):
    answers = torch.tensor([[0.9, 0.1]] * 10).log()
    score = {"accuracy": right, "calibration_error": 0.001, "correct": round(10_000 * right), "count": 10_000}
    assert words in analysis.calibration(answers, score)
    assert "are reliable" not in analysis.calibration(answers, score | {"calibration_error": 0.05})


def test_calibration_on_few_images_and_after_two_softmaxes():
    score = {"accuracy": 0.8, "calibration_error": 0.1, "correct": 8, "count": 10}
    answers = torch.tensor([[0.9, 0.1]] * 10).log()
    assert "no difference of the two that 10 test images can show" in analysis.calibration(answers, score)
    said = analysis.calibration(answers, score, softmax=True)
    assert "no confidence can be above 73.11 %" in said and "unsure" not in said


def test_where_the_parameters_are():
    said = analysis.heaviest_layer(summarize(build_model("session5")))
    assert "Linear-16 holds 204,850" in said or "204,850 of the 593,200 parameters (35 %)" in said or "295,168" in said
    assert analysis.heaviest_layer(summarize(build_model("session6"))) == ""


def test_the_only_layer_is_no_place_for_savings():
    assert analysis.heaviest_layer(summarize(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))) == ""


def test_weights_that_are_small():
    network = nn.Sequential(nn.Linear(4, 5, bias=False))
    with torch.no_grad():
        network[0].weight.fill_(1.0)[0] = 0.001
    assert analysis.idle_parameters(network).startswith("4 of 20 weights (20.0 %)")
    assert analysis.idle_parameters(nn.Sequential(nn.Linear(1, 1))) == ""


def test_a_real_run_says_several_things(digits_run):
    found = examine(digits_run, device="cpu")
    said = analysis.analyse(found, summarize(found.network))
    assert len(said) >= 5 and all(sentence[0].isupper() or sentence[0].isdigit() for sentence in said)
    assert all(sentence.endswith(".") for sentence in said)
