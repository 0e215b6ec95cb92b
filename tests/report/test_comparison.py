"""Several runs: groups, intervals, differences in words."""

from __future__ import annotations

import pytest

from featherweight.errors import RunError
from featherweight.report import comparison
from featherweight.statistics import bootstrap_interval, wilson_interval


class FakeRun:
    """A run as a folder with a result; only these two are asked for."""

    def __init__(self, recipe, seed, accuracy, *, dataset="mnist", heads=("class",), parameters=100, path="runs/x"):
        scores = {head: {"accuracy": accuracy, "correct": round(1000 * accuracy), "count": 1000} for head in heads}
        self.path = path
        self.result = {"recipe": recipe, "model": recipe, "seed": seed, "parameters": parameters, "dataset": dataset,
                       "test": scores}


def test_runs_of_a_recipe_belong_together():
    groups = comparison.group_runs([FakeRun("a", 1, 0.9), FakeRun("b", 1, 0.8), FakeRun("a", 2, 0.92)])
    assert [(group.name, list(group.runs)) for group in groups] == [("a", [1, 2]), ("b", [1])]
    assert groups[0].mean("class") == pytest.approx(0.91)
    assert groups[0].interval("class") == bootstrap_interval([0.9, 0.92])
    assert groups[1].interval("class") == wilson_interval(800, 1000)


def test_a_seed_given_twice_makes_a_group_of_its_own():
    groups = comparison.group_runs([FakeRun("a", 1, 0.9, path="runs/first"), FakeRun("a", 1, 0.8, path="runs/second")])
    assert [group.name for group in groups] == ["a (first)", "a (second)"]


def test_seeds_of_one_folder_stay_apart_from_those_of_another():
    places = [(folder, seed) for folder in ("plain", "ema") for seed in (1, 2)]
    runs = [FakeRun("a", seed, 0.9, path=f"runs/{folder}/seed-{seed}") for folder, seed in places]
    groups = comparison.group_runs(runs)
    assert [(group.name, list(group.runs)) for group in groups] == [("a (plain)", [1, 2]), ("a (ema)", [1, 2])]


def test_folders_of_one_name_are_told_apart_by_those_above_them():
    places = ["runs/a", "runs/taught/a", "more/runs/a", "runs/b", "runs/b"]
    groups = comparison.group_runs([FakeRun("a", 1, 0.9, path=place) for place in places])
    assert [group.name for group in groups][1:] == ["a (taught/a)", "a (more/runs/a)", "a (b)", "a (b)"]
    assert groups[0].name.endswith("/runs/a)") and len({group.name for group in groups}) == 4


def test_a_difference_in_words():
    first = [FakeRun("a", seed, accuracy) for seed, accuracy in ((1, 0.90), (2, 0.91), (3, 0.92), (4, 0.5))]
    second = [FakeRun("b", seed, accuracy) for seed, accuracy in ((1, 0.96), (2, 0.97), (3, 0.97))]
    (found,) = comparison.differences(comparison.group_runs([*first, *second]))
    said = str(found)
    assert (found.first, found.second, found.seeds) == ("a", "b", (1, 2, 3)) and found.mean == pytest.approx(0.17 / 3)
    assert said.startswith("b - a: +5.67 ± 0.") and "points over 3 seeds" in said
    assert "more than the seeds explain" in said


def test_a_difference_that_may_be_chance_and_one_without_an_interval():
    pairs = [FakeRun("a", 1, 0.90), FakeRun("a", 2, 0.92), FakeRun("b", 1, 0.92), FakeRun("b", 2, 0.90)]
    assert "which may be chance" in str(comparison.differences(comparison.group_runs(pairs))[0])
    alone = comparison.differences(comparison.group_runs([FakeRun("a", 1, 0.9), FakeRun("b", 1, 0.95)]))
    assert [str(one) for one in alone] == ["b - a: +5.00 points with seed 1 alone; one pair has no interval."]
    assert comparison.differences(comparison.group_runs([FakeRun("a", 1, 0.9), FakeRun("b", 2, 0.95)])) == []


def test_only_heads_that_all_have():
    runs = [FakeRun("a", 1, 0.9, heads=("digit", "sum")), FakeRun("b", 1, 0.9, heads=("digit",))]
    groups = comparison.group_runs(runs)
    assert comparison.common_heads(groups) == ["digit"]
    assert str(comparison.differences(groups)[0]).startswith("b - a, digit: ")


def test_different_data_sets_are_refused():
    runs = [FakeRun("a", 1, 0.9), FakeRun("b", 1, 0.9, dataset="digits")]
    with pytest.raises(RunError, match=r"different data sets \(digits, mnist\).*mixed=True"):
        comparison.check_same_data(runs)
    comparison.check_same_data(runs, mixed=True)
