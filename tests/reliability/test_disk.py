"""A disk that refuses and one that is full: a few of each."""

from __future__ import annotations

import shutil
from itertools import islice

import pytest
from battery.disk import MADE, PAGES, RUNS, full_disks, home_in, refusals

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc makes the library through which calls fail")


def test_a_refused_call_is_one_line_and_every_file_is_whole(warm, tmp_path):
    tasks = [task for task in PAGES if task.name in ("byhand", "plot svg", "data show folder")]
    for trial in islice(refusals(1, tmp_path, warm, tasks), 12):
        assert not trial.fault, trial


def test_a_training_goes_on_after_a_refused_call(warm, tmp_path):
    for trial in islice(refusals(1, tmp_path, warm, RUNS[:1]), 5):
        assert not trial.fault, trial


def test_a_full_disk_is_one_line(warm, tmp_path):
    for trial in islice(full_disks(1, tmp_path, warm), 6):
        assert not trial.fault, trial


def test_an_export_leaves_nothing_in_the_home_or_among_temporary_files(warm, tmp_path):
    for name in ("run", "onnx"):
        assert warm.run(*MADE[name], cwd=tmp_path, env=home_in(tmp_path)).code == 0
    assert list((tmp_path / "home").rglob("*")) == list((tmp_path / "tmp").rglob("*")) == []
