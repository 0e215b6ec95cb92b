"""Activation maps, kernels, class activation maps, fields of the units in the middle."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from featherweight.anatomy import activation_maps, class_map, first_kernels, middle_fields, receptive_field
from featherweight.errors import ModelError
from featherweight.models import CATALOGUE, build_model, input_shapes


def inputs_of(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(1, *shape, generator=generator) for shape in input_shapes(model))


def gap_network():
    """Ends in global average pooling and a linear layer: its class activation map is known in closed form."""
    torch.manual_seed(3)
    features = [nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()


def test_maps_are_what_each_layer_gives():
    model = gap_network()
    image = inputs_of(build_model("session6"))[0]
    maps = activation_maps(model, [image])
    with torch.no_grad():
        expected = [model[:n](image)[0] for n in (1, 2, 3, 4)]
    assert [layer.label for layer, _ in maps] == ["Conv2d-1", "ReLU-2", "MaxPool2d-3", "AdaptiveAvgPool2d-4"]
    assert all(torch.allclose(values, want, atol=1e-6) for (_, values), want in zip(maps, expected, strict=True))


def test_maps_before_an_inplace_layer_are_not_overwritten():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True))
    maps = activation_maps(model, [torch.randn(1, 1, 8, 8)])
    assert maps[0][1].min() < 0 <= maps[1][1].min()
    assert model[1].inplace


def test_the_class_map_is_the_closed_form():
    """Zhou et al.: the map of class c is the features weighted by the head's row c; against the mean over classes."""
    model, (image,) = gap_network(), inputs_of(build_model("session6"))
    found = class_map(model, [image], target=2)
    with torch.no_grad():
        features, weights = model[:3](image)[0], model[5].weight
        expected = ((weights[2] - weights.mean(dim=0))[:, None, None] * features).sum(dim=0) / features[0].numel()
        logits = model(image)[0]
    assert found.exact and found.layer.label == "MaxPool2d-3"
    assert found.values.shape == (28, 28)
    assert torch.isclose(found.values.sum(), expected.sum(), atol=1e-6)
    biases = model[5].bias[2] - model[5].bias.mean()
    assert torch.isclose(found.values.sum() + biases, logits[2] - logits.mean(), atol=1e-6)     # nothing is left out
    y, x = divmod(int(expected.argmax()), 14)
    assert found.unit == (2 * x - 1, 2 * y - 1, 4, 4)       # pool of 2, convolution of 3: four pixels, two apart


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_every_network_of_the_catalogue_can_be_looked_at(name):
    model = build_model(name).eval()
    given = inputs_of(model)
    maps = activation_maps(model, given)
    assert maps and all(values.dim() == 3 and torch.isfinite(values).all() for _, values in maps)
    found = class_map(model, given, target=3)
    channels, side, _ = input_shapes(model)[0]
    assert found.values.shape == (side, side) and torch.isfinite(found.values).all() and found.values.abs().sum() > 0
    kernels = first_kernels(model)
    assert kernels is not None and kernels.shape[1:] == (channels, 3, 3)


@pytest.mark.parametrize("name", ["session6", "session7-model2"])
def test_units_that_see_nearly_all_are_not_mapped(name):
    """The last layers of these networks would colour the whole image evenly."""
    found = class_map(build_model(name).eval(), inputs_of(build_model(name)), target=0)
    assert found.unit[2] * found.unit[3] <= 28 * 28 / 2 * 1.5
    assert found.values.std() > 0.1 * found.values.abs().max()


def test_a_network_whose_units_all_see_nearly_all_says_so():
    model = nn.Sequential(nn.Conv2d(1, 4, 27), nn.Flatten(), nn.Linear(16, 3))
    with pytest.raises(ModelError, match="no map tells where this network looks"):
        class_map(model, [torch.rand(1, 1, 28, 28)], target=0)


def test_a_linear_end_is_exact_and_another_is_not():
    assert class_map(gap_network(), inputs_of(build_model("session6")), target=0).exact
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, 8), nn.ReLU(), nn.Linear(8, 3))
    assert not class_map(model, [torch.rand(1, 1, 28, 28)], target=0).exact
    assert not class_map(build_model("feather-1k").eval(), inputs_of(build_model("session6")), target=0).exact  # a root


def test_a_network_without_places_is_one_line():
    with pytest.raises(ModelError, match="no layer of this network has more than one place"):
        class_map(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), [torch.rand(1, 1, 28, 28)], target=0)
    assert first_kernels(nn.Linear(3, 2)) is None


@pytest.mark.parametrize("name", ["session1", "session6", "session7-model1", "digit-sum"])
def test_the_middle_sees_its_box_and_no_more(name):
    model = build_model(name)
    seen = middle_fields(model, input_shapes(model))
    layers = {(layer.name, layer.receptive_field) for layer in receptive_field(model, input_shapes(model))}
    assert len(seen) > 8
    for one in seen:
        left, top, width, height = one.box
        assert (one.layer.name, width) in layers and width == height
        rows, columns = one.support.nonzero().T
        assert max(0, top) == rows.min() and min(28, top + height) == rows.max() + 1
        assert max(0, left) == columns.min() and min(28, left + width) == columns.max() + 1


def test_looking_changes_nothing():
    model = build_model("session6").train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    given = inputs_of(model)
    activation_maps(model, given)
    class_map(model, given, target=1)
    middle_fields(model)
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
