"""Weights that were trained elsewhere: loaded without running anything, measured as a run is, refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import featherweight
from featherweight.examination import evaluate
from featherweight.models import build_model
from featherweight.models.weights import misfits, read_weights, without_prefixes
from featherweight.networks import load_network

MODEL = "session7-model2"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run in float32, as weights from elsewhere are measured."""
    settings = ["data.dataset=digits", "training.epochs=2", "training.batch_size=32", "training.precision=float32"]
    recipe = featherweight.Recipe.load(MODEL, settings)
    return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / "plain", device="cpu")


def as_saved(run, how, folder):
    """The run's weights in a file, in one of the ways that people save them."""
    model, file = load_network(run), folder / "weights.pth"
    state = model.state_dict()
    match how:
        case "safetensors":
            save_file({key: value.contiguous() for key, value in state.items()}, folder / "weights.safetensors")
            return folder / "weights.safetensors"
        case "state dict":
            torch.save(state, file)
        case "old format":
            torch.save(state, file, _use_new_zipfile_serialization=False)
        case "data parallel":
            torch.save(nn.DataParallel(model).state_dict(), file)
        case "compiled in a checkpoint":
            prefixed = {f"module._orig_mod.{key}": value for key, value in state.items()}
            torch.save({"epoch": 3, "model_state_dict": prefixed, "optimizer": {"state": {0: {"step": 1}}}}, file)
        case "average":
            torch.save({"state_dict": torch.optim.swa_utils.AveragedModel(model).state_dict()}, file)
        case "without counters":
            torch.save({key: value for key, value in state.items() if "num_batches" not in key}, file)
    return file


@pytest.mark.parametrize("how", [
    "safetensors", "state dict", "old format", "data parallel", "compiled in a checkpoint", "average",
    "without counters",
])  # fmt: skip
def test_weights_are_measured_as_the_run_was(run, how, run_command, tmp_path):
    file = as_saved(run, how, tmp_path)
    code, out, said = run_command("evaluate", MODEL, "--weights", file, "--data", "digits", "--device", "cpu", "--json")
    assert code == 0, said
    found = json.loads(out)
    assert found["test"] == {head: score.to_dict() for head, score in evaluate(run, device="cpu").items()}
    assert found["test"] == run.result["test"] and found["parameters"] == 7524 and found["dataset"] == "digits"


def test_people_read_the_same_table(run, run_command, tmp_path):
    file = as_saved(run, "state dict", tmp_path)
    code, out, said = run_command("evaluate", MODEL, "--weights", file, "--data", "digits", "--device", "cpu")
    assert (code, out) == (0, run_command("evaluate", run.path, "--device", "cpu")[1])
    assert said == f"{MODEL}: 7,524 parameters from {file}, test images of digits\n"


def test_a_network_of_ones_own_with_its_arguments_and_shape(run_command, tmp_path):
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\n\nclass Own(nn.Sequential):\n    def __init__(self, width):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(3 * 8 * 8, width), nn.ReLU(), nn.Linear(width, 10))\n"
    )
    model = f"{tmp_path / 'own.py'}:Own"
    torch.save(build_model(model, {"width": 5}).state_dict(), tmp_path / "own.pt")
    command = ["evaluate", model, "--weights", tmp_path / "own.pt", "--data", "digits", "--json", "--device", "cpu"]
    code, out, said = run_command(*command, "--set", "width=5", "--input", "3,8,8")
    assert code == 0, said
    assert json.loads(out)["parameters"] == 3 * 64 * 5 + 5 + 60 and json.loads(out)["test"]["class"]["count"] == 360


class Trap:
    """Executes something when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_nothing_in_a_file_is_executed(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Trap()}, "trap.pth")
    torch.save(nn.Linear(2, 2), "whole.pth")
    command = ["evaluate", MODEL, "--data", "digits", "--weights"]
    refused(*command, "trap.pth", words=["'trap.pth' holds objects of ", ".mkdir, not weights alone"])
    refused(*command, "whole.pth", words=["objects of torch.nn.modules.linear.Linear", "torch.save(model.state_dict()"])
    assert not Path("executed").exists()


def test_files_without_weights_are_refused(refused, tmp_path):
    torch.save({"epoch": 3, "loss": 0.1}, tmp_path / "numbers.pth")
    torch.save([1], tmp_path / "list.pth")
    (tmp_path / "junk.pth").write_text("weights")
    (tmp_path / "junk.safetensors").write_text("weights")
    for name, words in {
        "numbers.pth": "holds the keys epoch, loss, and no weights by name", "list.pth": "holds a list",
        "junk.pth": "is no file that torch.save wrote", "junk.safetensors": "is no safetensors file",
        "gone.pth": "does not exist. Give a .safetensors, .pth or .pt file",
    }.items():
        refused("evaluate", MODEL, "--weights", tmp_path / name, "--data", "digits", words=[words])
    refused("evaluate", "runs/x", "--set", "width=2", words=["--weights"])
    refused("evaluate", MODEL, "--weights", tmp_path / "list.pth", "--data", "digits", "--input", "1,28,20",
            words=["square"])


def test_weights_of_another_network_are_refused_with_names(run, refused, tmp_path):
    file = as_saved(run, "state dict", tmp_path)
    refused("evaluate", "session6", "--weights", file, "--data", "digits",
            words=["do not fit the network", "the network's is", "more. Give the network that they were saved from"])


def test_misfits_by_hand():
    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(1, 2, 3))
    model.add_module("fc", nn.Linear(4, 3, bias=False))
    weights = {"conv.weight": torch.zeros(2, 1, 5, 5), "conv.bias": torch.zeros(2), "fc1.weight": torch.zeros(3, 4),
               "extra": torch.zeros(1)}
    assert misfits(model, weights) == [
        "conv.weight is (2, 1, 5, 5), the network's is (2, 1, 3, 3)", "fc.weight is missing (perhaps fc1.weight)",
        "extra is no part of the network",
    ]
    assert misfits(model, model.state_dict()) == []


def test_a_layer_that_is_called_module_keeps_its_name(tmp_path):
    torch.save({"module.weight": torch.zeros(1)}, tmp_path / "a.pth")
    weights = read_weights(tmp_path / "a.pth")
    assert list(without_prefixes(weights, {"module.weight": torch.zeros(1)})) == ["module.weight"]
    assert list(without_prefixes(weights, {"weight": torch.zeros(1)})) == ["weight"]
