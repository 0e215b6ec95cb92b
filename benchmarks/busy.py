"""Measure an epoch of training while another program keeps one core busy, compared with one thread alone.

Each measurement is the command `featherweight train` in a fresh process. Its time is that of the last epoch, as the run
folder records it: without the start, the data and the result. The four cases take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import report
from featherweight.recipe import recipe_names

AIM = 1.3       # largest ratio: seconds beside a busy core / seconds of one thread alone
# It ends with its parent.
SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(1_000_000))"
OURS = ["-m", "featherweight"]
TORCH = ["-c", "import torch; from featherweight.cli import main; main()"]      # torch loads before we set anything


class Case(NamedTuple):
    """One way to train: the program, the threads (None: as the program chooses), and if a core is kept busy."""

    program: list[str]
    threads: int | None
    busy: bool


CASES = {
    "one thread, alone": Case(OURS, 1, False),
    "default settings, alone": Case(OURS, None, False),
    "default settings, one core busy": Case(OURS, None, True),
    "torch's own settings, one core busy": Case(TORCH, None, True),
}
BASE, JUDGED = "one thread, alone", "default settings, one core busy"


def main() -> int:
    options = parse()
    settings = {key: value for key, value in vars(options).items() if key != "out"}
    content = report.begin("busy", settings) | {"aim": {f"{JUDGED} / {BASE}": AIM}, "results": {}, "ratios": {}}
    content["settings"]["overrides"] = overrides(options)
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for repeat in range(options.repeats):
        for name, case in CASES.items():
            spent, content["engine"] = measure(options, case)
            seconds[name].append(spent)
            report.say(f"turn {repeat + 1}: {name}: {seconds[name][-1]:.2f} s")
        content |= summarise(seconds)
        report.save(options.out, content)
    report.save(options.out, content | {"complete": True})
    print_results(options, content)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "busy")
    parser.add_argument("--recipe", choices=recipe_names(), metavar="RECIPE", default="session7-model2")
    parser.add_argument("--epochs", type=report.positive, default=1, help="the last one is measured")
    parser.add_argument("--repeats", type=report.positive, default=3)
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    parser.add_argument("--data-dir", type=lambda text: str(Path(text).resolve()), help="folder with mnist/*.gz")
    parser.add_argument("--engine", choices=("auto", "torch", "compiled"), default="auto", help="training.engine")
    return parser.parse_args()


def overrides(options: argparse.Namespace) -> list[str]:
    """Return the changes of the recipe."""
    return [f"training.epochs={options.epochs}", f"training.engine={options.engine}"]


def measure(options: argparse.Namespace, case: Case) -> tuple[float, str]:
    """Return the seconds of the last epoch of one training command, and the engine that trained."""
    command = [sys.executable, *case.program, "train", options.recipe, "--data", options.data, "--no-report"]
    command += ["--device", "cpu", "--data-dir", options.data_dir] if options.data_dir else ["--device", "cpu"]
    for setting in overrides(options):
        command += ["--set", setting]
    with tempfile.TemporaryDirectory() as folder, one_core_busy(case.busy):
        run = Path(folder) / "run"
        done = subprocess.run([*command, "--out", run], env=environment(case.threads), capture_output=True, text=True,
                              check=False)
        if done.returncode:
            report.say(f"ended with exit code {done.returncode}: {done.stderr.strip()}")
            sys.exit(done.returncode if done.returncode > 0 else 1)
        last, result = (run / "history.jsonl").read_text().splitlines()[-1], (run / "result.json").read_text()
        return float(json.loads(last)["seconds"]), json.loads(result)["engine"]


def environment(threads: int | None) -> dict[str, str]:
    """Return the environment without settings of OpenMP, and with this number of threads unless it is None."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_", "MKL_"))}
    return kept if threads is None else kept | {"OMP_NUM_THREADS": str(threads)}


@contextmanager
def one_core_busy(busy: bool) -> Iterator[None]:
    """Let another process compute without end during the block, if `busy`."""
    spinner = subprocess.Popen([sys.executable, "-c", SPIN]) if busy else None
    try:
        yield
    finally:
        if spinner:
            spinner.kill()
            spinner.wait()


def summarise(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return results and ratios. Here a ratio is case / one thread alone, of the same turn."""
    return {
        "results": {name: {"seconds": report.spread(found)} for name, found in seconds.items()},
        "ratios": {
            f"{name} / {BASE}": report.spread(report.ratios(seconds[BASE], found), 3)
            for name, found in seconds.items() if name != BASE
        },
    }


def print_results(options: argparse.Namespace, content: dict[str, Any]) -> None:
    rows = []
    for name, found in content["results"].items():
        ratio = content["ratios"].get(f"{name} / {BASE}")
        aim = f"<= {AIM}" if name == JUDGED else "-"
        rows.append([name, report.show(found["seconds"], 2), report.show(ratio, 2), aim])
    machine = content["machine"]
    trained = f"{options.recipe}, one epoch of {options.data}, engine {content['engine']}"
    title = f"{trained} · {machine['processor']}, {machine['cores']} cores"
    report.print_table(title, ["case", "seconds", "times one thread alone", "aim"], rows)


if __name__ == "__main__":
    sys.exit(report.run(main))
