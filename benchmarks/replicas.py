"""Measure the time of many seeds trained side by side, compared with one seed after another.

Side by side each seed uses one thread; a seed alone uses all cores. Both are the command `featherweight train` in a
fresh process, including its start and the loading of data. The two commands take turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from featherweight.recipe import recipe_names

AIM = 0.7       # largest ratio: seconds side by side / seconds one after another


def main() -> int:
    options = parse()
    settings = {key: value for key, value in vars(options).items() if key != "out"}
    content = report.begin("replicas", settings) | {"aim": AIM, "results": {}, "ratios": {}}
    alone: list[float] = []
    together: list[float] = []
    for repeat in range(options.repeats):
        seconds, content["engine"] = train(options, "--set", f"training.seed={repeat + 1}")
        alone.append(seconds)
        seconds, content["engine"] = train(options, "--seeds", str(options.seeds))
        together.append(seconds)
        content["results"] = {"one seed alone": report.spread(alone, 2), "all seeds": report.spread(together, 2)}
        shares = [both / (options.seeds * one) for one, both in zip(alone, together, strict=True)]
        content["ratios"] = {f"{options.seeds} seeds / {options.seeds} x one alone": report.spread(shares, 3)}
        report.save(options.out, content)
        report.say(f"turn {repeat + 1}: one alone {alone[-1]:.1f} s, {options.seeds} together {together[-1]:.1f} s")
    report.save(options.out, content | {"complete": True})
    rows = [[name, report.show(found, 1), "-"] for name, found in content["results"].items()]
    rows += [[name, report.show(found, 2), f"<= {AIM}"] for name, found in content["ratios"].items()]
    title = f"{options.recipe}, {options.epochs} epochs · {content['machine']['processor']}"
    report.print_table(title, ["what", "seconds, or their ratio", "aim"], rows)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "replicas")
    parser.add_argument("--recipe", choices=recipe_names(), metavar="RECIPE", default="session7-model2")
    parser.add_argument("--epochs", type=report.positive, default=2)
    parser.add_argument("--seeds", type=report.positive, default=8)
    parser.add_argument("--repeats", type=report.positive, default=3)
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    parser.add_argument("--data-dir", type=lambda text: str(Path(text).resolve()), help="folder with mnist/*.gz")
    return parser.parse_args()


def train(options: argparse.Namespace, *which: str) -> tuple[float, str]:
    """Return the seconds of one training command from start to exit, and the engine that trained."""
    command = [sys.executable, "-m", "featherweight", "train", options.recipe, "--data", options.data, "--no-report"]
    command += ["--set", f"training.epochs={options.epochs}", *which]
    command += ["--data-dir", options.data_dir] if options.data_dir else []
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = subprocess.run([*command, "--out", f"{folder}/run"], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            report.say(f"ended with exit code {done.returncode}: {done.stderr.strip()}")
            sys.exit(done.returncode)
        result = next(Path(folder).rglob("result.json"))
        return seconds, json.loads(result.read_text())["engine"]


if __name__ == "__main__":
    sys.exit(report.run(main))
