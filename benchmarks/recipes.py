"""Train recipes with many seeds and store the result of each seed: one JSON file per recipe, with commit and machine.

The run folders are kept in runs/seeds/RECIPE, so that a second call resumes the first. Each seed uses one thread, and
one seed per core is trained at a time.

- --first 11 trains the seeds from 11 to --seeds, and adds them to the earlier seeds in the JSON file. So twenty seeds
  can be trained on several days. The recipe must not change between the days.
- --teacher FOLDER trains with the soft labels of a finished run or of a folder of seeds. --set changes the recipe of
  these runs. Runs and results are then written to folders called "taught".
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import report
from featherweight.models import build_model
from featherweight.recipe import Recipe, recipe_names
from featherweight.replication import Replicas
from featherweight.replication.seeds import describe
from featherweight.results import compare_with_goal
from featherweight.runs import Run, open_runs
from featherweight.tasks import build_task

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("accuracy", "loss", "correct", "count")


def main() -> int:
    options = parse()
    numbers = list(range(options.first, options.seeds + 1))
    for name in options.recipes:
        recipe, folder, file = Recipe.load(name, settings(options)), options.runs / name, options.out / f"{name}.json"
        before = earlier(file, recipe) if options.first > 1 else []
        command = [sys.executable, "-m", "featherweight", "train", name, "--seeds", ",".join(map(str, numbers)) + ","]
        command += ["--out", str(folder), "--resume", "--no-report", *options.train]
        command += [f"--set={setting}" for setting in settings(options)]
        started = report.begin("recipes", {"recipe": name, "seeds": numbers, "train": options.train})
        clock = time.perf_counter()
        code = subprocess.run(command, check=False).returncode
        seconds = round(time.perf_counter() - clock, 1)
        if code:
            report.say(f"{name} ended with exit code {code}; what is trained stays in {folder}")
            return code
        seeds = sorted(before + [seed_of(run) for run in Replicas(folder).runs], key=lambda one: one["seed"])
        summary = Replicas(folder).summary | over_all(recipe, seeds)
        content = {"recipe": what_counts(recipe), "summary": summary, "seconds_of_the_command": seconds,
                   "seeds": seeds, "complete": True}
        report.save(file, started | content | taught_by(options))
    print_results(options)
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "recipes")
    parser.add_argument("recipes", nargs="+", choices=recipe_names(), metavar="RECIPE", help="recipes of the package")
    parser.add_argument("--seeds", type=report.positive, default=20, help="the last seed")
    parser.add_argument("--first", type=report.positive, default=1,
                        help="the first seed to train; results of earlier seeds are kept")
    parser.add_argument("--teacher", type=Path, help="a finished run, or a folder of seeds")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="settings of the taught recipe, as for featherweight train")
    parser.add_argument("--runs", type=Path, default=Path("runs/seeds"), help="the folder for the run folders")
    parser.add_argument("--train", nargs=argparse.REMAINDER, default=[], help="further options for featherweight train")
    parser.set_defaults(out=report.RESULTS / "recipes")
    options = parser.parse_args()
    if options.set and not options.teacher:
        parser.error(f"--set {options.set[0]} is for pupils. Give a --teacher, or change the recipe itself.")
    if options.teacher:
        options.out, options.runs = options.out / "taught", options.runs / "taught"
    return options


def settings(options: argparse.Namespace) -> list[str]:
    """Return the settings that make the network of a recipe learn from the teacher. Empty without a teacher."""
    return [f"distillation.teacher={json.dumps(str(options.teacher))}", *options.set] if options.teacher else []


def taught_by(options: argparse.Namespace) -> dict[str, Any]:
    """Return the teacher's path, recipe and seeds, and the other settings. Empty without a teacher."""
    if not options.teacher:
        return {}
    runs = open_runs(str(options.teacher))
    names = {run.recipe.name for run in runs}
    seeds = [run.recipe.training.seed for run in runs]
    teacher = {"path": str(options.teacher), "recipe": ", ".join(sorted(names)), "seeds": seeds}
    return {"teacher": teacher, "set": options.set}


def earlier(file: Path, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the seeds of an earlier result file, or an empty list if there is no file.

    Exit with code 2 if the file is of a different recipe with the same name.
    """
    if not file.exists():
        return []
    content = json.loads(file.read_text())
    before = Recipe.from_dict(content["recipe"])    # adds defaults for keys that are newer than the result
    if what_counts(before) != what_counts(recipe):
        report.say(f"{file} is of another recipe by this name. Train all its seeds anew: leave out --first.")
        sys.exit(2)
    return content["seeds"]


def what_counts(recipe: Recipe) -> dict[str, Any]:
    """Return the content of a recipe without its goal and its seed."""
    content = recipe.model_dump(mode="json", exclude={"goal"})
    del content["training"]["seed"]
    return content


def seed_of(run: Run) -> dict[str, Any]:
    """Return the results of one seed, and the commit of the code."""
    test = {head: {key: score[key] for key in KEPT if key in score} for head, score in run.result["test"].items()}
    return {
        "seed": run.result["seed"], "seconds": run.result["seconds"], "test": test, "train": run.result["train"],
        "engine": run.result.get("engine", "torch"), "threads": run.environment["threads"], "commit": commit(),
    }


def over_all(recipe: Recipe, seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the parts of a summary that are computed over all seeds."""
    test = {head: describe([one["test"][head]["accuracy"] for one in seeds]) for head in seeds[0]["test"]}
    means = {head: test[head]["mean"] for head in build_task(recipe.task).heads}
    parameters = sum(p.numel() for p in build_model(recipe.model.name, recipe.model.arguments).parameters())
    return {
        "seeds": [one["seed"] for one in seeds], "test": test, "goal": compare_with_goal(recipe, parameters, means),
        "seconds_a_seed": round(fmean(one["seconds"] for one in seeds), 3),
    }


def commit() -> str:
    """Return the commit that was measured, followed by "+" if src/ has uncommitted changes."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    changes = subprocess.run(["git", "status", "--porcelain", "--", "src"], cwd=ROOT, capture_output=True, text=True,
                             check=False)
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


def print_results(options: argparse.Namespace) -> None:
    rows = []
    for name in options.recipes:
        summary = json.loads((options.out / f"{name}.json").read_text())["summary"]
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
