"""Two commands at once that write into one folder."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from battery.kills import RECIPE
from battery.trial import Trial
from battery.warm import Done, Warm

TOLD = ("is being written by", "holds a finished run", "holds an unfinished run", "holds an export", "trained seeds of")
SEEDS = ("--seeds", "2")


def double_start_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Start a training, a resume, a replacement, a training of seeds or an export twice, up to half a second apart."""
    chance = random.Random(seed)
    finished, begun = folder / "finished", folder / "begun"
    assert warm.run(*RECIPE, "--out", finished).code == 0
    begin(begun, warm)
    exported = folder / "exported"
    assert warm.run("export", finished, "--to", "onnx", "--out", exported).code == 0
    kinds = {
        "train": (None, RECIPE), "train --force": (finished, (*RECIPE, "--force")),
        "train --resume": (begun, (*RECIPE, "--resume")), "train --seeds": (None, (*RECIPE, *SEEDS)),
        "export": (None, ("export", finished, "--to", "onnx")),
        "export --force": (exported, ("export", finished, "--to", "onnx", "--force")),
    }
    for number in range(1_000_000):
        kind, delay = chance.choice(list(kinds)), chance.uniform(0, 0.5)
        before, arguments = kinds[kind]
        out = folder / f"out-{number}"
        if before:
            shutil.copytree(before, out)
        first = warm.start(*arguments, "--out", out)
        time.sleep(delay)
        second = warm.start(*arguments, "--out", out)
        ends = [one.wait() for one in (first, second)]
        yield judge(f"double {kind}", f"{delay:.2f} s apart", ends, sequel=kind in SEQUEL)
        if fault := inconsistent(out, warm):
            yield Trial(f"double {kind}", f"{delay:.2f} s apart", "mixed", fault)
        shutil.rmtree(out)


SEQUEL = {"train --force", "train --resume", "export --force"}      # a second one may follow a first that has ended


def judge(kind: str, what: str, ends: list[Done], *, sequel: bool) -> Trial:
    """One must have won, and the other must have been told, or come after it where that is allowed."""
    won, lost = ([end for end in ends if (end.code == 0) is good] for good in (True, False))
    if any(end.code != 2 or not any(word in end.err for word in TOLD) for end in lost):
        return Trial(kind, what, "failed", "; ".join(f"exit code {end.code}: {end.err[-200:]}" for end in lost))
    if len(won) == 2:
        return Trial(kind, what, "one after the other", "" if sequel else "both won")
    return Trial(kind, what, "one won, one was told", "" if won else "none won")


def begin(run: Path, warm: Warm) -> None:
    """Leave a run that was killed after its first checkpoint."""
    started = warm.start(*RECIPE, "--out", run)
    while not (run / "checkpoint.safetensors").exists():
        time.sleep(0.01)
    started.send()
    started.wait()


def inconsistent(out: Path, warm: Warm) -> str:
    """What is wrong with the folder that two commands wrote; "" if its parts belong together."""
    if left := [file.name for file in out.rglob(".*")]:
        return f"left behind: {left[0]}"
    if (out / "ship.json").exists():
        sizes = json.loads((out / "ship.json").read_text())["files"]
        wrong = [name for name, size in sizes.items() if (out / name).stat().st_size != size]
        return f"{wrong[0]} is of another export" if wrong else ""
    for run in [out] if (out / "recipe.toml").exists() else sorted(out.glob("seed-*")):
        done = warm.run("evaluate", run, "--json")
        if done.code or not json.loads(done.out)["as_recorded"]:
            return f"{run.name}: exit code {done.code}: {done.err[-200:]}"
    return ""


ROWS = (double_start_trials,)
