"""A disk that refuses and one that is full: a few of each."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from itertools import islice

import pytest
from battery.disk import MADE, PAGES, RECIPE, RUNS, SEEDS, compiled_shim, faulty, full_disks, home_in, refusals

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc makes the library through which calls fail")

HOMELESS = """
import os, pwd
os.environ.pop("HOME", None)
def nobody(number): raise KeyError(number)
pwd.getpwuid = nobody
"""


def test_a_refused_call_is_one_line_and_every_file_is_whole(warm, tmp_path):
    tasks = [task for task in PAGES if task.name in ("byhand", "data show folder")]
    for trial in islice(refusals(1, tmp_path, warm, tasks), 8):
        assert not trial.fault, trial


def test_a_training_goes_on_after_a_refused_call(warm, tmp_path):
    for trial in islice(refusals(1, tmp_path, warm, RUNS[:1]), 2):
        assert not trial.fault, trial


def test_a_seed_whose_disk_is_full_is_one_line(tmp_path):
    env = {**home_in(tmp_path), "FAULT_PATH": str(tmp_path / "seeds" / "seed-2"), "FAULT_CALL": "write",
           "FAULT_ERRNO": str(errno.ENOSPC)}
    with faulty(tmp_path) as process:
        done = process.run(*SEEDS[0].arguments, cwd=tmp_path, env=env)
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "featherweight: 1 of 2 seeds failed, so there is no summary. Seed 2: cannot use 'seeds/seed-2/recipe.toml': No "
        "space left on device. Give another place, or make room.")


def test_a_full_disk_is_one_line(warm, tmp_path):
    for trial in islice(full_disks(1, tmp_path, warm), 2):
        assert not trial.fault, trial


def test_an_export_leaves_nothing_in_the_home_or_among_temporary_files(warm, tmp_path):
    for name in ("run", "onnx"):
        assert warm.run(*MADE[name], cwd=tmp_path, env=home_in(tmp_path)).code == 0
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []
    assert list((tmp_path / "tmp").rglob("*")) == []


def test_a_home_that_cannot_be_written_is_no_news(tmp_path):
    (tmp_path / "home").mkdir()
    env = {**home_in(tmp_path), "LD_PRELOAD": str(compiled_shim(tmp_path)), "FAULT_PATH": str(tmp_path / "home"),
           "FAULT_CALL": "mkdir", "FAULT_ERRNO": str(errno.EACCES)}
    done = command(tmp_path, "byhand", "--plot", "rates.png", "--updates", "2", env=env)
    assert (done.returncode, done.stderr) == (0, "wrote rates.png\n")


def test_a_user_without_a_home_is_told_where_it_matters(warm, tmp_path):
    env = {"FEATHERWEIGHT_DATA": "", "XDG_CACHE_HOME": "", "XDG_STATE_HOME": ""}
    (tmp_path / "net.py").write_text("from featherweight.models.session6 import Session6 as Net\n")
    assert warm.run("train", *RECIPE, "--set", "model.name=net.py:Net", "--out", "run", "--no-report", cwd=tmp_path,
                    env=env, first=HOMELESS).code == 0
    done = warm.run("data", "get", "mnist", cwd=tmp_path, env=env, first=HOMELESS)
    assert (done.code, done.err) == (2, "featherweight: this user has no home folder for a cache. "
                                        "Set HOME or XDG_CACHE_HOME to a folder.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.py", "run"]


def test_a_refusal_without_a_name_is_one_line(tmp_path):
    env = {**home_in(tmp_path), "LD_PRELOAD": str(compiled_shim(tmp_path)), "FAULT_PATH": str(tmp_path),
           "FAULT_CALL": "mkdir", "FAULT_ERRNO": str(errno.EACCES)}
    done = command(tmp_path, "byhand", "--plot", "rates.png", "--updates", "2", env=env)
    assert done.returncode == 2
    assert done.stderr.startswith("featherweight: the file system refused: ")
    assert done.stderr.count("\n") == 1


def command(folder, *arguments, env):
    """Run a command in a new process, which imports everything itself."""
    return subprocess.run([sys.executable, "-m", "featherweight", *arguments], cwd=folder, env=os.environ | env,
                          capture_output=True, text=True, timeout=60, check=False)
