"""A run's record, weights and network belong together: each is noticed when it is edited, swapped or changed."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import featherweight
from featherweight import experiment
from featherweight.cli import main
from featherweight.errors import RunError, TrainingInterrupted
from featherweight.examination import against_record, evaluate
from featherweight.files import sha256_of
from featherweight.models import blueprint_of, find_blueprint
from featherweight.networks import changed_file
from featherweight.replication import Replicas
from featherweight.runs import Run
from featherweight.user_code import Source
from stopping import StopAt

NET = """from torch import nn
from blocks import width


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 10))
"""
RECIPE = """name = "own"
[data]
dataset = "digits"
[model]
name = "net.py:Net"
[training]
epochs = 2
batch_size = 32
precision = "float32"
[optimizer]
lr = 0.1
"""


@pytest.fixture(scope="module")
def trained(digits_recipe, tmp_path_factory):
    """A finished run."""
    return featherweight.train(digits_recipe(), tmp_path_factory.mktemp("runs") / "run", device="cpu")


@pytest.fixture
def copy(trained, tmp_path):
    """A copy of the run, to be spoiled."""
    return Run.open(shutil.copytree(trained.path, tmp_path / "run"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a network, what it imports and a recipe; the working folder."""
    for name, text in {"net.py": NET, "blocks.py": "width = 16\n", "own.toml": RECIPE}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(run, change):
    """Write result.json anew after a change of its content."""
    content = json.loads((run.path / "result.json").read_text())
    change(content)
    (run.path / "result.json").write_text(json.dumps(content))


def test_an_untouched_copy_opens(copy, trained):
    assert copy.result == trained.result


@pytest.mark.parametrize("change", [
    lambda content: content["test"]["class"].update(accuracy=0.9965),
    lambda content: content["confusion"]["class"][0].reverse(),
    lambda content: content.update(seconds=0.1),
    lambda content: content.update(more="words"),
    lambda content: content.pop("notes"),
    lambda content: (content["test"]["class"].update(accuracy=0.9965), content.pop("weights")),     # and its hash
])  # fmt: skip
def test_an_edited_result_is_named(copy, change):
    edit(copy, change)
    with pytest.raises(RunError, match=r"result\.json was edited after training: .* Put the original back") as fault:
        _ = copy.result
    assert "\n" not in str(fault.value)
    with pytest.raises(RunError, match=r"result\.json was edited"):
        evaluate(copy.path)


def test_weights_of_another_run_are_named(copy, digits_recipe, tmp_path):
    other = featherweight.train(digits_recipe(training={"seed": 2}), tmp_path / "other", device="cpu")
    shutil.copy(other.path / "model.safetensors", copy.path / "model.safetensors")
    with pytest.raises(RunError, match=r"model\.safetensors is not the file that training wrote"):
        _ = copy.result
    edit(copy, lambda content: content.update(weights=sha256_of(copy.path / "model.safetensors")))
    with pytest.raises(RunError, match=r"result\.json was edited"):      # the weights know another result
        _ = Run(copy.path).result


def test_any_flipped_bit_of_the_weights_is_named(copy):
    file = copy.path / "model.safetensors"
    content = bytearray(file.read_bytes())
    for position in (8, len(content) // 2, len(content) - 1):
        flipped = bytearray(content)
        flipped[position] ^= 1
        file.write_bytes(flipped)
        with pytest.raises(RunError, match=r"model\.safetensors is not the file that training wrote"):
            _ = Run(copy.path).result


@pytest.mark.parametrize("name", ["recipe.toml", "history.jsonl", "environment.json"])
def test_an_edited_file_beside_the_result_is_named(copy, name):
    file = copy.path / name
    file.write_bytes(file.read_bytes().replace(b"1,", b"2,", 1).replace(b"seed = 1", b"seed = 2"))
    with pytest.raises(RunError, match=f"{name} is not the file that training wrote: .* Put the original back"):
        evaluate(copy.path)
    file.unlink()
    if name != "recipe.toml":
        with pytest.raises(RunError, match=f"{name} is not the file that training wrote"):
            evaluate(copy.path)


def test_an_edited_history_is_named_where_only_curves_are_drawn(copy):
    (copy.path / "history.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(RunError, match=r"history\.jsonl is not the file"):
        _ = copy.history


@pytest.fixture
def stopped(digits_recipe, tmp_path):
    """A training of three epochs that was stopped in its second, and its recipe."""
    recipe = digits_recipe(training={"epochs": 3, "batch_size": 64})
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(recipe, tmp_path / "stopped", device="cpu", watcher=StopAt(30))
    return Run.open(tmp_path / "stopped"), recipe


def test_any_flipped_bit_of_a_checkpoint_is_named(stopped):
    run, recipe = stopped
    file = run.path / "checkpoint.safetensors"
    whole = file.read_bytes()
    for place in [8, 60, len(whole) // 3, len(whole) // 2, len(whole) - 1]:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
        with pytest.raises(RunError, match=r"checkpoint\.safetensors"):
            experiment.train_recipe(recipe, run.path, device="cpu", resume=True)


def test_a_checkpoint_of_another_run_is_named(stopped, digits_recipe, tmp_path):
    run, recipe = stopped
    other = digits_recipe(training={"epochs": 3, "batch_size": 64, "seed": 2})
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(other, tmp_path / "other", device="cpu", watcher=StopAt(30))
    shutil.copy(tmp_path / "other" / "checkpoint.safetensors", run.path)
    with pytest.raises(RunError, match=r"recipe\.toml was changed since the checkpoint was written"):
        experiment.train_recipe(recipe, run.path, device="cpu", resume=True)


def test_an_edited_recipe_is_not_resumed(stopped):
    run, _ = stopped
    file = run.path / "recipe.toml"
    file.write_text(file.read_text().replace("epochs = 3", "epochs = 4"))
    with pytest.raises(RunError, match=r"recipe\.toml was changed since the checkpoint was written"):
        experiment.train_recipe(file, run.path, device="cpu", resume=True)


def test_a_checkpoint_without_a_hash_is_not_resumed(stopped):
    run, recipe = stopped
    tensors, text = run.load_tensors("checkpoint.safetensors")
    save_file(tensors, run.path / "checkpoint.safetensors", {"state": text["state"]})
    with pytest.raises(RunError, match="has no hash: an earlier version wrote it"):
        experiment.train_recipe(recipe, run.path, device="cpu", resume=True)


def test_an_edited_summary_of_seeds_is_named(teachers, tmp_path):
    folder = Replicas(shutil.copytree(teachers, tmp_path / "seeds"))
    file = folder.path / "summary.json"
    file.write_text(file.read_text().replace('"mean": 0.', '"mean": 1.', 1))
    with pytest.raises(RunError, match=r"summary\.json is not what training wrote"):
        _ = folder.summary


def test_a_run_of_an_earlier_version_opens(copy, trained):
    """Its files carry no hashes."""
    save_file(trained.weights(), copy.path / "model.safetensors", {"model": trained.result["model"]})
    edit(copy, lambda content: content.pop("weights"))
    assert evaluate(copy.path, device="cpu")["class"].to_dict() == trained.result["test"]["class"]


@pytest.mark.parametrize("content", [b"", b"no tensors"])
def test_spoiled_weights_of_an_earlier_version_are_told_where_they_are_needed(copy, content):
    edit(copy, lambda content: content.pop("weights"))
    (copy.path / "model.safetensors").write_bytes(content)
    assert copy.result["recipe"] == "tiny"
    with pytest.raises(RunError, match=r"model\.safetensors cannot be read"):
        copy.weights()
    (copy.path / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"model\.safetensors cannot be read"):
        evaluate(copy.path)


def test_a_record_that_the_network_does_not_give_is_told(copy, trained, capsys):
    """All hashes hold, as for a run that was made up."""
    made_up = {key: value for key, value in trained.result.items() if key != "weights"}
    score = made_up["test"]["class"]
    made_up["test"] = {"class": score | {"correct": 359, "accuracy": 359 / 360}}
    copy.save_result(made_up, trained.weights())
    run = Run(copy.path)
    told = f"class: {score['correct']} of 360 right now, 359 of 360 in the run's record."
    assert against_record(run, evaluate(run, device="cpu")) == [told]
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", str(copy.path), "--device", "cpu", *more])
        out, said = capsys.readouterr()
        assert stop.value.code == 0 and f"not as recorded: {told}" in said
    assert json.loads(out)["as_recorded"] is False
    with pytest.raises(SystemExit):
        main(["evaluate", str(trained.path), "--device", "cpu", "--json"])
    out, said = capsys.readouterr()
    assert json.loads(out)["as_recorded"] is True and said == ""


def test_the_runs_own_copy_is_measured_after_the_file_changed(project):
    run = featherweight.train("own.toml", "run", device="cpu")
    (project / "net.py").write_text(NET.replace("nn.ReLU()", "nn.Tanh()"))
    (project / "blocks.py").write_text("width = 8\n")
    assert evaluate("run", device="cpu")["class"].to_dict() == run.result["test"]["class"]
    (project / "net.py").unlink()
    (project / "blocks.py").unlink()
    assert evaluate("run", device="cpu")["class"].to_dict() == run.result["test"]["class"]
    assert run.result["network"] == run.source.sha256


@pytest.mark.parametrize("changed", ["net.py", "blocks.py"])
def test_resume_with_a_changed_file_is_refused(project, capsys, changed):
    whole = featherweight.train("own.toml", "whole", device="cpu").weights()
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe("own.toml", "run", device="cpu", watcher=StopAt(30))
    (project / changed).write_text((project / changed).read_text() + "\n# changed\n")
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["train", "own.toml", "--out", "run", "--resume", "--no-report"])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1
    assert f"{changed}' changed since run 'run' began" in said and "run/recipe.toml" in said
    resumed = featherweight.train("run/recipe.toml", "run", device="cpu", resume=True).weights()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)       # as if it had not been changed


def test_resume_from_another_folder_by_the_runs_own_recipe(project, monkeypatch):
    whole = featherweight.train("own.toml", project / "whole", device="cpu")
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe("own.toml", "run", device="cpu", watcher=StopAt(30))
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    shutil.move(project / "run", "run")
    resumed = featherweight.train("run/recipe.toml", "run", device="cpu", resume=True)
    weights, expected = resumed.weights(), whole.weights()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert resumed.source == whole.source


def test_a_file_that_lies_less_deep_is_compared_all_the_same(tmp_path):
    source = Source("/".join("abcdefghijklmnop") + "/net.py", "Net", {"/".join("abcdefghijklmnop") + "/net.py": NET})
    (tmp_path / "net.py").write_text(NET)
    assert changed_file(tmp_path / "net.py", source) is None and changed_file(tmp_path / "gone.py", source) is None
    (tmp_path / "net.py").write_text(NET + "#")
    assert changed_file(tmp_path / "net.py", source) == tmp_path / "net.py"


def test_resume_with_another_class_is_refused(project):
    """A class that is given in Python is compared too."""
    given = find_blueprint("net.py:Net")
    recipe = featherweight.Recipe.load("own.toml")
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(recipe, "run", device="cpu", watcher=StopAt(30), blueprint=given)
    (project / "net.py").write_text(NET.replace("nn.ReLU()", "nn.Tanh()"))
    with pytest.raises(RunError, match="Net changed since run 'run' began"):
        experiment.train_recipe(recipe, "run", device="cpu", resume=True, blueprint=find_blueprint("net.py:Net"))


def test_a_graph_in_evaluation_mode_is_not_trained_on_unsaid(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 10))
    settings = ["data.dataset=digits", "training.epochs=2", "training.batch_size=32", "training.precision=float32"]
    recipe = featherweight.Recipe.load("session5", settings)
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"name": "Sequential"})})
    out = tmp_path / "run"
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(recipe, out, device="cpu", watcher=StopAt(30), blueprint=blueprint_of(model))
    with pytest.raises(RunError, match="graph in evaluation mode, which is not trained on"):
        experiment.train_recipe(out / "recipe.toml", out, device="cpu", resume=True)
    run = experiment.train_recipe(recipe, out, device="cpu", resume=True, blueprint=blueprint_of(model))
    again = experiment.train_recipe(start=run.path, out=tmp_path / "again", device="cpu")
    assert any("graph in evaluation mode: dropout is left out" in note for note in again.result["notes"])
