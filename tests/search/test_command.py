"""The command on the bundled digits: its front, its output, its errors, and test images that nobody looked at."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from featherweight.recipe import Recipe
from featherweight.search import problem
from featherweight.search.finale import surely_worse
from featherweight.search.records import Front

SMALL = ("search", "--data", "digits", "--max-parameters", "400", "--max-epochs", "2", "--trials", "3", "--seeds", "1",
         "--levels", "1", "--set", "training.engine=torch")


def test_a_search_of_the_digits(here, run_command, tmp_path):
    code, out, _ = run_command(*SMALL, "--out", tmp_path / "study", "--json")
    assert code == 0
    document = json.loads(out)
    front = Front.from_dict(json.loads((tmp_path / "study/front.json").read_text()))
    assert front.to_dict()["points"] == document["points"] and len(front.tried) == 3
    assert document["rungs"]["epochs"] == [1, 2] and document["levels"] == [{"parameters": 400}]
    (point,) = front.points
    assert len(point.test) == 1 and 0 < point.test[0] <= 1 and point.costs.parameters <= 400
    run = tmp_path / "study" / point.runs[0]
    result = json.loads((run / "result.json").read_text())
    assert result["parameters"] == point.costs.parameters and result["epochs"] == 2
    assert result["train_images"] == 1437       # all of them
    assert Recipe.load(run / "recipe.toml").model.name == point.candidate.words

    code, out, _ = run_command("search", "--show", tmp_path / "study")
    assert code == 0 and "400 parameters" in out and "3 trials done" in out
    code, out, _ = run_command("search", "--show", tmp_path / "study", "--json")
    assert json.loads(out)["points"] == document["points"]
    code, out, _ = run_command("search", "--resume", "--out", tmp_path / "study")     # finished: nothing is trained
    assert code == 0 and point.candidate.words in out


def test_no_test_image_is_seen_before_the_choice_is_frozen(here, run_command, tmp_path, monkeypatch):
    run_command(*SMALL, "--out", tmp_path / "plain", "--quiet")
    whole = problem.load

    def poisoned(*arguments):
        content, dataset = whole(*arguments)
        noise = torch.randint_like(dataset.test.stored, 255)
        return content, replace(dataset, test=replace(dataset.test, stored=noise))

    monkeypatch.setattr("featherweight.search.search.load", poisoned)
    run_command(*SMALL, "--out", tmp_path / "poisoned", "--quiet")
    lines = [chosen(tmp_path / name / "ledger.jsonl") for name in ("plain", "poisoned")]
    assert lines[0] == lines[1] and lines[0][-1]["event"] == "frozen"
    for work, shared in here.shared:
        assert (len(shared.dataset.test.stored) == 0) == work.endswith("measure")


def chosen(file: Path) -> list[dict]:
    """The events up to the choice, without times."""
    events = [json.loads(line) for line in file.read_text().splitlines()]
    last = [one["event"] for one in events].index("frozen")
    return [{key: value for key, value in one.items() if key not in ("at", "seconds")} for one in events[: last + 1]]


@pytest.mark.parametrize(("options", "words"), [
    (["--trials", "2"], ["no budget"]),
    (["--max-parameters", "20", "--trials", "2"], ["--max-parameters 20", "smallest", "Give at least"]),
    (["--max-parameters", "0", "--trials", "2"], ["--max-parameters is 0"]),
    (["--max-parameters", "900", "--trials", "0"], ["--trials is 0"]),
    (["--max-parameters", "900", "--min-accuracy", "99"], ["--min-accuracy is 99", "0.994"]),
    (["--max-parameters", "900", "--form", "int4"], ["int4", "int8"]),
    (["--max-parameters", "900", "--levels", "0"], ["--levels is 0"]),
    (["--max-parameters", "900", "--on", "moon"], ["moon", "local"]),
    (["--max-parameters", "900", "--resume"], ["holds no search"]),
    (["--show", "nowhere"], ["'nowhere' holds no search"]),
])  # fmt: skip
def test_bad_input(options, words, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused("search", "--data", "digits", *options, words=words)
    assert not list(tmp_path.iterdir())


def test_folders_that_hold_another_search(here, stub_search, refused, tmp_path):
    stub_search("whole")
    file = tmp_path / "whole/ledger.jsonl"
    given = ("search", "--data", "digits", "--out", tmp_path / "whole", "--trials", 12)
    refused(*given, "--max-parameters", 600, words=["exists and holds", "--resume", "--out"])
    refused(*given, "--max-parameters", 700, "--resume", words=["another parameters", "600 and not 700"])
    refused(*given, "--resume", "--seed", 5, words=["another seed"])
    refused(*given, "--resume", "--max-ram", 9000, words=["another ram", "None and not 9000"])
    before = file.read_text()
    for key, value in (('"version": 1', '"version": 2'), ('"space": "', '"space": "0')):
        file.write_text(before.replace(key, value, 1))
        refused(*given, "--resume", words=["search of another"])
        refused("search", "--show", tmp_path / "whole", words=["search of another"])


def test_without_the_extra(refused, monkeypatch, tmp_path):
    real = builtins.__import__

    def missing(name, *rest, **named):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    refused("search", "--data", "digits", "--max-parameters", 900, "--out", tmp_path / "new",
            words=["optuna is not installed", "[search]"])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("mine", "best", "worse"), [
    ([0.990, 0.991], [0.991, 0.992], False), ([0.95, 0.96], [0.99, 0.991], True), ([0.9], [0.9], False),
])
def test_who_is_surely_worse(mine, best, worse):
    assert surely_worse(mine, best, images=5000) is worse
