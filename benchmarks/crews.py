"""Measure crews on a Ray cluster of this machine: slots kept busy, tasks a second, survived kills.

The tasks are stubs that wait. So the numbers are those of the crew, of Ray and of the driver, not of training. All
nodes run on this machine, and each has more CPUs in its books than the machine has cores.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import report
from featherweight.crews import Crew, Task, open_crew
from featherweight.crews.ray_crew import RayCrew

AIMS = {"utilisation": 0.95, "tasks_a_second": 200}
PARTS = ("utilisation", "throughput", "nodes", "worker", "node", "driver")
REAL_SECONDS = 10.0         # of a task for which the utilisation is wanted
CHUNK = 10                  # parts of the throughput's tasks, to see a rate that falls
MEMORY = 80 * 2**20         # bytes of a node's object store


def main() -> int:
    options = parse()
    settings = {key: value for key, value in vars(options).items() if key != "out"}
    content = report.begin("crews", settings, "ray") | {"aims": AIMS, "results": {}, "ratios": {}}
    if options.add:
        content["results"] = json.loads(options.out.read_text())["results"]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path[1:]])     # for Ray's workers
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for part in options.parts:
        report.say(f"{part} ...")
        content["results"][part] = MEASUREMENTS[part](options)
        report.say(f"{part}: {content['results'][part]}")
        report.save(options.out, content)
    report.save(options.out, content | {"complete": True})
    rows = [[part, "; ".join(f"{key} {value}" for key, value in found.items() if not isinstance(value, list))]
            for part, found in content["results"].items()]
    machine = content["machine"]
    report.print_table(f"{machine['processor']}, {machine['cores']} cores", ["part", "found"], rows)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "crews")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--add", action="store_true", help="keep the other parts of the JSON file")
    parser.add_argument("--tasks", type=report.positive, default=1000, help="of the utilisation")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a task of the utilisation; 10 is the real case")
    parser.add_argument("--slots", type=report.positive, default=16, help="on two nodes")
    parser.add_argument("--stubs", type=report.positive, default=100_000, help="tasks of the throughput")
    parser.add_argument("--simulated", type=report.positive, default=1000, help="nodes with one slot, simulated")
    parser.add_argument("--kills", type=report.positive, default=50, help="of each kind")
    parser.add_argument("--seed", type=int, default=1, help="of the kills")
    return parser.parse_args()


@contextmanager
def cluster(slots: int) -> Iterator[Any]:
    """Run a Ray cluster of two nodes on this machine inside the block."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args=node(slots // 2))
    made.add_node(**node(slots - slots // 2))
    try:
        yield made
    finally:
        made.shutdown()


def node(cpus: int) -> dict[str, int]:
    return {"num_cpus": cpus, "object_store_memory": MEMORY}


def feed(
    crew: Crew, count: int, task: Callable[[int], dict[str, Any]], ended: Callable[[int], None] = lambda count: None
) -> None:
    """Run `count` tasks with at most two waiting for each slot, as a search does.

    task: returns the data of a task. ended: called with the number of tasks that just ended.
    """
    started = done = 0
    while done < count:
        while started < count and started - done < 3 * crew.slots:
            crew.start(Task(str(started), task(started)))
            started += 1
        outcomes = crew.finished(1.0)
        assert not [outcome.failed for outcome in outcomes if outcome.failed]
        done += len(outcomes)
        ended(len(outcomes))


def measure_utilisation(options: argparse.Namespace) -> dict[str, Any]:
    """Return the share of time in which the slots worked. The start of the workers is measured apart."""
    with cluster(options.slots) as made, open_crew(f"ray:{made.address}", "crew_stubs:wait", None) as crew:
        begun = time.monotonic()
        feed(crew, 2 * options.slots, lambda number: {"number": number, "seconds": 1.0})
        start = time.monotonic() - begun
        begun = time.monotonic()
        feed(crew, options.tasks, lambda number: {"number": number, "seconds": options.seconds})
        wall = time.monotonic() - begun
    rounds = -(-options.tasks // options.slots)     # the last round may leave slots empty: no crew can fill them
    loss = wall / rounds - options.seconds          # seconds of a slot between two tasks
    return {
        "seconds": round(wall, 2), "start_seconds": round(start, 2),
        "utilisation": round(options.tasks * options.seconds / (options.slots * wall), 4),
        "lost_seconds_a_task": round(loss, 4),
        f"utilisation_with_{REAL_SECONDS:g}_s": round(REAL_SECONDS / (REAL_SECONDS + max(0.0, loss)), 4),
    }


def measure_throughput(options: argparse.Namespace) -> dict[str, Any]:
    """Return the tasks a second of stubs that end at once, in CHUNK parts in turn.

    On a busy machine read the driver's processor time. A cluster has one driver, so this time is its limit.
    """
    times: list[float] = []
    with cluster(2) as made, open_crew(f"ray:{made.address}", "crew_stubs:wait", None) as crew:
        feed(crew, 20, lambda number: {"number": number, "seconds": 0.0})
        begun, used = time.monotonic(), time.process_time()
        feed(crew, options.stubs, lambda number: {"number": number, "seconds": 0.0},
             lambda done: times.extend([time.monotonic() - begun] * done))
        used = time.process_time() - used
    size = options.stubs // CHUNK
    edges = [0.0, *(times[(part + 1) * size - 1] for part in range(CHUNK))]
    rates = [round(size / (last - first), 1) for first, last in pairwise(edges)]
    return {"tasks_a_second": round(options.stubs / times[-1], 1), "first_part": rates[0], "last_part": rates[-1],
            "driver_processor_ms_a_task": round(1000 * used / options.stubs, 3), "all": rates}


class Simulated:
    """Takes the place of the module ray: `cpus` slots whose tasks end after their seconds, without any process."""

    def __init__(self, cpus: int) -> None:
        import ray

        self.exceptions = ray.exceptions
        self.free, self.ends, self.values = [0.0] * cpus, dict[int, float](), dict[int, Any]()

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": len(self.free)}

    def submit(self, task: Task) -> int:
        reference = len(self.values)
        end = max(time.monotonic(), heapq.heappop(self.free)) + task.data["seconds"]
        heapq.heappush(self.free, end)
        self.ends[reference], self.values[reference] = end, {"number": task.data["number"]}
        return reference

    def wait(self, references: list[int], num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        until = min(time.monotonic() + timeout, *(self.ends[one] for one in references))
        time.sleep(max(0.0, until - time.monotonic()))
        now = time.monotonic()
        return [one for one in references if self.ends[one] <= now][:num_returns], []

    def get(self, reference: int, timeout: float) -> tuple[str, Any]:
        return "done", self.values[reference]


def simulate_nodes(options: argparse.Namespace) -> dict[str, Any]:
    """Return the rate of our own driver with many nodes, and the utilisation that it allows, without Ray's part."""
    found: dict[str, Any] = {}
    for name, seconds, rounds in (("busy", options.seconds, 10), ("at_once", 0.0, 20)):
        simulated = Simulated(options.simulated)
        crew = RayCrew(simulated, simulated.submit, None, None, None)
        count, begun = rounds * options.simulated, time.monotonic()
        feed(crew, count, lambda number, seconds=seconds: {"number": number, "seconds": seconds})
        wall = time.monotonic() - begun
        if name == "busy":
            found["utilisation"] = round(rounds * seconds / wall, 4)
        else:
            found["driver_tasks_a_second"] = round(count / wall, 1)
    return found


def kill_workers(options: argparse.Namespace) -> dict[str, Any]:
    """Kill workers with SIGKILL at random moments. Return the counts of kills, tasks and outcomes."""
    def kill(made: Any, folder: Path, chance: random.Random) -> bool:
        running = [int(file.name) for file in folder.iterdir() if alive(int(file.name))]
        if running:
            os.kill(chance.choice(running), signal.SIGKILL)
        return bool(running)

    return survive(options, kill)


def kill_nodes(options: argparse.Namespace) -> dict[str, Any]:
    """Kill all processes of a node with SIGKILL, and add a new node. Return the counts of kills, tasks and outcomes."""
    def kill(made: Any, folder: Path, chance: random.Random) -> bool:
        made.remove_node(next(iter(made.worker_nodes)), allow_graceful=False)
        made.add_node(**node(options.slots - options.slots // 2))
        return True

    return survive(options, kill)


def survive(options: argparse.Namespace, kill: Callable[[Any, Path, random.Random], bool]) -> dict[str, Any]:
    """Run short tasks until all kills were made, and then to the end. Raises if an outcome is missing or doubled."""
    chance, keys, kills, started = random.Random(options.seed), list[str](), 0, 0
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as name, cluster(options.slots) as made:
        folder, begun = Path(name), time.monotonic()
        with open_crew(f"ray:{made.address}", "crew_stubs:wait", None) as crew:
            while kills < options.kills or crew.busy:
                while kills < options.kills and started - len(keys) < 2 * crew.slots:
                    crew.start(Task(str(started), {"number": started, "seconds": 0.5, "folder": name}))
                    started += 1
                outcomes = crew.finished(chance.uniform(0.1, 1.0))
                keys += [outcome.key for outcome in outcomes]
                failed += [outcome.failed for outcome in outcomes if outcome.failed]
                if outcomes and kills < options.kills and kill(made, folder, chance):
                    kills += 1
    assert sorted(keys, key=int) == [str(number) for number in range(started)]
    return {"kills": kills, "tasks": started, "outcomes": len(keys), "lost": started - len(set(keys)),
            "doubled": len(keys) - len(set(keys)), "failed": len(failed), "seconds": round(time.monotonic() - begun, 1)}


def kill_drivers(options: argparse.Namespace) -> dict[str, Any]:
    """Kill drivers with SIGKILL. Return the seconds until all of their workers have ended."""
    seconds = []
    with cluster(options.slots) as made:
        for _ in range(options.kills):
            with tempfile.TemporaryDirectory() as name:
                script = Path(__file__).with_name("crew_stubs.py")
                driver = subprocess.Popen([sys.executable, script, f"ray:{made.address}", name, "2"])
                while len(list(Path(name).iterdir())) < 2:
                    time.sleep(0.05)
                driver.kill()
                driver.wait()
                begun = time.monotonic()
                while any(alive(int(file.name)) for file in Path(name).iterdir()):
                    time.sleep(0.05)
                seconds.append(time.monotonic() - begun)
    return {"kills": len(seconds), "seconds_until_workers_end": report.spread(seconds, 2)["median"],
            "longest": round(max(seconds), 2), "all": [round(one, 2) for one in seconds]}


def alive(pid: int) -> bool:
    """Return True if the process runs and is a worker of Ray. A number may belong to another process later."""
    try:
        return b"ray::" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


MEASUREMENTS = {
    "utilisation": measure_utilisation, "throughput": measure_throughput, "nodes": simulate_nodes,
    "worker": kill_workers, "node": kill_nodes, "driver": kill_drivers,
}

if __name__ == "__main__":
    sys.exit(report.run(main))
