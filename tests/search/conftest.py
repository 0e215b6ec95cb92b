"""Searches in this process, and their ledgers without times."""

from __future__ import annotations

import json
import pkgutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from featherweight.crews import Outcome
from featherweight.errors import FeatherweightError
from featherweight.search.search import Ask, Effort, search


class Here:
    """A crew with one slot that runs its tasks in this process."""

    slots = 1

    def __init__(self, work: str, shared: Any, most: int | None) -> None:
        self.work, self.shared, self.tasks, self.most = pkgutil.resolve_name(work), shared, [], most

    def start(self, task):
        self.tasks.append(task)

    def finished(self, seconds):
        if self.most is not None and self.most <= 0:
            raise KeyboardInterrupt      # as if the process were killed here
        self.most = None if self.most is None else self.most - 1
        task = self.tasks.pop(0)
        try:
            return [Outcome(task.key, self.work(self.shared, task.data, print), None)]
        except FeatherweightError as fault:
            return [Outcome(task.key, None, str(fault))]

    def messages(self):
        return []


@pytest.fixture
def here(monkeypatch):
    """Let searches run in this process. here.most: number of tasks until the next crew is killed. here.shared: seen."""
    class Opened:
        most: int | None = None
        shared: list[tuple[str, Any]] = []     # noqa: RUF012

    opened = Opened()
    opened.shared = []

    @contextmanager
    def open_here(where, work, shared, **_):
        opened.shared.append((work, shared))
        yield Here(work, shared, opened.most)

    monkeypatch.setattr("featherweight.search.search.open_crew", open_here)
    return opened


ASK = Ask("digits", {"parameters": 600, "epochs": 9}, levels=2)


@pytest.fixture
def stub_search(tmp_path):
    """Search with stubs: stub_search(name, trials=..., resume=...) gives the result."""
    def run(name: str, trials: int = 12, ask: Ask = ASK, **options: Any):
        effort = Effort(trials=trials, seeds=2, workers=1, work="stub_work")
        return search(ask, effort, tmp_path / name, **options)

    return run


def without_times(file: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in file.read_text().splitlines()]
    return [{key: value for key, value in event.items() if key not in ("at", "seconds")} for event in events]


@pytest.fixture
def ledger(tmp_path):
    """ledger(name): the lines of a search's ledger, without times."""
    return lambda name: [json.dumps(event) for event in without_times(tmp_path / name / "ledger.jsonl")]
