"""Functions that all benchmarks share: description of the machine, median and range, tables, atomic JSON files."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from featherweight.environment import describe_environment
from featherweight.errors import FeatherweightError
from featherweight.files import write_atomically
from featherweight.garbage import collect_rarely

RESULTS = Path(__file__).resolve().parent / "results"


def begin(benchmark: str, settings: dict[str, Any], *more_packages: str) -> dict[str, Any]:
    """Return the first keys of a result file: command, time, settings, machine. The caller adds the measurements."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "benchmark": benchmark, "command": " ".join(["python", f"benchmarks/{benchmark}.py", *sys.argv[1:]]),
        "started": now, "complete": False, "settings": settings, "machine": describe_machine(*more_packages),
    }


def describe_machine(*more_packages: str) -> dict[str, Any]:
    """Return processor, cores, threads, versions, and the load average before the first measurement."""
    environment = describe_environment(torch.device("cpu"), precision="", seed=0, data="")
    machine = {key: value for key, value in environment.items() if key not in ("device", "precision", "seed", "data")}
    machine["processor"] = machine.pop("device_name")
    machine["versions"] |= {name: found for name in more_packages if (found := installed(name))}
    return machine | {"load_average": [round(load, 2) for load in os.getloadavg()]}


def installed(package: str) -> str | None:
    """Return the version of a package, or None if the package is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def spread(values: Sequence[float], digits: int = 4) -> dict[str, Any]:
    """Return the median, the lowest, the highest and all values, rounded. The values keep their order."""
    rounded = [round(value, digits) for value in values]
    return {"median": round(median(values), digits), "min": min(rounded), "max": max(rounded), "all": rounded}


def means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the mean over the rows of each number. Values that are no numbers are left out."""
    return {key: fmean(row[key] for row in rows) for key, value in rows[0].items() if isinstance(value, int | float)}


def ratios(ours: Sequence[float], peers: Sequence[float]) -> list[float]:
    """Return peer / ours for each pair measured in the same turn. A value without a partner is left out."""
    return [peer / our for our, peer in zip(ours, peers, strict=False)]


def show(value: dict[str, Any] | None, digits: int = 1) -> str:
    """Return a spread as "median (lowest .. highest)", e.g. "12.3 (12.1 .. 12.9)". Return "-" for None."""
    if value is None:
        return "-"
    middle, low, high = (f"{value[key]:,.{digits}f}" for key in ("median", "min", "max"))
    return f"{middle} ({low} .. {high})"


def save(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def say(line: str) -> None:
    """Print a line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output. The first column is aligned left, as text, the others right, as numbers."""
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 180).print(table)


def parser(description: str | None, benchmark: str) -> argparse.ArgumentParser:
    """Return a parser with the option --out. The first line of `description` becomes its description."""
    made = argparse.ArgumentParser(
        description=(description or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--out", type=Path, default=RESULTS / f"{benchmark}.json", help="the JSON file to write")
    return made


def positive(text: str) -> int:
    """Parse a whole number of at least 1, as a type for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def run(main: Callable[[], int]) -> int:
    """Run a benchmark and return its exit code. Print one line and return 2 for bad input, 130 after Ctrl-C."""
    collect_rarely()        # as the commands do
    try:
        return main()
    except FeatherweightError as fault:
        say(str(fault))
        return 2
    except KeyboardInterrupt:
        say("stopped; the JSON holds what was measured so far")
        return 130
