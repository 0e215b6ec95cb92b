"""Each operation of the table goes to C and answers as torch, and to int8 where it has an exact rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from featherweight.data import load_dataset
from featherweight.errors import ModelError
from featherweight.graph.fold import fold
from featherweight.models.layers import RootMeanSquare
from featherweight.shipping.c_files import c_files
from featherweight.shipping.c_float import write_float
from featherweight.shipping.c_int8 import write_int8
from featherweight.shipping.calibrate import measure_ranges
from featherweight.shipping.compiler import STRICT, WATCHED, Program
from featherweight.shipping.forms import onnx_form
from featherweight.shipping.pixels import plain_network
from featherweight.shipping.quantise import check_int8, quantise
from featherweight.shipping.write_onnx import write_graph

from .conftest import card_of, lived_in, torch_answer

NEAR = 2e-5
QUICK = (*STRICT, "-O1")


class Net(nn.Module):
    """A convolution, an operation on its 6 x 12 x 12 output with the parts that it needs, and a linear layer."""

    def __init__(self, operation, **parts):
        super().__init__()
        self.conv, self.operation = nn.Conv2d(1, 6, 5, stride=2), operation
        for name, part in parts.items():
            self.add_module(name, part)
        self.last = nn.LazyLinear(10)

    def forward(self, x):
        return self.last(self.operation(self, self.conv(x)).flatten(1))


def layer(module):
    return lambda: Net(lambda net, x: net.part(x), part=module())


def function(operation, **parts):
    return lambda: Net(lambda net, x: operation(x), **parts)


def squeezed(net, x):
    """Squeeze and excitation: a factor for each channel."""
    return x * net.out(F.relu(net.into(x.mean((2, 3))))).sigmoid()[:, :, None, None]


def shuffled(x):
    """A shuffle of channels, by a view of five axes."""
    return x.view(len(x), 2, 3, 12, 12).transpose(1, 2).reshape(len(x), 6, 12, 12)


def by_vector(net, x):
    """Normalisation of the channels at each place, as in ConvNeXt."""
    return net.norm(x.permute(0, 2, 3, 1).flatten(1)).view(-1, 12, 12, 6).permute(0, 3, 1, 2)


BOTH = {        # operations with an exact rule in integers
    "residual sum": lambda: Net(lambda net, x: x + net.a(F.relu(x)), a=nn.Conv2d(6, 6, 3, padding=1)),
    "sum in place": lambda: Net(lambda net, x: net.a(x).add_(x).relu_(), a=nn.Conv2d(6, 6, 3, padding=1)),
    "difference": lambda: Net(lambda net, x: net.a(x) - x, a=nn.Conv2d(6, 6, 3, padding=1)),
    "product": lambda: Net(lambda net, x: net.a(x) * x, a=nn.Conv2d(6, 6, 1)),
    "squeeze and excitation": lambda: Net(squeezed, into=nn.Linear(6, 3), out=nn.Linear(3, 6)),
    "constants": function(lambda x: 1 - (2 * x - 0.5) / 4 + torch.arange(6.0)[:, None, None] / 9),
    "a constant at each place": function(lambda x: x + torch.linspace(-1, 1, 6 * 144).view(6, 12, 12)),
    "concatenation": lambda: Net(lambda net, x: torch.cat([x, net.a(x), x], 1), a=nn.Conv2d(6, 2, 1)),
    "concatenation of rows": lambda: Net(lambda net, x: torch.cat([x, net.a(x)], 2), a=nn.Conv2d(6, 6, 1)),
    "slices": function(lambda x: x[:, 1:5, ::2, 3:]),
    "chunks": function(lambda x: x.chunk(2, 1)[0] + x.chunk(2, 1)[1]),
    "a flip and a roll": function(lambda x: x.flip(3).roll(5, 2)),
    "a transpose": function(lambda x: x.transpose(1, 2)),
    "a shuffle of channels": function(shuffled),
    "pixel shuffle": function(lambda x: F.pixel_shuffle(x[:, :4], 2)),
    "reflected padding": layer(lambda: nn.ReflectionPad2d(2)),
    "nearest upsampling by 2": layer(lambda: nn.Upsample(scale_factor=2)),
    "transposed convolution": layer(lambda: nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1)),
    "transposed convolution in groups": layer(lambda: nn.ConvTranspose2d(6, 4, (2, 3), groups=2, bias=False)),
    "sigmoid": layer(nn.Sigmoid), "tanh": layer(nn.Tanh), "SiLU": layer(nn.SiLU), "GELU": layer(nn.GELU),
    "GELU by tanh": layer(lambda: nn.GELU("tanh")), "hard-swish": layer(nn.Hardswish),
    "hard sigmoid": layer(nn.Hardsigmoid), "leaky ReLU": layer(lambda: nn.LeakyReLU(0.2)), "ELU": layer(nn.ELU),
    "PReLU": layer(lambda: nn.PReLU(6)), "ReLU6": layer(nn.ReLU6), "softplus": layer(nn.Softplus),
    "Mish": layer(nn.Mish), "clamp": function(lambda x: x.clamp(-0.3, 0.7)), "absolute": function(torch.abs),
    "convolution of rows": lambda: Net(lambda net, x: net.a(x.flatten(1, 2)), a=nn.Conv1d(72, 5, 3, padding=1)),
    "a maximum over height": function(lambda x: x.amax(2)), "a sum": function(lambda x: x.sum((2, 3))),
    "a reshape to other maps": function(lambda x: F.max_pool2d(x.reshape(len(x), 24, 6, 6), 2)),
    "two reshapes and a ReLU": function(lambda x: F.relu(F.max_pool2d(x, 2).flatten(1)).view(len(x), 6, 6, 6)),
}
FLOAT = {       # no exact rule in integers
    "group normalisation": layer(lambda: nn.GroupNorm(3, 6)),
    "layer normalisation of a map": layer(lambda: nn.LayerNorm((6, 12, 12))),
    "layer normalisation of a vector": lambda: Net(lambda net, x: net.n(x.mean((2, 3))), n=nn.LayerNorm(6)),
    "instance normalisation": layer(lambda: nn.InstanceNorm2d(6)),
    "normalised vectors": lambda: Net(by_vector, norm=nn.LayerNorm(6 * 144)),
    "linear upsampling by 2": layer(lambda: nn.Upsample(scale_factor=2, mode="bilinear")),
    "linear upsampling to a size": layer(lambda: nn.Upsample(size=(17, 25), mode="bilinear", align_corners=True)),
}


def ready(build):
    torch.manual_seed(0)
    module = build()
    module(torch.zeros(2, 1, 28, 28))
    for part in module.modules():
        if isinstance(part, nn.GroupNorm | nn.LayerNorm | nn.PReLU):
            nn.init.uniform_(part.weight, -0.5, 1.5)
    return lived_in(module)


def from_c(card, body, images, flags=QUICK):
    files = {name: text.encode() for name, text in c_files(card, body).items()}
    with Program(files, flags, list(card.heads)) as program:
        return program.probabilities(images, None)["class"]


@pytest.mark.parametrize("name", [*BOTH, *FLOAT])
def test_an_operation_goes_to_c(name, images):
    module = ready((BOTH | FLOAT)[name])
    card = card_of(module)
    expected = torch_answer(module, card, images, None)["class"]
    assert expected.std() > 1e-3, "all answers alike prove nothing"
    graph = fold(plain_network(module, card))
    assert np.abs(from_c(card, write_float(graph), images) - expected).max() < NEAR
    plain = onnx_form(card, write_graph(graph), exact=True).probabilities(images, None)["class"]
    assert np.abs(plain - expected).max() < NEAR


@pytest.mark.parametrize("name", list(BOTH))
def test_an_operation_goes_to_int8(name, images):
    module = ready(BOTH[name])
    card = card_of(module)
    expected = torch_answer(module, card, images, None)["class"]
    graph = fold(plain_network(module, card))
    check_int8(graph)
    quantised = quantise(graph, measure_ranges(graph, images, None))
    rounded = onnx_form(card, write_graph(graph, quantised=quantised), exact=False).probabilities(images, None)
    found = from_c(card, write_int8(quantised), images)
    assert np.abs(found - rounded["class"]).max() < 0.05
    assert np.abs(found - expected).mean() < 0.03


@pytest.mark.parametrize("name", list(FLOAT))
def test_what_has_no_exact_rule_is_refused_in_int8_by_its_name(name):
    module = ready(FLOAT[name])
    with pytest.raises(ModelError, match=r"^layer (part|n|norm)\S* \((standardise|interpolate)\) cannot go into int8"):
        check_int8(fold(plain_network(module, card_of(module))))


class Residual(nn.Module):
    """GELU, group normalisation, dilation, a concatenation and a stride around a residual sum."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.GroupNorm(4, 8)
        self.wide, self.narrow = nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.Conv2d(8, 4, 1)
        self.down, self.last = nn.Conv2d(12, 10, 3, stride=2), nn.Linear(10, 10)

    def forward(self, x):
        x = F.gelu(self.norm(self.stem(x)))
        x = x + F.gelu(self.wide(x))
        x = torch.cat([x, self.narrow(x)], dim=1)
        return self.last(self.down(x).mean((2, 3)))


def test_a_residual_network_answers_as_torch_on_all_test_images():
    images = load_dataset("digits").test.images.numpy()
    module = ready(Residual)
    card = card_of(module)
    expected = torch_answer(module, card, images, None)["class"]
    found = from_c(card, write_float(fold(plain_network(module, card))), images, WATCHED)
    assert len(images) == 360 and np.abs(found - expected).max() < NEAR
    assert (found.argmax(1) == expected.argmax(1)).all()


KINDS = ["conv", "depthwise", "strided", "dilated", "transposed", "pool", "mean", "norm", "batch", "up", "crop",
         "activation", "residual", "gate", "concat", "shuffle", "root"]
ACTIVATIONS = [nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Tanh, nn.LeakyReLU, nn.PReLU, nn.ELU]


@st.composite
def random_networks(draw):
    """A row of layers, some of them with a way around them, that keeps maps of at most 14 x 14."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=2, max_size=8))
    channels, side = draw(st.integers(1, 5)) * 2, 14
    layers = [nn.Conv2d(1, channels, 3, stride=2, padding=1, bias=draw(st.booleans()))]
    for kind in kinds:
        made, channels, side = part(kind, channels, side, draw)
        layers += made
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, 10))


def part(kind, channels, side, draw):
    """Return (layers, channels, side) of one kind of part."""
    new = draw(st.integers(1, 4)) * 2
    conv = nn.Conv2d
    simple = {
        "conv": ([conv(channels, new, 3, padding=1)], new, side),
        "depthwise": ([conv(channels, channels, 3, padding=1, groups=channels)], channels, side),
        "norm": ([nn.GroupNorm(2, channels)], channels, side),
        "batch": ([nn.BatchNorm2d(channels)], channels, side),
        "activation": ([draw(st.sampled_from(ACTIVATIONS))()], channels, side),
        "residual": ([Around("add", conv(channels, channels, 3, padding=1))], channels, side),
        "gate": ([Around("multiply", nn.AdaptiveAvgPool2d(1), conv(channels, channels, 1), nn.Sigmoid())], channels,
                 side),
        "concat": ([Around("concat", conv(channels, new, 1), nn.ReLU())], channels + new, side),
        "shuffle": ([nn.ChannelShuffle(2)], channels, side),
    }
    if kind in simple:
        return simple[kind]
    if side < 6 or (kind in ("up", "transposed") and side > 7):
        return [nn.ReLU()], channels, side
    return {
        "strided": lambda: ([conv(channels, new, 3, stride=2, padding=1)], new, (side + 1) // 2),
        "dilated": lambda: ([conv(channels, new, 2, dilation=2, padding="same")], new, side),
        "transposed": lambda: ([nn.ConvTranspose2d(channels, new, 3, stride=2, padding=1)], new, 2 * side - 1),
        "pool": lambda: ([nn.MaxPool2d(2, ceil_mode=True)], channels, (side + 1) // 2),
        "mean": lambda: ([nn.AvgPool2d(3, 2, padding=1)], channels, (side + 1) // 2),
        "up": lambda: ([nn.Upsample(scale_factor=2)], channels, 2 * side),
        "crop": lambda: ([nn.ZeroPad2d((-1, 1, 1, -1))], channels, side),
        "root": lambda: ([RootMeanSquare()], channels, 1),
    }[kind]()


class Around(nn.Module):
    """Layers, and a way around them: their output is added to, multiplied with or put beside their input."""

    def __init__(self, kind, *layers):
        super().__init__()
        self.kind, self.layers = kind, nn.Sequential(*layers)

    def forward(self, x):
        y = self.layers(x)
        return torch.cat([x, y], 1) if self.kind == "concat" else x + y if self.kind == "add" else x * y


@settings(max_examples=60)
@given(random_networks(), st.integers(0, 1000))
def test_random_networks_answer_in_c_as_torch(module, seed):
    torch.manual_seed(seed)
    images = np.random.default_rng(seed).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)
    module = lived_in(module)
    card = card_of(module)
    expected = torch_answer(module, card, images, None)["class"]
    found = from_c(card, write_float(fold(plain_network(module, card))), images)
    assert np.abs(found - expected).max() < 5e-4
