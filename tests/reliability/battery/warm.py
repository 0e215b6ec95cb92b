"""Commands run as real processes in milliseconds: a process that has imported everything forks itself for each.

The forked process has its own session, output files, working folder and environment, runs `featherweight.__main__.main`
and its exit handlers. It can be sent any signal. `python warm.py` is the process that forks.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PRELOADED = (      # without onnxruntime, whose threads do not survive a fork
    "torch", "torch._dynamo", "sklearn.datasets", "matplotlib.figure", "matplotlib.backends.backend_svg", "PIL.Image",
    "onnx", "onnxscript", "torch.onnx", "jinja2", "requests", "rich.progress", "xlsxwriter",
    "featherweight.cli", "featherweight.experiment", "featherweight.replication", "featherweight.report",
    "featherweight.shipping", "featherweight.inference", "featherweight.byhand", "featherweight.progress",
)


def share_libraries(cache: Path) -> None:
    """Let a new cache folder have the compiled code of this user, as compiling takes longer than most trials."""
    from featherweight.codegen.library import library_folder

    known, place = library_folder(), cache / "featherweight" / "compiled"
    if known is not None and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(known)


@dataclass(frozen=True)
class Done:
    """The end of a command."""

    code: int | None    # negative: the signal that killed it; None: it hung and was killed
    out: str
    err: str
    seconds: float
    peak: int           # bytes of memory at its highest, the preloaded modules included
    cpu: float = 0.0    # seconds that it computed: what it took on a machine without other load


class Started:
    """A command that runs."""

    def __init__(self, warm: Warm, pid: int, folder: Path) -> None:
        self.warm, self.pid, self.folder, self.began = warm, pid, folder, time.monotonic()
        self.over = False

    def send(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process alone; nothing happens if it has ended."""
        if not self.over and self.pid not in self.warm.ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout: float = 60) -> Done:
        """Wait for the end; after the timeout kill it, with everything in its session."""
        end = self.warm.wait_for(self.pid, timeout)
        hung = end is None
        if end is None:
            os.killpg(self.pid, signal.SIGKILL)
            end = self.warm.wait_for(self.pid, 60)
            assert end is not None
        self.over = True
        out, err = ((self.folder / name).read_text(errors="replace") for name in ("out", "err"))
        return Done(None if hung else end["code"], out, err, time.monotonic() - self.began, end["peak"], end["cpu"])


class Warm:
    """The process that forks commands. Use it in a with block; any number of commands may run at once.

    env: added to the environment from its start on, for what is read then, such as LD_PRELOAD.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self.env = dict(env or {})

    def __enter__(self) -> Self:
        self.scratch = tempfile.TemporaryDirectory(prefix="battery-")
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | self.env, start_new_session=True,
        )
        self.count, self.ended, self.pids = 0, dict[int, dict[str, Any]](), list[int]()
        self.rest = b""
        assert self._heard(120)["ready"]
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.server.kill()
        self.server.communicate()
        self.scratch.cleanup()

    def start(self, *arguments: Any, cwd: Path | None = None, env: Mapping[str, str] | None = None,
              first: str = "") -> Started:
        """Start a command line without waiting for it; env is added to the environment, first is Python run before."""
        self.count += 1
        folder = Path(self.scratch.name) / str(self.count)
        folder.mkdir()
        for name in ("out", "err"):     # before the process is there, which may be killed at once
            (folder / name).touch()
        asked = {"arguments": [str(one) for one in arguments], "cwd": str(cwd or Path.cwd()), "env": dict(env or {}),
                 "folder": str(folder), "first": first}
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(asked).encode() + b"\n")
        while not self.pids:
            self._take(self._heard(60))
        return Started(self, self.pids.pop(), folder)

    def run(self, *arguments: Any, cwd: Path | None = None, env: Mapping[str, str] | None = None,
            timeout: float = 60, first: str = "") -> Done:
        """Run a command line to its end."""
        return self.start(*arguments, cwd=cwd, env=env, first=first).wait(timeout)

    def wait_for(self, pid: int, timeout: float) -> dict[str, Any] | None:
        """The end of a process; None if it does not come in time."""
        until = time.monotonic() + timeout
        while pid not in self.ended:
            left = until - time.monotonic()
            if left <= 0:
                return None
            if (message := self._heard(left, or_none=True)) is not None:
                self._take(message)
        return self.ended[pid]

    def _take(self, message: dict[str, Any]) -> None:
        if "started" in message:
            self.ended.pop(message["started"], None)    # Linux gives numbers of processes again
            self.pids.append(message["started"])
        else:
            self.ended[message["pid"]] = message

    def _heard(self, timeout: float, *, or_none: bool = False) -> Any:
        """The server's next line."""
        until = time.monotonic() + timeout
        assert self.server.stdout is not None
        while b"\n" not in self.rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.server.stdout], [], [], left)[0]:
                if or_none:
                    return None
                raise TimeoutError("the process that forks commands says nothing")
            read = os.read(self.server.stdout.fileno(), 65536)
            if not read:
                raise EOFError("the process that forks commands has ended")
            self.rest += read
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)


def serve() -> list[str]:
    """Fork for each line of standard input; returns in the forked process, with its arguments."""
    say = os.fdopen(os.dup(1), "w", buffering=1)
    hear = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    print(json.dumps({"ready": True}), file=say)
    rest, running = b"", set[int]()
    while True:
        while running:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid in running:
                running.discard(pid)
                code = os.waitstatus_to_exitcode(status)
                print(json.dumps({"pid": pid, "code": code, "peak": usage.ru_maxrss * 1024,
                                  "cpu": usage.ru_utime + usage.ru_stime}), file=say)
        if not select.select([hear], [], [], 0.002 if running else None)[0]:
            continue
        read = os.read(hear, 65536)
        if not read:
            os._exit(0)
        rest += read
        while b"\n" in rest:
            line, _, rest = rest.partition(b"\n")
            asked = json.loads(line)
            pid = os.fork()
            if pid == 0:
                say.close()
                os.close(hear)
                return become(asked)
            running.add(pid)
            print(json.dumps({"started": pid}), file=say)


def become(asked: dict[str, Any]) -> list[str]:
    """Give the forked process its own session, output, folder and environment; returns its arguments."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)    # a shell's background ignores it
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(asked["folder"]) / name, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(asked["cwd"])
    os.environ.update(asked["env"])
    tempfile.tempdir = None     # read again from the environment
    exec(asked["first"], {})
    arguments: list[str] = asked["arguments"]
    return arguments


if __name__ == "__main__":
    import importlib

    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    given = serve()
    from featherweight.__main__ import main

    sys.argv = ["featherweight", *given]
    code: Any = 0
    try:
        main(given)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()     # and then without Python's taking apart of all modules, which takes a second
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
