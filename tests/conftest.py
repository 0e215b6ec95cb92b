"""What all tests share: one thread, no deadlines, small recipes on the bundled digits."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

import featherweight
from featherweight.cli import main
from featherweight.garbage import collect_rarely
from featherweight.recipe import Recipe
from featherweight.runs import Run

gc.freeze()     # what the imports made lives until the end: no search for garbage has to go through it
collect_rarely()
settings.register_profile(
    "featherweight", deadline=None, max_examples=50, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("featherweight")

TINY = '''"""A network that trains an epoch of the digits in a fraction of a second, with all that a state may hold."""
from torch import nn


class Tiny(nn.Sequential):
    def __init__(self, in_channels=1, classes=10, width=4):
        super().__init__(
            nn.Conv2d(in_channels, width, 3, stride=3, bias=False),     # 9x9
            nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.1),
            nn.Conv2d(width, 2 * width, 3, stride=3, bias=False),       # 3x3, its weight is channels last
            nn.BatchNorm2d(2 * width), nn.ReLU(), nn.Flatten(),
            nn.Linear(18 * width, classes),                             # logits: the task's loss takes both
        )
'''


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Test workers share the cores; results repeat whatever their number."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _own_trust(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests trust networks in a store of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _same_random_state() -> Iterator[None]:
    """Each test starts from one seed and leaves no trace in the next."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network of a user's own, as path/to/file.py:Class."""
    file = tmp_path_factory.mktemp("networks") / "tiny.py"
    file.write_text(TINY)
    return f"{file}:Tiny"


@pytest.fixture(scope="session")
def digits_recipe(tiny_model: str) -> Callable[..., Recipe]:
    """digits_recipe(training={"epochs": 2}, ...): the tiny network, one epoch of the digits, float32."""

    def build(**sections: Any) -> Recipe:
        content: dict[str, Any] = {
            "name": "tiny",
            "data": {"dataset": "digits"},
            "model": {"name": tiny_model},
            "training": {"precision": "float32"},
        }
        for key, value in sections.items():
            content[key] = content.get(key, {}) | value if isinstance(value, dict) else value
        return Recipe.from_dict(content)

    return build


@pytest.fixture
def network_file(tmp_path: Path) -> Callable[[str], str]:
    """Write a network's source text; gives the path of its file."""

    def write(text: str) -> str:
        file = tmp_path / "own.py"
        file.write_text(text)
        return str(file)

    return write


@pytest.fixture(scope="session")
def reseal() -> Callable[..., Run]:
    """reseal(folder, network=None): write a run's hashes anew after a change; None drops a key."""

    def seal(folder: Path, **changes: Any) -> Run:
        result = json.loads((folder / "result.json").read_text())
        result = {key: value for key, value in (result | changes).items() if value is not None}
        Run(folder).save_result(result, Run(folder).weights())
        return Run(folder)

    return seal


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> featherweight.Run:
    """session7-model2 on the bundled digits, trained long enough to know them."""
    settings = ["data.dataset=digits", "training.epochs=6", "training.batch_size=32", "optimizer.lr=0.05"]
    recipe = featherweight.Recipe.load("session7-model2", [*settings, "schedule.name=one-cycle"])
    return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / "digits", device="cpu")


@pytest.fixture(scope="session")
def teachers(digits_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two seeds of the tiny network, trained long enough to differ."""
    recipe = digits_recipe(training={"epochs": 3, "batch_size": 32}, optimizer={"lr": 0.05})
    return featherweight.train_seeds(recipe, [1, 2], tmp_path_factory.mktemp("runs") / "teacher", device="cpu").path


@pytest.fixture(scope="session")
def sum_run(tmp_path_factory: pytest.TempPathFactory) -> featherweight.Run:
    """digit-sum on the bundled digits, one epoch: good for shapes, not for answers."""
    recipe = featherweight.Recipe.load("digit-sum", ["data.dataset=digits", "training.epochs=1"])
    return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / "sum", device="cpu")


@pytest.fixture
def run_command(capsys):
    """Run a command line in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


@pytest.fixture
def refused(run_command):
    """Run a command line that must be refused: exit code 2, no standard output, one line that holds the words."""

    def run(*arguments, words):
        code, out, fault = run_command(*arguments)
        assert (code, out) == (2, "") and fault.startswith("featherweight: ") and fault.count("\n") == 1, (code, fault)
        assert all(word in fault for word in words), fault

    return run


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield opened
        opened.close()
