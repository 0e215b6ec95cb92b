"""A recipe's network in the layout and with the images that it needs, found by running it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import featherweight
from featherweight.devices import cuda_devices
from featherweight.examination import evaluate
from featherweight.models import CATALOGUE, build_model, find_blueprint, input_shapes
from featherweight.models.blueprint import Blueprint
from featherweight.models.shapes import image_shape, runs_on
from featherweight.networks import (
    build_network,
    fitting_shape,
    flattened,
    in_standard_layout,
    load_network,
    match_images,
    suited,
)
from featherweight.recipe import Recipe

CPU = torch.device("cpu")
CLASSES = tuple("0123456789")
LAST, FIRST = torch.channels_last, torch.contiguous_format

NETWORKS = '''import torch
import torch.nn.functional as F
from torch import nn


class Viewed(nn.Module):
    """view() on maps needs the standard layout."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(in_channels, 4, 3, 3), nn.Conv2d(4, 8, 3, 3), nn.Linear(72, classes)

    def forward(self, x):
        return self.c(F.relu(self.b(F.relu(self.a(x)))).view(-1, 72))


class Reshaped(Viewed):
    def forward(self, x):
        return self.c(F.relu(self.b(F.relu(self.a(x)))).contiguous().view(-1, 72))


class Flat(nn.Sequential):
    def __init__(self, num_classes=10):
        super().__init__(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, num_classes))


class Coloured(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 5, 3), nn.Linear(4 * 10 * 10, 10)

    def forward(self, x):
        return self.b(torch.flatten(self.a(x), 1))


class Adaptive(nn.Module):
    def __init__(self, in_chans=3, n_classes=2):
        super().__init__()
        self.a, self.b = nn.Conv2d(in_chans, 4, 5, 3), nn.Linear(4, n_classes)

    def forward(self, x):
        return self.b(F.adaptive_avg_pool2d(self.a(x), 1).flatten(1))
'''


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "nets.py"
    path.write_text(NETWORKS)
    return path


def recipe_of(file, name, **sections):
    content = {"name": "own", "data": {"dataset": "digits"}, "model": {"name": f"{file}:{name}"},
               "training": {"precision": "float32", "batch_size": 64, "epochs": 1}, "optimizer": {"lr": 0.05}}
    return Recipe.from_dict({key: {**value, **sections.get(key, {})} if isinstance(value, dict) else value
                             for key, value in content.items()})


def hooks(model):
    return list(model._forward_pre_hooks.values())


def layouts(model):
    """The layouts of weights for which they differ."""
    weights = [p for p in model.parameters() if p.dim() == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    return {LAST if p.is_contiguous(memory_format=LAST) else FIRST for p in weights}


def test_a_view_network_gets_the_standard_layout(file):
    model = build_network(recipe_of(file, "Viewed"), CLASSES, CPU)
    assert hooks(model) == [in_standard_layout] and layouts(model) == {FIRST}
    images = torch.rand(5, 1, 28, 28)
    plain = build_model(f"{file}:Viewed")
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(images.to(memory_format=LAST)), plain(images))


def test_a_view_network_trains_as_its_contiguous_twin(file, tmp_path):
    """Both draw the same weights and see the same images; only the layout of maps differs."""
    viewed, reshaped = (
        featherweight.train(recipe_of(file, name), tmp_path / name, device="cpu") for name in ("Viewed", "Reshaped")
    )
    ours, theirs = viewed.weights(), reshaped.weights()
    assert all(torch.allclose(ours[key], theirs[key], atol=1e-4) for key in theirs)
    assert viewed.history[0]["train_loss"] == pytest.approx(reshaped.history[0]["train_loss"], abs=1e-4)
    assert evaluate(viewed.path, device="cpu")["class"].to_dict() == viewed.result["test"]["class"]


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_networks_of_the_catalogue_are_channels_last_without_a_hook(name):
    channels, side, _ = input_shapes(build_model(name))[0]
    recipe = Recipe.from_dict({"name": "x", "model": {"name": name}, "data": {"channels": channels, "size": side},
                               "task": "digit-sum" if name == "digit-sum" else "classification"})
    torch.manual_seed(3)
    model = build_network(recipe, CLASSES, CPU)
    after = torch.get_rng_state()
    torch.manual_seed(3)
    expected = build_model(name).to(memory_format=LAST)
    assert torch.equal(torch.get_rng_state(), after)        # trying it out draws nothing
    assert not hooks(model) and layouts(model) <= {LAST}
    ours, theirs = model.state_dict(), expected.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[k], theirs[k]) and ours[k].stride() == theirs[k].stride() for k in theirs)
    assert [part.training for part in model.modules()] == [part.training for part in expected.modules()]


def test_trying_a_network_leaves_its_buffers(file):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(2704, 10))
    before = copy.deepcopy(model.state_dict())
    assert suited(model, (torch.ones(2, 1, 28, 28),)) is model and model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_network_that_begins_with_a_linear_layer_gets_rows(file, tmp_path):
    model = build_network(recipe_of(file, "Flat"), CLASSES, CPU)
    assert hooks(model) == [flattened]
    images = torch.rand(3, 1, 28, 28)
    assert torch.equal(model(images), model[2](model[1](model[0](images.flatten(1)))))
    run = featherweight.train(recipe_of(file, "Flat"), tmp_path / "run", device="cpu")
    assert evaluate(run.path, device="cpu")["class"].to_dict() == run.result["test"]["class"]
    assert run.result["test"]["class"]["accuracy"] > 0.3


def test_a_network_that_runs_in_no_way_is_left_to_the_check(file):
    model = suited(nn.Sequential(nn.Linear(5, 10)), (torch.zeros(2, 1, 28, 28),))
    assert hooks(model) == [in_standard_layout]


@pytest.mark.parametrize(("name", "data", "expected"), [
    ("Viewed", {}, (1, 28)), ("Flat", {}, (1, 28)), ("Coloured", {}, (3, 32)), ("Coloured", {"channels": 3}, (3, 32)),
    ("Coloured", {"size": 32}, (3, 32)), ("Coloured", {"size": 28}, (1, 28)),       # nothing fits: told by the check
    ("Coloured", {"channels": 1, "size": 28}, (1, 28)),
    ("Adaptive", {}, (1, 28)), ("Adaptive", {"channels": 3}, (3, 32)),              # in_channels is suggested
    ("Adaptive", {"size": 40}, (1, 40)),
], ids=repr)  # fmt: skip
def test_images_are_matched_to_the_network(file, name, data, expected):
    recipe, told = recipe_of(file, name, data=data), []
    blueprint = build_blueprint(recipe)
    before = torch.get_rng_state()
    matched = match_images(recipe, blueprint, told.append)
    assert (matched.data.channels, matched.data.size) == expected
    assert torch.equal(before, torch.get_rng_state()) and len(told) == (matched != recipe)
    assert match_images(matched, blueprint) == matched


def build_blueprint(recipe):
    return find_blueprint(recipe.model.name)


def test_what_is_matched_stands_in_the_run_and_is_resumed(file, tmp_path):
    run = featherweight.train(recipe_of(file, "Coloured"), tmp_path / "run", device="cpu")
    assert (run.recipe.data.channels, run.recipe.data.size) == (3, 32)
    assert featherweight.train(recipe_of(file, "Coloured"), tmp_path / "run", device="cpu", resume=True).result
    assert evaluate(run.path, device="cpu")["class"].to_dict() == run.result["test"]["class"]


def test_the_catalogue_takes_what_the_recipe_says():
    recipe = Recipe.load("session6")
    assert match_images(recipe, Blueprint("session6", CATALOGUE["session6"])) is recipe


@pytest.mark.parametrize(("name", "channels", "classes", "expected"), [
    ("Viewed", 3, 7, {"a": 3, "c": 7}), ("Adaptive", 1, 10, {"a": 1, "b": 10}), ("Flat", 1, 4, {"2": 4}),
])  # fmt: skip
def test_channels_and_classes_of_the_data_are_suggested(file, name, channels, classes, expected):
    recipe = recipe_of(file, name, data={"channels": channels})
    model = build_network(recipe, CLASSES[:classes], CPU)
    parts = dict(model.named_modules())
    widths = {part: getattr(parts[part], "in_channels", getattr(parts[part], "out_features", 0)) for part in expected}
    assert widths == expected
    given = recipe.model_copy(update={"model": recipe.model.model_copy(update={"arguments": {"classes": 3}})})
    assert name != "Viewed" or build_network(given, CLASSES, CPU).c.out_features == 3      # what is given wins


@pytest.mark.parametrize("name", ["Viewed", "Flat", "Coloured"])
def test_hooks_do_not_break_exports(file, name, tmp_path):
    from featherweight.shipping import make_bundle

    run = featherweight.train(recipe_of(file, name), tmp_path / "run", device="cpu")
    bundle = make_bundle(run, tmp_path / "bundle")
    shape = (run.recipe.data.channels, run.recipe.data.size, run.recipe.data.size)
    assert load_network(run)(torch.rand(3, *shape)).shape == (3, 10) and bundle is not None


@pytest.mark.parametrize(("model", "expected"), [
    (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 26 * 26, 10)), (1, 28, 28)),
    (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 26 * 26, 10)), (3, 28, 28)),
    (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 62 * 62, 10)), (1, 64, 64)),
    (nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (3, 32, 32)),
    (nn.Sequential(nn.Linear(784, 10)), (784,)), (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (1, 28, 28)),
    (nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), (3, 32, 32)), (nn.Linear(5, 10), (5,)),
    (nn.Sequential(nn.Conv2d(2, 2, 3)), (2, 32, 32)), (nn.ReLU(), (1, 28, 28)),
])  # fmt: skip
def test_the_usual_shape_on_which_a_network_runs(model, expected):
    before = torch.get_rng_state()
    assert input_shapes(model) == (expected,) and model.training
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("model", "channels", "size", "expected"), [
    (nn.Linear(784, 10), None, None, (1, 28, 28)), (nn.Linear(3072, 10), None, None, (3, 32, 32)),
    (nn.Linear(784, 10), 3, None, None), (nn.Conv2d(3, 2, 3), 1, None, None), (nn.Linear(50, 2), None, None, None),
    (nn.Conv2d(1, 2, 3), None, 64, (1, 64, 64)), (nn.Conv2d(3, 2, 3), 3, 28, (3, 28, 28)),
])  # fmt: skip
def test_image_shape_keeps_what_is_given(model, channels, size, expected):
    assert image_shape(model, channels, size) == expected


def test_running_changes_nothing_and_stays_quiet(capsys):
    class Loud(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.calls = nn.BatchNorm2d(1), 0

        def forward(self, x):
            print("hello")
            self.calls += 1
            return self.norm(x) + torch.rand(1)

    model = Loud().train()
    before = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert runs_on(model, (1, 8, 8)) and not runs_on(model, (2, 8, 8)) and model.calls == 0 and model.training
    assert torch.equal(before[1], torch.get_rng_state()) and capsys.readouterr().out == ""
    assert all(torch.equal(value, before[0][key]) for key, value in model.state_dict().items())


def test_fitting_shape_is_that_of_the_data_where_it_runs(file):
    for name, shape, expected in [("Adaptive", (3, 20, 20), (3, 20, 20)), ("Coloured", (1, 28, 28), (3, 32, 32)),
                                  ("Viewed", (1, 28, 28), (1, 28, 28)), ("Viewed", (1, 50, 50), (1, 28, 28))]:
        blueprint = build_blueprint(recipe_of(file, name))
        assert fitting_shape(blueprint, {}, 10, shape) == expected
    assert cuda_devices() == list(range(torch.cuda.device_count()))
