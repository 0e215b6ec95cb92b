"""Networks with unusual connections: each is compiled correctly, or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from beside_torch import assert_equal, by_c, by_torch, check, distance
from torch import Tensor, nn

from featherweight.training.compiled.program import compile_network
from featherweight.training.compiled.reading import NotCompiled

SHAPE = (3, 9, 7)


class Given(nn.Module):
    """A network whose forward is a function of the network and its input."""

    def __init__(self, function: Callable[..., object], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in {"c": nn.Conv2d(3, 4, 3), "d": nn.Conv2d(4, 4, 1), "l": nn.LazyLinear(10), **parts}.items():
            setattr(self, name, part)
        self(torch.zeros(2, *SHAPE))

    def forward(self, x: Tensor) -> object:
        return self.function(self, x)


def sum_of_shifted(net: Given, x: Tensor) -> Tensor:
    y = net.c(x)
    return net.l((F.pad(y, (0, 0, 1, 0)) + F.pad(y, (0, 0, 0, 1))).flatten(1))


def concatenation_of_one(net: Given, x: Tensor) -> Tensor:
    y = net.c(x)
    return net.l(torch.cat([F.pad(y, (0, 0, 1, 0)), F.pad(y, (0, 0, 0, 1)), F.pad(y, (0, 0, 0, 1))], 1).flatten(1))


def doubled(net: Given, x: Tensor) -> Tensor:
    y = net.c(x)
    return net.l((y + y).flatten(1))


def in_place(net: Given, x: Tensor) -> Tensor:
    y = F.relu(net.c(x), inplace=True)
    z = net.d(y)
    z += y
    return net.l(z.flatten(1))


def before_layers(net: Given, x: Tensor) -> Tensor:
    return net.l(F.max_pool2d(net.c(F.relu(net.b(x))), 2).flatten(1))


def one_output_twice(net: Given, x: Tensor) -> tuple[Tensor, ...]:
    y = F.log_softmax(net.l(net.c(x).flatten(1)), 1)
    return y, y, net.k(y)


def root_mean_square(net: Given, x: Tensor) -> Tensor:
    return net.l((1e-3 + net.c(x).square().mean((-1, -2), keepdim=True)).sqrt().flatten(1))


def without_summand(net: Given, x: Tensor) -> Tensor:
    """In images beyond the batch, z is 0, and so is the root of a channel with a negative shift."""
    return net.l(F.relu(net.b(net.f(x))).pow(2).mean((2, 3)).sqrt())


def attention(net: Given, x: Tensor) -> Tensor:
    return net.l(F.softmax(net.c(x), 1).flatten(1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "sum of shifted": lambda: Given(sum_of_shifted),
    "concatenation of one": lambda: Given(concatenation_of_one),
    "doubled": lambda: Given(doubled),
    "in place": lambda: Given(in_place),
    "before layers": lambda: Given(before_layers, b=nn.BatchNorm2d(3)),
    "one output twice": lambda: Given(one_output_twice, k=nn.Linear(10, 7)),
    "root mean square": lambda: Given(root_mean_square),
    "without summand": lambda: Given(without_summand, b=nn.BatchNorm2d(4), f=nn.Conv2d(3, 4, 3, bias=False)),
    "softmax in the middle": lambda: Given(attention),
    "even kernel": lambda: nn.Sequential(nn.Conv2d(3, 4, (4, 2), padding=(3, 0)), nn.Flatten(), nn.Linear(288, 10)),
    "twice normalised": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.ReLU(),
        nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(), nn.Linear(140, 10)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_unusual_networks_are_compiled(name: str) -> None:
    check(NETWORKS[name](), [SHAPE], 37)


def tall(rows: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, (1, 3)), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2 * rows, 10))


def test_linear_layers_read_maps_of_64_rows() -> None:
    check(tall(64), [(1, 64, 3)], 33)
    with pytest.raises(NotCompiled, match="linear"):
        compile_network(tall(65), [torch.zeros(2, 1, 65, 3)], half=False)


def test_heads_without_trained_parameters_need_no_gradient() -> None:
    model = Given(lambda net, x: (net.l(net.c(x).flatten(1)), net.k(x).flatten(1), x.mean((2, 3))),
                  k=nn.Conv2d(3, 5, (9, 7)).requires_grad_(False))
    inputs = [torch.randn(37, *SHAPE)]
    assert_equal(by_c(model, inputs), by_torch(model, inputs))


def test_buffers_are_shared_by_numbers_of_different_size() -> None:
    model = nn.Sequential(nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7), nn.ReLU(), nn.Conv2d(7, 5, (7, 5)), nn.Flatten())
    inputs = [torch.randn(77, *SHAPE)]
    found, expected = by_c(model, inputs, half=True), by_torch(model, inputs)
    assert all(distance(found.gradients[name], expected.gradients[name]) < 0.1 for name in ("0.weight", "3.weight"))


def without_gradient(net: Given, x: Tensor) -> Tensor:
    y = net.c(x)
    with torch.no_grad():
        z = net.d(y)
    return net.l((y + z).flatten(1))


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "no_grad": (lambda: Given(without_gradient), "gradients off"),
    "detach": (lambda: Given(lambda net, x: net.l(net.d(net.c(x).detach()).flatten(1))), "detach"),
    "normalisation of two maps": (lambda: Given(
        lambda net, x: net.l(net.b(net.d(net.b(net.c(x)))).flatten(1)), b=nn.BatchNorm2d(4)), "share"),
    "view of a flattened map": (lambda: Given(
        lambda net, x: net.l(net.k(net.c(x).flatten(1).view(-1, 140, 1, 1)).flatten(1)), k=nn.Conv2d(140, 10, 1)),
        "view"),
    "swapped axes": (lambda: Given(
        lambda net, x: net.l(net.k(net.c(x)).squeeze(3).unsqueeze(2).flatten(1)), k=nn.Conv2d(4, 4, (1, 5))),
        "unsqueeze"),
    "part of the batch": (lambda: Given(lambda net, x: net.l(net.c(x[:2]).flatten(1))), "getitem"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_networks_are_refused(name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(NotCompiled, match=reason):
        compile_network(make(), [torch.zeros(2, *SHAPE)], half=False)


def test_shared_biases_and_hooks_of_parameters_are_refused() -> None:
    shared, hooked = Given(doubled), Given(lambda net, x: net.l(net.d(net.c(x)).flatten(1)))
    hooked.c.weight.register_hook(lambda gradient: gradient * 0)
    with pytest.raises(NotCompiled, match="hook"):
        compile_network(hooked, [torch.zeros(2, *SHAPE)], half=False)
    shared = Given(lambda net, x: net.l(net.d(net.c(x)).flatten(1)))
    shared.d.bias = shared.c.bias
    with pytest.raises(NotCompiled, match="share"):
        compile_network(shared, [torch.zeros(2, *SHAPE)], half=False)
