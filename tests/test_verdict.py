"""The verdict in words, one text for the terminal and the page."""

import pytest

from featherweight.verdict import curve_on_test, other_data, outcome, parts_of, verdict

MISSED = {"accuracy": 0.994, "max_parameters": 8000, "max_epochs": 1500, "met": False, "missed": ["accuracy"]}


def test_a_missed_goal_names_its_parts():
    assert verdict(MISSED) == "not met: accuracy >= 99.40 % (missed), parameters <= 8,000, epochs <= 1,500"
    assert parts_of(MISSED)[0] == "accuracy >= 99.40 % (missed)"


@pytest.mark.parametrize(("met", "word"), [(True, "met"), (False, "not met"), (None, "no goal")])
def test_each_outcome_has_a_word(met, word):
    goal = {"met": met, "missed": []}
    assert outcome(goal) == verdict(goal) == word


def test_a_goal_for_other_data_is_called_one():
    assert verdict(MISSED | {"dataset": "mnist"}).startswith("not met (a goal for mnist): accuracy >= 99.40 %")
    assert outcome({"met": True, "missed": [], "dataset": ""}) == "met"


@pytest.mark.parametrize(("result", "said"), [({"curve": "test"}, True), ({"curve": "validation"}, False), ({}, False)])
def test_a_curve_on_test_is_said_of_no_other_run(result, said):
    assert bool(curve_on_test(result)) is said


def test_a_goal_for_other_data_is_said_once():
    goals = [MISSED | {"dataset": "mnist"}, MISSED | {"dataset": "mnist"}, MISSED]
    assert other_data(goals) == ["The goal's accuracy was set for mnist, not for these data."]
    assert other_data([MISSED]) == []
