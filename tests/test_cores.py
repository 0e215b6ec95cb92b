"""Cores that a process may use: affinity, quotas of control groups. OpenMP threads wait passively."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from featherweight import cores
from featherweight.cores import (
    WAITING,
    advice,
    children_wait_passively,
    cores_of_others,
    free_cores,
    unused_cores,
    wait_passively,
)
from featherweight.interface import training
from featherweight.workers import run_jobs

ALL = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
several_cores = pytest.mark.skipif(ALL < 2, reason="a quota below one core changes nothing")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
SPIN = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"


def system(folder: Path, group: str, files: dict[str, str]) -> Path:
    """Write proc/self/cgroup and files below sys/fs/cgroup."""
    texts = {"proc/self/cgroup": group} | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def clean(**more: str) -> dict[str, str]:
    """Return the environment without the variables that this file is about."""
    return {name: value for name, value in os.environ.items() if name not in (*WAITING, "OMP_NUM_THREADS")} | more


def printed(program: str, **environment: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], env=clean(**environment), capture_output=True, text=True,
                          check=True)
    return done.stdout.split()


@several_cores
@pytest.mark.parametrize(("group", "files"), [
    ("0::/\n", {"cpu.max": "100000 100000\n"}),
    ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}),
    ("0::/a\n", {"unified/a/cpu.max": "140000 100000\n"}),
    ("4:cpu,cpuacct:/a\n", {"cpu,cpuacct/a/cpu.cfs_quota_us": "100000\n",
                            "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}),
    ("9:name=systemd:/\n4:cpuacct,cpu:/docker/1f\n0::/\n",      # the host's path; a container sees the root alone
     {"cpu/cpu.cfs_quota_us": "20000\n", "cpu/cpu.cfs_period_us": "20000\n"}),
    ("0::/../../a\n", {"a/cpu.max": "1 100000\n"}),
])
def test_a_quota_of_one_core_is_found(tmp_path, group, files):
    assert free_cores(system(tmp_path, group, files)) == 1


@pytest.mark.parametrize(("group", "files"), [
    ("", {}),
    ("0::/a\n", {}),
    ("0::/\n", {"cpu.max": "max 100000\n"}),
    ("0::/\n", {"cpu.max": "100000000 100000\n"}),
    ("0::/\n", {"cpu.max": "100000 0\n"}),
    ("0::/\n", {"cpu.max": "one core\n"}),
    ("0::/\n", {"cpu.max": ""}),
    ("0::/\n", {"cpu.max": "nan 100000"}),
    ("nonsense\n::\n0\n\x00", {"cpu.max": "100000"}),
    ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}),
    ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "100000\n"}),
    ("4:cpuset:/\n", {"cpuset/cpu.max": "100000 100000\n"}),
])
def test_no_quota_and_a_malformed_quota_leave_all_cores(tmp_path, group, files):
    assert free_cores(system(tmp_path, group, files)) == ALL


@several_cores
@pytest.mark.parametrize(("quota", "found"), [("149000", 1), ("150000", 2), ("1000", 1)])
def test_a_quota_is_rounded(tmp_path, quota, found):
    assert free_cores(system(tmp_path, "0::/\n", {"cpu.max": f"{quota} 100000"})) == found


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity mask")
def test_the_affinity_mask_counts():
    program = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    assert printed(program + "from featherweight.cores import free_cores; print(free_cores())") == ["1"]


def test_without_files_the_machine_counts(tmp_path):
    assert free_cores(tmp_path) == ALL and 1 <= free_cores() <= ALL


def test_what_the_user_has_set_is_kept():
    environment = {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "7"}
    wait_passively(environment)
    assert environment == {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "7"}


@several_cores
def test_openmp_is_told_of_a_quota(monkeypatch):
    environment: dict[str, str] = {}
    wait_passively(environment)
    assert environment.pop("OMP_WAIT_POLICY") == "PASSIVE"
    assert environment == ({} if free_cores() == ALL else {"OMP_NUM_THREADS": str(free_cores())})
    monkeypatch.setattr(cores, "free_cores", lambda: 1)
    wait_passively(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"}


LOOK = """
import os, sys
class Watch:
    def find_spec(self, name, *more):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"))
sys.meta_path.insert(0, Watch())
"""


@pytest.mark.parametrize(("environment", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
@pytest.mark.parametrize("program", [
    "from featherweight.__main__ import main; main(['train', 'nowhere.toml'])",
    "import featherweight; featherweight.train",
])
def test_the_policy_stands_before_torch_loads(program, environment, policy):
    done = subprocess.run([sys.executable, "-c", LOOK + program], env=clean(**environment), capture_output=True,
                          text=True, check=False)
    assert done.stdout.split()[:1] == [policy], done.stderr


def test_importing_alone_sets_nothing():
    assert printed("import os, featherweight; print(os.environ.get('OMP_WAIT_POLICY'))") == ["None"]


def test_a_process_that_has_torch_keeps_its_environment():
    program = "import sys, os; sys.modules['torch'] = os; import featherweight; featherweight.FeatherweightError\n"
    assert printed(program + "print(os.environ.get('OMP_WAIT_POLICY'))") == ["None"]


def tell_policy(shared, job, tell):
    tell(os.environ.get("OMP_WAIT_POLICY"))


def test_workers_wait_passively_and_their_parent_keeps_its_environment(monkeypatch):
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)
    heard: dict[int, str] = {}
    run_jobs(tell_policy, [1], None, workers=1, on_message=heard.__setitem__)
    assert heard == {1: "PASSIVE"} and "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    with children_wait_passively():
        assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_advice_names_the_next_move(monkeypatch):
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)
    own = free_cores()
    assert advice(1, busy=1.0) == ""
    assert f"torch.set_num_threads({own})" in advice(own + 1, busy=0.0)
    if own > 1:
        assert advice(2, busy=0.1) == ""
        assert "OMP_WAIT_POLICY=PASSIVE" in advice(2, busy=1.0) and "torch.set_num_threads(1)" in advice(2, busy=1.0)
        monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
        assert advice(2, busy=1.0) == ""


def test_a_process_gets_one_note(monkeypatch):
    monkeypatch.setattr(training, "TOLD", [])
    monkeypatch.setattr(cores, "free_cores", lambda: 0)
    (note,) = training.threads_notes("cpu")
    assert "torch.set_num_threads(0)" in note and training.threads_notes("cpu") == []


@linux
def test_a_busy_program_is_measured_and_this_process_is_not_counted():
    with subprocess.Popen([sys.executable, "-c", SPIN]) as spinner:
        try:
            time.sleep(0.5)
            assert cores_of_others(1.0) > 0.2       # other tests may share its core
        finally:
            spinner.kill()


def test_cores_of_other_programs_are_left_to_them():
    assert unused_cores(busy=0.0) == unused_cores(busy=0.4) == free_cores()
    assert unused_cores(busy=1.0) == max(1, free_cores() - 1)
    assert unused_cores(busy=1000.0) == 1


THREADS = """
import sys, torch
from pathlib import Path
from featherweight.cli.training import choose_threads
choose_threads(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
print(torch.get_num_threads())
"""


def threads_beside(busy: int, *arguments: str, **environment: str) -> tuple[str, str]:
    """Return what a process with `busy` busy programs beside it prints: its threads, and its notes."""
    others = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(busy)]
    try:
        time.sleep(0.3)
        done = subprocess.run([sys.executable, "-c", THREADS, *arguments], env=clean(**environment),
                              capture_output=True, text=True, check=True)
    finally:
        for other in others:
            other.kill()
            other.wait()
    return done.stdout.strip(), done.stderr.strip()


@linux
@several_cores
def test_a_training_beside_busy_programs_takes_fewer_threads(tmp_path):
    assert threads_beside(ALL) == ("1", f"Other programs are busy: 1 of {ALL} threads train.")
    assert threads_beside(ALL, OMP_NUM_THREADS=str(ALL)) == (str(ALL), "")


@linux
@several_cores
def test_a_resumed_training_takes_the_threads_of_its_run(tmp_path):
    recorded = tmp_path / "environment.json"
    recorded.write_text('{"threads": 1}')
    assert threads_beside(0, str(recorded)) == ("1", "")
    recorded.write_text(f'{{"threads": {ALL}}}')
    assert threads_beside(ALL, str(recorded)) == (str(ALL), "")
    recorded.write_text("[]")
    assert threads_beside(ALL, str(recorded))[0] == "1"
