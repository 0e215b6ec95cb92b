"""Programs that this process starts and waits for, such as a compiler. They never outlive this process.

Both the C export and the compiled training use these functions.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from featherweight.files import remove_folder
from featherweight.interruption import undivided, undone_at_the_end


def call(
    command: Sequence[str],
    *,
    cwd: Path,
    given: bytes = b"",
    seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, bytes, bytes]:
    """Run a program and return (exit code, standard output, standard error).

    The program and its child processes are killed if this process ends first.
    cwd: its working folder and its folder for temporary files, which a killed compiler leaves behind.
    given: its standard input. environment: variables that it gets in addition to the variables of this process.
    Raises subprocess.TimeoutExpired after `seconds`, and OSError if the program cannot be started.
    """
    return call_all([command], cwd=cwd, given=given, seconds=seconds, environment=environment)[0]


def call_all(
    commands: Iterable[Sequence[str]],
    *,
    cwd: Path,
    given: bytes = b"",
    seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[tuple[int, bytes, bytes]]:
    """Run programs side by side and return what call() returns for each. If one raises an error, all are killed."""
    variables = {**os.environ, "TMPDIR": str(cwd), **(environment or {})}
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as noted:
        try:
            for command in commands:
                with undivided():
                    process = subprocess.Popen(command, cwd=cwd, env=variables, process_group=0, stdin=subprocess.PIPE,
                                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    noted.enter_context(undone_at_the_end(partial(kill, process)))
                    processes.append(process)
            return [(process.returncode, *said) for process in processes
                    for said in [process.communicate(given, timeout=seconds)]]
        except BaseException:
            for process in processes:
                with process:       # closes the pipes and waits
                    kill(process)
            raise


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and the processes that it started, as gcc does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a new temporary folder that only this user can read. The folder is removed after the block.

    A signal that ends the process also removes it. Raises OSError if the system has no place for temporary files.
    """
    with ExitStack() as noted:
        with undivided():
            folder = Path(tempfile.mkdtemp(prefix="featherweight-"))
            noted.enter_context(undone_at_the_end(partial(remove_folder, folder)))
        try:
            yield folder
        finally:
            remove_folder(folder)


def first_line(text: str) -> str:
    """Return the first line that contains "error", or else the first line of the text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no message.")
