"""A network runs once on random images: each mistake is found at its layer, and good networks have no error."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import featherweight
from featherweight.doctor import CODES, consult
from featherweight.doctor.networks import examined_name
from featherweight.doctor.options import Options
from featherweight.errors import FeatherweightError, SourceError
from featherweight.models import CATALOGUE
from featherweight.recipe import recipe_names

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text()
SECTION = re.compile(r"^### (FW7\d+): .*?```py wrong\n(.*?)^```\n\n```py right\n(.*?)^```$", re.M | re.S)
EXAMPLES = {code: (wrong, right) for code, wrong, right in SECTION.findall(PAGE)}
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
RECIPE = 'name = "own"\n[model]\nname = "net.py:Net"\n'


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def examined(text, code=""):
    """Return the report of the class Net in a file; for the parameter goal, of a recipe with it. In this process."""
    Path("net.py").write_text(HEAD + text)
    if code != "FW712":
        return examined_name("net.py:Net", Options(classes=10))
    goal = re.search(r"max_parameters = (\d+)", text)[1]
    Path("recipe.toml").write_text(f"{RECIPE}\n[goal]\nmax_parameters = {goal}\n")
    return examined_name("recipe.toml", Options())


def codes(model, **given):
    return {(one.code, one.place.layer): one.severity for one in featherweight.doctor(model, **given).findings}


def net(*layers):
    return nn.Sequential(*layers)


def test_each_code_of_a_built_network_has_an_example():
    assert list(EXAMPLES) == [code for code in CODES if code.startswith("FW7")]


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_wrong_example_gives_its_code_on_the_line_of_the_layer(code):
    wrong = EXAMPLES[code][0]
    marked = [number for number, line in enumerate(wrong.split("\n"), 4) if code in line]
    found = examined(wrong, code).findings
    assert [one.place.line for one in found if one.code == code] == marked and len(marked) == 1
    assert {one.code for one in found if one.severity == "error"} <= {code}


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_right_example_gives_neither_its_code_nor_an_error(code):
    found = examined(EXAMPLES[code][1], code).findings
    assert [one for one in found if one.code == code or one.severity == "error"] == []


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_finding_says_what_why_and_how_in_short_sentences(code):
    for one in examined(EXAMPLES[code][0], code).findings:
        for text in (one.what, one.why, one.how):
            assert text.endswith(".") and len(text.split()) <= 40 and "\n" not in text, text


@pytest.mark.parametrize("name", list(dict.fromkeys([*CATALOGUE, *recipe_names()])))
def test_the_catalogue_and_all_recipes_have_no_error_but_session1(name):
    errors = [(one.code, one.place.layer) for one in consult([name]).findings if one.severity == "error"]
    assert errors == ([("FW101", "conv7")] if name == "session1" else [])


def test_session1_without_its_last_relu_has_no_error():
    assert "error" not in codes(featherweight.build_model("session1", {"final_relu": False}), classes=10).values()


FLAT = nn.Flatten()
TWINS = {   # code and layer -> wrong and right layers
    ("FW101", "2"): (net(FLAT, nn.Linear(784, 10), nn.ReLU(), nn.LogSoftmax(1)),
                     net(FLAT, nn.Linear(784, 10), nn.LogSoftmax(1))),
    ("FW102", "2"): (net(FLAT, nn.Linear(784, 10), nn.Dropout(0.5)), net(FLAT, nn.Dropout(0.5), nn.Linear(784, 10))),
    ("FW103", "2"): (net(FLAT, nn.Linear(784, 10, bias=False), nn.BatchNorm1d(10)), net(FLAT, nn.Linear(784, 10))),
    ("FW110", "0"): (net(nn.Conv2d(1, 8, 28), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 10, 1), FLAT),
                     net(nn.Conv2d(1, 8, 28, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 10, 1), FLAT)),
    ("FW113", "1"): (net(FLAT, nn.Linear(784, 12)), net(FLAT, nn.Linear(784, 10))),
    ("FW201", "2"): (net(FLAT, nn.Linear(784, 10), nn.Softmax(1)), net(FLAT, nn.Linear(784, 10), nn.LogSoftmax(1))),
    ("FW204", "2"): (net(FLAT, nn.Linear(784, 10), nn.Softmax(1), nn.LogSoftmax(1)),
                     net(FLAT, nn.Linear(784, 10), nn.LogSoftmax(1), nn.LogSoftmax(1))),
}


@pytest.mark.parametrize("key", TWINS, ids=lambda key: key[0])
def test_mistakes_that_reading_finds_too_are_found_in_a_module(key):
    wrong, right = TWINS[key]
    assert key in codes(wrong, classes=10)
    assert key[0] not in {code for code, _ in codes(right, classes=10)}


class Careless(nn.Module):
    def __init__(self, training=None):
        super().__init__()
        self.fc, self.spare, self.given = nn.Linear(784, 10), nn.Linear(10, 10), training

    def forward(self, x):
        return self.fc(F.dropout(x.flatten(1), 0.5, True if self.given is None else self.training))


def test_unused_layers_and_dropout_in_evaluation_are_found():
    assert codes(Careless(), classes=10) == {("FW109", "spare"): "warning", ("FW107", ""): "error"}
    assert codes(Careless(training=True), classes=10) == {("FW109", "spare"): "warning"}


def test_findings_hold_the_numbers_of_the_network():
    (found,) = featherweight.doctor(TWINS["FW110", "0"][0], classes=10, select=["FW110"]).findings
    assert "8 of 6,386 parameters" in found.why
    (found,) = examined(EXAMPLES["FW709"][0]).kept(["FW709"]).findings
    assert "91 % of all parameters" in found.what and "saves 127,680 parameters" in found.how


def test_too_few_outputs_are_an_error_and_too_many_a_warning():
    model = net(FLAT, nn.Linear(784, 12))
    assert codes(model, classes=10)["FW113", "1"] == "warning"
    assert codes(model, classes=13)["FW113", "1"] == "error"
    assert any("12 outputs not compared" in line for line in featherweight.doctor(model).unchecked)


def test_the_module_and_the_random_state_stay_unchanged():
    model = net(nn.Conv2d(1, 4, 5), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), FLAT, nn.Linear(2304, 10)).train()
    before, modes = copy.deepcopy(model.state_dict()), [part.training for part in model.modules()]
    state = torch.get_rng_state()
    featherweight.doctor(model)
    assert torch.equal(state, torch.get_rng_state()) and modes == [part.training for part in model.modules()]
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_branch_on_a_tensor_is_named_as_not_checked():
    branch = "        if x.mean() > 0:\n            x = x * 2\n        return"
    text = EXAMPLES["FW711"][1].replace("        return", branch)
    assert any("branches on a tensor" in line for line in examined(text).unchecked)


def test_an_ignore_comment_on_the_layers_line_silences_it():
    report = examined(EXAMPLES["FW709"][0].replace("# FW709", "# doctor: ignore[FW709] small enough"))
    assert [one.code for one in report.ignored] == ["FW709"] and "FW709" not in {one.code for one in report.findings}


def test_a_recipe_is_checked_with_its_learning_rate_and_classes():
    text = 'name = "own"\n[model]\nname = "words:c8 p g h"\n[optimizer]\nname = "adam"\nlr = 0.5\n'
    Path("recipe.toml").write_text(text)
    found = {one.code: one for one in consult(["recipe.toml"]).findings}
    assert "0.5 is far above the usual for adam" in found["FW604"].what
    Path("recipe.toml").write_text(text.replace("0.5", "0.001"))
    assert "FW604" not in {one.code for one in consult(["recipe.toml"]).findings}


@pytest.mark.parametrize(("text", "words"), [
    ("class Net(nn.Module):\n    exit()\n", "net.py"),
    ("class Net(nn.Module):\n    def forward(self, x):\n        return x @ x[:, :, :3]\n", "does not run"),
    ("class Net(nn.Module):\n    def __init__(self, width): super().__init__()\n", "needs 'width'"),
])
def test_a_network_that_does_not_run_is_one_line(text, words):
    with pytest.raises(FeatherweightError, match=re.escape(words)) as fault:
        examined(text)
    assert "\n" not in str(fault.value)


def test_a_batch_of_a_recipe_is_compared_with_its_data():
    text = 'name = "own"\n[model]\nname = "words:c8 p g h"\n[data]\ndataset = "digits"\n[training]\nbatch_size = '
    Path("recipe.toml").write_text(f"{text}2000\n")
    (found,) = consult(["recipe.toml"]).kept(["FW409"]).findings
    assert "2,000 images, the data set 1,437" in found.what
    Path("recipe.toml").write_text(f"{text}64\n")
    assert consult(["recipe.toml"]).kept(["FW409"]).findings == ()


def test_another_object_is_refused():
    with pytest.raises(SourceError, match="int cannot be examined"):
        featherweight.doctor(3)


def test_a_long_network_in_words_is_no_path():
    name = f"words:{' '.join(['C12'] * 63)} g h"
    with pytest.raises(FeatherweightError, match="65 words"):
        consult([name])
    assert consult([f"words:{' '.join(['C100'] * 61)} g h"], Options(shapes=[(1, 8, 8)])).count("error") == 0


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return x * torch.sigmoid(self.fc(x.mean(dim=(2, 3))))[:, :, None, None]


def test_the_average_of_a_gate_is_not_the_global_average():
    rest = nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    assert [layer for code, layer in codes(net(nn.Conv2d(1, 8, 3), Gate(), *rest)) if code == "FW706"] == []
    assert [layer for code, layer in codes(net(nn.Conv2d(1, 8, 3), *rest)) if code == "FW706"] == ["2"]
