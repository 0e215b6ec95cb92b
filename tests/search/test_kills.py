"""Real processes: the driver or a worker is killed, or Ctrl-C is pressed. Nothing is lost, nothing is counted twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from featherweight.search.ledger import Ledger

SCRIPT = """
import sys
from pathlib import Path
from featherweight.search.search import Ask, Effort, search

if __name__ == "__main__":
    ask = Ask("digits", {"parameters": 600, "epochs": 9}, levels=2)
    search(ask, Effort(trials=16, seeds=2, workers=2, work="stub_work"), Path(sys.argv[1]), resume="resume" in sys.argv)
"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "STUB_SECONDS": "0.3", "PYTHONPATH": os.pathsep.join(
    [str(Path(__file__).parent), str(Path(__file__).parents[2] / "src"), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def begin():
    """begin(log, *arguments): a Python process. It is killed at the end of the test if it still runs."""
    begun = []

    def start(log: Path, *arguments: str | Path) -> subprocess.Popen:
        with log.open("w") as said:
            begun.append(subprocess.Popen([sys.executable, *map(str, arguments)], env=ENVIRONMENT, stderr=said))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def wait_for_lines(folder: Path, count: int, process: subprocess.Popen, event: str = "measured") -> None:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        assert process.poll() is None
        file = folder / "ledger.jsonl"
        if file.exists() and file.read_text().count(f'"event": "{event}"') >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"no {count} lines in {folder}")


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        found += map(int, (task / "children").read_text().split())
    return [one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def check_whole(folder: Path, trials: int) -> None:
    events = Ledger(folder).read()
    assert [one["number"] for one in events if one["event"] == "trial"] == list(range(trials))
    begun = [(one["number"], one.get("rung", 0)) for one in events if one["event"] in ("trial", "rung")]
    ended = [(one["number"], one["rung"]) for one in events if one["event"] in ("measured", "failed")]
    assert sorted(begun) == sorted(ended) and len(set(ended)) == len(ended)
    assert len(json.loads((folder / "front.json").read_text())["tried"]) == trials


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_driver_and_a_killed_worker(begin, tmp_path):
    script, folder, log = tmp_path / "script.py", tmp_path / "study", tmp_path / "log"
    script.write_text(SCRIPT)
    driver = begin(log, script, folder)
    wait_for_lines(folder, 3, driver)
    workers = children(driver.pid)
    driver.kill()
    driver.wait()
    assert len(workers) == 2
    until = time.monotonic() + 20
    while any(Path(f"/proc/{one}").exists() for one in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{one}").exists() for one in workers)
    before = (folder / "ledger.jsonl").read_bytes()

    driver = begin(log, script, folder, "resume")
    wait_for_lines(folder, 7, driver)
    os.kill(children(driver.pid)[0], signal.SIGKILL)
    assert driver.wait(240) == 0, log.read_text()
    check_whole(folder, 16)
    after = (folder / "ledger.jsonl").read_bytes()
    assert after.startswith(before[: before.rfind(b"\n") + 1])      # nothing that was written is written again


def test_ctrl_c_leaves_a_usable_front(begin, tmp_path):
    folder = tmp_path / "study"
    command = ["-m", "featherweight", "search", "--data", "digits", "--max-parameters", "400", "--max-epochs", "3",
               "--trials", "99", "--set", "training.engine=torch", "--workers", "2", "--levels", "1", "--out"]
    driver = begin(tmp_path / "log", *command, folder)
    wait_for_lines(folder, 2, driver)
    driver.send_signal(signal.SIGINT)
    code, said = driver.wait(60), (tmp_path / "log").read_text()
    assert code == 130, said
    assert "interrupted after" in said and "--resume" in said and "Traceback" not in said
    front = json.loads((folder / "front.json").read_text())
    assert "<svg" in (folder / "front.html").read_text()
    assert len(front["points"]) == 1 and front["points"][0]["test"] == []
    assert front["points"][0]["costs"]["parameters"] <= 400
