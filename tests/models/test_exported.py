"""A network written as the text of its graph: it loads with the same weights and answers the same."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from featherweight.errors import ModelError
from featherweight.models import CATALOGUE, build_model, input_shapes
from featherweight.models.exported import exported_source, is_graph
from featherweight.networks import suited
from featherweight.user_code import Source, load_class, trust


def loaded(source: Source, folder):
    """The network of a text, as a run loads it."""
    source.write(folder)
    trust.remember(source.sha256)
    return load_class(folder / source.entry, source.attribute).builder().eval()


def again(model, inputs, folder):
    """The network, written as text and loaded, with its weights."""
    found = loaded(exported_source(model, inputs), folder)
    found.load_state_dict(model.state_dict())
    return found


def batch(shapes, count):
    generator = torch.Generator().manual_seed(count)
    return tuple(torch.rand(count, *shape, generator=generator) for shape in shapes)


@torch.no_grad()
def assert_same(model, other, shapes):
    for count in (1, 2, 7):
        inputs = batch(shapes, count)
        torch.testing.assert_close(other(*inputs), model.eval()(*inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_networks_of_the_catalogue(name, tmp_path):
    model = build_model(name)
    for part in model.modules():        # statistics as far from 0 and 1 as training leaves them
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
    shapes = input_shapes(model)
    assert len(shapes) == (2 if name == "digit-sum" else 1)
    other = again(model, batch(shapes, 2), tmp_path)
    assert list(other.state_dict()) == list(model.state_dict())
    assert [name for name, _ in other.named_parameters()] == [name for name, _ in model.named_parameters()]
    assert_same(model, other, shapes)


class Odd(nn.Module):
    """Constants, buffers that are not kept, tied weights, infinity, sizes, slices and an input called weights."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.c = nn.Linear(4, 10)
        self.b.weight, self.d = nn.Parameter(torch.rand(4, 4, 3, 3)), nn.Linear(4, 10)
        self.d.weight = self.c.weight
        self.scale = torch.tensor([1.0, 2.0, float("inf"), 4.0])
        self.register_buffer("shift", torch.arange(4.0), persistent=False)
        self.register_buffer("kept", torch.ones(1))
        self.unused = nn.Linear(2, 2)

    def forward(self, weights):
        x = F.relu(self.a(weights))
        x = x + self.b(x)[:, :, :].masked_fill(x > 1e6, float("-inf"))
        x = torch.nan_to_num(x.mean((2, 3)) / self.scale) + self.shift * self.kept
        x = torch.cat([x[:, :2], x[:, 2:]], dim=1).view(weights.size(0), -1)
        return self.c(x) + self.d(x).clamp(-1, 1).std(1, keepdim=True)


def test_an_odd_network(tmp_path):
    model = Odd()
    other = again(model, batch([(1, 12, 12)], 2), tmp_path)
    assert list(other.state_dict()) == list(model.state_dict())
    assert other.d.weight is other.c.weight
    assert_same(model, other, [(1, 12, 12)])


class Attends(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8)
        self.up, self.last = nn.Upsample(scale_factor=2), nn.Linear(8, 10)

    def forward(self, x):
        x = self.up(x).flatten(2).transpose(1, 2).repeat(1, 1, 8)
        x, _ = self.a(x, x, x, need_weights=False)
        x = self.norm(F.gelu(x)).amax(1).unfold(1, 4, 2).flatten(1)[:, :8]
        return torch.stack(self.last(x).log_softmax(dim=-1).split(5, dim=1), dim=2)


@pytest.mark.parametrize("model", [
    Attends(),
    nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Hardswish(), nn.AdaptiveMaxPool2d(3), nn.Flatten()),
    nn.Sequential(nn.ConvTranspose2d(1, 2, 3), nn.PReLU(), nn.PixelUnshuffle(2), nn.Flatten(), nn.Softmax(1)),
    nn.Sequential(nn.Flatten(), nn.Unflatten(1, (4, 9)), nn.Conv1d(4, 2, 3), nn.Flatten(), nn.Dropout(0.5)),
    nn.Sequential(nn.ReflectionPad2d(1), nn.AvgPool2d(2, ceil_mode=True), nn.InstanceNorm2d(1), nn.Flatten()),
], ids=lambda model: type(model[0]).__name__ if isinstance(model, nn.Sequential) else "Attends")  # fmt: skip
def test_layers_of_many_kinds(model, tmp_path):
    assert_same(model, again(model, batch([(1, 6, 6)], 2), tmp_path), [(1, 6, 6)])


def test_two_heads_and_several_inputs(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 10), nn.Linear(4, 19)

        def forward(self, *inputs):
            x = sum(each.flatten(1) for each in inputs)
            return self.a(x), self.b(x)

    assert_same(model := Two(), again(model, batch([(1, 2, 2), (4,)], 2), tmp_path), [(1, 2, 2), (4,)])


KINDS = st.sampled_from(["conv", "norm", "relu", "pool", "drop", "same"])


@settings(max_examples=6)
@given(st.lists(KINDS, max_size=5), st.integers(1, 4), st.integers(0, 99))
def test_small_networks(tmp_path_factory, kinds, width, seed):
    torch.manual_seed(seed)
    layers, channels, side = [], 1, 12
    for kind in kinds:
        if kind == "conv" and side >= 3:
            layers.append(nn.Conv2d(channels, width, 3))
            channels, side = width, side - 2
        elif kind == "pool" and side >= 2:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        elif kind == "same":
            layers.append(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        else:
            layers.append({"norm": nn.BatchNorm2d(channels), "drop": nn.Dropout(0.3)}.get(kind, nn.ReLU()))
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, 10))
    inputs = batch([(1, 12, 12)], 3)
    for part in model.train().modules():
        part.training = True
    model(*inputs)          # batch statistics are on their way
    assert_same(model, again(model, inputs, tmp_path_factory.mktemp("graph")), [(1, 12, 12)])


def test_hooks_of_the_layout_are_in_the_graph(tmp_path):
    model = suited(nn.Sequential(nn.Linear(16, 10)), batch([(1, 4, 4)], 2))
    assert_same(model, again(model, batch([(1, 4, 4)], 2), tmp_path), [(1, 4, 4)])


def test_writing_it_changes_nothing():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(8, 10))
    before, drawn = {key: value.clone() for key, value in model.state_dict().items()}, torch.get_rng_state()
    inputs = batch([(1, 4, 4)], 2)
    source = exported_source(model, inputs)
    assert model.training and all(part.training for part in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(drawn, torch.get_rng_state()) and exported_source(model, inputs) == source
    assert is_graph(source) and not is_graph(Source("a.py", "A", {"a.py": "class A: ..."}))
    assert "pickle" not in source.files["graph.py"] and not re.search(r"\beval\(|\bexec\(", source.files["graph.py"])


class Branches(nn.Module):
    def forward(self, x):
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


class Conditional(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: x.flatten(1) + 1, lambda x: x.flatten(1) - 1, (x,))


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.rand(20_000)

    def forward(self, x):
        return x.flatten(1) * self.table.sum() + self.table[:4]


class Fails(nn.Module):
    def forward(self, x):
        raise RuntimeError("two\nlines")


@pytest.mark.parametrize(("model", "words"), [
    (Branches(), "Branches has no source text at hand, and torch cannot export it: "),
    (Conditional(), "graph"), (Constant(), "constant 'table', which is too large for a text. Register it as a buffer"),
    (Fails(), "cannot export it: RuntimeError: two"),
    (nn.Sequential(nn.Linear(5, 5)), "Sequential has no source text at hand"),
], ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "")  # fmt: skip
def test_what_cannot_be_written_is_refused_in_a_line(model, words):
    with pytest.raises(ModelError) as fault:
        exported_source(model, batch([(1, 2, 2)], 2))
    assert words in str(fault.value) and "\n" not in str(fault.value), str(fault.value)
