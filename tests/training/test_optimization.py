"""Learning rates over a whole run, optimizers and the average of the weights, built from plain values."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featherweight.training.muon import Muon
from featherweight.training.optimization import build_average, build_optimizer, build_schedule

TOP = 0.5


def one_weight(name="sgd", lr=TOP, **arguments):
    """An optimizer of a single weight whose gradient is 1."""
    weight = nn.Parameter(torch.zeros(1))
    weight.grad = torch.ones(1)
    return build_optimizer([weight], name, lr=lr, **arguments)


def used_rates(name, *, epochs=1, steps=10, losses=None, **arguments):
    """The learning rate of every step of a run of so many epochs; losses are what a plateau schedule watches."""
    optimizer = one_weight()
    schedule = build_schedule(optimizer, name, total_steps=epochs * steps, **arguments)
    rates = []
    for epoch in range(epochs):
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(losses[epoch] if losses else None)
    return rates


def rates_of_epochs(*arguments, **keywords):
    """One learning rate an epoch, where the schedule moves after epochs only."""
    rates = used_rates(*arguments, steps=3, **keywords)
    assert rates[::3] == rates[1::3] == rates[2::3]
    return rates[::3]


class TestConstant:
    def test_never_moves(self):
        assert used_rates("constant", epochs=12) == [TOP] * 120


class TestStep:
    def test_drops_by_gamma_every_step_size_epochs(self):
        rates = rates_of_epochs("step", epochs=7, step_size=3, gamma=0.1)
        assert rates == pytest.approx([TOP] * 3 + [TOP / 10] * 3 + [TOP / 100])


class TestPlateau:
    def test_drops_after_patience_plus_one_epochs_without_improvement(self):
        losses = [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]        # best in the second epoch, then nothing
        rates = rates_of_epochs("plateau", epochs=7, losses=losses, patience=2, gamma=0.5)
        # epochs 3, 4 are patience; after epoch 5 it drops; epochs 6, 7 are patience again
        assert rates == pytest.approx([TOP] * 5 + [TOP / 2] * 2)

    def test_never_drops_while_the_loss_falls(self):
        losses = [1.0 - 0.01 * epoch for epoch in range(8)]
        assert rates_of_epochs("plateau", epochs=8, losses=losses, patience=0) == [TOP] * 8

    def test_the_threshold_is_absolute(self):
        losses = [10.0 - 0.01 * epoch for epoch in range(5)]
        assert rates_of_epochs("plateau", epochs=5, losses=losses, patience=0, threshold=0.001) == [TOP] * 5
        dropped = rates_of_epochs("plateau", epochs=5, losses=losses, patience=0, threshold=0.05)
        assert dropped[1] == TOP
        assert dropped[-1] < TOP

    def test_refuses_to_watch_nothing(self):
        with pytest.raises(ValueError, match="validation loss"):
            used_rates("plateau")


class TestOneCycle:
    def test_starts_low_rises_to_the_top_and_ends_lower(self):
        rates = used_rates("one-cycle", steps=100, warmup=0.3, start_factor=0.04, end_factor=1e-3)
        assert len(rates) == 100
        assert rates[0] == pytest.approx(TOP * 0.04)
        assert max(rates) == pytest.approx(TOP)
        assert rates.index(max(rates)) == 29                 # the 30th of 100 steps
        assert rates[-1] == pytest.approx(TOP * 1e-3)        # what the last step is taken with
        assert rates[:30] == sorted(rates[:30])
        assert rates[29:] == sorted(rates[29:], reverse=True)

    def test_epochs_make_no_difference(self):
        assert used_rates("one-cycle", epochs=4, steps=5) == pytest.approx(used_rates("one-cycle", steps=20))

    def test_an_end_at_zero(self):
        assert used_rates("one-cycle", steps=20, end_factor=0.0)[-1] == pytest.approx(0, abs=1e-9)

    def test_without_warmup_it_starts_at_the_top(self):
        rates = used_rates("one-cycle", steps=20, warmup=0.0, end_factor=0.01)
        assert rates[0] == pytest.approx(TOP, rel=0.02)
        assert rates[-1] == pytest.approx(TOP * 0.01)

    @pytest.mark.parametrize(("steps", "warmup"), [(10, 0.1), (5, 0.2), (4, 0.25), (2, 0.5)])
    def test_a_warmup_of_exactly_one_step(self, steps, warmup):
        rates = used_rates("one-cycle", steps=steps, warmup=warmup, end_factor=0.01)
        assert rates[-1] == pytest.approx(TOP * 0.01)

    def test_leaves_the_momentum_alone(self):
        optimizer = one_weight(momentum=0.9)
        schedule = build_schedule(optimizer, "one-cycle", total_steps=5)
        for _ in range(5):
            optimizer.step()
            schedule.after_step()
            assert optimizer.param_groups[0]["momentum"] == 0.9


class TestCosine:
    def test_falls_from_the_top_to_the_end(self):
        rates = used_rates("cosine", steps=101, end_factor=0.01)
        assert rates[0] == TOP
        assert rates[50] == pytest.approx(TOP * (1 + 0.01) / 2)
        assert rates[-1] == pytest.approx(TOP * 0.01)
        assert rates == sorted(rates, reverse=True)

    def test_epochs_make_no_difference(self):
        assert used_rates("cosine", epochs=4, steps=5) == pytest.approx(used_rates("cosine", steps=20))


@pytest.mark.parametrize("name", ["constant", "step", "plateau", "one-cycle", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_runs(name, steps):
    rates = used_rates(name, steps=steps, losses=[1.0])
    assert len(rates) == steps
    assert all(0 < rate <= TOP for rate in rates)


@pytest.mark.parametrize("name", ["one-cycle", "cosine"])
@pytest.mark.parametrize("steps", [2, 3, 50])
def test_the_last_step_is_taken_with_the_end_factor(name, steps):
    assert used_rates(name, steps=steps, end_factor=0.01)[-1] == pytest.approx(TOP * 0.01)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"'linear'.*allowed are constant, step, plateau, one-cycle, cosine"):
        build_schedule(one_weight(), "linear", total_steps=1)
    with pytest.raises(ValueError, match=r"'lion'.*allowed are sgd, adam, adamw, muon"):
        one_weight("lion")


class TestOptimizers:
    def test_sgd_takes_its_arguments(self):
        optimizer = one_weight("sgd", lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.01)
        assert isinstance(optimizer, torch.optim.SGD)
        got = {key: optimizer.defaults[key] for key in ("lr", "momentum", "nesterov", "weight_decay")}
        assert got == {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}

    @pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
    def test_adam_and_adamw_take_theirs(self, name, kind):
        optimizer = one_weight(name, lr=0.1, betas=(0.8, 0.9), weight_decay=0.01, momentum=0.7, nesterov=True)
        assert isinstance(optimizer, kind)
        got = {key: optimizer.defaults[key] for key in ("lr", "betas", "weight_decay")}
        assert got == {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.01}

    def test_muon_takes_its_own(self):
        optimizer = one_weight("muon", lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.01, betas=(0.8, 0.9))
        assert type(optimizer) is Muon
        wanted = {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01, "betas": (0.8, 0.9)}
        assert {key: optimizer.defaults[key] for key in wanted} == wanted

    @pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
    def test_the_fused_step_is_torchs_plain_step(self, name):
        weights = [nn.Parameter(torch.linspace(-1, 1, 50)) for _ in range(2)]
        plain = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
        extra = {"momentum": 0.9, "nesterov": True} if name == "sgd" else {}
        optimizers = [
            build_optimizer([weights[0]], name, lr=0.05, weight_decay=0.01, **extra),
            plain([weights[1]], lr=0.05, weight_decay=0.01, fused=False, **extra),
        ]
        for _ in range(5):
            for weight, optimizer in zip(weights, optimizers, strict=True):
                optimizer.zero_grad()
                (weight**2).sum().backward()
                optimizer.step()
        torch.testing.assert_close(weights[0], weights[1])
        assert weights[0].abs().sum() < 25


class TestAverage:
    def test_is_the_exponential_average_of_weights_and_batch_statistics(self):
        model, decay = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), 0.9
        average = build_average(model, decay)
        wanted = None
        for number in range(6):
            model(torch.randn(8, 3) + number)                  # moves the batch statistics
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(torch.randn_like(parameter))
            average.update_parameters(model)
            now = {key: value.clone() for key, value in model.state_dict().items() if value.is_floating_point()}
            # the first update is the model itself: nothing of the untrained weights stays
            wanted = now if wanted is None else {key: decay * wanted[key] + (1 - decay) * now[key] for key in now}
        got = average.module.state_dict()
        assert {"0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var"} <= set(wanted)
        for key, value in wanted.items():
            torch.testing.assert_close(got[key], value)
        assert got["1.num_batches_tracked"].dtype == torch.int64

    def test_is_a_model_of_its_own(self):
        model = nn.Linear(2, 2)
        average = build_average(model, 0.9)
        before = model.weight.detach().clone()
        with torch.no_grad():
            average.module.weight.zero_()
        assert torch.equal(model.weight, before)

    def test_keeps_shape_of_the_call(self):
        model = nn.Linear(2, 3)
        inputs = torch.randn(4, 2)
        assert torch.equal(build_average(model, 0.5)(inputs), model(inputs))
