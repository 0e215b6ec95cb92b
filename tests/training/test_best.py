"""Keeping the best epoch by validation, and stopping where it does not get better."""

from __future__ import annotations

import json

import pytest
import torch

import featherweight
from featherweight import examination, experiment
from featherweight.errors import RecipeError, TrainingInterrupted
from featherweight.networks import load_network
from featherweight.preparation import build_training, load_data
from featherweight.recipe import Recipe
from featherweight.replication.folder import Replicas
from featherweight.replication.job import Job, Unwatched
from featherweight.replication.one_process import can_keep_step, train_in_one_process
from featherweight.report import write_report
from featherweight.report.verdict import verdict_table
from featherweight.runs import watched_losses
from featherweight.training.measurement import measure
from featherweight.words import ending
from stopping import StopAt

KEEP = {"keep": "best-on-validation"}
ROUGH = {"data": {"validation": 1300}, "optimizer": {"lr": 0.5, "momentum": 0.9}}   # where losses rise again
HOW = {"batch_size": 16, "ema": 0.5, "engine": "torch"}     # 9 steps an epoch; in C the last epoch is the best
EPOCHS = 4


@pytest.fixture(scope="module")
def rough(digits_recipe):
    """A recipe whose last epoch is not its best."""
    return digits_recipe(**ROUGH, training={"epochs": EPOCHS, **HOW, **KEEP})


@pytest.fixture(scope="module")
def kept(rough, tmp_path_factory):
    return featherweight.train(rough, tmp_path_factory.mktemp("runs") / "kept", device="cpu")


def best_of(run):
    losses = watched_losses(run.history)
    return losses.index(min(losses)) + 1


def weights_equal(one, other):
    first, second = one.weights(), other.weights()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def validated(run):
    """The score of the written weights on the run's validation images."""
    training = build_training(run.recipe, load_data(run.recipe, None), torch.device("cpu"))
    name, images = training.curve
    assert name == "validation"
    return measure(load_network(run), images, training.task, training.precision)["class"].without_classes()


def test_the_best_epoch_is_written_and_measured(rough, kept, tmp_path):
    best = best_of(kept)
    assert best < EPOCHS, "the recipe does not test what it should"
    assert kept.result["kept"] == {"epoch": best, "of": EPOCHS, "by": "validation loss"}
    assert kept.result["epochs"] == EPOCHS
    assert kept.result["train"]["accuracy"] == kept.history[best - 1]["train_accuracy"]
    assert validated(kept) == kept.history[best - 1]["curve"]["class"]
    assert examination.evaluate(kept)["class"].to_dict() == kept.result["test"]["class"]


def test_keeping_changes_nothing_of_the_training(digits_recipe, rough, kept, tmp_path):
    """A training of as many epochs as the best one ends with the network that was kept."""
    shorter = digits_recipe(**ROUGH, training={"epochs": best_of(kept), **HOW})
    assert weights_equal(featherweight.train(shorter, tmp_path / "shorter", device="cpu"), kept)


def test_a_resume_remembers_the_best_epoch(rough, kept, tmp_path):
    for step in (9 * best_of(kept) + 5, 5):        # after the best epoch, and in the first
        out = tmp_path / f"{step}"
        with pytest.raises(TrainingInterrupted):
            experiment.train_recipe(rough, out, device="cpu", watcher=StopAt(step))
        again = featherweight.train(rough, out, device="cpu", resume=True)
        assert weights_equal(again, kept) and again.result["test"] == kept.result["test"]
        assert again.result["kept"] == kept.result["kept"]


def test_patience_ends_a_training(digits_recipe, kept, tmp_path):
    recipe = digits_recipe(**ROUGH, training={"epochs": 40, **HOW, "patience": 2, **KEEP})
    run = featherweight.train(recipe, tmp_path / "run", device="cpu")
    best, done = best_of(run), len(run.history)
    assert run.result["epochs"] == done == best + 2 < 40
    assert run.result["stopped_early"] == {"planned": 40, "patience": 2}
    (run.path / "result.json").unlink()         # as a kill just before it was written
    again = featherweight.train(recipe, run.path, device="cpu", resume=True)
    assert again.result["epochs"] == done and weights_equal(run, again)
    last = digits_recipe(**ROUGH, training={"epochs": 40, **HOW, "patience": 2})
    stopped = featherweight.train(last, tmp_path / "last", device="cpu").result
    assert stopped["epochs"] == done and "kept" not in stopped


def test_seeds_keep_each_its_own_epoch(rough, kept, tmp_path):
    replicas = featherweight.train_seeds(rough, [1, 2], tmp_path / "seeds", device="cpu")
    assert weights_equal(replicas.run(1), kept)
    epochs = [best_of(run) for run in replicas.runs]
    assert replicas.summary["kept"] == {"epochs": epochs, "by": "validation loss"}
    assert replicas.summary["epochs"] == EPOCHS
    assert ending(replicas.summary) == f"epochs {epochs[0]}, {epochs[1]}, by validation loss"


def test_seeds_in_step_keep_each_its_own_epoch(rough, tmp_path):
    in_step = Replicas(tmp_path / "in-step")
    in_step.path.mkdir()
    job = Job(rough, load_data(rough, None), "cpu", in_step)
    assert train_in_one_process(job, [1, 2], Unwatched(), lambda: False) == [1, 2]
    epochs = [run.result["kept"]["epoch"] for run in in_step.runs]
    assert epochs == [best_of(run) for run in in_step.runs] and min(epochs) < EPOCHS
    for run, epoch in zip(in_step.runs, epochs, strict=True):
        measured, written = validated(run), run.history[epoch - 1]["curve"]["class"]
        assert measured["correct"] == written["correct"] and measured["loss"] == pytest.approx(written["loss"])


def test_patience_goes_in_processes(digits_recipe):
    device = torch.device("cuda")
    assert can_keep_step(digits_recipe(**ROUGH, training=KEEP), device)
    assert not can_keep_step(digits_recipe(**ROUGH, training={"patience": 1}), device)


@pytest.mark.parametrize(("sections", "words"), [
    ({"training": KEEP}, "training.keep: 'best-on-validation' needs a validation split"),
    ({"training": {"patience": 3}}, "training.patience: 3 needs a validation split"),
    ({"training": KEEP, "data": {"validation": 10}, "evaluation": {"curve": "test"}}, "watches validation and never"),
    ({"training": {"patience": 1}, "data": {"validation": 10}, "evaluation": {"curve": "none"}}, "evaluation.curve"),
])  # fmt: skip
def test_epochs_are_chosen_on_validation_alone(sections, words):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"name": "x", "model": {"name": "session6"}, **sections})
    assert words in str(caught.value)


def test_the_record_says_it_in_words(kept, tmp_path, capsys):
    best = best_of(kept)
    table = verdict_table(json.loads((kept.path / "result.json").read_text()))
    cells = [str(cell) for column in table.columns for cell in column.cells]
    assert f"epoch {best} of {EPOCHS}, by validation loss" in cells and "kept" in cells
    write_report([kept], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert f"The network is that of epoch {best} of {EPOCHS}, which had the lowest validation loss" in page
    assert f"kept: epoch {best} of {EPOCHS}, by validation loss." in page and f"In epoch {best} " in page


def test_an_early_end_in_words():
    early = {"planned": 15, "patience": 3}
    assert ending({"epochs": 15}) == ""
    assert ending({"stopped_early": early}) == (
        "stopped early: no lower validation loss in 3 of 15 planned epochs"
    )
    assert "stopped early after 5, 9:" in ending({"stopped_early": {**early, "after": [5, 9]}})
