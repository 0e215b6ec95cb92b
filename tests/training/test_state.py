"""A training state goes into tensors and text and comes back bit for bit."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from featherweight.augment import Augmentation
from featherweight.data import Images
from featherweight.tasks import build_task
from featherweight.training import loop
from featherweight.training.engine import Replica
from featherweight.training.optimization import build_average, build_optimizer, build_schedule
from featherweight.training.plan import Plan
from featherweight.training.state import TrainingState

EPOCHS, STEPS = 3, 4
OPTIMIZERS = [
    {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"name": "sgd", "lr": 0.1, "momentum": 0.0},
    {"name": "adam", "lr": 0.01},
    {"name": "adamw", "lr": 0.01, "weight_decay": 0.1},
    {"name": "muon", "lr": 0.02, "momentum": 0.9},
]


def data(count=62):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(255, (count, 1, 12, 12), generator=generator, dtype=torch.uint8)
    labels = torch.randint(4, (count,), generator=generator)
    return Images(images, labels, torch.tensor([0.5]), torch.tensor([0.3]))


def fresh(optimizer, schedule, ema):
    """A state from one seed, with everything that can move: dropout, batch norm, momentum, average."""
    torch.manual_seed(7)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
        nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(256, 4),    # the second weight does lie channels last
    ).to(memory_format=torch.channels_last)
    made = build_optimizer(model.parameters(), **optimizer)
    plan = build_schedule(made, schedule, total_steps=EPOCHS * STEPS, patience=0, step_size=1)
    average = build_average(model, ema) if ema else None
    return TrainingState(model, made, plan, average, torch.Generator().manual_seed(7))


def run(state, stop_after=None):
    """Train to the end or to a step counted from now; the records."""
    taken = []
    plan = Plan(EPOCHS, 16, seed=7, augmentation=Augmentation(rotation=20, erasing=0.5))
    replica = Replica(state, data(), plan, ("validation", data(20)))
    epochs = loop.train(
        [replica], build_task("classification"),
        on_step=lambda position, steps: taken.append(1),
        should_stop=lambda: stop_after is not None and len(taken) >= stop_after,
    )
    return [record for (record,) in epochs]


def through_json(state):
    tensors, text = state.save()
    return tensors, json.loads(json.dumps(text, allow_nan=False))


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first.values(), second.values(), strict=True))


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("schedule", ["constant", "step", "plateau", "one-cycle", "cosine"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["nesterov", "plain", "adam", "adamw", "muon"])
def test_stopped_and_resumed_is_the_same_as_undisturbed(optimizer, schedule, ema):
    undisturbed = fresh(optimizer, schedule, ema)
    records = run(undisturbed)
    for stop_after in (0, 1, 4, 6, 11):         # before, inside, at the end of an epoch, before the last step
        state = fresh(optimizer, schedule, ema)
        before = run(state, stop_after) if stop_after else []
        tensors, text = through_json(state)
        resumed = fresh(optimizer, schedule, ema)
        torch.manual_seed(999)                  # whatever the new process had drawn
        resumed.load(tensors, text)
        after = run(resumed)
        assert same(undisturbed.trained.state_dict(), resumed.trained.state_dict())
        assert same(undisturbed.model.state_dict(), resumed.model.state_dict())
        told = [(r.epoch, r.lr, r.train_loss, r.train_accuracy, r.curve) for r in [*before, *after]]
        assert told == [(r.epoch, r.lr, r.train_loss, r.train_accuracy, r.curve) for r in records]


def test_saving_and_loading_gives_the_same_save():
    state = fresh(OPTIMIZERS[2], "one-cycle", 0.9)
    run(state, 5)
    tensors, text = through_json(state)
    other = fresh(OPTIMIZERS[2], "one-cycle", 0.9)
    other.load(tensors, text)
    again, again_text = through_json(other)
    assert text == again_text and tensors.keys() == again.keys() and same(tensors, again)


def test_saved_tensors_are_copies():
    state = fresh(OPTIMIZERS[0], "constant", 0.0)
    tensors, _ = state.save()
    before = {key: value.clone() for key, value in tensors.items()}
    run(state)
    assert same(tensors, before)


def test_tied_weights_are_saved_and_come_back():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    model = nn.Sequential(first, second)
    optimizer = build_optimizer(model.parameters(), "sgd", lr=0.1)
    schedule = build_schedule(optimizer, "constant", total_steps=1)
    state = TrainingState(model, optimizer, schedule, None, torch.Generator())
    tensors, text = through_json(state)
    assert len({value.data_ptr() for value in tensors.values()}) == len(tensors)    # safetensors needs that
    state.load(tensors, text)
    assert model[0].weight is model[1].weight


def test_a_state_of_another_network_is_refused():
    tensors, text = through_json(fresh(OPTIMIZERS[0], "constant", 0.0))
    tensors["model.6.weight"] = torch.zeros(3, 3)
    with pytest.raises(RuntimeError, match="size mismatch"):
        fresh(OPTIMIZERS[0], "constant", 0.0).load(tensors, text)
