"""Signals end every command at once, with one line and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
from battery.signals import Plan, processes_of, remains, signalled_trials, slow_mirror, wrong_end

import featherweight

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
FEW = ("train, any moment", "train, in the loop", "train --seeds", "export onnx", "serve, serving")
NETWORK = """
from pathlib import Path
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        Path("here").touch()
        {body}
        super().__init__(nn.Flatten(), nn.Linear(784, 10))
"""
SWALLOWS = """
        import time
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass
"""
STUCK = """
        import ctypes
        mutex = ctypes.create_string_buffer(64)
        while True:
            ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""
SLOW_START = """
import os, sys, time
from pathlib import Path
from featherweight.workers import run_jobs
class Slow:
    def __setstate__(self, state):
        Path("here.new").write_text(str(os.getpid()))
        Path("here.new").rename("here")
        time.sleep(120)
    def __getstate__(self):
        return {"slow": True}
def work(shared, job, tell):
    pass
if __name__ == "__main__":
    run_jobs(work, [1], Slow())
"""
COMPILES = """
from featherweight import interruption
from featherweight.files import temporary_files_in_one_folder
interruption.heed("featherweight: interrupted.")
from featherweight.shipping.compiler import Program
with temporary_files_in_one_folder(), Program({"main.c": b""}, (), []):
    pass
"""
TELLS_ITSELF = """
import signal, sys, time
from pathlib import Path
from featherweight import interruption
interruption.heed("featherweight: interrupted.")
signal.signal(signal.SIGTERM, lambda *_: None)      # a training ends in its own way
Path("here").touch()
time.sleep(0.5)
interruption.told()
print("featherweight: interrupted with 0 of 2 seeds trained.", file=sys.stderr, flush=True)
time.sleep(120)
"""
GCC = """#!/bin/sh
touch "$TMPDIR/object"
echo $$ > "$HERE.new"; mv "$HERE.new" "$HERE"
sleep 120 &
wait
"""


def wait_for(file: Path, process: subprocess.Popen[str] | None = None) -> None:
    until = time.monotonic() + 60
    while not file.exists() and time.monotonic() < until and (process is None or process.poll() is None):
        time.sleep(0.01)
    assert file.exists()


def gone(temporary: Path) -> bool:
    """Wait until no process is left that was started with this temporary folder."""
    until = time.monotonic() + 30
    while (found := processes_of(temporary)) and time.monotonic() < until:
        time.sleep(0.05)
    return not found


def run_script(arguments: list[str], folder: Path, temporary: Path, **environment: str) -> subprocess.Popen[str]:
    source = str(Path(featherweight.__file__).parent.parent)
    paths = os.pathsep.join([environment.pop("FIRST", source), source])
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": paths, **environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),    # noqa: PLW1509
    )


@pytest.fixture
def temporary(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("temporary")


def test_signals_at_any_moment(warm, tmp_path):
    trials = list(islice(signalled_trials(22, tmp_path, warm, FEW, real=0.0), len(FEW)))
    assert [trial for trial in trials if trial.fault] == [] and len({trial.kind for trial in trials}) == len(FEW)


@BOTH
def test_a_signal_outside_of_the_loop_that_a_network_swallows(warm, tmp_path, temporary, number):
    (tmp_path / "own.py").write_text(NETWORK.format(body=SWALLOWS))
    command = warm.start("train", "session7-model2", "--data", "digits", "--set", "model.name=own.py:Net", cwd=tmp_path,
                         env={"TMPDIR": str(temporary)})
    wait_for(tmp_path / "here")
    command.send(number)
    done = command.wait()
    assert (done.code, done.out, done.err) == (128 + number, "", "featherweight: interrupted.\n")
    assert list(temporary.iterdir()) == [] and not (tmp_path / "runs").exists()


def test_a_command_that_told_of_the_signal_and_ends_too_slowly_says_it_once(tmp_path, temporary):
    process = run_script(["-c", TELLS_ITSELF], tmp_path, temporary)
    wait_for(tmp_path / "here", process)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[1] == "featherweight: interrupted with 0 of 2 seeds trained.\n"
    assert process.returncode == 143


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_while_c_computes(warm, tmp_path, temporary, times):
    """Once: it is waited for a while; twice: it ends at once."""
    (tmp_path / "own.py").write_text(NETWORK.format(body=STUCK))
    command = warm.start("summary", "own.py:Net", cwd=tmp_path, env={"TMPDIR": str(temporary)})
    wait_for(tmp_path / "here")
    for _ in range(times):
        command.send(signal.SIGTERM)
        time.sleep(0.2)
    done = command.wait()
    assert (done.code, done.err) == (143, "featherweight: interrupted.\n") and list(temporary.iterdir()) == []


@BOTH
def test_a_signal_while_the_command_line_is_imported(tmp_path, temporary, number):
    (tmp_path / "typer.py").write_text("import time; open('here', 'x'); time.sleep(120)")
    process = run_script(["-m", "featherweight", "--help"], tmp_path, temporary, FIRST=str(tmp_path))
    wait_for(tmp_path / "here", process)
    process.send_signal(number)
    fault = process.communicate(timeout=60)[1]
    assert (process.returncode, fault) == (128 + number, "featherweight: interrupted.\n")
    assert list(temporary.iterdir()) == []


def test_a_download_leaves_no_temporary_file(warm, tmp_path, temporary):
    with slow_mirror() as mirror:
        command = warm.start(
            "data", "get", "fashion-mnist", cwd=tmp_path,
            env={"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(tmp_path / "cache"), "FEATHERWEIGHT_DATA": "",
                 "http_proxy": mirror},
        )
        until = time.monotonic() + 60
        while not list(tmp_path.rglob(".*.gz.*")) and time.monotonic() < until:
            time.sleep(0.01)
        assert list(tmp_path.rglob(".*.gz.*"))
        command.send(signal.SIGTERM)
        done = command.wait()
    plan = Plan([signal.SIGTERM], 0, 0, group=False, sent=True)
    assert wrong_end(done, 0, plan) == "" and remains(tmp_path, temporary) == ""


def test_a_compiler_ends_with_the_command(tmp_path, temporary):
    (tmp_path / "bin").mkdir()
    gcc = tmp_path / "bin" / "gcc"
    gcc.write_text(GCC)
    gcc.chmod(0o755)
    path = os.pathsep.join([str(gcc.parent), os.environ["PATH"]])
    process = run_script(["-c", COMPILES], tmp_path, temporary, PATH=path, HERE=str(tmp_path / "here"))
    wait_for(tmp_path / "here", process)
    assert len(list(temporary.rglob("*"))) > 1
    process.send_signal(signal.SIGTERM)
    fault = process.communicate(timeout=60)[1]
    assert (process.returncode, fault) == (143, "featherweight: interrupted.\n")
    assert gone(temporary) and list(temporary.iterdir()) == []


def test_a_worker_that_still_imports_ends_with_its_parent_and_not_by_ctrl_c(tmp_path, temporary):
    (tmp_path / "script.py").write_text(SLOW_START)
    process = run_script(["script.py"], tmp_path, temporary)
    wait_for(tmp_path / "here", process)
    worker = int((tmp_path / "here").read_text())
    os.kill(worker, signal.SIGINT)
    time.sleep(0.3)
    assert [line for line in processes_of(temporary) if "spawn_main" in line]
    process.kill()
    assert process.communicate(timeout=60)[1] == "" and gone(temporary)


def test_what_came_after_the_last_step_is_a_stop_too(digits_recipe, tmp_path):
    from featherweight.errors import TrainingInterrupted
    from featherweight.experiment import Silent, train_recipe

    class AtTheEnd(Silent):
        def on_epoch(self, record):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted, match="interrupted after the last epoch; the checkpoint is written"):
        train_recipe(digits_recipe(), tmp_path / "run", device="cpu", watcher=AtTheEnd())
    assert train_recipe(digits_recipe(), tmp_path / "run", device="cpu", resume=True).result["epochs"] == 1
