"""Each listed edit is built again with real weights, and measured by the summary and by the C exporter."""

from __future__ import annotations

from functools import cache
from math import prod

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import featherweight
from featherweight.anatomy import summarize
from featherweight.budgets.outline import adapted
from featherweight.budgets.usage import inputs_for
from featherweight.errors import FeatherweightError, ModelError, UnknownName
from featherweight.graph.fold import fold
from featherweight.inference.card import Card
from featherweight.models import CATALOGUE, build_model, input_shapes
from featherweight.models.words import PREFIX, read_words
from featherweight.shipping.c_float import write_float
from featherweight.shipping.c_int8 import write_int8
from featherweight.shipping.pixels import plain_network
from featherweight.shipping.quantise import quantise
from featherweight.specification import PictureSpecification

WORDS = ("words:c8 s16 p s22 g h", "words:c6 S6 x6t2 p w6 n12 e14 t10 k8 z1 q h", "words:C4 F8 c5 p c6 g h")
SMALL = {"session1": 20_000, "session5": 20_000}        # parameters, where the network itself takes a minute to write
SUMMARISED, WRITTEN = 14, 4     # edits of each network that are built again; one of each kind first


@cache
def budget_of(name):
    parameters = SMALL.get(name) or round(1.05 * summarize(build_model(name), shapes_of(name)).total_parameters)
    return featherweight.budget(name, max_parameters=parameters)


def shapes_of(name):
    return input_shapes(build_model(name))


def card_of(outputs):
    heads = {f"head{i}": tuple(str(one) for one in range(shape[0])) for i, shape in enumerate(outputs)}
    return Card("test", "test", 1, "digits", heads, len(outputs) == 2, (0.3,), (0.35,), dict.fromkeys(heads, 0.5),
                PictureSpecification())


def real(offer, shapes):
    """The edited network with random weights of its own."""
    if offer.edit.words:
        module = build_model(offer.edit.words)
    else:
        with torch.no_grad():
            module = offer.edit.build()
            adapted(module, inputs_for(shapes))
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(torch.rand(parameter.shape) - 0.5)
    return module.eval()


def written(module, outputs):
    """RAM and flash as the C exporter counts them, in float and int8."""
    graph = fold(plain_network(module, card_of(outputs)))
    ranges = {name: (-np.ones(shape, np.float32), np.ones(shape, np.float32)) for name, shape in graph.shapes.items()}
    bodies = {"float": write_float(graph), "int8": write_int8(quantise(graph, ranges))}
    return {f"{key}_{form}": getattr(body, key) for form, body in bodies.items() for key in ("ram", "flash")}


def some(offers, count, name):
    """A few edits, one of each kind first, others for each network."""
    kinds = {offer.edit.kind: offer for offer in offers}
    found = [*kinds.values(), *(offer for offer in offers if offer not in kinds.values())]
    start = len(name) % max(1, len(found) - count) if count < len(kinds) else 0
    return found[start : start + count]


@pytest.mark.parametrize("name", [*CATALOGUE, *WORDS])
def test_each_edit_is_what_the_summary_says(name):
    found, shapes = budget_of(name), shapes_of(name)
    assert found.offers
    for offer in some(found.offers, SUMMARISED, name):
        counted = summarize(real(offer, shapes), shapes)
        after = offer.usage
        assert (after.parameters, after.macs) == (counted.total_parameters, counted.total_macs), offer.edit
        maps = [layer for layer in counted.layers
                if layer.jump is not None and len(layer.output_shapes[0]) == 3 and prod(layer.output_shapes[0][1:]) > 1]
        assert after.receptive_field == maps[-1].receptive_field, offer.edit
        assert after.last_map == maps[-1].output_shapes[0], offer.edit
        changes = offer.to_dict(found.used)["changes"]
        assert changes["parameters"] == counted.total_parameters - found.summary.total_parameters
        assert found.limits.hold(after)


@pytest.mark.parametrize("name", [*(name for name in CATALOGUE if name != "feather-cifar"), *WORDS])
def test_ram_and_flash_are_what_the_exporter_says(name):
    found, shapes = budget_of(name), shapes_of(name)
    if name not in SMALL:
        assert found.used.to_dict().items() >= written(build_model(name).eval(), found.used.outputs).items()
    for offer in some(found.offers, WRITTEN, name):
        assert offer.usage.to_dict().items() >= written(real(offer, shapes), found.used.outputs).items(), offer.edit


@pytest.mark.parametrize("name", WORDS)
def test_words_round_trip(name):
    found = budget_of(name)
    words = [offer.edit.words for offer in found.offers]
    assert len(set(words)) == len(words) and name not in words
    for one in words:
        row = " ".join(word.place.split("'")[1] for word in read_words(one))
        assert PREFIX + row == one
    for offer in found.offers:
        assert sum(p.numel() for p in build_model(offer.edit.words).parameters()) == offer.usage.parameters


@pytest.mark.parametrize("name", ["feather-8k", "session6", "digit-sum", WORDS[0]])
@pytest.mark.parametrize("share", [0.98, 0.8, 0.3])
def test_a_network_over_budget_gets_under(name, share):
    used = summarize(build_model(name), shapes_of(name)).total_parameters
    found = featherweight.budget(name, max_parameters=int(share * used))
    assert not found.holds and found.left["parameters"] < 0 and found.offers
    assert all(offer.usage.parameters <= int(share * used) for offer in found.offers)
    cuts = [used - offer.usage.parameters for offer in found.offers]
    assert min(cuts) < 1.6 * (used - int(share * used)) + 50


def test_the_limits_on_code_hold_too():
    free = featherweight.budget("feather-8k", max_parameters=9000)
    limits = {"max_macs": free.used.macs, "max_ram": free.used.code["float"].ram, "max_flash": 33_000}
    tight = featherweight.budget("feather-8k", max_parameters=9000, form="float", **limits)
    assert tight.holds and 0 < len(tight.offers) < len(free.offers)
    for offer in tight.offers:
        assert offer.usage.macs <= limits["max_macs"]
        assert offer.usage.code["float"].ram <= limits["max_ram"]
        assert offer.usage.code["float"].flash <= limits["max_flash"]


def test_most_channels_use_up_what_is_left():
    found = featherweight.budget("words:c8 s16 p s22 g h", max_parameters=1400)
    assert "words:c8 s16 p s33 g h" in [offer.edit.words for offer in found.offers]
    summary = summarize(build_model("words:c8 s16 p s34 g h"))
    assert summary.total_parameters > 1400


# --- networks of one's own


class Own(nn.Module):
    """A residual network that reshapes by numbers, so that some edits cannot be built."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 16, 3, padding=1)
        self.third = nn.Conv2d(16, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 13 * 13, 10)

    def forward(self, x):
        x = F.relu(self.norm(self.first(x)))
        x = F.max_pool2d(F.relu(self.second(x)), 2)
        x = x + F.relu(self.third(x))
        return self.fc(x.view(-1, 16 * 13 * 13))


def changes(found):
    return {(offer.edit.layer, offer.edit.change): offer for offer in found.offers}


def test_the_edits_of_a_network_of_ones_own():
    found = featherweight.budget(Own, max_parameters=31_000)
    known = changes(found)
    assert not any(layer in ("second", "third") and "channels" in change for layer, change in known)
    bias = known["first", "no bias before BatchNorm"]
    assert bias.changes(found.used, "int8") == {"parameters": -8, "macs": 0, "ram": 0, "flash": 0}
    mean = known["fc", "mean over all places, then 1x1"]
    assert mean.usage.parameters == found.used.parameters - 16 * 168 * 10
    plain, split = 16 * 16 * 9 + 16, 16 * 9 + 16 * 16 + 16
    assert known["third", "separable 3x3 instead of plain"].usage.parameters == found.used.parameters - plain + split
    assert known["first", "8 -> 10 channels"].usage.parameters == found.used.parameters + 2 * (10 + 2 + 9 * 16)
    assert ("third", "left out") in known


def test_a_line_of_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\ndef block(n, m):\n"
        "    return [nn.Conv2d(n, m, 3), nn.BatchNorm2d(m), nn.ReLU()]\n\n\n"
        "class Net(nn.Sequential):\n    def __init__(self):\n        super().__init__(\n            *block(1, 6),\n"
        "            *block(6, 8),\n            nn.Flatten(),\n            nn.Linear(8 * 24 * 24, 10),\n        )\n")
    found = featherweight.budget("net.py:Net", max_parameters=50_000)
    assert {offer.edit.layer: offer.line for offer in found.offers} == {"0": 11, "3": 12, "7": 14}


def test_a_pool_moves_and_blocks_come_and_go():
    known = changes(featherweight.budget("feather-8k", max_parameters=20_000))
    assert known["features.9", "pool one block later"].usage.parameters == 7878
    assert ("features.10", "the block once more") in known and ("features.10", "block left out") in known
    assert len(known) > 60


def test_the_network_stays_as_it_was():
    module = build_model("session6").train()
    module.features[1].eval()
    state = {key: value.clone() for key, value in module.state_dict().items()}
    parameters = [id(one) for one in module.parameters()]
    modes, random = [part.training for part in module.modules()], torch.get_rng_state()
    found = featherweight.budget(module, max_parameters=17_500)
    assert len(found.offers) > 20
    assert torch.equal(random, torch.get_rng_state())
    assert modes == [part.training for part in module.modules()]
    assert parameters == [id(one) for one in module.parameters()]
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in module.modules())
    assert [p.shape for p in module.parameters()] == [p.shape for p in build_model("session6").parameters()]


class Branching(nn.Sequential):
    def forward(self, x):
        return super().forward(x if x.sum() > -1 else -x)


def test_a_network_that_c_cannot_take_has_no_ram():
    module = Branching(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))
    found = featherweight.budget(module, max_parameters=13_000)
    assert found.used.amounts("int8")["ram"] is None and "Python number" in found.used.refused
    assert found.offers and found.offers[0].to_dict(found.used)["changes"]["ram_int8"] is None
    assert "No C code in int8" in found.to_text()
    with pytest.raises(FeatherweightError, match="RAM and flash cannot be counted"):
        featherweight.budget(module, max_parameters=13_000, max_ram=1000)


def test_bad_arguments():
    with pytest.raises(UnknownName, match="Did you mean 'int8'"):
        featherweight.budget("session6", max_parameters=1000, form="int4")
    with pytest.raises(FeatherweightError, match="max_ram= is 0, allowed"):
        featherweight.budget("session6", max_parameters=1000, max_ram=0)
    with pytest.raises(ModelError):
        featherweight.budget("session6", max_parameters=1000, input_shapes=(3, 28, 28))
