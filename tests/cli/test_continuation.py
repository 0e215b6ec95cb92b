"""Beginning with a finished run's weights: the same, the head for other classes, and every refusal."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import featherweight
from featherweight.continuation import recipe_from
from featherweight.errors import RecipeError, RunError
from featherweight.experiment import default_out
from featherweight.files import sha256_of
from featherweight.preparation import build_training, load_data
from featherweight.recipe import Recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def source(digits_recipe, tmp_path_factory):
    """A run of two epochs."""
    recipe = digits_recipe(training={"epochs": 2, "batch_size": 64}, optimizer={"lr": 0.1})
    return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / "source", device="cpu")


@pytest.fixture(scope="module")
def shades(tmp_path_factory):
    """A folder of pictures in two classes."""
    root = tmp_path_factory.mktemp("shades")
    for split, count in (("train", 24), ("test", 8)):
        for name, shade in (("dark", 60), ("light", 200)):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.full((28, 28), shade + number, dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


def begun(recipe):
    return build_training(recipe, load_data(recipe, None), CPU)


def test_a_training_begins_with_the_weights_of_the_run(source):
    training = begun(recipe_from(source))
    ours, theirs = training.state.model.state_dict(), source.weights()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs) and training.notes == []
    assert training.state.position.epoch == 0


def test_more_epochs_at_another_rate(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = recipe_from(source, settings=["optimizer.lr=0.001", "training.epochs=1"])
    assert default_out(recipe).as_posix() == "runs/tiny-from-source-seed1"
    run = featherweight.train(recipe, device="cpu")
    assert run.path.as_posix() == "runs/tiny-from-source-seed1"
    before, after = (one.history for one in (source, run))
    assert after[0]["lr"] == 0.001 and after[0]["train_loss"] < 0.6 * before[0]["train_loss"]
    start = run.result["start"]
    assert start["run"] == str(source.path) and start["sha256"] == sha256_of(source.path / "model.safetensors")
    assert start["fresh"] is None
    again = featherweight.train(run.recipe, tmp_path / "again", device="cpu")     # the record is enough to repeat it
    assert all(torch.equal(value, again.weights()[key]) for key, value in run.weights().items())


def test_every_seed_begins_with_the_same_weights(source, tmp_path):
    replicas = featherweight.train_seeds(
        recipe_from(source, settings=["training.epochs=1"]), [1, 2], tmp_path / "seeds", device="cpu"
    )
    assert [run.result["start"]["sha256"] for run in replicas.runs] == [replicas.summary["start"]["sha256"]] * 2
    ours, theirs = (begun(recipe_from(source).with_seed(seed)).state.model.state_dict() for seed in (1, 2))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_other_classes_get_a_fresh_head(source, shades, run_command, tmp_path):
    command = ["train", "--from", source.path, "--data", f"folder:{shades}", "--set", "training.epochs=1"]
    code, out, said = run_command(*command, "--out", tmp_path / "run", "--device", "cpu", "--no-report", "--json")
    assert code == 0, said
    result = json.loads(out)
    note = f"layer '8' began fresh, since {source.path} knows the classes 0, 1, ... 9, and {result['dataset']} has "
    assert said.count(f"note: {note}dark, light.") == 1 and f"begins with the weights of {source.path}" in said
    assert result["classes"] == ["dark", "light"] and f"{note}dark, light." in result["notes"]
    assert result["start"]["fresh"] == "8"
    model = begun(Recipe.load(tmp_path / "run" / "recipe.toml")).state.model
    assert torch.equal(model[4].weight, source.weights()["4.weight"]) and model[8].weight.shape == (2, 72)


def test_the_verdict_names_the_start(source, run_command, tmp_path):
    command = ["train", "--from", source.path, "--set", "training.epochs=1", "--out", tmp_path / "run", "--no-report"]
    code, out, _ = run_command(*command, "--device", "cpu")
    assert code == 0 and f"weights of {source.path}".replace(" ", "") in "".join(out.split())


def test_another_network_is_refused_with_names(source, refused, tmp_path):
    other = ["train", "session7-model2", "--data", "digits"]
    refused(*other, "--from", source.path, "--out", tmp_path / "run",
            words=["training.start", "do not fit 'session7-model2'", "is missing", "more. Give a run of the same"])
    refused("train", "--from", source.path, "--set", "model.arguments.width=5", "--out", tmp_path / "run",
            words=["0.weight is (4, 1, 3, 3), the network's is (5, 1, 3, 3)"])
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_a_start_is_refused(source, refused, tmp_path):
    refused("train", words=["RECIPE", "--from"])
    refused("train", "--from", tmp_path / "gone", words=["does not exist"])
    shutil.copytree(source.path, tmp_path / "seeds" / "seed-1")
    refused("train", "--from", tmp_path / "seeds", words=["holds the runs of 1 seeds"])
    refused("train", "--from", source.path, "--out", source.path, "--force", words=["training.start", "not apart"])
    copy = shutil.copytree(source.path, tmp_path / "unfinished")
    (copy / "result.json").unlink()
    refused("train", "--from", copy, "--out", tmp_path / "run", words=["is not finished"])
    with pytest.raises(RecipeError, match="nothing to train is given"):
        featherweight.train()


def test_validation_images_that_the_run_has_learned_are_refused(source, digits_recipe, shades, tmp_path):
    held = ["data.validation=100"]
    with pytest.raises(RunError, match=r"training.start: .* was trained on validation images of seed 1. Give one with"):
        begun(recipe_from(source, settings=held))
    apart = featherweight.train(digits_recipe(data={"validation": 100}), tmp_path / "apart", device="cpu")
    assert begun(recipe_from(apart)).start["saw"][0]["data.validation"] == 100       # the same images held out
    with pytest.raises(RunError, match="validation images of seed 2"):
        featherweight.train_seeds(None, [1, 2], tmp_path / "seeds", start=apart, device="cpu")
    # what lies between does not wash it off
    other = recipe_from(source, settings=[f'data.dataset="folder:{shades}"', "training.epochs=1"])
    between = featherweight.train(other, tmp_path / "between", device="cpu")
    with pytest.raises(RunError, match="was trained on validation images of seed 1"):
        begun(recipe_from(between, settings=["data.dataset=digits", *held]))
