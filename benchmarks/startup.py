"""How long the commands take from a cold process, beside what Python and torch take to start in the same run."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from report import RESULTS, spread, write
from rich.console import Console
from rich.table import Table

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "featherweight --help": ["-m", "featherweight", "--help"],
    "python -c 'import torch'": ["-c", "import torch"],
    "featherweight summary session6": ["-m", "featherweight", "summary", "session6"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS / "startup.json")
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(given.repeats):
        for name, arguments in COMMANDS.items():
            seconds[name].append(timed(arguments))
    found = {name: spread(times) for name, times in seconds.items()}
    write(given.out, {"repeats": given.repeats, "seconds": found})
    shown = Table("command", "median s", "lowest", "highest")
    for name, times in found.items():
        shown.add_row(name, *(f"{times[key]:.3f}" for key in ("median", "lowest", "highest")))
    Console().print(shown)


def timed(arguments: list[str]) -> float:
    """Wall time of one Python process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
