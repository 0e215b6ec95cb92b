"""Measure the time to write a report of one run and of many runs, compared with evaluating the same runs.

- report: writing the page. evaluate, the peer: load the data and the network, run the network on every test image.
  Both are measured in one process, after one untimed page, so that imports are not counted.
- command: `featherweight report` in a new process, from start to exit.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import report
from featherweight.examination import evaluate, load_once
from featherweight.experiment import train_recipe
from featherweight.recipe import Recipe
from featherweight.report import write_report

AIM_SECONDS = {"1 run": 5.0, "20 runs": 20.0}


def main() -> int:
    options = parse()
    content = report.begin("pages", {"repeats": options.repeats, "data": options.data}, "matplotlib", "jinja2")
    content |= {"aim_seconds": AIM_SECONDS, "results": {}, "ratios": {}}
    with tempfile.TemporaryDirectory() as folder:
        runs = make_runs(Path(folder), options.data, options.runs)
        measure(runs[:1], Path(folder) / "page.html", 1)        # imports everything
        for count in sorted({1, len(runs)}):
            name = f"{count} run{'s' if count > 1 else ''}"
            found = measure(runs[:count], Path(folder) / "page.html", options.repeats)
            content["results"][name] = {
                "page_kb": (Path(folder) / "page.html").stat().st_size // 1000,
                **{key: report.spread(seconds) for key, seconds in found.items()},
            }
            ratios = report.ratios(found["report"], found["evaluate"])
            content["ratios"][f"{name}: evaluate / report"] = report.spread(ratios, 3)
            report.save(options.out, content)
            report.say(f"{name}: {found['command'][-1]:.2f} s")
    report.save(options.out, content | {"complete": True})
    print_results(content)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "pages")
    parser.add_argument("--repeats", type=report.positive, default=3, help="measurements of each")
    parser.add_argument("--runs", type=report.positive, default=20, help="runs in the large report")
    parser.add_argument("--data", default="mnist", help="the data set with the test images")
    return parser.parse_args()


def make_runs(folder: Path, data: str, count: int) -> list[Path]:
    """Return `count` copies of a run of session7-model2, trained for one epoch on the bundled digits.

    The name of the data set is then replaced by `data` in their files.
    """
    recipe = Recipe.load("session7-model2", ["training.epochs=1", "data.dataset=digits"])
    first = train_recipe(recipe, folder / "run-01", device="cpu")
    for name in ("recipe.toml", "result.json"):
        file = first.path / name
        file.write_text(file.read_text().replace('"digits"', f'"{data}"'))
    return [first.path, *(shutil.copytree(first.path, folder / f"run-{n:02}") for n in range(2, count + 1))]


def measure(runs: Sequence[Path], page: Path, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of report, evaluate and command. The three take turns."""
    seconds: dict[str, list[float]] = {"report": [], "evaluate": [], "command": []}
    for _ in range(repeats):
        load_once.cache_clear()
        seconds["report"].append(timed(lambda: write_report(runs, page)))
        seconds["evaluate"].append(timed(lambda: [evaluate(run, device="cpu") for run in runs]))
        seconds["command"].append(timed(lambda: command(runs, page)))
    return seconds


def timed(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def command(runs: Sequence[Path], page: Path) -> None:
    arguments = ["report", *map(str, runs), "--out", str(page), "--force"]
    start = [sys.executable, "-c", "from featherweight.cli import main; main()"]
    subprocess.run([*start, *arguments], check=True, capture_output=True)


def print_results(content: dict[str, Any]) -> None:
    rows = []
    for name, found in content["results"].items():
        aim = f"< {AIM_SECONDS[name]:g}" if name in AIM_SECONDS else "-"
        shown = [report.show(found[key], 2) for key in ("report", "evaluate")]
        rows.append([name, report.show(found["command"], 2), aim, *shown, f"{found['page_kb']:,}"])
    title = f"Pages, seconds · {content['machine']['processor']}"
    report.print_table(title, ["page", "command", "aim", "report", "evaluate alone", "kB"], rows)


if __name__ == "__main__":
    sys.exit(report.run(main))
