"""A network takes 30 steps on real images: each mistake of docs/doctor.md is found, and its corrected twin has none."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import featherweight
from featherweight.doctor import CODES
from featherweight.doctor.networks import examined_name
from featherweight.doctor.options import Options

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text()
SECTION = re.compile(r"^### (FW8\d+): .*?```(py|toml) wrong\n(.*?)^```\n\n```\w+ right\n(.*?)^```$", re.M | re.S)
EXAMPLES = {code: (kind, wrong, right) for code, kind, wrong, right in SECTION.findall(PAGE)}
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
ON_DIGITS = Options(data="digits")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def examined(kind, text):
    """Return the report of the class Net, or of a recipe, on the digits. In this process."""
    if kind == "toml":
        Path("recipe.toml").write_text(text)
        return examined_name("recipe.toml", ON_DIGITS)
    Path("net.py").write_text(HEAD + text)
    return examined_name("net.py:Net", ON_DIGITS)


def test_each_code_of_the_first_steps_has_an_example():
    assert list(EXAMPLES) == [code for code in CODES if code.startswith("FW8")]


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_wrong_example_gives_its_code_on_its_line(code):
    kind, wrong, _ = EXAMPLES[code]
    found = examined(kind, wrong).findings
    marked = [number for number, line in enumerate(wrong.split("\n"), 4) if code in line and kind == "py"]
    assert [one.place.line for one in found if one.code == code] == (marked or [0])
    assert {one.code for one in found if one.severity == "error"} <= {code, "FW802"}    # most mistakes stop learning
    for one in found:
        for text in (one.what, one.why, one.how):
            assert text.endswith(".") and len(text.split()) <= 40 and "\n" not in text, text


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_right_example_gives_no_finding_of_the_first_steps(code):
    kind, _, right = EXAMPLES[code]
    report = examined(kind, right)
    assert [one for one in report.findings if one.code.startswith("FW8") or one.severity == "error"] == []
    assert report.levels == ("probe", "try") and "30 steps" in report.checked[1]


def test_a_module_stays_unchanged_and_the_random_state_too():
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    report = featherweight.doctor(model, data="digits")
    assert "try" in report.levels and torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_network_for_flat_images_and_one_with_two_inputs_are_trained():
    flat = featherweight.doctor(nn.Sequential(nn.Linear(784, 10)), data="digits")
    assert "30 steps" in flat.checked[-1] and flat.count("error") == 0
    two = featherweight.doctor("digit-sum", data="digits")
    assert "30 steps" in two.checked[-1] and two.count("error") == 0


def test_data_with_more_classes_than_outputs_are_named():
    report = featherweight.doctor(nn.Sequential(nn.Flatten(), nn.Linear(784, 4)), data="digits")
    assert any("4 outputs, but digits has 10 classes" in line for line in report.unchecked)
    assert "FW113" in {one.code for one in report.findings}


@pytest.mark.parametrize("name", ["session7-model2", "feather-1k"])
def test_recipes_have_no_finding_of_the_first_steps(name):
    found = featherweight.doctor(name, data="digits").findings
    assert [one for one in found if one.code.startswith("FW8")] == []
