"""Examine user code in a process of its own, with a time limit.

The code may exit, loop, print, or kill its process. The caller then gets one line and examines the other targets.
Request and report are JSON: the process reads the request from standard input and writes the report to a file.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from featherweight.codegen.subprocesses import kill, private_folder
from featherweight.doctor.finding import Report
from featherweight.doctor.options import Options
from featherweight.errors import FeatherweightError, ModelError, Untrusted
from featherweight.garbage import collect_rarely
from featherweight.interruption import end_with_parent, undivided, undone_at_the_end
from featherweight.user_code import trust
from featherweight.wording import either

SECONDS = 60            # of computing, to build a network and run it once; a small network takes about one second
TRAINING_SECONDS = 240  # with the first training steps
PATIENCE = 240          # seconds to wait beside that: other programs may keep the processor busy

TIME_IS_UP = getattr(signal, "SIGXCPU", 24)


def examined_alone(name: str, options: Options, seconds: float | None = None) -> Report:
    """Return the report on a network, recipe or run folder whose code runs in another process.

    seconds: of computing, at most; by default SECONDS, or TRAINING_SECONDS with a data set.
    Raises ModelError, one line, if that process ends itself, is killed, or takes too long.
    Raises the FeatherweightError of a network that cannot be examined, and Untrusted for untrusted code.
    """
    seconds = seconds or (TRAINING_SECONDS if options.data else SECONDS)
    with private_folder() as folder:
        answer = folder / "report.json"
        request = {"name": name, "options": options.to_dict(), "answer": str(answer), "parent": os.getpid(),
                   "seconds": seconds, "trusting": trust.trusting.get(),
                   "trusted": sorted(trust.unwritten), "command_line": either("yes", "")}
        code = run_python(["-P", "-m", "featherweight.doctor.alone"], json.dumps(request).encode(), PATIENCE + seconds)
        with suppress(OSError, ValueError):
            return opened(json.loads(answer.read_text()))
    if code is None or code == -TIME_IS_UP:
        raise ModelError(f"{name!r} does not end within {seconds:g} s. Look for an endless loop, or give smaller "
                         "images.")
    raise ModelError(f"{name!r} {ending(code)}, so it cannot be examined. Remove the call that ends Python.")


def run_python(arguments: Sequence[str], given: bytes, patience: float) -> int | None:
    """Run Python with these arguments and return its exit code, or None after `patience` seconds.

    The prints are dropped. The process and its descendants are killed, also if this process ends first.
    """
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with ExitStack() as noted:
        with undivided():
            process = subprocess.Popen([sys.executable, *arguments], env=variables, process_group=0,
                                       stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            noted.enter_context(undone_at_the_end(partial(kill, process)))
        noted.enter_context(process)
        noted.callback(kill, process)       # also ends processes that the code started
        with suppress(subprocess.TimeoutExpired):
            process.communicate(given, timeout=patience)
        return process.poll()


def ending(code: int) -> str:
    """Return how a process without a report ended, from its exit code: "ended its process with exit code 3"."""
    if code >= 0:
        return f"ended its process with exit code {code}"
    with suppress(ValueError):
        return f"was killed by signal {-code} ({signal.Signals(-code).name})"
    return f"was killed by signal {-code}"


def opened(answer: dict[str, Any]) -> Report:
    """Return the report of the other process, or raise the fault that it met."""
    if "untrusted" in answer:
        sha256, place = answer["untrusted"]
        trust.check(sha256, Path(place))        # raises Untrusted
    if "fault" in answer:
        raise ModelError(*answer["fault"])
    return Report.from_dict(answer["report"])


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    """Return the report on the target of a request, or the fault, for JSON."""
    from featherweight.doctor.networks import examined_name

    try:
        return {"report": examined_name(request["name"], Options.from_dict(request["options"])).to_dict()}
    except Untrusted as fault:
        return {"untrusted": [fault.sha256, str(fault.place)]}
    except FeatherweightError as fault:
        return {"fault": str(fault).split("\n  ")}
    except SystemExit:
        return {"fault": [f"{request['name']!r} exits Python when it is built or run. Remove the call of exit()."]}


def limit_computing(seconds: float) -> None:
    """Let the system kill this process after more seconds of computing. Not on Windows, which has no such limit."""
    with suppress(ImportError):
        import resource

        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        last = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used + seconds), last))


def main() -> None:
    """Answer the request on standard input. Ends the process without exit handlers of the user's code."""
    from featherweight.wording import command_line

    request = json.loads(sys.stdin.buffer.read())
    end_with_parent(request["parent"])
    collect_rarely()
    import featherweight.doctor.networks  # noqa: F401  loads torch, which the limit does not count

    limit_computing(request["seconds"])
    trust.trusting.set(request["trusting"])
    trust.unwritten.update(request["trusted"])
    with command_line() if request["command_line"] else nullcontext():
        content = json.dumps(answer_to(request))
    Path(request["answer"]).write_text(content)
    os._exit(0)


if __name__ == "__main__":
    main()
