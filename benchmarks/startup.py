"""Measure the start of `featherweight --help` and `featherweight summary session6`, compared with Python and torch.

Each measurement is a new process with the files already in the page cache. The commands take turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import report

SCRIPT = Path(sys.executable).parent / "featherweight"
OURS = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "featherweight"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    "featherweight --help": [*OURS, "--help"],
    "featherweight summary session6": [*OURS, "summary", "session6"],
}
PEER = {    # command -> its peer, which takes the shortest possible time
    "featherweight --help": "python -c pass",
    "featherweight summary session6": "python -c 'import torch'",
}
AIM_SECONDS = {"featherweight --help": 0.3, "featherweight summary session6": 3.0}


def main() -> int:
    options = parse()
    light, heavy = options.repeats, options.heavy_repeats
    repeats = dict(zip(COMMANDS, (light, heavy, light, heavy), strict=True))
    content = report.begin("startup", {"repeats": repeats}) | {"aim_seconds": AIM_SECONDS, "results": {}, "ratios": {}}
    for name in COMMANDS:
        seconds_of(name)        # not counted: fills the page cache and writes the .pyc files
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(max(light, heavy)):
        for name in (name for name in COMMANDS if turn < repeats[name]):
            seconds[name].append(seconds_of(name))
        content |= summarise(seconds)
        report.save(options.out, content)
        report.say(f"turn {turn + 1}: " + "  ".join(f"{name} {found[-1]:.2f} s" for name, found in seconds.items()))
    report.save(options.out, content | {"complete": True})
    print_results(content)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "startup")
    parser.add_argument("--repeats", type=report.positive, default=10, help="of --help and of plain Python")
    parser.add_argument("--heavy-repeats", type=report.positive, default=5, help="of summary and of import torch")
    return parser.parse_args()


def seconds_of(name: str) -> float:
    """Return the wall time of one command from start to exit."""
    started = time.perf_counter()
    done = subprocess.run(COMMANDS[name], capture_output=True, text=True, check=False)
    if done.returncode:
        report.say(f"{name} ended with exit code {done.returncode}: {done.stderr.strip()}")
        sys.exit(1)
    return time.perf_counter() - started


def summarise(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return results and ratios. Here a ratio is ours / peer: a multiple of the shortest possible time."""
    return {
        "results": {name: {"seconds": report.spread(found)} for name, found in seconds.items()},
        "ratios": {
            f"{ours} / {peer}": report.spread(report.ratios(seconds[peer], seconds[ours]), 3)
            for ours, peer in PEER.items()
        },
    }


def print_results(content: dict[str, Any]) -> None:
    rows = []
    for name, found in content["results"].items():
        peer, aim = PEER.get(name), AIM_SECONDS.get(name)
        ratio = report.show(content["ratios"][f"{name} / {peer}"], 2) if peer else "-"
        rows.append([name, report.show(found["seconds"], 3), f"< {aim:g}" if aim else "-", ratio, peer or "-"])
    title = f"Start · {content['machine']['processor']}"
    report.print_table(title, ["command", "seconds", "aim", "times its peer", "peer"], rows)


if __name__ == "__main__":
    sys.exit(report.run(main))
