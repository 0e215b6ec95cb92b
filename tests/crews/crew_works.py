"""Works for the workers of a crew under test, and functions of its tests. Most load no torch: workers start fast."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from featherweight.errors import FeatherweightError, TrainingInterrupted
from featherweight.interruption import SIGNALS


def outcomes_of(crew, count, seconds=600):
    """Wait for `count` outcomes of a crew: {key: outcome}. For the tests themselves."""
    until, found = time.monotonic() + seconds, []
    while len(found) < count and time.monotonic() < until:
        found += crew.finished(1.0)
    assert len(found) == count
    return {outcome.key: outcome for outcome in found}


def first_lives(folder):
    """Processes that `count` named in the file of a task that was started once. For the tests themselves."""
    lives = [file.read_text().split() for file in Path(folder).iterdir()]
    return sorted({int(pids[0]) for pids in lives if len(pids) == 1})


def describe(shared, data, tell):
    import torch

    tell({"hello": data["number"]})
    ones = shared["ones"]
    return {"threads": torch.get_num_threads(), "sum": float(ones.sum()) + data["number"],
            "memory": mapping_of(ones.data_ptr())}


def mapping_of(address):
    """Name of the memory mapping that holds an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= address < last:
            return " ".join(line.split()[5:])
    return ""


def die_once(shared, data, tell):
    mark = Path(shared) / str(data["number"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"life": 2}


def say_pid(shared, data, tell):
    """Write the number of this process into a file, then wait."""
    Path(shared, str(os.getpid())).touch()
    time.sleep(600)


def die(shared, data, tell):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(shared, data, tell):
    kinds = {"fault": FeatherweightError("two is too many"), "system": OSError(28, "No space left", "here")}
    raise kinds.get(data["how"], ZeroDivisionError("a bug"))


def wait_long(shared, data, tell):
    """Wait until a signal comes, as a training does."""
    caught = []
    before = {number: signal.signal(number, lambda number, frame: caught.append(number)) for number in SIGNALS}
    tell("started")
    while not caught:
        time.sleep(0.05)
    for number, handler in before.items():
        signal.signal(number, handler)
    if data.get("returns"):
        return {"half": True}
    raise TrainingInterrupted(caught[0], "stopped")


def count(shared, data, tell):
    """Leave a line in a file of the task, then wait: the test counts the lines and the outcomes."""
    with (Path(shared) / str(data["number"])).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(data["seconds"])
    return {"number": data["number"]}


def measure_often(shared, data, tell):
    """A rung of a search that saves each epoch, and writes it into the file SEED-PID of the search's folder."""
    from featherweight.replication import stored
    from featherweight.search import work

    stored.CHECKPOINT_SECONDS, before = 0, stored.Saver.save

    def save(self):
        before(self)
        with Path(shared.folder, f"{data['seed']}-{os.getpid()}").open("a") as file:
            print(len(self.run.history), file=file)

    stored.Saver.save = save
    return work.measure(shared, data, tell)
