"""Recorded work beside the same work done call by call; on a machine without CUDA that recording leaves it alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from featherweight.errors import DeviceError
from featherweight.preparation import build_training, load_data
from featherweight.training import engine, loop
from featherweight.training.recorded import FIRST, recorded

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
CUDA = torch.device("cuda")
CHANGES = {"rotation": 7.0, "shift": 0.05, "elastic": 1.0, "erasing": 0.2, "fade": 0.7}
SCHEDULE = {"name": "one-cycle"}


def test_elsewhere_the_work_is_done_as_it_is():
    def work(values, factor):
        values.mul_(factor)

    assert recorded(work, torch.device("cpu"), []) is work


@on_cuda
def test_what_changes_from_call_to_call_is_what_is_given():
    total = torch.zeros(3, device=CUDA)

    def work(values, factor):
        total.add_(values * factor)

    again, expected = recorded(work, CUDA, []), torch.zeros(3)
    for call in range(2 * FIRST + 2):
        values = torch.full((3,), float(call))
        again(values.to(CUDA), 0.5 * call)
        expected += values * 0.5 * call
    assert torch.equal(total.cpu(), expected)


@on_cuda
def test_each_call_draws_the_numbers_that_come_next():
    def drawn(record):
        generator, seen = torch.Generator(CUDA).manual_seed(3), torch.zeros(4, device=CUDA)
        found = []

        def work(values):
            seen.copy_(torch.rand(4, generator=generator, device=CUDA) + values)

        do = recorded(work, CUDA, [generator]) if record else work
        for _ in range(FIRST + 3):
            do(torch.zeros(4, device=CUDA))
            found.append(seen.tolist())
        return found, generator.get_state().tolist()

    assert drawn(record=True) == drawn(record=False)


@on_cuda
def test_work_that_waits_for_the_device_is_one_line():
    def work(values):
        values.add_(values.sum().item())

    again, values = recorded(work, CUDA, []), torch.ones(3, device=CUDA)
    for _ in range(FIRST):
        again(values)
    with pytest.raises(DeviceError, match=r"cannot be recorded .*\.item\(\).* device='cpu'"):
        again(values)


def trained(recipe, record, monkeypatch):
    """(training, records) after all epochs, in float64."""
    with monkeypatch.context() as patch:
        if not record:
            patch.setattr(engine, "recorded", lambda work, *_: work)
        training = build_training(recipe, load_data(recipe, None), CUDA)
        training.state.model.double()
        replica = training.replica
        data = replace(replica.data, mean=replica.data.mean.double(), std=replica.data.std.double())
        records = loop.train([replace(replica, data=data)], training.task)
        return training, [record for (record,) in records]


@on_cuda
@pytest.mark.parametrize("optimizer", [
    {"lr": 0.02, "nesterov": True}, {"name": "adam", "lr": 0.002}, {"name": "muon", "lr": 0.02},
], ids=["sgd", "adam", "muon"])
def test_a_recorded_training_is_the_same_training(digits_recipe, optimizer, monkeypatch):
    recipe = digits_recipe(
        optimizer=optimizer, augmentation=CHANGES, schedule=SCHEDULE, training={"epochs": 3, "fraction": 0.5}
    )
    (ours, found), (theirs, expected) = (trained(recipe, record, monkeypatch) for record in (True, False))
    for one, other in zip(found, expected, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=1e-4)
        assert one.lr == other.lr
    for one, other in zip(ours.state.model.parameters(), theirs.state.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
    assert torch.equal(ours.state.generator.get_state(), theirs.state.generator.get_state())
    assert ours.state.position.correct == theirs.state.position.correct
