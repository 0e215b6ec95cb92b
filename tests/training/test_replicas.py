"""Replicas in step against the same seeds trained alone, on the CPU.

In float64: where a ReLU stands at its edge the last bit of a sum decides, and float32 has different last bits.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from featherweight.errors import TrainingDiverged
from featherweight.preparation import build_training, load_data
from featherweight.recipe import Recipe
from featherweight.training.engine import Replica
from featherweight.training.loop import train

SEEDS = (3, 1, 8)
CHANGES = {"rotation": 7.0, "shift": 0.05, "elastic": 1.0, "erasing": 0.2, "fade": 0.7}
PLAIN = {"augmentation": CHANGES, "training": {"epochs": 2, "batch_size": 100}, "optimizer": {"lr": 0.01}}
VARIANTS = {
    "plain": PLAIN,
    "a shift each step, an average and validation": PLAIN | {
        "schedule": {"name": "one-cycle"}, "data": {"validation": 200},
        "training": {"epochs": 2, "batch_size": 100, "ema": 0.9},
    },
    "adam": PLAIN | {"optimizer": {"name": "adam", "lr": 0.002}},
    "muon": PLAIN | {
        "schedule": {"name": "one-cycle"},
        "optimizer": {"name": "muon", "lr": 0.02, "nesterov": True, "weight_decay": 0.01, "betas": [0.9, 0.99]},
    },
    "the hardest images": PLAIN | {
        "schedule": {"name": "one-cycle"}, "training": {"epochs": 3, "batch_size": 100, "fraction": 0.4},
    },
    "clipped": PLAIN | {"training": {"epochs": 2, "batch_size": 100, "gradient_clip": 0.5}},
    "momentum": PLAIN | {"optimizer": {"lr": 0.02, "nesterov": True, "weight_decay": 0.01}},
}


def without_dropout(recipe):
    """Random numbers inside the network come from one generator for all; elsewhere from each replica's own."""
    trainings = []
    for seed in SEEDS:
        training = build_training(recipe.with_seed(seed), load_data(recipe, None), torch.device("cpu"))
        for module in training.state.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        training.state.model.double()
        if training.state.average is not None:
            training.state.average.double()
        trainings.append(training)
    return trainings


def images_of(training, split):
    """The split with a float64 mean, which makes what is normalised with it float64 too."""
    return replace(split, mean=split.mean.double(), std=split.std.double())


def curve_of(training):
    return training.curve and (training.curve[0], images_of(training, training.dataset.validation))


def arguments(trainings):
    return {"replicas": [replica_of(one) for one in trainings], "task": trainings[0].task}


def replica_of(training):
    return Replica(training.state, images_of(training, training.dataset.train), training.plan, curve_of(training))


def train_alone(training):
    return [record for (record,) in train([replica_of(training)], training.task)]


def assert_same(alone, together):
    for one, other in zip(alone, together, strict=True):
        ours, theirs = other.state.trained.state_dict(), one.state.trained.state_dict()
        assert all(torch.allclose(ours[key], theirs[key], atol=1e-4) for key in theirs)
        assert one.state.position.epoch == other.state.position.epoch
        assert torch.equal(one.state.generator.get_state(), other.state.generator.get_state())


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_a_replica_is_its_seed_trained_alone(digits_recipe, variant):
    recipe = digits_recipe(**variant)
    alone, together = without_dropout(recipe), without_dropout(recipe)
    expected = [train_alone(training) for training in alone]
    found = list(zip(*train(**arguments(together)), strict=True))
    for records, others in zip(expected, found, strict=True):
        for one, other in zip(records, others, strict=True):
            assert other.train_loss == pytest.approx(one.train_loss, abs=1e-4)
            assert (other.epoch, other.lr, other.curve_on) == (one.epoch, one.lr, one.curve_on)
            assert other.train_accuracy["class"] == pytest.approx(one.train_accuracy["class"], abs=2e-3)
            if one.curve:
                assert other.curve["class"].loss == pytest.approx(one.curve["class"].loss, abs=1e-3)
    assert_same(alone, together)
    assert len({records[-1].train_loss for records in found}) == len(SEEDS)


def test_each_replica_selects_by_its_own_losses(digits_recipe):
    alone, together = (without_dropout(digits_recipe(**VARIANTS["the hardest images"])) for _ in range(2))
    for training in alone:
        train_alone(training)
    list(train(**arguments(together)))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.state.order, other.state.order)
        assert torch.allclose(one.state.losses, other.state.losses, atol=1e-4)
    assert not torch.equal(together[0].state.order.sort().values, together[1].state.order.sort().values)


def test_a_replica_learns_from_the_same_teacher(digits_recipe, digits_run):
    recipe = digits_recipe(**PLAIN, distillation={"teacher": str(digits_run.path)})
    alone, together = without_dropout(recipe), without_dropout(recipe)
    expected = [train_alone(training) for training in alone]
    found = list(zip(*train(**arguments(together)), strict=True))
    for records, others in zip(expected, found, strict=True):
        assert [one.train_loss for one in others] == pytest.approx([one.train_loss for one in records], abs=1e-4)
    assert_same(alone, together)


@pytest.mark.parametrize("taught", [False, True])
def test_two_heads_and_two_inputs(digits_run, taught):
    settings = ["data.dataset=digits", "training.epochs=1", "training.precision=float32", "model.arguments.dropout=0.0"]
    recipe = Recipe.load("digit-sum", [*settings, *[f"distillation.teacher={digits_run.path}"] * taught])
    alone, together = without_dropout(recipe), without_dropout(recipe)
    expected = [train_alone(training)[0] for training in alone]
    (found,) = train(**arguments(together))
    for one, other in zip(expected, found, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, rel=2e-3)
        assert set(other.train_accuracy) == {"digit", "sum"}


@pytest.mark.parametrize(("variant", "step"), [
    ("a shift each step, an average and validation", 4), ("the hardest images", 2),
])
def test_stopped_in_an_epoch_and_gone_on_with(digits_recipe, variant, step):
    recipe = digits_recipe(**VARIANTS[variant])
    alone, together = without_dropout(recipe), without_dropout(recipe)
    for training in alone:
        train_alone(training)
    steps = []
    stopped = train(**arguments(together), on_step=lambda position, total: steps.append(position.step),
                             should_stop=lambda: len(steps) == 17)
    assert len(list(stopped)) == 1
    assert {(one.state.position.epoch, one.state.position.step) for one in together} == {(1, step)}
    saved = [one.state.save() for one in together]
    again = without_dropout(recipe)
    for one, content in zip(again, saved, strict=True):
        one.state.load(*content)
    assert len(list(train(**arguments(again)))) == recipe.training.epochs - 1
    assert_same(alone, again)


def test_replicas_at_different_steps_are_refused(digits_recipe):
    together = without_dropout(digits_recipe())
    together[1].state.position.step = 1
    with pytest.raises(ValueError, match="different steps"):
        next(train(**arguments(together)))


def test_a_loss_that_is_no_number_names_its_seed(digits_recipe):
    together = without_dropout(digits_recipe())
    with torch.no_grad():
        next(together[1].state.model.parameters()).fill_(torch.nan)
    with pytest.raises(TrainingDiverged, match="seed 1 became nan"):
        next(train(**arguments(together)))


def test_each_replica_draws_its_own_dropout(digits_recipe):
    dataset = load_data(digits_recipe(), None)
    together = [build_training(digits_recipe(), dataset, torch.device("cpu")) for _ in SEEDS]
    for training in together:
        training.state.model.double()
    (found,) = train(**arguments(together))      # the same seed, weights and images three times
    assert len({record.train_loss for record in found}) == len(SEEDS)
