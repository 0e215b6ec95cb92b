"""The crew on this machine: every task has one outcome, whatever happens to its worker."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from crew_works import first_lives, outcomes_of

from featherweight.crews import Outcome, Task, open_crew
from featherweight.errors import FeatherweightError
from featherweight.workers import ATTEMPTS


def test_tasks_come_at_any_time_and_run_on_one_thread():
    with open_crew("local", "crew_works:describe", {"ones": torch.ones(10)}, slots=2) as crew:
        assert crew.slots == 2 and crew.finished(60) == []
        crew.start(Task("a", {"number": 1}))
        first = outcomes_of(crew, 1)
        for number in (2, 3):
            crew.start(Task(f"b{number}", {"number": number}))
        found = first | outcomes_of(crew, 2)
        assert crew.messages() == [("a", {"hello": 1}), ("b2", {"hello": 2}), ("b3", {"hello": 3})] or len(found) == 3
        assert crew.messages() == []
    assert {key: outcome.value["sum"] for key, outcome in found.items()} == {"a": 11, "b2": 12, "b3": 13}
    assert all(outcome.value["threads"] == 1 and outcome.failed is None for outcome in found.values())
    assert multiprocessing.active_children() == []


def test_a_dead_worker_is_replaced_and_its_task_runs_again(tmp_path):
    with open_crew("local", "crew_works:die_once", str(tmp_path), slots=2) as crew:
        for number in range(3):
            crew.start(Task(str(number), {"number": number}))
        assert set(outcomes_of(crew, 3)) == {"0", "1", "2"}


def test_a_task_that_always_kills_its_worker_fails_with_the_reason():
    with open_crew("local", "crew_works:die", None, slots=1) as crew:
        crew.start(Task("bad", {}))
        assert f"died {ATTEMPTS} times, last by signal 9, SIGKILL" in outcomes_of(crew, 1)["bad"].failed


@pytest.mark.parametrize(("how", "words"), [("fault", "two is too many"), ("system", "No space left")])
def test_a_fault_is_the_outcome_of_its_task(how, words):
    with open_crew("local", "crew_works:fail", None, slots=1) as crew:
        crew.start(Task("bad", {"how": how}))
        outcome = outcomes_of(crew, 1)["bad"]
    assert words in outcome.failed and outcome.value is None and not outcome.stopped


def test_an_unexpected_error_is_raised_with_its_traceback():
    with open_crew("local", "crew_works:fail", None, slots=1) as crew:
        crew.start(Task("bad", {"how": "bug"}))
        with pytest.raises(RuntimeError, match=r"job bad failed:[\s\S]*ZeroDivisionError: a bug"):
            outcomes_of(crew, 1)


def test_stop_lets_running_tasks_end_and_drops_the_others():
    with open_crew("local", "crew_works:wait_long", None, slots=2) as crew:
        for key, data in {"raises": {}, "returns": {"returns": True}, "waits": {}}.items():
            crew.start(Task(key, data))
        heard: list[str] = []
        while len(heard) < 2:
            assert crew.finished(0.2) == []
            heard += [key for key, _ in crew.messages()]
        crew.stop()
        found = outcomes_of(crew, 2)
        assert crew.finished(5) == []
    assert found["raises"].stopped and found["returns"] == Outcome("returns", {"half": True}, None)


def test_a_block_that_is_left_early_ends_its_workers_within_seconds():
    with open_crew("local", "crew_works:wait_long", None, slots=2) as crew:
        crew.start(Task("long", {}))
        while not crew.messages():
            crew.finished(0.2)
        started = time.monotonic()
    assert time.monotonic() - started < 3 and multiprocessing.active_children() == []


def test_no_task_is_lost_or_counted_twice_when_workers_are_killed(tmp_path):
    chance, keys = random.Random(1), []
    with open_crew("local", "crew_works:count", str(tmp_path), slots=3) as crew:
        for number in range(30):
            crew.start(Task(str(number), {"number": number, "seconds": 0.2}))
        kills = 0
        while len(keys) < 30:
            outcomes = crew.finished(0.5)
            assert all(outcome.failed is None for outcome in outcomes)
            keys += [outcome.key for outcome in outcomes]
            alive = {process.pid for process in multiprocessing.active_children()}
            if kills < 8 and outcomes and (running := [pid for pid in first_lives(tmp_path) if pid in alive]):
                os.kill(chance.choice(running), signal.SIGKILL)
                kills += 1
        assert crew.finished(5) == []
    assert kills == 8 and sorted(keys, key=int) == [str(number) for number in range(30)]


@pytest.mark.parametrize("where", ["here", "", "local:2", "Ray"])
def test_another_place_is_refused_with_the_allowed_ones(where):
    with pytest.raises(FeatherweightError, match=r"not a place for workers\. Allowed: local, ray, ray:ADDRESS"):
        open_crew(where, "crew_works:die", None).__enter__()
