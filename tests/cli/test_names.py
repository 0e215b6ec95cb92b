"""Networks and settings in the short forms that people type."""

from __future__ import annotations

import json

import pytest

NET = """from torch import nn

print("loud")


class Net(nn.Sequential):
    def __init__(self, width=8):
        super().__init__(nn.Conv2d(1, width, 3, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(81 * width, 10))
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with model.py, package/module.py and two.py, which holds two networks and another class."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(NET)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text(NET)
    two = "class Net(nn.Module): pass\nclass Data: pass\nclass Other(Net): pass\nclass Broken(nope.Base): pass\n"
    (tmp_path / "two.py").write_text("from torch import nn\n" + two)
    return tmp_path


@pytest.mark.parametrize(("typed", "whole"), [
    ("model.py", "model.py:Net"), ("package.module:Net", "package/module.py:Net"), ("model.py:Net", "model.py:Net"),
])
def test_a_file_with_one_network_and_a_module_are_names(run_command, files, typed, whole):
    code, out, _ = run_command("summary", typed, "--set", "model.arguments.width=2", "--json")
    described = json.loads(out)
    assert code == 0 and described["model"] == whole and described["layers"][0]["output_shape"] == [2, 9, 9]


def test_a_network_beside_other_classes_is_found(run_command, files):
    (files / "two.py").write_text("class Data: pass\n" + NET)
    assert "two.py:Net on [1, 28, 28]" in run_command("summary", "two.py")[1]


@pytest.mark.parametrize(("typed", "words"), [
    ("two.py", ["holds 2 networks: Net, Other.", "'two.py:Other'"]),
    ("empty.py", ["'empty.py' has no class that is a network", "'empty.py:NAME'"]),
    ("gone.py", ["'gone.py' does not exist"]),
    ("package.nope:Net", ["module 'package.nope' has no file", "package/nope.py", "path/to/file.py:Class"]),
    ("nope:Net", ["module 'nope' has no file"]),
])
def test_a_name_that_says_too_little_is_one_line(refused, files, typed, words):
    (files / "empty.py").write_text("WIDTH = 3\n")
    for command in (["summary", typed], ["train", typed], ["plot", "graph", typed, "--out", "graph.png"]):
        refused(*command, words=words)
    assert not (files / "runs").exists()


def test_a_module_on_the_path_is_not_imported(run_command, files, monkeypatch, tmp_path):
    place = tmp_path / "site" / "elsewhere"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("raise SystemExit(3)\n")
    (place / "net.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path / "site")
    code, out, _ = run_command("summary", "elsewhere.net:Net")
    assert code == 0 and "elsewhere/net.py:Net on" in out.replace("\n", "")


def test_a_recipe_cannot_name_a_module(refused, files):
    """Its arguments are data: with a module's function they would be a command of somebody else's."""
    (files / "recipe.toml").write_text('name = "x"\n[model]\nname = "subprocess:run"\narguments = { args = "ls" }\n')
    refused("train", "recipe.toml", words=["unknown model 'subprocess:run'"])


def test_a_run_is_summarized_in_the_shapes_of_its_data(run_command, refused, files, digits_run):
    described = json.loads(run_command("summary", digits_run.path, "--json")[1])
    assert described["model"] == f"{digits_run.path} (session7-model2)" and described["total_parameters"] == 7524
    refused("summary", digits_run.path, "--set", "x=1", words=["--set is about a MODEL", "is a run"])


def test_training_takes_a_network_and_short_options(run_command, files):
    typed = ["train", "model.py:Net", "--data", "digits", "--epochs", "2", "--lr", "0.01", "--batch-size", "64",
             "--seed", "3", "--device", "cpu", "--no-report"]
    code, out, said = run_command(*typed, "--json")
    result = json.loads(out)
    assert code == 0 and result["run"] == "runs/Net-seed3" and result["model"] == "model.py:Net" and "epoch 2/2" in said
    recipe = (files / "runs" / "Net-seed3" / "recipe.toml").read_text()
    assert all(f"\n{line}\n" in recipe for line in ("epochs = 2", "lr = 0.01", "batch_size = 64", "seed = 3"))
    assert 'name = "muon"' in recipe and 'name = "one-cycle"' in recipe     # as featherweight.train(model=...)


@pytest.mark.parametrize(("typed", "words"), [
    (["--epochs", "0"], ["training.epochs: 0 is not greater than 0"]),
    (["--epochs", "two"], ["'--epochs'", "'two'"]),
    (["--epochs", "2", "--set", "training.epochs=3"], ["--epochs and --set training.epochs both"]),
    (["--seed", "2", "--seeds", "3"], ["--seeds and --seed"]),
])
def test_wrong_short_options_are_refused(run_command, files, typed, words):
    code, out, fault = run_command("train", "session6", *typed)
    assert (code, out) == (2, "") and "Traceback" not in fault and all(word in fault for word in words), fault
    assert not (files / "runs").exists()


def test_short_options_also_change_a_recipe_by_name(run_command, files):
    quick = ["--data", "digits", "--epochs", "1", "--device", "cpu", "--no-report", "--out", "run"]
    code, out, said = run_command("train", "session7-model2", *quick, "--quiet")
    assert code == 0 and said == "" and out.startswith("model ")       # --quiet leaves the result
