"""One process at a time writes into a folder, and a lock ends with its process."""

from __future__ import annotations

import subprocess
import sys

import pytest

import featherweight
from featherweight.errors import FeatherweightError, RunError
from featherweight.files import LOCK
from featherweight.locks import writing
from featherweight.runs import Run
from featherweight.shipping import export

HOLD = """
import sys, time
from pathlib import Path
from featherweight.locks import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds the lock of a folder."""
    started = []

    def hold(folder):
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_holder_is_named(holder, tmp_path):
    process = holder(tmp_path / "run")
    with pytest.raises(RunError, match=f"is being written by process {process.pid} on"), writing(tmp_path / "run"):
        pass


def test_a_lock_ends_with_its_process(holder, tmp_path):
    holder(tmp_path / "run").kill()
    with writing(tmp_path / "run", wait=10):
        assert [file.name for file in (tmp_path / "run").iterdir()] == [LOCK]
    assert not list(tmp_path.glob("run/*"))


@pytest.mark.parametrize("options", [{"force": True}, {"resume": True}])
def test_a_run_that_is_written_is_left_alone(options, digits_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("featherweight.experiment.RESUME_SECONDS", 0.1)
    run = featherweight.train(digits_recipe(), out=tmp_path / "run", device="cpu")
    with writing(run.path):
        before = contents(run.path)
        with pytest.raises(RunError, match="is being written by process"):
            featherweight.train(digits_recipe(), out=run.path, device="cpu", **options)
        assert contents(run.path) == before


def test_seeds_and_exports_are_locked_too(digits_recipe, digits_run, tmp_path):
    with writing(tmp_path / "seeds"), pytest.raises(RunError, match="is being written by process"):
        featherweight.train_seeds(digits_recipe(), [1], tmp_path / "seeds", device="cpu")
    with writing(tmp_path / "chip"), pytest.raises(RunError, match="is being written by process"):
        export(digits_run, "onnx", tmp_path / "chip")


def test_what_a_killed_process_left_is_no_obstacle(digits_recipe, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).write_text("process 1 on another machine")
    run = featherweight.train(digits_recipe(), out=tmp_path / "run", device="cpu")
    assert not (run.path / LOCK).exists()


def test_a_training_that_cannot_begin_leaves_no_folder(digits_recipe, tmp_path):
    with pytest.raises(FeatherweightError):
        featherweight.train(digits_recipe(data={"dataset": f"folder:{tmp_path}/none"}), out=tmp_path / "a/b/run")
    assert not (tmp_path / "a").exists()


def test_a_folder_of_other_things_gets_no_lock(digits_recipe, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match=r"thesis\.txt"):
        featherweight.train(digits_recipe(), out=tmp_path, device="cpu", force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]
    assert Run(tmp_path).strangers == ["thesis.txt"]
