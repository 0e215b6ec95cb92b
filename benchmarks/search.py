"""Measure the search: its front beside that of random points, and the driver's speed with stubs for trainings.

- hypervolume: area under the lowest error that each number of parameters allows. The search is compared with random
  points of the same space, and with random points after the two networks with which the search begins. Each has the
  same number of trials. Errors are of validation images, in decades below 1. The images are 10,000 of MNIST and 5,000
  others for validation, or the digits.
- growth: processor time of a trial that the driver proposes, repairs, records and ranks; seconds to resume the ledger.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import log10
from pathlib import Path
from typing import Any

import report
from featherweight.crews import Outcome, Task, open_crew
from featherweight.recipe import Recipe
from featherweight.search.driver import Driver
from featherweight.search.exploring import Exploring
from featherweight.search.ledger import Ledger
from featherweight.search.problem import Budgets, Problem, blind, load
from featherweight.search.sampler import Sampler
from featherweight.search.study import LEAST_ERROR, Study, study_of
from featherweight.search.work import Shared

SETTINGS = {
    "mnist": ("data.unseen_writers=false", "data.validation=5000"),
    "digits": ("training.engine=torch",),       # compiling takes longer than a training on the digits
}
KINDS: dict[str, dict[str, Any]] = {    # of searches, and their samplers
    "search": {},
    "random": {"randomly": True, "starts": ()},
    "random after the starts": {"randomly": True},
}
IMAGES = 15000      # of MNIST, those for validation included


def main() -> int:
    options = parse()
    content = report.begin("search", {key: str(value) for key, value in vars(options).items()}, "optuna")
    content |= {"results": {}, "ratios": {}}
    with tempfile.TemporaryDirectory() as folder:
        for part in options.parts:
            MEASURE[part](options, Path(folder), content)
            report.save(options.out, content)
    report.save(options.out, content | {"complete": True})
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "search")
    parser.add_argument("--parts", nargs="+", choices=list(MEASURE), default=list(MEASURE), help="what to measure")
    parser.add_argument("--data", choices=list(SETTINGS), default="mnist", help="images of the hypervolume")
    parser.add_argument("--against", nargs="+", choices=list(KINDS)[1:], default=list(KINDS)[1:], help="comparisons")
    parser.add_argument("--repeats", type=report.positive, default=10, help="searches of each kind")
    parser.add_argument("--trials", type=report.positive, default=60, help="of each search")
    parser.add_argument("--epochs", type=report.positive, default=9, help="of the last rung")
    parser.add_argument("--parameters", type=report.positive, default=1000, help="budget")
    parser.add_argument("--stubs", type=report.positive, default=5000, help="trials without training")
    return parser.parse_args()


def hypervolumes(options: argparse.Namespace, folder: Path, content: dict[str, Any]) -> None:
    """Measure the hypervolume of each kind of search, in turn."""
    settings = SETTINGS[options.data]
    base, dataset = load(options.data, settings, None)
    dataset = replace(dataset, train=dataset.train.first(IMAGES), writers=None)
    recipe = Recipe.from_dict(base)
    budgets = Budgets(parameters=options.parameters, epochs=options.epochs)
    found: dict[str, list[float]] = {kind: [] for kind in ("search", *options.against)}
    for seed in range(1, options.repeats + 1):
        problem = Problem.of(recipe, dataset, budgets=budgets, form="int8", levels=2, seed=seed, settings=settings)
        for kind, values in found.items():
            with open_crew("local", "featherweight.search.work:measure", Shared(base, blind(dataset))) as crew:
                study = explored(problem, folder / f"{kind} {seed}", crew, options.trials, **KINDS[kind])
            values.append(hypervolume(study))
        report.say(f"seed {seed}: " + ", ".join(f"{kind} {values[-1]:.4f}" for kind, values in found.items()))
        content["results"]["hypervolume"] = {kind: report.spread(values) for kind, values in found.items()}
        for kind in options.against:
            wins = sum(a > b for a, b in zip(found["search"], found[kind], strict=True))
            content["ratios"][f"hypervolume: search better than {kind}"] = f"{wins} of {seed}"
        report.save(options.out, content)


def explored(problem: Problem, folder: Path, crew: Any, trials: int, **sampler: Any) -> Study:
    """Return the study after `trials` trials. sampler: arguments of the Sampler."""
    folder.mkdir()
    study, ledger = Study(problem), Ledger(folder)
    ledger.header = [{"event": "search", **problem.to_dict()}]
    with ledger.appending():
        stage = Exploring(study, Sampler(problem.seed, **sampler), trials, lambda at: False)
        Driver(study, ledger, []).run(stage, crew)
    return study


def hypervolume(study: Study) -> float:
    """Return the mean, over all numbers of parameters up to the budget, of the lowest error that they allow.

    The error is in decades below 1: 0.01 is 2. Networks count with their accuracy at the last rung.
    """
    budget = study.cells[0]["parameters"]
    whole = [(one.costs.parameters, -log10(max(1 - one.accuracies[-1], LEAST_ERROR))) for one in study.members
             if len(one.accuracies) == len(study.epochs)]
    area, best, before = 0.0, 0.0, 0
    for parameters, decades in sorted(whole):
        area, before, best = area + best * (parameters - before), parameters, max(best, decades)
    return (area + best * (budget - before)) / budget


def growth(options: argparse.Namespace, folder: Path, content: dict[str, Any]) -> None:
    """Measure processor seconds a trial of the driver, in ten blocks, and the time to resume."""
    problem = Problem("digits", (1, 28, 28), 10, 1437, Budgets(parameters=20000, epochs=9), "int8", 3, 1, ())
    with stub_crew() as crew:
        begun = time.process_time()
        explored(problem, folder / "stubs", crew, options.stubs)
    seconds, size = crew.times, max(1, len(crew.times) // 10)
    blocks = [(seconds[min(i + size, len(seconds)) - 1] - (seconds[i - 1] if i else begun)) / size
              for i in range(0, len(seconds), size)]
    begun = time.process_time()
    study_of(Ledger(folder / "stubs").read(), folder / "stubs")
    resumed = time.process_time() - begun
    content["results"]["growth"] = {
        "tasks": len(seconds), "milliseconds_a_task": report.spread([1000 * one for one in blocks], 2),
        "resume_seconds": round(resumed, 2),
    }
    report.say(json.dumps(content["results"]["growth"]))


class Stubs:
    """A crew whose tasks end at once, with an accuracy that follows from the candidate."""

    slots = 16

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.times: list[float] = []        # processor time at the end of each task

    def start(self, task: Task) -> None:
        self.tasks.append(task)

    def finished(self, seconds: float) -> list[Outcome]:
        task = self.tasks.pop(0)
        luck = hashlib.sha256(json.dumps(task.data).encode()).digest()[0] / 256
        self.times.append(time.process_time())
        return [Outcome(task.key, {"accuracy": round(0.9 + 0.1 * luck, 4), "seconds": 1.0}, None)]

    def messages(self) -> list[tuple[str, Any]]:
        return []

    def stop(self) -> None:
        self.tasks = []


@contextmanager
def stub_crew() -> Iterator[Stubs]:
    yield Stubs()


MEASURE = {"hypervolume": hypervolumes, "growth": growth}

if __name__ == "__main__":
    raise SystemExit(report.run(main))
