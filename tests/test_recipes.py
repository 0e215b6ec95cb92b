"""The contract of every recipe that comes with the package."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import pytest

from featherweight.models import build_model
from featherweight.recipe import Recipe, find_recipe, recipe_names

NAMES = recipe_names()


def test_there_are_eighteen() -> None:
    assert len(NAMES) == 18


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_named_as_its_file(name: str) -> None:
    assert Recipe.load(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_keeps_its_own_budget(name: str) -> None:
    recipe = Recipe.load(name)
    model = build_model(recipe.model.name, recipe.model.arguments)
    parameters = sum(p.numel() for p in model.parameters())
    assert recipe.goal.max_parameters is None or parameters <= recipe.goal.max_parameters
    assert recipe.goal.max_epochs is not None
    assert recipe.training.epochs <= recipe.goal.max_epochs
    assert recipe.goal.accuracy is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_says_what_it_is_for_what_it_gave_and_what_that_means(name: str) -> None:
    goal = Recipe.load(name).goal
    assert goal.target.strip()
    assert goal.results.strip()
    assert goal.analysis.strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_opens_with_the_command_that_makes_its_numbers(name: str) -> None:
    lines = find_recipe(name).read_text(encoding="utf-8").splitlines()
    header = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    assert any(f"featherweight train {name}" in line for line in header)


@pytest.mark.parametrize("name", NAMES)
def test_test_data_is_looked_at_only_where_the_recipe_says_so(name: str) -> None:
    text = find_recipe(name).read_text(encoding="utf-8")
    assert Recipe.load(name).curve != "test" or 'curve = "test"' in text


# ---- what is published is what was measured ----

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "results" / "recipes"
RESULTS = sorted(FOLDER.rglob("*.json"))        # in the folder "taught" of recipes that had a teacher
of_each_result = pytest.mark.parametrize(
    "file", RESULTS, ids=lambda file: str(file.relative_to(FOLDER).with_suffix(""))
)


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
@of_each_result
def test_headers_and_pages_say_what_the_results_say(file: Path, page: str) -> None:
    content = json.loads(file.read_text())
    seeds = [one["seed"] for one in content["seeds"]]
    assert seeds == list(range(1, len(seeds) + 1))          # none is left out
    header = find_recipe(file.stem).read_text().partition("name =")[0]
    row = f"| {file.stem}{', taught' * ('teacher' in content)} | {content['summary']['parameters']:,} |"
    (line,) = [line for line in (ROOT / page).read_text().splitlines() if line.startswith(row)]
    assert f"of {len(seeds)} seeds" in header and f"| {len(seeds)} |" in line
    for head, found in content["summary"]["test"].items():
        accuracies = [one["test"][head]["accuracy"] for one in content["seeds"]]
        assert found["mean"] == pytest.approx(fmean(accuracies)) and found["lowest"] == min(accuracies)
        said = f"{100 * fmean(accuracies):.2f} % ({100 * min(accuracies):.2f} to {100 * max(accuracies):.2f})"
        assert said in header and said in line


@of_each_result
def test_results_are_of_the_recipe_as_it_is(file: Path) -> None:
    """A key that is newer than a result had its default."""
    content = json.loads(file.read_text())
    teacher = [f"distillation.teacher={content['teacher']['path']}"] if "teacher" in content else []
    settings = [*teacher, *content.get("set", [])]
    now, before = (recipe.model_dump(exclude={"goal": True, "training": {"seed"}})
                   for recipe in (Recipe.load(file.stem, settings), Recipe.from_dict(content["recipe"])))
    assert before == now
