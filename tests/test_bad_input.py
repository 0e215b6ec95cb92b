"""Whatever a user gives to a training, the answer is one line that names it, and never a traceback."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import featherweight
from featherweight import examination, experiment
from featherweight.errors import (
    FeatherweightError,
    ModelError,
    RecipeError,
    RunError,
    TrainingDiverged,
    TrainingInterrupted,
)
from featherweight.recipe import Recipe
from featherweight.runs import Run
from stopping import StopAt

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.digit, self.sum = nn.Linear(784, 10), nn.Linear(784, 10)

    def forward(self, images, *more):
        x = images.flatten(1)
        {body}
"""


def line(fault: pytest.ExceptionInfo[BaseException]) -> str:
    """The message, which is one line and not empty."""
    text = str(fault.value)
    assert text.strip()
    assert "\n" not in text
    return text


@pytest.fixture
def interrupted(digits_recipe: Callable[..., Recipe], tmp_path: Path) -> Run:
    """A run of two epochs that was stopped early in its second."""

    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(
            digits_recipe(training={"epochs": 2}), tmp_path / "run", watcher=StopAt(15, signal.SIGTERM))
    return Run.open(tmp_path / "run")


@pytest.fixture(scope="session")
def finished(digits_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return featherweight.train(digits_recipe(), tmp_path_factory.mktemp("finished") / "run")


# ---- numbers at the end of their range ----


def test_the_largest_seed_that_a_recipe_allows(digits_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    run = featherweight.train(digits_recipe(training={"seed": 2**63 - 1}), tmp_path / "run")
    assert run.result["seed"] == 2**63 - 1


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("betas", [[0.9, 1.0], [1.0, 0.999]])
def test_a_beta_of_1_is_a_fault_of_the_recipe(
    digits_recipe: Callable[..., Recipe], name: str, betas: list[float]
) -> None:
    """torch's Adam takes no beta of 1: nothing would ever be learned."""
    with pytest.raises(RecipeError, match=r"optimizer\.betas.*less than 1"):
        digits_recipe(optimizer={"name": name, "betas": betas})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_model_argument_that_toml_cannot_hold_and_read_back(
    digits_recipe: Callable[..., Recipe], tmp_path: Path, value: float | None
) -> None:
    """Refused, or written so that it reads back; but no traceback in between."""
    try:
        recipe = digits_recipe(model={"name": "session6", "arguments": {"dropout": value}})
        recipe.to_toml()
    except FeatherweightError:
        return
    (tmp_path / "again.toml").write_text(recipe.to_toml())
    assert repr(Recipe.load(tmp_path / "again.toml").model.arguments["dropout"]) == repr(value)


def test_one_training_image_is_too_few(digits_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    """A batch is never one image, so an epoch would have no step at all."""
    with pytest.raises(FeatherweightError) as fault:
        featherweight.train(digits_recipe(data={"validation": 1436}), tmp_path / "run")
    assert "validation" in line(fault) or "1 " in line(fault)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("validation", [0, 100])
def test_weights_that_explode_in_the_very_last_step(
    digits_recipe: Callable[..., Recipe], tmp_path: Path, validation: int
) -> None:
    """The last training loss is still a number; what is measured afterwards is not."""
    recipe = digits_recipe(
        training={"batch_size": 2000}, optimizer={"lr": 1e30}, data={"validation": validation}
    )
    with pytest.raises(TrainingDiverged) as fault:
        featherweight.train(recipe, tmp_path / "run")
    assert "learning rate" in line(fault)
    assert not Run.open(tmp_path / "run").finished


# ---- networks of a user's own ----


@pytest.mark.parametrize(
    ("body", "task"),
    [
        ("return self.digits(x)", "classification"),                    # a name that is not there
        ("return self.digit(x)[:, 99]", "classification"),              # an index that is not there
        ("assert x.shape[1] == 3, 'three'", "classification"),
        ("return {}['digit']", "classification"),
        ("return None", "classification"),
        ("return [self.digit(x)]", "classification"),
        ("return {'digit': self.digit(x)}", "classification"),
        ("return self.digit(x)[:1]", "classification"),                 # one answer for all images
        ("return x.unsqueeze(1)", "classification"),
        ("return self.digit(x).long()", "classification"),
        ("return self.digit(x), self.sum(x)", "digit-sum"),             # sums go up to 18
        ("return self.digit(x), None", "digit-sum"),
    ],
)
def test_a_network_that_does_not_fit_is_said_before_anything_is_written(
    digits_recipe: Callable[..., Recipe], network_file: Callable[[str], str], tmp_path: Path, body: str, task: str
) -> None:
    own = {"name": f"{network_file(NETWORK.format(body=body))}:Net"}
    with pytest.raises(ModelError) as fault:
        featherweight.train(digits_recipe(task=task, model=own), tmp_path / "run")
    line(fault)
    assert not (tmp_path / "run").exists()


def test_a_network_with_nothing_to_train(
    digits_recipe: Callable[..., Recipe], network_file: Callable[[str], str], tmp_path: Path
) -> None:
    own = "from torch import nn\nclass Net(nn.Identity):\n    forward = lambda self, x: x.flatten(1)[:, :10]\n"
    with pytest.raises(ModelError) as fault:
        featherweight.train(digits_recipe(model={"name": f"{network_file(own)}:Net"}), tmp_path / "run")
    assert "parameters" in line(fault)
    assert not (tmp_path / "run").exists()


# ---- run folders that were damaged or left half made ----


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("recipe.toml", b"x"),
        ("history.jsonl", b"{\n"),
        ("history.jsonl", b"\xff"),
        ("history.jsonl", b"[1]\n"),
        ("result.json", b"{"),
        ("result.json", b"\xff"),
        ("result.json", b"[]"),
        ("result.json", b"{}"),
        ("model.safetensors", b"cut short"),
        ("model.safetensors", None),
        ("environment.json", b"nope"),
        ("environment.json", None),
    ],
)
def test_a_damaged_file_of_a_run_is_named(finished: Run, tmp_path: Path, name: str, content: bytes | None) -> None:
    shutil.copytree(finished.path, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)

    def read_everything() -> None:
        run = Run.open(tmp_path)
        assert [record["epoch"] for record in run.history] == [1]
        assert run.environment["seed"] == 1
        run._repr_html_()
        examination.evaluate(run)

    with pytest.raises(FeatherweightError) as fault:
        read_everything()
    assert name in line(fault)


DAMAGES: dict[str, Callable[[dict[str, torch.Tensor], dict[str, Any]], Any]] = {
    "no position": lambda tensors, text: text.pop("position"),
    "an unknown key in the position": lambda tensors, text: text["position"].update(depth=1),
    "a position that is a number": lambda tensors, text: text.update(position=3),
    "a schedule that is a number": lambda tensors, text: text.update(schedule=3),
    "no parameter groups": lambda tensors, text: text.update(groups=[]),
    "a weight less": lambda tensors, text: tensors.pop("model.0.weight"),
    "no random state": lambda tensors, text: tensors.pop("random.cpu"),
    "a random state of another kind": lambda tensors, text: tensors.update({"random.cpu": torch.zeros(3)}),
    "a slot without a number": lambda tensors, text: tensors.update({"optimizer.x.y": torch.zeros(1)}),
    "a momentum of another shape": lambda tensors, text: tensors.update(
        {"optimizer.0.momentum_buffer": torch.zeros(7)}
    ),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_checkpoint_that_does_not_fit_is_one_line(interrupted: Run, damage: str) -> None:
    tensors, text = interrupted.load_tensors("checkpoint.safetensors")
    content = json.loads(text["state"])
    DAMAGES[damage](tensors, content)
    interrupted.save_tensors("checkpoint.safetensors", tensors, {"state": json.dumps(content)})
    with pytest.raises(RunError, match="checkpoint") as fault:
        featherweight.train(interrupted.recipe, interrupted.path, resume=True)
    line(fault)


def test_a_history_that_lost_its_lines_is_not_continued_as_if_it_were_whole(interrupted: Run) -> None:
    (interrupted.path / "history.jsonl").unlink()
    with pytest.raises(RunError, match=r"history\.jsonl"):
        featherweight.train(interrupted.recipe, interrupted.path, resume=True)


def test_a_folder_in_which_a_kill_left_only_a_temporary_file_is_as_good_as_empty(
    digits_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    """Killed before recipe.toml stood there: nothing can be resumed and nothing is lost."""
    (tmp_path / ".recipe.toml.k3x").write_text("name = ")
    assert featherweight.train(digits_recipe(), tmp_path).finished
    assert not (tmp_path / ".recipe.toml.k3x").exists()


def test_force_through_a_link_replaces_the_run_that_it_points_to(
    digits_recipe: Callable[..., Recipe], finished: Run, tmp_path: Path
) -> None:
    target, link = tmp_path / "run", tmp_path / "latest"
    target.mkdir()
    (target / "recipe.toml").write_bytes((finished.path / "recipe.toml").read_bytes())
    link.symlink_to(target)
    featherweight.train(digits_recipe(), link, force=True)
    assert link.is_symlink()
    assert Run.open(target).finished
