"""Cores that this process may use, and OpenMP threads that do not spin. No torch here: torch reads this when it loads.

The command line, `featherweight` on its first use, and the worker pool use this file.

After each parallel operation an OpenMP thread spins for some milliseconds: it waits in a loop that keeps its core busy.
If another program needs that core, every operation waits for the other program. Passive waiting gives the core back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path

SAMPLE_SECONDS = 0.1    # of one measurement of other programs; /proc/stat counts in steps of 0.01 s
BUSY = 0.5              # cores kept busy by other programs from which spinning costs much

# The variables that libgomp (Linux), libomp (macOS) and libiomp5 (Windows) read when they load. The last two override
# the first one.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_ROOT = Path("/")


def free_cores(root: Path = _ROOT) -> int:
    """Return the number of cores that this process may use, at least 1.

    The smallest of: cores of the machine, cores in the affinity mask, and the CPU quota of each control group (cgroup)
    that holds the process. A quota is rounded: 1.5 cores and more give 2.
    root: folder with `proc` and `sys`.
    """
    quotas = [max(1, int(quota + 0.5)) for quota in _quotas(root)]
    return min([_allowed_cores(), *quotas])


def unused_cores(busy: float | None = None) -> int:
    """Return the number of cores that this process may use and that no other program keeps busy, at least 1.

    busy: cores kept busy by other programs, measured if None.
    """
    cores = free_cores()
    return max(1, cores - round(cores_of_others() if busy is None else busy)) if cores > 1 else 1


def wait_passively(environment: MutableMapping[str, str]) -> None:
    """Set the variables that keep OpenMP threads from spinning. Must be called before torch is loaded.

    OMP_NUM_THREADS is set too, if a quota is below the cores that OpenMP counts. OpenMP does not know quotas.
    A variable that the user has set is kept.
    """
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if (cores := free_cores()) < _allowed_cores():
        environment.setdefault("OMP_NUM_THREADS", str(cores))


@contextmanager
def children_wait_passively() -> Iterator[None]:
    """Let processes that are started in the block wait passively. The environment of this process is restored."""
    before = set(os.environ)
    wait_passively(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - before:
            del os.environ[name]


def advice(threads: int, busy: float | None = None) -> str:
    """Return a warning if this process trains slowly with torch's threads, one line. Return "" if it does not.

    threads: number of torch's threads. busy: cores kept busy by other programs, measured if None.
    For a process in which torch was loaded before Featherweight could choose its settings.
    """
    cores = free_cores()
    if threads > cores:
        return (f"torch uses {threads} threads, but this process may use {cores} of the machine's cores. Call "
                f"torch.set_num_threads({cores}) before training.")
    if threads == 1 or any(name in os.environ for name in WAITING):
        return ""
    if (cores_of_others() if busy is None else busy) < BUSY:
        return ""
    return ("another program keeps a core busy, and torch's threads spin while they wait. An epoch can take five times "
            "as long. Set OMP_WAIT_POLICY=PASSIVE before torch is imported, or call torch.set_num_threads(1).")


def cores_of_others(seconds: float = SAMPLE_SECONDS) -> float:
    """Return the number of cores that other programs keep busy, measured now. Return 0.0 on systems but Linux."""
    started, before, own = time.monotonic(), _busy_seconds(), time.process_time()
    time.sleep(seconds)
    busy, own = _busy_seconds() - before, time.process_time() - own
    return max(0.0, busy - own) / (time.monotonic() - started)


def _allowed_cores() -> int:
    """Return the number of cores in the affinity mask, or of the machine on systems without such a mask."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quotas, in cores, of the control groups of this process and of their parents.

    A line of /proc/self/cgroup is NUMBER:CONTROLLERS:PATH. Version 2 has no controllers. In a container the path may be
    that of the host. Then only the root of the mounted folder exists, and this root is the container's own group.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            places, quota_of = ("", "unified"), _quota_v2
        elif "cpu" in controllers.split(","):
            places, quota_of = (controllers, "cpu"), _quota_v1
        else:
            continue
        for place in places:
            for folder in _upwards(root / "sys/fs/cgroup" / place, path):
                with suppress(ValueError, ZeroDivisionError, OverflowError):
                    if (quota := quota_of(folder)) > 0:
                        yield quota


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a control group, its parents, and last the mounted root."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for length in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:length])


def _quota_v2(folder: Path) -> float:
    """Return the quota in cpu.max, e.g. 1.5 for "150000 100000". Raises ValueError for "max" and a missing file."""
    quota, period = _read(folder / "cpu.max").split()
    return int(quota) / int(period)


def _quota_v1(folder: Path) -> float:
    """Return the quota in two files, negative for no quota. Raises ValueError if a file is missing."""
    return int(_read(folder / "cpu.cfs_quota_us")) / int(_read(folder / "cpu.cfs_period_us"))


def _busy_seconds() -> float:
    """Return the seconds that the cores in the affinity mask were busy since the system started, 0.0 if unknown."""
    ticks = 0
    with suppress(AttributeError, ValueError, IndexError):
        cores = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        for line in _read(Path("/proc/stat")).splitlines():
            name, *counts = line.split()
            if name in cores:
                ticks += sum(int(counts[place]) for place in (0, 1, 2, 5, 6, 7))    # all but idle and waiting for disks
        return ticks / os.sysconf("SC_CLK_TCK")
    return 0.0


def _read(file: Path) -> str:
    """Return the text of a file, "" if it cannot be read."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
