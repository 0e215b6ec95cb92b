"""Several runs: groups, intervals, differences in words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from featherweight.errors import RunError
from featherweight.recipe import Recipe
from featherweight.report import comparison, likeness
from featherweight.report.differences import differences, in_sentences
from featherweight.runs import Run
from featherweight.statistics import bootstrap_interval, wilson_interval


class FakeRun:
    """A run as a folder with a result and a recipe; nothing else is asked for."""

    def __init__(self, recipe, seed, accuracy, *, dataset="mnist", heads=("class",), parameters=100, path="runs/x",
                 settings=None, **more):
        scores = {head: {"accuracy": accuracy, "correct": round(1000 * accuracy), "count": 1000} for head in heads}
        self.path = path
        self.result = {"recipe": recipe, "model": recipe, "seed": seed, "parameters": parameters, "dataset": dataset,
                       "test": scores, **more}
        self.recipe = Recipe.from_dict({"name": recipe, "model": {"name": "session6"}, "training": {"seed": seed},
                                        **(settings or {})})


def on_images(recipe, wrong, seed=1, images="a", **more):
    """A run with a record of its wrong images, out of 1,000."""
    return FakeRun(recipe, seed, 1 - len(wrong) / 1000, wrong={"class": sorted(wrong)}, test_sha256=images, **more)


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
    assert [group.name for group in groups][1:] == ["taught/a", "more/runs/a", "b", "b"]
    assert groups[0].name.endswith("/runs/a") and len({group.name for group in groups}) == 4


def test_a_difference_in_words():
    first = [FakeRun("a", seed, accuracy) for seed, accuracy in ((1, 0.90), (2, 0.91), (3, 0.92), (4, 0.5))]
    second = [FakeRun("b", seed, accuracy) for seed, accuracy in ((1, 0.96), (2, 0.97), (3, 0.97))]
    (found,) = differences(comparison.group_runs([*first, *second]))
    said = str(found)
    assert (found.first, found.second, found.seeds) == ("a", "b", (1, 2, 3)) and found.mean == pytest.approx(0.17 / 3)
    assert said.startswith("b - a: +5.67 ± 0.") and "points over 3 seeds" in said
    assert "more than the seeds explain" in said


def test_a_difference_that_may_be_chance_and_one_without_an_interval():
    pairs = [FakeRun("a", 1, 0.90), FakeRun("a", 2, 0.92), FakeRun("b", 1, 0.92), FakeRun("b", 2, 0.90)]
    assert "which may be chance" in str(differences(comparison.group_runs(pairs))[0])
    alone = differences(comparison.group_runs([FakeRun("a", 1, 0.9), FakeRun("b", 1, 0.95)]))
    assert [str(one) for one in alone] == ["b - a: +5.00 points with seed 1 alone; one pair has no interval."]
    assert differences(comparison.group_runs([FakeRun("a", 1, 0.9), FakeRun("b", 2, 0.95)])) == []


def test_only_heads_that_all_have():
    runs = [FakeRun("a", 1, 0.9, heads=("digit", "sum")), FakeRun("b", 1, 0.9, heads=("digit",))]
    groups = comparison.group_runs(runs)
    assert comparison.common_heads(groups) == ["digit"]
    assert str(differences(groups)[0]).startswith("b - a, digit: ")


def test_different_data_sets_are_refused():
    runs = [FakeRun("a", 1, 0.9), FakeRun("b", 1, 0.9, dataset="digits")]
    with pytest.raises(RunError, match=r"different data sets \(digits, mnist\).*mixed=True"):
        comparison.check_same_data(runs)
    comparison.check_same_data(runs, mixed=True)


def test_single_runs_are_paired_over_their_test_images():
    groups = comparison.group_runs([on_images("a", range(60)), on_images("b", range(30), seed=2)])
    (found,) = differences(groups)
    assert found.images == 1000 and found.mean == pytest.approx(0.03) and found.seeds == ()
    assert "on the same 1,000 images, one run each" in str(found)
    assert str(found).endswith("more than the choice of images explains.")


def test_other_images_do_not_pair():
    groups = comparison.group_runs([on_images("a", range(60)), on_images("b", range(30), images="b")])
    assert [one.has_interval for one in differences(groups)] == [False]
    groups = comparison.group_runs([on_images("a", range(60)), on_images("b", range(30), seed=2, images="b")])
    assert differences(groups) == []


def test_many_runs_are_compared_with_the_best():
    runs = [on_images("a", range(10 * n), path=f"runs/student{n}", settings={"optimizer": {"lr": n / 100}})
            for n in range(1, 13)]
    groups = comparison.group_runs(runs)
    assert [group.name for group in groups][:2] == ["student1", "student2"]
    said = in_sentences(groups, differences(groups))
    assert len(said) == 2 and said[0].startswith("student1 has the highest test accuracy of 12, 99.00 %")
    assert said[1].startswith("Below it by more (95 %): student2 -1.00 ± ") and "student12 -11.00" in said[1]


def test_pairs_without_an_interval_take_one_line():
    runs = [FakeRun(f"r{n}", 1, 0.9) for n in range(12)]
    groups = comparison.group_runs(runs)
    said = in_sentences(groups, differences(groups))
    assert len([line for line in said if "interval" in line]) == 1 and said[-1].startswith("66 pairs of runs")


def test_runs_of_one_name_and_other_settings_are_no_group():
    runs = [FakeRun("a", seed, 0.9, path=f"runs/{seed}", settings={"optimizer": {"lr": lr}, "training": {"seed": seed}})
            for seed, lr in ((1, 0.1), (2, 0.1), (3, 0.2))]
    assert [list(group.runs) for group in comparison.group_runs(runs)] == [[1, 2], [3]]


def test_numbers_in_names_are_sorted_as_numbers():
    names = ["runs/student1", "runs/student10", "runs/student2", "runs/b", "runs/a"]
    found = likeness.in_order([Path(name) for name in names])
    assert [path.name for path in found] == ["student1", "student2", "student10", "b", "a"]


def test_settings_that_differ_are_named_with_their_runs():
    runs = [FakeRun("a", 1, 0.9, settings={"optimizer": {"lr": lr}}) for lr in (0.1, 0.2, 0.1)]
    found = likeness.recipe_differences(["x", "y", "z"], runs)
    assert likeness.difference_lines(found) == ["optimizer.lr: 0.1 (x, z), 0.2 (y)"]
    assert likeness.recipe_differences(["x", "z"], [runs[0], runs[2]]) == {}


def test_runs_with_the_same_weights_are_noticed(tiny_runs, tmp_path):
    copy = shutil.copytree(tiny_runs[0].path, tmp_path / "copy")
    runs = [*tiny_runs, Run(copy)]
    (said,) = likeness.identical(likeness.called(runs), runs)
    assert said.endswith("count as one run: slow-1 and copy.")
    assert likeness.identical(likeness.called(tiny_runs), tiny_runs) == []


def test_a_run_records_the_images_that_each_head_gets_wrong(sum_run, tiny_runs):
    for run in (sum_run, tiny_runs[0]):
        wrong, scores = run.result["wrong"], run.result["test"]
        assert {head: len(wrong[head]) for head in scores} == {
            head: score["count"] - score["correct"] for head, score in scores.items()
        }
    assert tiny_runs[0].result["test_sha256"] == tiny_runs[1].result["test_sha256"]
