"""Every network of the catalogue, and stranger ones, in every form: each answers as torch does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from featherweight.errors import ModelError
from featherweight.graph.fold import fold
from featherweight.graph.plain import Conv, MeanSquare, Scale
from featherweight.models import CATALOGUE
from featherweight.models.layers import RootMeanSquare
from featherweight.shipping.c_files import c_files
from featherweight.shipping.c_float import write_float
from featherweight.shipping.c_int8 import write_int8
from featherweight.shipping.calibrate import measure_ranges
from featherweight.shipping.compiler import WATCHED, Program
from featherweight.shipping.forms import onnx_form
from featherweight.shipping.onnx_export import to_onnx
from featherweight.shipping.pixels import plain_network
from featherweight.shipping.quantise import quantise
from featherweight.shipping.write_onnx import write_graph
from featherweight.specification import PictureSpecification

from .conftest import card_of, catalogue_network, lived_in, torch_answer

NEAR = 2e-5
ODD = ('a "quoted" ??/ name', "back\\slash", "*/ ümlaut")


class Wrapped(nn.Module):
    """Logits of a network as probabilities' logarithms."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return F.log_softmax(self.layers(x), dim=1)


class Branches(nn.Module):
    """Two ways that meet again, one of them read twice."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 3, 5, stride=3), nn.Conv2d(1, 2, 7, stride=3, padding=1)
        self.join, self.last = nn.BatchNorm2d(5), nn.Linear(5 * 8 * 8, 10)

    def forward(self, x):
        x = self.join(torch.cat([F.relu(self.left(x)), self.right(x)], dim=1))
        return self.last(x.flatten(1))


STRANGE = {
    "relu after the pool, normalisation before a padded convolution": lambda: Wrapped(
        nn.Conv2d(1, 4, 3, stride=2), nn.MaxPool2d(2, padding=1), nn.ReLU(), nn.BatchNorm2d(4),
        nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 10)),
    "dilation, uneven padding and stride, means that do not count the frame": lambda: Wrapped(
        nn.ZeroPad2d((2, 0, 1, 3)), nn.Conv2d(1, 4, (3, 5), stride=(2, 1), padding=(0, 2), dilation=2), nn.ReLU(),
        nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), nn.BatchNorm2d(4),
        nn.AvgPool2d(2, padding=1), nn.Flatten(), nn.LazyLinear(12), nn.ReLU(), nn.BatchNorm1d(12),
        nn.Linear(12, 10, bias=False)),
    "a pool that rounds up, windows that overlap, a mean at the end": lambda: Wrapped(
        nn.Conv2d(1, 5, 3), nn.ReLU(), nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.Conv2d(5, 10, 3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "a root of a mean square, normalised and flattened": lambda: Wrapped(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.MaxPool2d(2), RootMeanSquare(), nn.BatchNorm2d(6), nn.Flatten(),
        nn.Linear(6, 10)),
    "a root of a mean square at the end": lambda: Wrapped(
        nn.Conv2d(1, 10, 5, stride=2), nn.BatchNorm2d(10), RootMeanSquare(), nn.Flatten()),
    "normalisation, then flattened": lambda: Wrapped(
        nn.Conv2d(1, 3, 4, stride=4), nn.ReLU(), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 49, 10)),
    "no convolution at all": lambda: Wrapped(
        nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 10)),
    "a maximum at the end": lambda: Wrapped(nn.Conv2d(1, 10, 5), nn.BatchNorm2d(10), nn.MaxPool2d(24), nn.Flatten()),
    "two ways that meet": Branches,
}


def networks():
    """Name -> what builds it."""
    apart = ("session7-model3", "feather-cifar")        # the same as model 2, and one for colours
    return {name: lambda name=name: catalogue_network(name) for name in CATALOGUE if name not in apart} | {
        name: lambda build=build: warmed(build()) for name, build in STRANGE.items()}


def warmed(module, shape=(1, 28, 28)):
    """Lazy layers given their shapes, then lived in."""
    module(torch.zeros(2, *shape))
    return lived_in(module)


@pytest.mark.parametrize("name", list(networks()))
def test_onnx_and_c_answer_as_torch_and_int8_nearly(name, images):
    module = networks()[name]()
    card = card_of(module)
    numbers = np.arange(len(images)) % 10 if card.takes_number else None
    expected = torch_answer(module, card, images, numbers)
    model = to_onnx(module, card)
    graph = fold(plain_network(module, card))
    quantised = quantise(graph, measure_ranges(graph, images, numbers))
    answers = {
        "onnx": onnx_form(card, model, exact=True).probabilities(images, numbers),
        "folded": onnx_form(card, write_graph(graph), exact=True).probabilities(images, numbers),
        "int8": onnx_form(card, write_graph(graph, quantised=quantised), exact=False).probabilities(images, numbers),
    }
    for kind, body in (("c", write_float(graph)), ("c-int8", write_int8(quantised))):
        files = {file: text.encode() for file, text in c_files(card, body).items()}
        with Program(files, WATCHED, list(card.heads)) as program:
            answers[kind] = program.probabilities(images, numbers)
    for head, given in expected.items():
        assert given.max() > given.min() + 1e-3, "all classes alike prove nothing"
        for kind in ("onnx", "folded", "c"):
            assert answers[kind][head].shape == given.shape
            assert np.abs(answers[kind][head] - given).max() < NEAR, kind
        assert np.abs(answers["c-int8"][head] - answers["int8"][head]).max() < 0.05
        assert np.abs(answers["int8"][head] - given).mean() < 0.05


def test_colours_other_sizes_and_odd_names_of_classes():
    module = warmed(Wrapped(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(4),
                            nn.Flatten(), nn.LazyLinear(3)), (3, 20, 20))
    card = replace(card_of(module), heads={"class": ODD}, mean=(0.2, 0.3, 0.4), std=(0.3, 0.2, 0.1),
                   picture=PictureSpecification("plain", 3, 20, 20))
    images = np.random.default_rng(1).integers(0, 256, (4, 3, 20, 20), dtype=np.uint8)
    files = {file: text.encode() for file, text in
             c_files(card, write_float(fold(plain_network(module, card)))).items()}
    with Program(files, WATCHED, ["class"]) as program:
        expected = torch_answer(module, card, images, None)["class"]
        assert np.abs(program.probabilities(images)["class"] - expected).max() < NEAR
        said = program.run([], images).decode()
    assert {line.split("\t")[0] for line in said.splitlines()} <= set(ODD)
    assert b"image[1200]" in files["featherweight_model.h"] and b"channel by channel" in files["featherweight_model.h"]


class Powers(nn.Module):
    """What no C is written for, one at a time."""

    def __init__(self, what):
        super().__init__()
        self.conv, self.what = nn.Conv2d(1, 10, 28), what

    def forward(self, x):
        return self.what(self.conv(x)).flatten(1)


@pytest.mark.parametrize(("what", "named"), [
    (lambda x: x.cumsum(1), "cumsum cannot go into C or int8"),
    (lambda x: (x**3).mean((2, 3)), "pow with the exponent 3"),
    (lambda x: x.mean(dim=1, keepdim=True).expand(-1, 10, 1, 1), "mean over other axes than height and width"),
    (lambda x: F.max_pool2d(x, 1, dilation=2), "max_pool2d with dilation"),
    (lambda x: x.flip(0), "flip that mixes the images of a batch"), (lambda x: 1 / x, "rdiv by a value"),
    (lambda x: x if x.max() > 0 else -x, "as an if does"),
])
def test_another_operation_is_named_with_what_is_allowed(what, named):
    module = Powers(what).eval()
    with pytest.raises(ModelError) as fault:
        plain_network(module, card_of(module))
    assert named in str(fault.value) and "\n" not in str(fault.value)
    assert "C and int8" in str(fault.value) or "Linear, pooling" in str(fault.value)


@pytest.mark.parametrize(("written", "added"), [
    (RootMeanSquare(), 1e-6), (lambda x: (x * x).mean(dim=(-1, -2)).sqrt(), 0.0),
    (lambda x: torch.sqrt(F.adaptive_avg_pool2d(x.square(), 1) + 0.5), 0.5),
])
def test_a_root_of_a_mean_square_is_one_layer_however_it_is_written(written, added):
    module = Powers(written).eval()
    layers = [step.layer for step in fold(plain_network(module, card_of(module))).steps]
    assert [(layer.added, layer.root) for layer in layers if isinstance(layer, MeanSquare)] == [
        (pytest.approx(added), True)]
    assert [type(layer).__name__ for layer in layers[-3:]] == ["Conv", "MeanSquare", "Softmax"]


def test_a_square_that_is_read_twice_stays_a_square(images):
    def twice(x):
        squares = x * x
        return squares.mean(dim=(2, 3), keepdim=True).sqrt() + squares

    module = lived_in(Powers(twice))
    card = card_of(module)
    graph = fold(plain_network(module, card))
    assert not any(isinstance(step.layer, MeanSquare) for step in graph.steps)
    files = {file: text.encode() for file, text in c_files(card, write_float(graph)).items()}
    with Program(files, WATCHED, ["class"]) as program:
        expected = torch_answer(module, card, images, None)["class"]
        assert np.abs(program.probabilities(images)["class"] - expected).max() < NEAR


def test_the_c_says_which_functions_of_the_library_it_uses():
    for name, functions in (("feather-1k", "expf and sqrtf"), ("feather-2k", "expf")):
        module = catalogue_network(name)
        card = card_of(module)
        text = c_files(card, write_float(fold(plain_network(module, card))))["featherweight_model.c"]
        assert f"Uses only {functions} of the standard library (math.h)" in text
        assert all((f"{name}(" in text) == (name in functions) for name in ("expf", "logf", "sqrtf", "tanhf"))


def test_normalisation_is_folded_wherever_that_is_exact():
    module = catalogue_network("session7-model1")
    graph = fold(plain_network(module, card_of(module)))
    assert not any(isinstance(step.layer, Scale) for step in graph.steps)
    convolutions = [step.layer for step in graph.steps if isinstance(step.layer, Conv)]
    # what a padded convolution or a pool reads stays behind its ReLU
    assert [layer.after is not None for layer in convolutions] == [False, False, False, True, True, True, False]
