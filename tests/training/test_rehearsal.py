"""A fault of training is found in the rehearsal, in one line; the network stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from featherweight.errors import ModelError
from featherweight.models import CATALOGUE, build_model
from featherweight.tasks import build_task
from featherweight.training.rehearsal import rehearse

TASK = build_task("classification")
IMAGES = torch.randint(256, (8, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(8)


class Base(nn.Module):
    """One dense layer; the tests change its forward."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Detached(Base):
    def forward(self, x):
        return super().forward(x).detach()


class WithoutGradient(Base):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class Hidden(Base):
    def __init__(self):
        super().__init__()
        self.state, self.again = torch.zeros(1, 10), nn.Linear(10, 10)

    def forward(self, x):
        y = super().forward(x)
        self.state = torch.tanh(y.mean(0, keepdim=True) + self.again(self.state))
        return y + self.state


class Computed(Base):
    """A tensor is computed from a parameter once; torch refuses to copy such a network."""

    def __init__(self):
        super().__init__()
        self.scaled = 2 * self.fc.weight.exp()

    def forward(self, x):
        return x.flatten(1) @ self.scaled.T


class KeepsItsBatch(Base):
    last = None

    def forward(self, x):
        y = super().forward(x)
        y = y if self.last is None else y + self.last
        self.last = y.detach()
        return y


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(784, 10, dtype=torch.complex64))

    def forward(self, x):
        return (x.flatten(1).to(torch.complex64) @ self.weight).abs()


class InPlace(Base):
    def forward(self, x):
        y = torch.sigmoid(super().forward(x))
        y += 1
        return y


class MovesItsWeight(Base):
    def forward(self, x):
        self.fc.weight *= 0.5
        return super().forward(x)


class Through(Base):
    def forward(self, x):
        return torch.from_numpy(super().forward(x).numpy())


class OnlyInEvaluation(Base):
    def forward(self, x):
        if self.training:
            raise KeyError("mode")
        return super().forward(x)


@pytest.mark.parametrize(("network", "words"), [
    (Detached, "no gradient. Take .detach()"),
    (WithoutGradient, "no gradient. Take .detach(), torch.no_grad()"),
    (Hidden, "self.hidden = hidden.detach()"),
    (Computed, "needs the graph of the batch before"),
    (KeepsItsBatch, "batch 3, of 3 images, fails after 2 that went well: test_rehearsal.py:"),
    (Complex, "parameter 'weight' is complex64. Keep its real and imaginary parts"),
    (InPlace, "an operation in place changes a tensor"),
    (MovesItsWeight, "forward changes a parameter in place"),
    (Through, "forward leaves torch for NumPy"),
    (OnlyInEvaluation, "a batch of 2 images fails in training mode: test_rehearsal.py:105: KeyError: 'mode'"),
])  # fmt: skip
def test_a_fault_of_training_is_one_line(network, words):
    with pytest.raises(ModelError) as caught:
        rehearse(network(), TASK, IMAGES, LABELS)
    assert str(caught.value).startswith("the network cannot be trained: ") and words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_rehearsal_leaves_the_model_and_the_random_state_alone():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(2704, 10))
    model[1].eval()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    rehearse(model, TASK, IMAGES, LABELS)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.training and not model[1].training and torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_networks_that_train_pass():
    tried = [name for name in CATALOGUE if name not in ("session1", "feather-cifar")]   # large; for colours
    for name in tried:
        task = build_task("digit-sum") if name == "digit-sum" else TASK
        rehearse(build_model(name), task, IMAGES, LABELS)
    assert len(tried) >= 12


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_networks_that_are_hard_to_copy_pass():
    normed = nn.Sequential(nn.Flatten(), torch.nn.utils.weight_norm(nn.Linear(784, 10)))
    rehearse(normed, TASK, IMAGES, LABELS)
    stubborn = Base()
    stubborn.draws = (number for number in range(9))    # no generator can be copied
    rehearse(stubborn, TASK, IMAGES, LABELS)


def test_few_images_are_taken_again():
    rehearse(Base(), TASK, IMAGES[:2], LABELS[:2])
