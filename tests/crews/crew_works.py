"""Works for the workers of a crew under test."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from featherweight.errors import FeatherweightError, TrainingInterrupted
from featherweight.training.stop_signals import stop_signals


def describe(shared, data, tell):
    tell({"hello": data["number"]})
    return {"pid": os.getpid(), "threads": torch.get_num_threads(), "sum": float(shared["ones"].sum()) + data["number"]}


def die_once(shared, data, tell):
    mark = Path(shared) / str(data["number"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"life": 2}


def die(shared, data, tell):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(shared, data, tell):
    kinds = {"fault": FeatherweightError("two is too many"), "system": OSError(28, "No space left", "here")}
    raise kinds.get(data["how"], ZeroDivisionError("a bug"))


def wait_long(shared, data, tell):
    """Wait until a signal comes, as a training does."""
    with stop_signals() as caught:
        tell("started")
        while not caught:
            time.sleep(0.05)
    if data.get("returns"):
        return {"half": True}
    raise TrainingInterrupted(caught[0], "stopped")


def count(shared, data, tell):
    """Leave a line in a file of the task, then wait: the test counts the lines and the outcomes."""
    with (Path(shared) / str(data["number"])).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(data["seconds"])
    return {"number": data["number"]}
