"""A small study on the bundled digits: two networks, trained with two seeds for one epoch, as a search leaves them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import featherweight
from featherweight.data import Dataset, load_dataset
from featherweight.recipe import Recipe, set_value
from featherweight.search.front_folder import write_front
from featherweight.search.records import Candidate, Costs, Front, Point, Tried

FOUND = {       # words -> settings
    "words:c2 p s4 g h": {"optimizer.lr": 0.05},
    "words:c4 p s6 q h": {"model.arguments.gain": False, "model.arguments.dropout": 0.02, "training.epochs": 2},
}


@dataclass(frozen=True)
class Study:
    """The folder of a search, and the arguments of write_front."""

    folder: Path
    front: Front
    recipe: Recipe
    dataset: Dataset

    def write(self, **changes: object) -> list[str]:
        """Write the front, with changes of its fields."""
        return write_front(self.folder, replace(self.front, **changes), self.recipe, self.dataset)


@pytest.fixture(scope="session")
def base() -> Recipe:
    """The recipe that the settings of each candidate change."""
    return Recipe.from_dict({
        "name": "small", "data": {"dataset": "digits"}, "model": {"name": "words:c4 g h"},
        "optimizer": {"name": "muon"}, "schedule": {"name": "one-cycle"},
        "training": {"epochs": 1, "batch_size": 64, "engine": "torch", "precision": "float32"},
    })


@pytest.fixture(scope="session")
def written(base: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with its front. Tests do not change it."""
    folder = tmp_path_factory.mktemp("study")
    points = []
    for number, (words, settings) in enumerate(FOUND.items()):
        content = base.model_dump(exclude_unset=True)
        for key, value in {"model.name": words, **settings}.items():
            set_value(content, key, value)
        runs = [featherweight.train(Recipe.from_dict(content).with_seed(seed), folder / f"runs/{number}/seed-{seed}",
                                    quiet=True, device="cpu") for seed in (1, 2)]
        accuracies = [run.accuracy for run in runs]
        costs = Costs(runs[0].result["parameters"], 10_000 * (number + 1), 2_000 + 500 * number, 900 + 300 * number)
        points.append(Point(7 - number, Candidate(words, settings), costs, [0.5 + number / 10, 0.52], accuracies,
                            [str(run.path.relative_to(folder)) for run in runs]))
    tried = [Tried(n, Candidate(f"words:c{n} g h"), Costs(10 * n, 1_000 * n, 1_000 + n, 500 + n), 0, n / 20, "stopped",
                   "", 1.0) for n in range(1, 9)]
    tried.append(Tried(9, Candidate("words:c9 g h"), Costs(90, 900, 900, 900), -1, None, "failed", "loss is NaN", 0.1))
    front = Front("digits", "int8", {"parameters": 500, "ram": None, "accuracy": 0.5}, 3, points[::-1], tried,
                  {"cores": 2}, 65.0, "featherweight search --data digits --max-parameters 500 --trials 9")
    study = Study(folder, front, base, load_dataset("digits"))
    assert study.write() == []
    return study


@pytest.fixture
def study(written: Study, tmp_path: Path) -> Study:
    """A copy of the study with its front, for one test."""
    shutil.copytree(written.folder, tmp_path / "study")
    return replace(written, folder=tmp_path / "study")


@pytest.fixture
def bare(study: Study) -> Study:
    """A study whose networks have no runs, and whose front is not written yet."""
    for name in ("front.json", "front.html"):
        (study.folder / name).unlink()
    for name in ("1", "2"):
        shutil.rmtree(study.folder / name)
    points = [replace(point, runs=[], test=[]) for point in study.front.points]
    return replace(study, front=replace(study.front, points=points))


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, tuple[bytes, int]]]:
    """contents(folder): content and time of each file, to find changes."""

    def read(folder: Path) -> dict[str, tuple[bytes, int]]:
        files = (file for file in folder.rglob("*") if file.is_file())
        return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}

    return read
