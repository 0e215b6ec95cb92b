"""What the benchmarks share: the machine, median and spread, tables, and JSON that is never half-written."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from featherweight.environment import describe_environment
from featherweight.files import write_atomically

RESULTS = Path(__file__).resolve().parent / "results"


def begin(benchmark: str, settings: dict[str, Any], *more_packages: str) -> dict[str, Any]:
    """The head of a result file; the measurements go beside it."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "benchmark": benchmark, "command": " ".join(["python", f"benchmarks/{benchmark}.py", *sys.argv[1:]]),
        "started": now, "complete": False, "settings": settings, "machine": describe_machine(*more_packages),
    }


def describe_machine(*more_packages: str) -> dict[str, Any]:
    """Processor, cores, threads, versions, and how busy the machine was before the first measurement."""
    environment = describe_environment(torch.device("cpu"), precision="", seed=0, data="")
    machine = {key: value for key, value in environment.items() if key not in ("device", "precision", "seed", "data")}
    machine["processor"] = machine.pop("device_name")
    machine["versions"] |= {name: found for name in more_packages if (found := installed(name))}
    return machine | {"load_average": [round(load, 2) for load in os.getloadavg()]}


def installed(package: str) -> str | None:
    """The version of a package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def spread(values: Sequence[float], digits: int = 4) -> dict[str, Any]:
    """Median, lowest, highest and every value, in the order in which they were measured."""
    rounded = [round(value, digits) for value in values]
    return {"median": round(median(values), digits), "min": min(rounded), "max": max(rounded), "all": rounded}


def ratios(ours: Sequence[float], peers: Sequence[float]) -> list[float]:
    """peer / ours for each pair that was measured side by side; an unfinished last pair is left out."""
    return [peer / our for our, peer in zip(ours, peers, strict=False)]


def show(value: dict[str, Any] | None, digits: int = 1) -> str:
    """A spread as "12.3 (12.1 .. 12.9)"; a dash where there is none."""
    if value is None:
        return "-"
    middle, low, high = (f"{value[key]:,.{digits}f}" for key in ("median", "min", "max"))
    return f"{middle} ({low} .. {high})"


def save(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output: the first column is text, the others are numbers."""
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 180).print(table)


def parser(description: str | None, benchmark: str) -> argparse.ArgumentParser:
    """A parser that knows --out; the first line of the script's docstring is its description."""
    made = argparse.ArgumentParser(
        description=(description or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--out", type=Path, default=RESULTS / f"{benchmark}.json", help="where the JSON goes")
    return made


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def run(main: Callable[[], int]) -> int:
    """Run a benchmark to its exit code; Ctrl-C is one line and 130."""
    try:
        return main()
    except KeyboardInterrupt:
        say("stopped; the JSON holds what was measured so far")
        return 130
