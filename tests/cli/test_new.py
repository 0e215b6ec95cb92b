"""The command new: two files that train as they stand."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_files_train_and_meet_their_goal(run_command, tmp_path):
    code, out, said = run_command("new", "first.try")
    assert (code, said) == (0, "") and "featherweight train first.try.toml" in out
    assert sorted(file.name for file in tmp_path.iterdir()) == ["first.try.py", "first.try.toml"]
    assert run_command("summary", "first.try.py")[0] == 0
    code, out, _ = run_command("train", "first.try.toml", "--no-report", "--strict", "--device", "cpu")
    assert code == 0 and "goal     met" in out and (tmp_path / "runs" / "first.try-seed1" / "result.json").exists()


@pytest.mark.parametrize("taken", ["mine.py", "mine.toml"])
def test_an_existing_file_is_never_replaced(refused, tmp_path, taken):
    (tmp_path / taken).write_text("kept")
    refused("new", "mine", words=[f"'{taken}' exists and is not replaced", "another NAME"])
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(taken, "kept")]


@pytest.mark.parametrize("name", ["a/b", "", "-x", "../up", "torch", "json", "a b", "a."])
def test_other_names_are_refused(run_command, tmp_path, name):
    code, out, fault = run_command("new", "--", name)
    assert (code, out) == (2, "") and ("another NAME" in fault or "such as mine" in fault)
    assert not list(tmp_path.iterdir())


def test_the_files_as_json(run_command):
    assert json.loads(run_command("new", "mine", "--json")[1]) == {"network": "mine.py", "recipe": "mine.toml"}
