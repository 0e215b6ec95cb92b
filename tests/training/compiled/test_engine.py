"""The engine that a recipe chooses, its fallback to torch, and what a compiled training promises."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

import featherweight
from featherweight import experiment
from featherweight.codegen import library
from featherweight.codegen.compiler import version_of
from featherweight.errors import TrainingInterrupted
from featherweight.preparation import PreparedTraining, build_training, load_data
from featherweight.training.compiled.program import choose_engine
from featherweight.training.loop import train
from stopping import StopAt

STEP = 19       # in the middle of the second epoch
IMAGES = [torch.zeros(2, 1, 8, 8)]


def networks(middle: nn.Module, width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, width, 3), middle, nn.Flatten(), nn.LazyLinear(10))


def reason(model: nn.Module, wanted: str = "auto") -> str:
    """Why a network is trained by torch; "" if it is compiled."""
    model(IMAGES[0])
    return choose_engine(wanted, model, IMAGES, precision="float32", device=torch.device("cpu")).why


class Sometimes(nn.Module):
    """A layer that Python's random numbers switch off."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) if random.random() < 0.5 else x


@pytest.fixture
def nothing_loaded(tmp_path, monkeypatch):
    """An empty cache folder, and a process that has loaded nothing."""
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    library._load.cache_clear()
    version_of.cache_clear()


@pytest.mark.parametrize("engine", ["auto", "torch", "compiled"])
def test_a_recipe_chooses_the_engine(engine, digits_recipe, tmp_path):
    run = featherweight.train(digits_recipe(training={"engine": engine}), tmp_path / "run", device="cpu")
    expected = "torch" if engine == "torch" else "compiled"
    assert json.loads((run.path / "result.json").read_text())["engine"] == expected


def test_torch_trains_what_has_no_compiled_form():
    assert "gelu" in reason(networks(nn.GELU()))
    assert "200 channels" in reason(networks(nn.ReLU(), 200))
    assert reason(networks(nn.ReLU(), 200), "compiled") == ""
    hooked = networks(nn.ReLU())
    hooked[0].register_forward_hook(lambda *_: None)
    assert "hook" in reason(hooked)
    assert reason(networks(nn.ReLU()), "torch")


def test_torch_trains_where_forward_draws_random_branches(monkeypatch):
    draws = iter([0.1, 0.1, 0.9, 0.9])
    monkeypatch.setattr("random.random", lambda: next(draws))
    assert "same each time" in reason(networks(Sometimes()))


@pytest.mark.parametrize("script", [
    "exit 1", "[ $1 = --version ] && echo cc 1 && exit; echo 'line 7: wrong' >&2; exit 3"])
def test_torch_trains_where_the_compiler_fails(script, nothing_loaded, monkeypatch, digits_recipe):
    broken = nothing_loaded / "cc"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    monkeypatch.setenv("PATH", str(nothing_loaded / "empty"))
    monkeypatch.setitem(sys.modules, "ziglang", None)
    why = reason(networks(nn.ReLU()))
    assert "no C compiler" in why or "line 7: wrong" in why
    run = featherweight.train(digits_recipe(), nothing_loaded / "run", device="cpu")
    assert json.loads((run.path / "result.json").read_text())["engine"] == "torch"


def test_torch_trains_in_a_process_without_compiler(tmp_path):
    code = "from featherweight.__main__ import main; main()"
    command = [sys.executable, "-c", code, "train", "session7-model2", "--data", "digits", "--no-report", "--set",
               "training.epochs=1", "--device", "cpu", "--out", str(tmp_path / "run")]
    environment = {"PATH": "", "FEATHERWEIGHT_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path),
                   "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["engine"] in ("torch", "compiled")


def test_a_damaged_file_and_a_read_only_cache_are_no_obstacle(nothing_loaded):
    folder = nothing_loaded / "cache" / "compiled"
    model = networks(nn.ReLU())
    assert reason(model) == ""
    (file,) = folder.glob("network*.so")
    content = file.read_bytes()
    file.unlink()                   # this process still runs the code of the file
    file.write_bytes(content[:-9])
    file.chmod(0o600)
    forget()
    assert reason(model) == ""
    for each in folder.glob("*.so"):
        each.unlink()
    folder.chmod(0o500)
    forget()
    assert reason(model) == ""
    folder.chmod(0o700)


# --- what a compiled training promises

VARIANTS = {
    "plain": {"training": {"epochs": 2, "batch_size": 100}},
    "best on validation": {
        "training": {"epochs": 2, "batch_size": 100, "keep": "best-on-validation"}, "data": {"validation": 200}},
    "average of the weights": {"training": {"epochs": 2, "batch_size": 100, "ema": 0.9}},
    "hardest images": {"training": {"epochs": 3, "batch_size": 100, "fraction": 0.4}},
    "augmented": {"training": {"epochs": 2, "batch_size": 100}, "augmentation": {"rotation": 7.0, "shift": 0.1}},
}


def prepared(recipe, seed: int = 1) -> PreparedTraining:
    recipe = recipe.with_seed(seed)
    training = build_training(recipe, load_data(recipe, None), torch.device("cpu"))
    assert training.engine.name == "compiled", training.engine.why
    return training


def weights(training: PreparedTraining) -> list[torch.Tensor]:
    return list(training.state.trained.state_dict().values())


def equal(one: PreparedTraining, other: PreparedTraining) -> bool:
    return all(a.equal(b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("name", VARIANTS)
def test_replicas_equal_seeds_alone_bit_for_bit(name, digits_recipe):
    recipe = digits_recipe(**VARIANTS[name])
    alone, together = ([prepared(recipe, seed) for seed in (1, 2)] for _ in range(2))
    for one in alone:
        list(train([one.replica], one.task))
    list(train([one.replica for one in together], together[0].task))
    assert all(equal(one, other) for one, other in zip(alone, together, strict=True))
    assert not equal(*alone)


@pytest.mark.parametrize("name", VARIANTS)
def test_an_interrupted_training_resumes_bit_for_bit(name, digits_recipe, tmp_path):
    recipe = digits_recipe(**VARIANTS[name])
    whole = featherweight.train(recipe, tmp_path / "whole", device="cpu")
    run = tmp_path / "run"
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(recipe, run, device="cpu", watcher=StopAt(STEP))
    resumed = featherweight.train(recipe, run, device="cpu", resume=True)
    ours, theirs = resumed.weights(), whole.weights()
    assert all(ours[key].equal(theirs[key]) for key in theirs)


def test_both_heads_of_digit_sum_are_compiled(tmp_path):
    recipe = featherweight.Recipe.load("digit-sum", ["data.dataset=digits", "training.epochs=1"])
    run = featherweight.train(recipe, tmp_path / "run", device="cpu")
    assert json.loads((run.path / "result.json").read_text())["engine"] == "compiled"


def test_soft_labels_are_learned_compiled(digits_recipe, teachers, tmp_path):
    notes = []
    watcher = experiment.Silent()
    watcher.on_start = lambda training: notes.append(training.engine.why)
    recipe = digits_recipe(distillation={"teacher": str(teachers)})
    run = experiment.train_recipe(recipe, tmp_path / "run", device="cpu", watcher=watcher)
    assert notes == [""] and json.loads((run.path / "result.json").read_text())["engine"] == "compiled"


class OnlyPairs(nn.Module):
    """A network that fails for three images."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) % 2:
            raise RuntimeError("an even number of images,\nplease")
        return self.linear(x.flatten(1))


def test_a_network_that_fails_while_it_is_read_is_trained_by_torch() -> None:
    blank, cpu = torch.zeros(2, 1, 8, 8), torch.device("cpu")
    choice = choose_engine("auto", OnlyPairs(), [blank], precision="float32", device=cpu)
    assert choice.name == "torch"
    assert choice.why.startswith("the network cannot be read: ")
    assert "\n" not in choice.why
