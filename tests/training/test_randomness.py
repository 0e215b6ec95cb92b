"""Dropout and noise that evaluation mode does not stop are found with the line that draws."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.training.randomness import active_dropout, random_calls

IMAGES = torch.zeros(2, 1, 28, 28)


class Net(nn.Module):
    """A linear layer whose forward ends as a subclass says."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.layer = nn.Linear(784, 10), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.linear(x.flatten(1)))

    def end(self, x: Tensor) -> Tensor:
        return F.dropout(self.layer(x), 0.2, self.training)


class Functional(Net):
    def end(self, x: Tensor) -> Tensor:
        return F.dropout(x, p=0.2)


class Fresh(Net):
    def end(self, x: Tensor) -> Tensor:
        return nn.Dropout2d(0.1)(x[..., None, None]).flatten(1)


class Noise(Net):
    def end(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


def line_of(network: type[nn.Module]) -> str:
    """The only line of its `end`."""
    return f"test_randomness.py:{network.end.__code__.co_firstlineno + 1}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("network", "words"), [
    (Functional, "F.dropout is active in evaluation ({}): write F.dropout(x, 0.2, self.training)"),
    (Fresh, "F.dropout2d is active in evaluation ({}): write F.dropout2d(x, 0.1, self.training)"),
])
def test_an_active_dropout_is_named_with_its_line(network: type[nn.Module], words: str) -> None:
    [call] = random_calls(network(), [IMAGES])
    assert words.format(line_of(network)) in str(call)
    assert active_dropout(network(), [IMAGES]) == [line_of(network)]


def test_noise_is_named_and_is_no_dropout() -> None:
    [call] = random_calls(Noise(), [IMAGES])
    assert str(call).startswith(f"randn_like draws random numbers in evaluation ({line_of(Noise)})")
    assert active_dropout(Noise(), [IMAGES]) == []


def test_a_dropout_that_follows_the_mode_is_silent_and_looking_changes_nothing() -> None:
    network = Net().train()
    assert random_calls(network, [IMAGES]) == [] == active_dropout(network, [IMAGES])
    assert network.training and network.layer.training


def test_drawing_leaves_the_random_state() -> None:
    network = Functional()
    before = torch.get_rng_state()
    random_calls(network, [IMAGES])
    assert torch.get_rng_state().equal(before)
