"""Unbalanced classes: weights, sampling, notes, recall as a goal, and that both engines and a resume agree."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import featherweight
from featherweight import experiment
from featherweight.data import as_dataset
from featherweight.errors import RecipeError, TrainingInterrupted
from featherweight.preparation import build_training
from featherweight.recipe import Recipe
from featherweight.results import compare_with_goal
from featherweight.tasks import Loss, TaskBatch
from featherweight.training.compiled.loss import FusedLoss
from featherweight.training.count import Count
from featherweight.training.imbalance import class_weights, imbalance_note
from featherweight.training.loop import train
from featherweight.training.order import balanced_order
from featherweight.training.state import Position
from stopping import StopAt

BALANCES = ("class-weights", "balanced-sampling")


def uneven(counts=(40, 10, 5), size=28):
    """Images of noise whose brightness tells the class."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    images = random.integers(0, 60, (len(labels), size, size)) + 60 * labels[:, None, None]
    return images.astype(np.uint8), labels


def test_class_weights_have_the_mean_one_and_a_class_without_images_gets_none():
    labels = torch.tensor([0] * 6 + [1] * 3 + [3])
    weights = class_weights(labels, 4)
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 0, 10 / 3])
    assert weights[labels].mean() == pytest.approx(1)


def test_a_note_names_the_rarest_and_the_most_frequent_class():
    labels = torch.tensor([0] * 5 + [1] * 10 + [2] * 7)
    (note,) = imbalance_note(labels, ("ant", "bee", "cat"), "none")
    assert note == ("the classes are unbalanced: 5 training images of ant, 10 of bee. "
                    "training.balance=class-weights or balanced-sampling evens them out.")
    assert imbalance_note(labels, ("ant", "bee", "cat"), "class-weights")[0].endswith(
        "10 of bee; training.balance=class-weights evens them out.")
    assert imbalance_note(torch.arange(10).repeat(3)[:25], tuple("0123456789"), "none") == []


@pytest.mark.parametrize("counts", [(40, 10, 5), (1, 1, 98), (7, 7, 7), (0, 3, 50)])
def test_every_class_is_drawn_equally_often(counts):
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))[torch.randperm(sum(counts))]
    order = balanced_order(labels, 4, 2)
    drawn = torch.bincount(labels[order], minlength=3)
    present = drawn[torch.tensor(counts) > 0]
    assert len(order) == len(labels) == int(present.sum()) and int(present.max() - present.min()) <= 1
    times = torch.bincount(order, minlength=len(labels))
    for label in range(3):
        if counts[label]:
            assert int(times[labels == label].max() - times[labels == label].min()) <= 1
    assert torch.equal(order, balanced_order(labels, 4, 2))
    assert sum(counts) < 30 or not torch.equal(order, balanced_order(labels, 4, 3))


@pytest.mark.parametrize("taught", [False, True])
def test_both_engines_weight_the_loss_alike(taught):
    torch.manual_seed(1)
    outputs, targets = torch.randn(20, 5, requires_grad=True), torch.randint(5, (20,))
    weights, soft = torch.rand(20) * 3, torch.softmax(torch.randn(20, 5), 1)
    loss, softs = Loss(0.6, 2.0) if taught else Loss(), (soft,) if taught else ()
    expected = loss(outputs, (targets,), softs, weights)
    each = loss.each(outputs, (targets,), softs, weights)
    assert expected.item() == pytest.approx(each.mean().item(), rel=1e-5)
    assert each.tolist() == pytest.approx((loss.each(outputs, (targets,), softs) * weights).tolist())
    expected.backward()
    count, own = Count([Position()], 1, torch.device("cpu")), torch.zeros(20)
    (gradient,) = FusedLoss(loss, count)([outputs.detach()], TaskBatch((), (targets,), softs, weights), own)
    assert torch.allclose(gradient, outputs.grad, atol=1e-6) and torch.allclose(own, each, atol=1e-5)
    assert count.loss.item() == pytest.approx(20 * expected.item(), rel=1e-5)


def trained(digits_recipe, balance, **training):
    recipe = digits_recipe(training={"balance": balance, "epochs": 2, "batch_size": 16} | training,
                           model={"name": "words:c4 p g h"})
    built = build_training(recipe, as_dataset(uneven(), size=28), torch.device("cpu"))
    records = [record for (record,) in train([built.replica], built.task)]
    return built, records


@pytest.mark.parametrize("balance", BALANCES)
def test_a_balanced_training_is_another_one_and_the_same_with_both_engines(balance, digits_recipe):
    torch_built, records = trained(digits_recipe, balance, engine="torch")
    built, compiled = trained(digits_recipe, balance, engine="compiled")
    assert (torch_built.engine.name, built.engine.name) == ("torch", "compiled")
    assert [one.train_loss for one in records] == pytest.approx([one.train_loss for one in compiled], rel=1e-3)
    plain, _ = trained(digits_recipe, "none", engine="torch")
    ours, others = torch_built.state.model.state_dict(), plain.state.model.state_dict()
    assert not all(torch.equal(ours[key], others[key]) for key in ours)


@pytest.mark.parametrize("balance", BALANCES)
def test_replicas_are_balanced_each_by_its_own_images(balance, digits_recipe):
    recipe = digits_recipe(training={"balance": balance, "epochs": 2, "batch_size": 16, "engine": "torch"},
                           data={"validation": 10}, model={"name": "words:c4 p g h"})

    def build(seed):
        return build_training(recipe.with_seed(seed), as_dataset(uneven(), size=28), torch.device("cpu"))

    alone = [build(seed) for seed in (1, 2)]
    for one in alone:
        list(train([one.replica], one.task))
    together = [build(seed) for seed in (1, 2)]
    list(train([one.replica for one in together], together[0].task))
    for one, other in zip(alone, together, strict=True):
        ours, theirs = one.state.model.state_dict(), other.state.model.state_dict()
        assert all(torch.allclose(ours[key], theirs[key], atol=1e-4) for key in ours)


@pytest.mark.parametrize("engine", ["torch", "compiled"])
@pytest.mark.parametrize("balance", BALANCES)
def test_an_interrupted_balanced_training_is_resumed_bit_for_bit(balance, engine, digits_recipe, tmp_path):
    data = as_dataset(uneven(), size=28)
    recipe = digits_recipe(training={"balance": balance, "epochs": 2, "batch_size": 10, "engine": engine},
                           data={"dataset": data.name})
    whole = experiment.train_recipe(recipe, tmp_path / "whole", dataset=data)
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(recipe, tmp_path / "run", dataset=data, watcher=StopAt(7))
    again = experiment.train_recipe(recipe, tmp_path / "run", dataset=data, resume=True)
    assert all(torch.equal(again.weights()[key], value) for key, value in whole.weights().items())
    assert whole.result["balance"] == balance and "balance" in json.loads((tmp_path / "run/result.json").read_text())


def test_recall_is_in_the_result_the_terminal_and_the_report(digits_recipe, tmp_path):
    from featherweight.report.verdict import verdict_rows

    goal = {"macro_recall": 0.0, "lowest_recall": 1.0}
    recipe = digits_recipe(goal=goal, training={"epochs": 1, "batch_size": 10})
    run = featherweight.train(recipe, tmp_path / "run", data=uneven((40, 10, 5)), quiet=True)
    score, matrix = run.result["test"]["class"], run.result["confusion"]["class"]
    assert score["recall"] == [row[label] / sum(row) for label, row in enumerate(matrix)]
    assert score["macro_recall"] == pytest.approx(sum(score["recall"]) / 3)
    assert run.result["goal"]["missed"] in (["lowest_recall"], []) and run.result["goal"]["macro_recall"] == 0.0
    rows = dict(verdict_rows(run.result))
    assert rows["recall"].startswith(f"macro average {100 * score['macro_recall']:.2f} %; ")
    assert f" ({matrix[0][0]} of {sum(matrix[0])})" in rows["recall"]
    assert any("the classes are unbalanced: " in note for note in run.result["notes"])
    page = run.report().read_text()
    assert f"macro average {100 * score['macro_recall']:.2f} %" in page and "<details open" in page
    assert run.evaluate()["class"].to_dict()["recall"] == score["recall"]


def test_the_goal_for_recall_counts_every_class(digits_recipe):
    recipe = digits_recipe(goal={"macro_recall": 0.8, "lowest_recall": 0.5})
    judged = lambda *recall: compare_with_goal(recipe, 1, {"class": 0.9}, {"class": recall})["missed"]  # noqa: E731
    assert judged(1.0, 0.6) == [] and judged(1.0, 0.5, None) == ["macro_recall"]
    assert judged(1.0, 1.0, 1.0, 0.4) == ["lowest_recall"] and judged() == ["macro_recall", "lowest_recall"]


@pytest.mark.parametrize(("settings", "words"), [
    (["training.balance=weights"], "'weights' is not one of none, class-weights, balanced-sampling"),
    (["training.balance=balanced-sampling", "training.fraction=0.5"], "Set training.fraction to 1"),
    (["training.balance=class-weights", "task=digit-sum"], "is for the task classification"),
])
def test_balances_that_do_not_fit_are_named(settings, words):
    with pytest.raises(RecipeError, match=words):
        Recipe.load("session6", settings)
