"""Jobs on worker processes: all done, shared memory, deaths, faults, stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from featherweight.errors import FeatherweightError
from featherweight.workers import ATTEMPTS, run_jobs


def describe(shared, job, tell):
    tell((os.getpid(), torch.get_num_threads(), float(shared.sum()) + job))


def write(shared, job, tell):
    shared[job] = job + 1


def die_once(folder, job, tell):
    mark = Path(folder) / f"{job}"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    tell("second life")


def die(shared, job, tell):
    if job == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def fail_at_two(shared, job, tell):
    if job == 2:
        raise FeatherweightError("two is too many")


def divide(shared, job, tell):
    return 1 / (job - 2)


def talk(shared, job, tell):
    print("talk of a job")


def wait_long(shared, job, tell):
    tell("started")
    time.sleep(600)


def test_every_job_is_done_by_processes_of_one_thread():
    heard = {}
    outcomes = run_jobs(describe, [1, 2, 3, 4, 5], torch.ones(10), workers=2, on_message=heard.__setitem__)
    assert sorted(outcomes.done) == [1, 2, 3, 4, 5] and not outcomes.failed and not outcomes.stopped
    assert {job: message[1:] for job, message in heard.items()} == {job: (1, 10.0 + job) for job in heard}
    assert len(heard) == 5 and 1 <= len({message[0] for message in heard.values()} - {os.getpid()}) <= 2


def test_tensors_are_shared_not_copied():
    board = torch.zeros(3)
    run_jobs(write, [0, 1, 2], board, workers=2)
    assert board.tolist() == [1, 2, 3]


def test_a_killed_worker_is_replaced_and_its_job_done_again(tmp_path):
    heard = {}
    outcomes = run_jobs(die_once, [1, 2, 3], str(tmp_path), workers=2, on_message=heard.__setitem__)
    assert sorted(outcomes.done) == [1, 2, 3] and set(heard.values()) == {"second life"}


def test_a_job_that_always_kills_its_worker_fails_alone():
    outcomes = run_jobs(die, [1, 2, 3], None, workers=1)
    assert outcomes.done == [1, 3] and list(outcomes.failed) == [2]
    assert f"died {ATTEMPTS} times" in outcomes.failed[2] and "SIGKILL" in outcomes.failed[2]


def test_a_fault_of_the_user_fails_its_job_alone():
    outcomes = run_jobs(fail_at_two, [1, 2, 3], None, workers=2)
    assert sorted(outcomes.done) == [1, 3] and outcomes.failed == {2: "two is too many"}


def test_a_fault_of_ours_comes_with_its_traceback():
    with pytest.raises(RuntimeError, match=r"job 2 failed:[\s\S]*ZeroDivisionError"):
        run_jobs(divide, [2], None)


def test_a_stop_ends_what_is_under_way_and_begins_nothing():
    started = []
    outcomes = run_jobs(
        wait_long, [1, 2, 3], None, workers=2,
        on_message=lambda job, message: started.append(job), should_stop=lambda: len(started) == 2,
    )
    assert outcomes.stopped and sorted(started) == [1, 2] and not outcomes.done and not outcomes.failed


SCRIPT = """
import featherweight

with open("imports", "a") as file:
    file.write(__name__ + " ")
{before}
recipe = featherweight.Recipe.load("session7-model2", ["data.dataset=digits", "training.epochs=1"])
featherweight.train_seeds(recipe, [1], "seeds", device="cpu")
"""


def run_script(folder, before=""):
    """Run a script that trains a seed: (the finished process, under which names it was imported)."""
    (folder / "script.py").write_text(SCRIPT.format(before=before))
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False)
    return done, (folder / "imports").read_text().split()


def test_a_script_without_a_main_guard_is_told_the_missing_line(tmp_path):
    done, imports = run_script(tmp_path)
    assert done.returncode == 1 and imports == ["__main__", "__mp_main__"]      # one worker, imported once
    assert done.stderr.splitlines()[-1] == (
        "featherweight.errors.FeatherweightError: train or train_seeds was called while a worker imported your script. "
        "Put the call under: if __name__ == '__main__':"
    )
    assert done.stderr.count("Traceback") == 1 and not (tmp_path / "seeds").exists()


def test_a_script_that_fails_in_a_worker_is_not_tried_again(tmp_path):
    done, imports = run_script(tmp_path, before="open('once', 'x')")
    assert done.returncode == 1 and imports == ["__main__", "__mp_main__"]
    assert "FileExistsError" in done.stderr and "memory" not in done.stderr
    assert "a worker could not import your script" in done.stderr.splitlines()[-1]


def test_what_a_worker_prints_is_no_result(capfd):
    assert run_jobs(talk, [1], None).done == [1]
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == "talk of a job\n"
