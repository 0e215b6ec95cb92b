"""A trial measures validation images, repeats a training without its test, and cannot see test images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import featherweight
from featherweight.errors import RecipeError, TrainingInterrupted
from featherweight.preparation import load_data
from featherweight.trial import run_trial

CPU = torch.device("cpu")


@pytest.fixture
def recipe(digits_recipe):
    return digits_recipe(data={"validation": 200}, evaluation={"curve": "validation"}, training={"epochs": 2})


def test_a_trial_gives_the_last_point_of_the_curve(recipe, tmp_path):
    trial = run_trial(recipe, load_data(recipe, None), CPU)
    run = featherweight.train(recipe, tmp_path / "run", device="cpu")
    assert [record.train_loss for record in trial.records] == [line["train_loss"] for line in run.history]
    assert trial.validation["class"].without_classes() == run.history[-1]["curve"]["class"]
    assert trial.parameters == run.result["parameters"] and trial.validation["class"].count == 200


def test_other_test_images_change_nothing(recipe):
    dataset = load_data(recipe, None)
    blank = replace(dataset, test=replace(dataset.test, stored=torch.zeros_like(dataset.test.stored)))
    one, other = (run_trial(recipe, data, CPU) for data in (dataset, blank))
    assert one.validation == other.validation


@pytest.mark.parametrize(("changes", "words"), [
    ({"data": {"validation": 0}}, r"data\.validation is 0.*data\.validation=5000"),
    ({"evaluation": {"curve": "test"}}, r"evaluation\.curve is 'test'.*none, validation"),
])
def test_a_trial_without_validation_is_refused(digits_recipe, changes, words):
    recipe = digits_recipe(**({"data": {"validation": 200}} | changes))
    with pytest.raises(RecipeError, match=words):
        run_trial(recipe, load_data(recipe, None), CPU)


def test_a_stop_ends_it_with_the_signal(recipe):
    seen = []
    with pytest.raises(TrainingInterrupted) as stopped:
        run_trial(recipe, load_data(recipe, None), CPU, on_epoch=seen.append, should_stop=lambda: 15 if seen else 0)
    assert stopped.value.signal_number == 15 and len(seen) == 1
