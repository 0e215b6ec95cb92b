"""The crew on a real Ray cluster of two nodes on this machine. All tests are in one file, so that one cluster runs."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from crew_works import first_lives, outcomes_of
from filelock import FileLock

import featherweight
from featherweight.crews import Outcome, Task, open_crew
from featherweight.errors import FeatherweightError, TrainingInterrupted
from featherweight.experiment import train_recipe
from featherweight.replication import Replicas, train_seeds
from featherweight.replication.job import Unwatched
from featherweight.search.problem import load
from featherweight.search.work import Shared, measure
from featherweight.workers import ATTEMPTS

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif(sys.platform == "win32", reason="Ray clusters need Linux or macOS"),
]
PATHS = os.pathsep.join([str(Path(featherweight.__file__).parents[1]), str(Path(__file__).parent)])
NODE = {"num_cpus": 2, "object_store_memory": 80 * 2**20}
DRIVER = """
import sys
from featherweight import interruption
from featherweight.crews import Task, open_crew
interruption.heed("featherweight: interrupted.")
with open_crew(sys.argv[1], "crew_works:say_pid", sys.argv[2]) as crew:
    for number in range(3):
        crew.start(Task(str(number), {}))
    while crew.busy:
        crew.finished(1.0)
"""

HEADLESS = """
import os
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
from ray.cluster_utils import Cluster
from featherweight.crews import Task, open_crew
from featherweight.errors import FeatherweightError
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20})
try:
    with open_crew("ray:" + cluster.address, "crew_works:count", ".") as crew:
        crew.start(Task("0", {"number": "/dev/null", "seconds": 0}))
        while crew.busy:
            crew.finished(1.0)
        crew.start(Task("1", {"number": "/dev/null", "seconds": 600}))
        cluster.head_node.kill_gcs_server()
        while crew.busy:
            crew.finished(1.0)
except FeatherweightError as fault:
    print(fault, flush=True)
cluster.shutdown()
"""

ALONE = """
import sys
from featherweight.crews import Task, open_crew
with open_crew("ray", "crew_works:count", sys.argv[1], slots=2) as crew:
    for number in range(4):
        crew.start(Task(str(number), {"number": number, "seconds": 0.1}))
    found = []
    while crew.busy:
        found += crew.finished(1.0)
    slots = crew.slots
print(slots, sorted(outcome.key for outcome in found))
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of two nodes. The lock keeps a second test process from starting another one."""
    from ray.cluster_utils import Cluster

    lock = FileLock(tmp_path_factory.getbasetemp().parent / "ray.lock")
    with lock, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", PATHS)       # for the workers
        made = Cluster(initialize_head=True, head_node_args=NODE)
        made.add_node(**NODE)
        yield made
        made.shutdown()


@pytest.fixture
def place(cluster):
    return f"ray:{cluster.address}"


def alive(pid):
    """True if the process runs and is a worker of Ray. A number may belong to another process later."""
    try:
        return b"ray::" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def text_of(file):
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def wait_for(condition, seconds=300):
    until = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.1)
    assert found
    return found


@contextmanager
def started(script, *arguments, **environment):
    """Run a script in a process that ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments], env=os.environ | {"PYTHONPATH": PATHS} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_tasks_run_on_one_thread_and_read_shared_tensors_without_a_copy(place, capfd):
    shared = {"ones": torch.ones(100_000), "scalar": torch.tensor(1.5, dtype=torch.bfloat16)}
    with open_crew(place, "crew_works:describe", shared) as crew:
        assert crew.slots == 4 and not crew.busy and crew.finished(60) == []
        for number in range(6):
            crew.start(Task(str(number), {"number": number}))
        found, told = outcomes_of(crew, 6), []
        wait_for(lambda: told.extend(crew.messages()) or len(told) == 6)
    assert {key: outcome.value["sum"] for key, outcome in found.items()} == {str(n): 100_000 + n for n in range(6)}
    assert all(outcome.value["threads"] == 1 for outcome in found.values())
    assert all("plasma" in outcome.value["memory"] for outcome in found.values()), found
    assert sorted(told) == [(str(number), {"hello": number}) for number in range(6)]
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(("how", "words"), [("fault", "two is too many"), ("system", "No space left"), ("bug", "")])
def test_a_fault_is_the_outcome_of_its_task_and_a_bug_is_raised(place, how, words):
    with open_crew(place, "crew_works:fail", None) as crew:
        crew.start(Task("bad", {"how": how}))
        if how == "bug":
            with pytest.raises(RuntimeError, match=r"job bad failed:[\s\S]*ZeroDivisionError: a bug"):
                outcomes_of(crew, 1)
        else:
            assert words in outcomes_of(crew, 1)["bad"].failed


def test_a_task_of_a_dead_worker_runs_again_but_not_for_ever(place, tmp_path):
    with open_crew(place, "crew_works:die_once", str(tmp_path)) as crew:
        for number in range(3):
            crew.start(Task(str(number), {"number": number}))
        assert {outcome.value["life"] for outcome in outcomes_of(crew, 3).values()} == {2}
    with open_crew(place, "crew_works:die", None) as crew:
        crew.start(Task("bad", {}))
        assert f"its worker or node died {ATTEMPTS} times" in outcomes_of(crew, 1)["bad"].failed


def test_stop_lets_running_tasks_end(place):
    with open_crew(place, "crew_works:wait_long", None, slots=2) as crew:
        for key, data in {"raises": {}, "returns": {"returns": True}, "waits": {}}.items():
            crew.start(Task(key, data))
        heard = []
        while len(heard) < 2:
            assert crew.finished(0.2) == []
            heard += [key for key, _ in crew.messages()]
        crew.stop()
        found = outcomes_of(crew, 2)
        assert not crew.busy
    assert found["raises"].stopped and found["returns"] == Outcome("returns", {"half": True}, None)


def test_no_task_is_lost_or_counted_twice_when_workers_and_a_node_are_killed(cluster, place, tmp_path):
    chance, keys, kills = random.Random(2), [], 0
    third = cluster.add_node(**NODE)
    with open_crew(place, "crew_works:count", str(tmp_path)) as crew:
        for number in range(60):
            crew.start(Task(str(number), {"number": number, "seconds": 0.3}))
        while len(keys) < 60:
            outcomes = crew.finished(1.0)
            assert all(outcome.failed is None for outcome in outcomes)
            keys += [outcome.key for outcome in outcomes]
            if len(keys) > 20 and third is not None:
                cluster.remove_node(third, allow_graceful=False)    # SIGKILL for all of its processes
                third = None
            if kills < 5 and outcomes and (running := list(filter(alive, first_lives(tmp_path)))):
                os.kill(chance.choice(running), signal.SIGKILL)
                kills += 1
        assert not crew.busy
    assert kills == 5 and third is None and sorted(keys, key=int) == [str(number) for number in range(60)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_workers_end_with_the_driver(place, tmp_path, number):
    with started(DRIVER, place, str(tmp_path)) as driver:
        wait_for(lambda: driver.poll() is not None or len(list(tmp_path.iterdir())) == 3)
        pids = [int(file.name) for file in tmp_path.iterdir()]
        assert len(pids) == 3 and all(map(alive, pids)), driver.stderr.read()
        driver.send_signal(number)
        out, fault = driver.communicate(timeout=60)
    assert out == "" and driver.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert fault == ("" if number == signal.SIGKILL else "featherweight: interrupted.\n")
    wait_for(lambda: not any(map(alive, pids)), seconds=60)


def test_ray_starts_and_ends_with_the_block_and_leaves_no_token(tmp_path):
    """Without a cluster, "ray" is a Ray of its own. The path of its sockets must be short."""
    folder = tempfile.mkdtemp(prefix="fw-", dir="/tmp")
    try:
        with started(ALONE, str(tmp_path), RAY_TMPDIR=folder, HOME=str(tmp_path / "home")) as driver:
            out, fault = driver.communicate(timeout=600)
        assert (driver.returncode, out) == (0, "2 ['0', '1', '2', '3']\n"), fault
        assert not (tmp_path / "home").exists()
        wait_for(lambda: not [file for file in Path("/proc").glob("[0-9]*/cmdline") if folder in text_of(file)])
    finally:
        shutil.rmtree(folder)


def test_a_driver_ends_with_one_line_when_the_head_is_gone():
    with started(HEADLESS) as driver:
        out, fault = driver.communicate(timeout=300)
    assert driver.returncode == 0, fault
    assert "no longer answers. Start it again, then go on with the same command and --resume." in out


def test_a_storage_that_the_nodes_do_not_see_is_refused(place, tmp_path):
    with pytest.raises(FeatherweightError, match=r"does not see the storage 'memory://here'\. Give a folder"):
        open_crew(place, "crew_works:die", None, storage="memory://here").__enter__()
    with open_crew(place, "crew_works:die", None, storage=str(tmp_path / "shared")):
        assert list((tmp_path / "shared").iterdir()) == []


def test_a_node_with_other_code_of_the_same_version_is_refused(place, monkeypatch):
    monkeypatch.setattr("featherweight.crews.cluster.code_of_package", lambda: "of another clone")
    with pytest.raises(FeatherweightError, match=r"has other code of featherweight .*Install the same version"):
        open_crew(place, "crew_works:die", None).__enter__()


# ---- training with many seeds ----


def test_seeds_on_a_cluster_are_the_same_bit_for_bit(place, digits_recipe, tmp_path):
    recipe = digits_recipe(training={"epochs": 2})
    done = train_seeds(recipe, [1, 2], tmp_path / "runs", on=place, storage=tmp_path / "shared")
    alone = train_recipe(recipe.with_seed(2), tmp_path / "alone", device="cpu")
    weights, others = done.run(2).weights(), alone.weights()
    assert all(torch.equal(weights[name], others[name]) for name in others) and done.run(2).source is not None
    assert done.summary["seeds"] == [1, 2] and list((tmp_path / "shared").iterdir()) == []
    assert sorted(file.name for file in done.path.iterdir()) == ["seed-1", "seed-2", "summary.json"]


class StopsAtTheFirstStep(Unwatched):
    stopped = False

    def on_standing(self, seed, standing):
        if not self.stopped:
            self.stopped = True
            os.kill(os.getpid(), signal.SIGINT)


def test_a_stop_on_a_cluster_brings_the_checkpoints_home(place, digits_recipe, tmp_path):
    recipe = digits_recipe(training={"epochs": 300})
    with pytest.raises(TrainingInterrupted, match="0 of 2 seeds trained"):
        train_seeds(recipe, [1, 2], tmp_path / "runs", on=place, watcher=StopsAtTheFirstStep())
    begun = [len(run.history) for run in Replicas(tmp_path / "runs").runs]
    assert len(begun) == 2 and 0 < max(begun) < 300
    done = train_seeds(recipe, [1, 2], tmp_path / "runs", resume=True)      # here, with no cluster
    assert [len(run.history) for run in done.runs] == [300, 300]


# ---- rungs of a search ----


def test_a_rung_goes_on_where_its_node_died(cluster, place, tmp_path):
    content, dataset = load("digits", ("training.engine=torch", "training.batch_size=50", "data.validation=200"), None)
    tasks = {str(seed): {"candidate": {"words": "words:c4 p c6 g h", "settings": {}}, "epochs": 30, "seed": seed,
                         "name": f"trial-{seed}"} for seed in range(3)}       # the head takes two of them
    folder, shared = tmp_path / "epochs", tmp_path / "storage"
    folder.mkdir()
    with open_crew(place, "crew_works:measure_often", Shared(content, dataset, str(folder), str(shared)),
                   storage=str(shared)) as crew:
        for key, data in tasks.items():
            crew.start(Task(key, data))
        wait_for(lambda: len(list(folder.iterdir())) == len(tasks))
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)     # SIGKILL for its processes
        cluster.add_node(**NODE)
        found = {}
        while crew.busy:
            found |= {outcome.key: outcome.value["accuracy"] for outcome in crew.finished(1.0)}
    lives = {key: sorted(folder.glob(f"{key}-*"), key=lambda file: file.stat().st_mtime) for key in tasks}
    again = [key for key, files in lives.items() if len(files) > 1]
    assert found.keys() == tasks.keys() and again and list(shared.iterdir()) == []
    for key in again:
        first, second = (list(map(int, file.read_text().split())) for file in lives[key])
        assert second == list(range(second[0], 31)) and 1 < second[0] <= first[-1] + 1
        assert found[key] == measure(Shared(content, dataset), tasks[key], print)["accuracy"]


# ---- faults that need no cluster ----


@pytest.fixture
def silent_server():
    """A server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_an_address_without_ray_is_told_at_once(refused, silent_server, tmp_path):
    train = ("train", "session7-model2", "--data", "digits", "--seeds", 2, "--out", tmp_path / "runs")
    for address in ("127.0.0.1:1", silent_server):
        started = time.monotonic()
        refused(*train, "--on", f"ray:{address}", words=[f"no Ray cluster answers at '{address}'", "ray start --head"])
        assert time.monotonic() - started < 60      # most of it is the import of Ray
        assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("options", "words"), [
    (["--seeds", 2, "--on", "cloud"], ["'cloud' is not a place for workers", "local, ray, ray:ADDRESS"]),
    (["--seeds", 2, "--on", "ray://10.0.0.5:10001"], ["not a place for workers", "10.0.0.5:6379"]),
    (["--on", "ray"], ["--on ray trains many seeds", "--seeds"]),
    (["--seeds", 2, "--storage", "shared"], ["--storage is for the nodes of a cluster", "--on ray"]),
    (["--seeds", 2, "--on", "ray", "--device", "cuda"], ["'cuda'", "trains on CPUs"]),
])
def test_options_that_do_not_fit_are_refused(refused, tmp_path, options, words):
    refused("train", "session7-model2", "--data", "digits", "--out", tmp_path / "runs", *options, words=words)
    assert not (tmp_path / "runs").exists()


def test_a_missing_extra_is_one_line_with_its_command(refused, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    refused("train", "session7-model2", "--data", "digits", "--seeds", 2, "--on", "ray", "--out", tmp_path / "runs",
            words=["Ray is not installed", "cluster]"])
