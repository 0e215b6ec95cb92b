"""Measure training on a GPU: steps with and without a CUDA graph, time to accuracy, and hundreds of seeds at once.

- steps: milliseconds per step of one network and of twenty replicas side by side. The kernels of one network are
  started one by one, or recorded as a CUDA graph and replayed.
- fast: seconds of `train feather-fast` with larger batches, on data that is on the device already. The first training
  includes the start of the process; then one training per seed follows.
- seeds: seconds of the command `featherweight train feather-8k --seeds 256` from start to exit, and its accuracies.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

import report
from featherweight.devices import pick_device
from featherweight.experiment import train_recipe
from featherweight.preparation import PreparedTraining, build_training, load_data
from featherweight.recipe import Recipe
from featherweight.training import loop
from featherweight.training.count import Count
from featherweight.training.engine import make_advance
from featherweight.training.recorded import recorded

STARTED = time.perf_counter()
NETWORKS = ("session6", "feather-8k", "feather-20k")
FAST = ("training.batch_size=512", "optimizer.lr=0.8", "training.epochs=6")     # chosen on validation images
TOGETHER, AIM_FAST, AIM_SEEDS = 20, 0.5, 180


def main() -> int:
    options = parse()
    settings = {key: value for key, value in vars(options).items() if key not in ("out",)}
    content = report.begin("gpu", settings) | {"results": {}, "ratios": {}}
    device = pick_device(options.device)
    content["machine"]["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    for part in options.parts:
        PARTS[part](options, device, content)
        report.save(options.out, content)
    report.save(options.out, content | {"complete": True})
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "gpu")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    parser.add_argument("--data-dir", type=lambda text: str(Path(text).resolve()), help="folder with mnist/*.gz")
    parser.add_argument("--repeats", type=report.positive, default=3)
    parser.add_argument("--seeds", type=report.positive, default=10, help="of feather-fast, after the first training")
    parser.add_argument("--replicas", type=report.positive, default=256)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="settings of the replicas")
    return parser.parse_args()


def measure_steps(options: argparse.Namespace, device: torch.device, content: dict[str, Any]) -> None:
    for name in NETWORKS:
        recipe = Recipe.load(name, [f"data.dataset={options.data}"])
        dataset = load_data(recipe, options.data_dir).to(device)
        trainings = [build_training(recipe.with_seed(seed), dataset, device) for seed in range(1, TOGETHER + 1)]
        ways = {
            "alone": seconds_a_step(trainings[:1], device, record=False, repeats=options.repeats),
            "alone, recorded": seconds_a_step(trainings[:1], device, record=True, repeats=options.repeats),
            f"{TOGETHER} side by side": seconds_a_step(trainings, device, record=True, repeats=options.repeats),
        }
        content["results"][f"ms a step, {name}"] = {way: report.spread(found, 3) for way, found in ways.items()}
        one, again, all_of_them = ways.values()
        content["ratios"][name] = {
            "alone / recorded": report.spread(report.ratios(again, one), 2),
            f"{TOGETHER} x alone, recorded / {TOGETHER} side by side":
                report.spread([TOGETHER * ratio for ratio in report.ratios(all_of_them, again)], 2),
        }
        for way, found in ways.items():
            report.say(f"{name}, {way}: {fmean(found):.2f} ms a step")


def seconds_a_step(
    trainings: list[PreparedTraining], device: torch.device, *, record: bool, repeats: int
) -> list[float]:
    """Return `repeats` measurements of the milliseconds of one step of all trainings together.

    Each measurement is the mean of up to 20 steps of one epoch. record: record the step as a CUDA graph first.
    """
    first, states, replicas = trainings[0], [one.state for one in trainings], [one.replica for one in trainings]
    images, size = len(first.dataset.train), first.plan.batch_size
    count = Count([state.position for state in states], len(first.task.heads), device)
    work = make_advance(replicas, first.task, count)
    order = loop.open_epoch(replicas).to(device)
    for state in states:
        state.model.train()
    advance = recorded(work, device, [state.generator for state in states]) if record else work
    batches = [order[:, start : start + size] for start in range(0, min(images - size, 20 * size) + 1, size)]

    def steps() -> float:
        started = time.perf_counter()
        for picked in batches:
            advance(picked, 1.0, 0.01)
        count.loss.tolist()     # synchronises with the device
        return 1000 * (time.perf_counter() - started) / len(batches)

    steps()
    return [steps() for _ in range(repeats)]


def measure_fast(options: argparse.Namespace, device: torch.device, content: dict[str, Any]) -> None:
    recipe = Recipe.load("feather-fast", [*FAST, f"data.dataset={options.data}"])
    dataset = load_data(recipe, options.data_dir).to(device)
    one_training(recipe, 0, dataset, device)
    cold = time.perf_counter() - STARTED
    found = [one_training(recipe, seed, dataset, device) for seed in range(1, options.seeds + 1)]
    seconds, accuracies = zip(*found, strict=True)
    content["results"]["feather-fast"] = {
        "first training, with the start of the process": round(cold, 2), "seconds": report.spread(seconds, 3),
        "set": FAST, "mean_accuracy": fmean(accuracies), "accuracy": report.spread(accuracies, 4), "aim": AIM_FAST,
    }
    report.say(f"feather-fast: {fmean(seconds):.3f} s, test {fmean(accuracies):.2%} "
               f"({min(accuracies):.2%} to {max(accuracies):.2%}); the first, from the start, {cold:.1f} s")


def one_training(recipe: Recipe, seed: int, dataset: Any, device: torch.device) -> tuple[float, float]:
    """Return (seconds, accuracy on test) of one call of train, including writing the run folder and the test."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = train_recipe(recipe.with_seed(seed), Path(folder) / "run", device=str(device), dataset=dataset)
        seconds = time.perf_counter() - started
        return seconds, run.result["test"]["class"]["accuracy"]


def measure_seeds(options: argparse.Namespace, device: torch.device, content: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "featherweight", "train", "feather-8k", "--seeds", str(options.replicas)]
    command += ["--data", options.data, "--device", str(device), "--no-report"]
    command += ["--data-dir", options.data_dir] if options.data_dir else []
    command += [f"--set={setting}" for setting in options.set]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = subprocess.run([*command, "--out", f"{folder}/runs"], check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(done.returncode)
        summary = json.loads((Path(folder) / "runs" / "summary.json").read_text())
        results = [json.loads((Path(folder) / "runs" / f"seed-{seed}" / "result.json").read_text())
                   for seed in summary["seeds"]]
    tests = [result["test"]["class"] for result in results]
    content["results"][f"{options.replicas} seeds of feather-8k"] = {
        "seconds": round(seconds, 1), "aim": AIM_SEEDS, "summary": summary["test"],
        "mean_loss": fmean(one["loss"] for one in tests),
        "accuracy": {str(seed): one["accuracy"] for seed, one in zip(summary["seeds"], tests, strict=True)},
    }
    mean = summary["test"]["class"]["mean"]
    report.say(f"{options.replicas} seeds of feather-8k: {seconds:.0f} s, test {mean:.3%}")


PARTS: dict[str, Callable[[argparse.Namespace, torch.device, dict[str, Any]], None]] = {
    "steps": measure_steps, "fast": measure_fast, "seeds": measure_seeds,
}


if __name__ == "__main__":
    sys.exit(report.run(main))
