"""Ctrl-C and SIGTERM at any moment of any command, also twice, also to its whole group, as a terminal sends Ctrl-C."""

from __future__ import annotations

import os
import random
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from battery.trial import SLOW, Trial
from battery.warm import Done, Warm, share_libraries

TRAIN = "train session7-model2 --data digits --device cpu --out out"
COMMANDS = {        # each writes only what TARGETS names
    "train, any moment": f"{TRAIN} --set training.epochs=2 --set evaluation.curve=test",
    "train, in the loop": f"{TRAIN} --no-report --set training.epochs=400",
    "train --seeds": f"{TRAIN} --seeds 2 --no-report --set training.epochs=400",
    "evaluate": "evaluate ../r --data digits",
    "summary": "summary session7-model2 --verify",
    "report": "report ../r --out page.html",
    "plot": "plot cam ../r --out picture.svg",
    "export bundle": "export ../r --to bundle --out out",
    "export onnx": "export ../r --to onnx --out out",
    "export onnx-int8": "export ../r --to onnx-int8 --out out",
    "export c": "export ../r --to c --out out",
    "export c --int8": "export ../r --to c --int8 --out out",
    "byhand": "byhand --out book.xlsx --updates 3000 --plot picture.svg",
    "predict": "predict ../r ../pictures --show picture.png",
    "compare": "compare ../r ../r",
    "data get": "data get fashion-mnist",
    "demo": "demo --out out",
    "serve, starting": "serve ../r --port 0",
    "serve, serving": "serve ../r --port 0",
}
TARGETS = {"out", "out-pictures", "page.html", "picture.svg", "picture.png", "book.xlsx", "cache"}
TEMPORARY = re.compile(r"\..+\.\w{8}|tmp.*")
AWAKE = {"train, in the loop": ("out", "history.jsonl"), "train --seeds": ("out", "seed-1")}   # there: the loop runs
GRACE = 1.5         # seconds in which a process may notice that its parent has ended


def signalled_trials(seed: int, folder: Path, warm: Warm, commands: tuple[str, ...] = tuple(COMMANDS),
                     real: float = 0.15) -> Iterator[Trial]:
    """Signals to commands; real: the part that runs as a process of its own, imports included."""
    drawn = random.Random(seed)
    prepare(folder, warm)
    usual = dict.fromkeys(commands, 3.0)
    with slow_mirror() as mirror:
        for count, name in enumerate(endless(drawn, commands)):
            place = folder / str(count)
            place.mkdir()
            temporary = folder / f"{count}.tmp"
            temporary.mkdir()
            environment = {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(place / "cache"), "http_proxy": mirror,
                           "FEATHERWEIGHT_DATA": "", "MPLCONFIGDIR": str(folder / "mpl")}
            if name in AWAKE:       # the others may be stopped while they compile
                share_libraries(place / "cache")
            own = drawn.random() < real
            command = start(own, warm, COMMANDS[name].split(), place, environment)
            plan = Plan.draw(drawn, usual[name] * (1 + 2 * own), group=drawn.random() < 0.3)
            began = time.monotonic()
            wait_until_ready(name, command, place)
            if command.sleep(plan.delay):
                usual[name] = time.monotonic() - began
            elif plan.delay > 0.7 * usual[name]:
                usual[name] *= 1.5
            ended, took = plan.send(command)
            what = f"seed {seed}, {'own process' if own else 'forked'}, {plan}"
            fault = wrong_end(ended, took, plan) or remains(place, temporary)
            outcome = {0: "was done"}.get(ended.code or 0, f"exit code {ended.code}")
            yield Trial(f"signal to {name}", what, outcome, fault)


@dataclass
class Plan:
    """When which signals are sent to whom."""

    numbers: list[int]
    delay: float
    apart: float
    group: bool
    sent: bool = False

    @classmethod
    def draw(cls, drawn: random.Random, usual: float, *, group: bool) -> Plan:
        """One signal, or two in a quarter of all trials."""
        numbers = [drawn.choice((signal.SIGINT, signal.SIGTERM)) for _ in range(drawn.choice((1, 1, 1, 2)))]
        return cls(numbers, drawn.uniform(0, usual), drawn.uniform(0, 0.5), group)

    def __str__(self) -> str:
        names = " and ".join(signal.Signals(number).name for number in self.numbers)
        whom = "the group" if self.group else "the process"
        return f"{names} to {whom} after {self.delay:.3f} s" + f", {self.apart:.3f} s apart" * (len(self.numbers) > 1)

    def send(self, command: Command) -> tuple[Done, float]:
        """Send them: the end, and the seconds from the first signal to it."""
        self.sent = heeds(command.pid)      # a command that is done ignores signals until its process ends
        began = time.monotonic()
        for index, number in enumerate(self.numbers):
            if index:
                command.sleep(self.apart)
            with suppress(ProcessLookupError):
                if not command.ended():
                    (os.killpg if self.group else os.kill)(command.pid, number)
        ended = command.wait(60)
        return ended, time.monotonic() - began


@dataclass
class Command:
    """A command that runs."""

    pid: int
    ended: Callable[[], bool]
    wait: Callable[[float], Done]
    out: Path

    def sleep(self, seconds: float) -> bool:
        """Wait; True if the command ends meanwhile."""
        until = time.monotonic() + seconds
        while not (over := self.ended()) and time.monotonic() < until:
            time.sleep(max(0.0, min(0.01, until - time.monotonic())))
        return over


def start(own: bool, warm: Warm, arguments: list[str], place: Path, environment: Mapping[str, str]) -> Command:
    """Start a command in a process of its own, or as a fork of the one that has imported everything."""
    if not own:
        started = warm.start(*arguments, cwd=place, env=environment)
        return Command(started.pid, lambda: warm.wait_for(started.pid, 0) is not None, started.wait,
                       started.folder / "out")
    files = {name: place.with_suffix(f".{name}") for name in ("out", "err")}
    with files["out"].open("w") as out, files["err"].open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "featherweight", *arguments], cwd=place, env=os.environ | environment, stdout=out,
            stderr=err, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),    # noqa: PLW1509
        )
    began = time.monotonic()

    def wait(timeout: float) -> Done:
        code: int | None = None
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        texts = [file.read_text(errors="replace") for file in files.values()]
        return Done(code, *texts, time.monotonic() - began, 0)

    return Command(process.pid, lambda: process.poll() is not None, wait, files["out"])


def wait_until_ready(name: str, command: Command, place: Path) -> None:
    """Wait until the first line of the package's code has run, and until the moment that the name speaks of."""
    def ready() -> bool:
        if name == "serve, serving":
            return command.out.exists() and "answers at" in command.out.read_text()
        return place.joinpath(*AWAKE[name]).exists() if name in AWAKE else heeds(command.pid)

    while not ready() and not command.ended():
        time.sleep(0.005)


def heeds(pid: int) -> bool:
    """True if a process has a handler for SIGTERM."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = re.search(r"SigCgt:\s*(\w+)", status)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def wrong_end(done: Done, took: float, plan: Plan) -> str:
    """Return what is wrong with the end of a command that was sent signals; "" for a good end."""
    lines = done.err.splitlines()
    said = [line for line in lines if line.startswith("featherweight: ")]
    if done.code is None:
        return f"still running {took:.1f} s after the signal"
    if "Traceback" in done.err or "Exception ignored" in done.err:
        return f"traceback: {done.err[-1500:]}"
    if not plan.sent and done.code == 0:
        return ""
    if done.code not in [128 + number for number in plan.numbers]:
        return f"exit code {done.code}: {done.err[-300:]!r}"
    if said != lines[-1:] or "interrupted" not in said[0]:
        return f"not one last line: {done.err[-500:]!r}"
    return f"ended {took:.1f} s after the signal" if took > SLOW else ""


def remains(place: Path, temporary: Path) -> str:
    """Return what a command left that it must not leave; "" if nothing."""
    until = time.monotonic() + GRACE
    while (orphans := processes_of(temporary)) and time.monotonic() < until:
        time.sleep(0.05)
    if orphans:
        return f"left a process: {orphans}"
    if found := [str(file.relative_to(temporary)) for file in temporary.rglob("*")]:
        return f"left in the temporary folder: {found[:5]}"
    if strangers := [file.name for file in place.iterdir() if file.name not in TARGETS]:
        return f"left beside the target: {strangers[:5]}"
    inside = [str(file.relative_to(place)) for file in place.rglob("*") if TEMPORARY.fullmatch(file.name)]
    return f"left in the target: {inside[:5]}" if inside else ""


def processes_of(temporary: Path) -> list[str]:
    """The command lines of all processes that were started with this temporary folder, whatever their session."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(temporary).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200])
    return found


def prepare(folder: Path, warm: Warm) -> None:
    """A finished run and pictures."""
    pictures = folder / "pictures"
    if pictures.exists():
        return
    done = warm.run(*TRAIN.replace("out out", "out r").split(), "--no-report", "--set", "training.epochs=1", cwd=folder,
                    timeout=300)
    assert done.code == 0, done.err
    pictures.mkdir()
    for index in range(100):
        picture = Image.new("L", (60, 60), 255)
        ImageDraw.Draw(picture).line((20, 10, 20 + index % 30, 50), fill=0, width=6)
        picture.save(pictures / f"{index}.png")


def endless(drawn: random.Random, names: tuple[str, ...]) -> Iterator[str]:
    """All names in an order that is drawn, again and again."""
    while True:
        yield from drawn.sample(names, len(names))


class Dripping(socketserver.BaseRequestHandler):
    """A mirror that sends a file slowly and without end."""

    def handle(self) -> None:
        self.request.recv(65536)
        with suppress(OSError):
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 26421880\r\n\r\n")
            while True:
                self.request.sendall(bytes(1000))
                time.sleep(0.02)


class slow_mirror:      # used as a function
    """The address of a proxy through which all that is fetched over HTTP drips."""

    def __enter__(self) -> str:
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()


ROWS = (signalled_trials,)
