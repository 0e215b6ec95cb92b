"""Several runs side by side: grouped by recipe, their means with intervals, their differences in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from featherweight.errors import RunError
from featherweight.runs import Run
from featherweight.statistics import bootstrap_interval, paired_difference, summarize_values, wilson_interval


@dataclass(frozen=True)
class Group:
    """The runs of one recipe, by seed."""

    name: str
    parameters: int
    runs: Mapping[int, Run]

    def accuracies(self, head: str) -> dict[int, float]:
        """seed -> accuracy on test."""
        return {seed: run.result["test"][head]["accuracy"] for seed, run in self.runs.items()}

    def mean(self, head: str) -> float:
        """The mean over seeds."""
        return summarize_values(list(self.accuracies(head).values())).mean

    def interval(self, head: str) -> tuple[float, float]:
        """95 %: bootstrap of the mean over seeds; for one seed, Wilson's for its count of test answers."""
        values = list(self.accuracies(head).values())
        if len(values) > 1:
            return bootstrap_interval(values)
        score = next(iter(self.runs.values())).result["test"][head]
        return wilson_interval(score["correct"], score["count"])


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Runs of the same recipe, network and size belong together; a seed that is there twice makes another group."""
    found: dict[tuple[str, str, int, int], dict[int, Run]] = {}
    for run in runs:
        result = run.result
        copy = 0
        while result["seed"] in found.get(key := (result["recipe"], result["model"], result["parameters"], copy), {}):
            copy += 1
        found.setdefault(key, {})[result["seed"]] = run
    names = [recipe for recipe, *_ in found]
    return [
        Group(key[0] if names.count(key[0]) == 1 else f"{key[0]} ({folder(next(iter(seeds.values())))})", key[2], seeds)
        for key, seeds in found.items()
    ]


def folder(run: Run) -> str:
    """What a run's folder is called."""
    return Path(run.path).resolve().name


def check_same_data(runs: Sequence[Run], *, mixed: bool = False) -> None:
    """RunError for runs on different data sets, which say nothing about each other."""
    names = sorted({run.result["dataset"] for run in runs})
    if len(names) > 1 and not mixed:
        raise RunError(f"the runs are on different data sets ({', '.join(names)}), whose accuracies do not compare. "
                       "Give runs on one of them, or --mixed.")


def differences(groups: Sequence[Group]) -> list[str]:
    """Each pair of groups in words, over the seeds that both have."""
    return [sentence for first, second in combinations(groups, 2) for sentence in difference(first, second)]


def difference(first: Group, second: Group) -> list[str]:
    """ "b - a: +0.61 +- 0.12 points over 5 seeds", for each head that both have."""
    said = []
    for head in common_heads([first, second]):
        one, other = first.accuracies(head), second.accuracies(head)
        seeds = sorted(set(one) & set(other))
        if not seeds:
            continue
        mean, (low, high) = paired_difference([one[seed] for seed in seeds], [other[seed] for seed in seeds])
        what = f"{second.name} - {first.name}" + ("" if head == "class" else f", {head}")
        if len(seeds) == 1:
            said.append(f"{what}: {100 * mean:+.2f} points with seed {seeds[0]} alone; one pair has no interval.")
            continue
        words = f"{100 * mean:+.2f} ± {50 * (high - low):.2f} points over {len(seeds)} seeds"
        said.append(f"{what}: {words} (95 %: {100 * low:+.2f} to {100 * high:+.2f}), {verdict(low, high)}.")
    return said


def verdict(low: float, high: float) -> str:
    """What an interval of a difference says."""
    return "which may be chance" if low <= 0 <= high else "more than the seeds explain"


def common_heads(groups: Sequence[Group]) -> list[str]:
    """The heads that all runs have."""
    heads = [list(run.result["test"]) for group in groups for run in group.runs.values()]
    return [head for head in heads[0] if all(head in other for other in heads)]
