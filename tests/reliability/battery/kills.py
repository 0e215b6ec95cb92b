"""Kills of a training at any time, in the middle of a save, and of the parent or a worker of many seeds."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from safetensors import safe_open

from battery.trial import Trial
from battery.warm import Done, Started, Warm

EPOCHS, SEEDS = 3, 2
RECIPE = ("train", "session7-model2", "--data", "digits", "--no-report", "--set", f"training.epochs={EPOCHS}", "--set",
          "training.batch_size=32", "--set", "augmentation.shift=0.05")


def killed_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Kill a training up to three times, each after some part of the time that it takes; then let it end."""
    chance, (whole, seconds) = random.Random(seed), reference(folder, warm)
    for number in range(1_000_000):
        run, delays = folder / f"run-{number}", [chance.uniform(0, seconds) for _ in range(chance.randint(1, 3))]
        for delay in delays:
            started = warm.start(*continued(run))
            time.sleep(delay)
            started.send(signal.SIGKILL)
            started.wait()
        what = f"kills after {', '.join(f'{delay:.2f}' for delay in delays)} s"
        yield judged("killed training", what, run, whole, warm)


def killed_in_save_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Kill a training as soon as it writes a file, its first, second, ... or tenth."""
    chance, (whole, _) = random.Random(seed), reference(folder, warm)
    for number in range(1_000_000):
        run, which = folder / f"run-{number}", chance.randint(1, 10)
        started = warm.start(*continued(run))
        name = kill_in_save(started, run, which)
        what = f"killed while it wrote {name}, file {which}" if name else f"ended before it wrote file {which}"
        yield judged("killed in a save", what, run, whole, warm)


def killed_seeds_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Kill the parent or a worker of a training of two seeds; then let it end."""
    chance, (whole, seconds) = random.Random(seed), reference(folder, warm, "--seeds", str(SEEDS))
    for number in range(1_000_000):
        out, delay, parent = folder / f"seeds-{number}", chance.uniform(0.5, 1) * seconds, chance.random() < 0.5
        arguments = (*RECIPE, "--seeds", str(SEEDS), "--out", str(out))
        started = warm.start(*arguments)
        time.sleep(delay)
        workers = children(started.pid)
        if parent:
            started.send(signal.SIGKILL)
        elif workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
        done = started.wait()
        if parent:
            done = warm.run(*arguments, *(["--resume"] if out.exists() else []))
        what = f"{'parent' if parent else 'worker'} killed after {delay:.2f} s"
        yield judge("killed seeds", what, done, whole, weights_in(out))
        shutil.rmtree(out, ignore_errors=True)


def reference(folder: Path, warm: Warm, *more: str) -> tuple[list[bytes], float]:
    """The weights of an undisturbed training, and the seconds it took."""
    done = warm.run(*RECIPE, *more, "--out", folder / "whole")
    assert done.code == 0, done.err
    return weights_in(folder / "whole"), done.seconds


def continued(run: Path) -> list[str]:
    """The command that begins or resumes a training, as a person would after looking into the folder."""
    return [*RECIPE, "--out", str(run), *(["--resume"] if (run / "recipe.toml").exists() else [])]


def judged(kind: str, what: str, run: Path, whole: list[bytes], warm: Warm) -> Trial:
    """Continue a killed training to its end, compare its weights, and remove it."""
    how = "resumed" if (run / "checkpoint.safetensors").exists() else "started anew"
    trial = judge(kind, what, warm.run(*continued(run)), whole, weights_in(run), how)
    shutil.rmtree(run, ignore_errors=True)
    return trial


def judge(kind: str, what: str, done: Done, whole: list[bytes], found: list[bytes], how: str = "resumed") -> Trial:
    """The trial of a training that was continued: its weights must be those of the undisturbed one."""
    if done.code != 0:
        return Trial(kind, what, "failed", f"exit code {done.code}: {done.err[-300:]}")
    return Trial(kind, what, how, "" if found == whole else "other weights")


def weights_in(folder: Path) -> list[bytes]:
    """The bytes of each tensor of each model.safetensors in a folder, in the order of their names."""
    found = []
    for file in sorted(folder.rglob("model.safetensors")):
        with safe_open(file, framework="numpy") as opened:
            found += [opened.get_tensor(name).tobytes() for name in sorted(opened.keys())]
    return found


def kill_in_save(started: Started, run: Path, which: int) -> str:
    """Kill a command while it writes its file number `which`; returns the file's name, "" if it was moved already."""
    seen: set[str] = set()
    while started.pid not in started.warm.ended:
        for name in temporaries(run) - seen:
            seen.add(name)
            if len(seen) == which:
                started.send(signal.SIGKILL)
                started.wait()
                return name if name in temporaries(run) else ""     # else it was moved just before
        started.warm.wait_for(started.pid, 0.0002)
    return ""


def temporaries(run: Path) -> set[str]:
    """Files that are being written in a run folder."""
    try:
        return {entry.name for entry in os.scandir(run) if entry.name.startswith(".") and entry.name != ".lock"}
    except FileNotFoundError:
        return set()


def children(pid: int) -> list[int]:
    """The workers that a process started; none if it has ended."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes():
                found.append(int(one))
    return found


ROWS = (killed_trials, killed_in_save_trials, killed_seeds_trials)
