"""Train recipes with many seeds and keep every seed's result: one JSON a recipe, with the commit and the machine.

The runs stay in runs/seeds/RECIPE, so that a second call goes on where the first one stopped, and more seeds can be
added. Each seed is one thread; as many go side by side as there are cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import report
from featherweight.recipe import recipe_names
from featherweight.replication import Replicas

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("accuracy", "loss", "correct", "count")


def main() -> int:
    options = parse()
    for name in options.recipes:
        folder = options.runs / name
        command = [sys.executable, "-m", "featherweight", "train", name, "--seeds", str(options.seeds)]
        command += ["--out", str(folder), "--resume", "--no-report", *options.train]
        started = report.begin("recipes", {"recipe": name, "seeds": options.seeds, "train": options.train})
        code = subprocess.run(command, check=False).returncode
        if code:
            report.say(f"{name} ended with exit code {code}; what is trained stays in {folder}")
            return code
        report.save(options.out / f"{name}.json", started | result_of(Replicas(folder)) | {"complete": True})
    print_results(options)
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "recipes")
    parser.add_argument("recipes", nargs="+", choices=recipe_names(), metavar="RECIPE", help="recipes of the package")
    parser.add_argument("--seeds", type=report.positive, default=20, help="seeds 1 to this")
    parser.add_argument("--runs", type=Path, default=Path("runs/seeds"), help="where the run folders go")
    parser.add_argument("--train", nargs=argparse.REMAINDER, default=[], help="what follows goes to train")
    parser.set_defaults(out=report.RESULTS / "recipes")
    return parser.parse_args()


def result_of(replicas: Replicas) -> dict[str, Any]:
    """The summary, and what each seed gave."""
    seeds = [
        {
            "seed": run.result["seed"], "seconds": run.result["seconds"],
            "test": {head: {key: score[key] for key in KEPT if key in score}
                     for head, score in run.result["test"].items()},
            "train": run.result["train"], "threads": run.environment["threads"],
        }
        for run in replicas.runs
    ]
    return {"commit": commit(), "summary": replicas.summary, "seeds": seeds}


def commit() -> str:
    """The commit that was measured; "+" where the tree held more than that."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    changes = subprocess.run(["git", "status", "--porcelain", "--", "src"], cwd=ROOT, capture_output=True, text=True,
                             check=False)
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


def print_results(options: argparse.Namespace) -> None:
    rows = []
    for name in options.recipes:
        summary = Replicas(options.runs / name).summary
        for head, found in summary["test"].items():
            low, high = found["interval"]
            rows.append([
                name, head, f"{summary['parameters']:,}", str(summary["epochs"]), str(found["count"]),
                f"{100 * found['mean']:.3f}", f"{100 * low:.3f} .. {100 * high:.3f}",
                f"{100 * found['lowest']:.2f} .. {100 * found['highest']:.2f}", f"{summary['seconds_a_seed']:.0f}",
            ])
    columns = ["recipe", "head", "parameters", "epochs", "seeds", "mean %", "95 % of the mean", "lowest .. highest",
               "s a seed"]
    report.print_table("Test accuracy at the last epoch", columns, rows)


if __name__ == "__main__":
    sys.exit(report.run(main))
