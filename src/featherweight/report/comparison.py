"""Several runs side by side: grouped by recipe, their means with intervals, their differences in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from featherweight.errors import RunError
from featherweight.runs import Run
from featherweight.statistics import bootstrap_interval, paired_difference, summarize_values, wilson_interval
from featherweight.wording import option


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
    """Runs of the same recipe, network and size belong together; a seed that is there twice makes another group.

    Seeds that were trained into one folder stay apart from those of another, whose settings may differ.
    """
    found: dict[tuple[str, str, int, Path | None, int], dict[int, Run]] = {}
    for run in runs:
        result, copy = run.result, 0
        same = (result["recipe"], result["model"], result["parameters"], folder_of_seeds(run))
        while result["seed"] in found.get((*same, copy), {}):
            copy += 1
        found.setdefault((*same, copy), {})[result["seed"]] = run
    made = [(recipe, home(next(iter(seeds.values()))), size, seeds) for (recipe, _, size, *_), seeds in found.items()]
    return [
        Group(tell_apart(recipe, own, [path for name, path, *_ in made if name == recipe]), size, seeds)
        for recipe, own, size, seeds in made
    ]


def tell_apart(recipe: str, own: Path, alike: Sequence[Path]) -> str:
    """A group's name: its recipe, and where others have that too, as much of the end of its path as they have not."""
    if len(alike) == 1:
        return recipe
    others = [path for path in alike if path != own]
    count = next(n for n in range(1, len(own.parts) + 1) if all(own.parts[-n:] != path.parts[-n:] for path in others))
    return f"{recipe} ({'/'.join(own.parts[-count:])})"


def folder(run: Run) -> str:
    """What a run's folder is called."""
    return Path(run.path).resolve().name


def folder_of_seeds(run: Run) -> Path | None:
    """The folder that a run shares with other seeds of its recipe, where it was trained beside them."""
    path = Path(run.path).resolve()
    return path.parent if path.name == f"seed-{run.result['seed']}" else None


def home(run: Run) -> Path:
    """The folder by which a group is told from another of the same recipe."""
    return folder_of_seeds(run) or Path(run.path).resolve()


def check_same_data(runs: Sequence[Run], *, mixed: bool = False) -> None:
    """RunError for runs on different data sets, which say nothing about each other."""
    names = sorted({run.result["dataset"] for run in runs})
    if len(names) > 1 and not mixed:
        raise RunError(f"the runs are on different data sets ({', '.join(names)}), whose accuracies do not compare. "
                       f"Give runs on one of them, or {option('mixed')}.")


@dataclass(frozen=True)
class Difference:
    """How much more accurate the second group is, over the seeds that both have, on one head; fractions."""

    first: str
    second: str
    head: str
    seeds: tuple[int, ...]
    mean: float
    interval: tuple[float, float]       # 95 %, bootstrap over pairs; without meaning for one pair

    def __str__(self) -> str:
        """ "b - a: +0.61 +- 0.12 points over 5 seeds (95 %: ...), which may be chance." """
        what = f"{self.second} - {self.first}" + ("" if self.head == "class" else f", {self.head}")
        points, (low, high) = f"{100 * self.mean:+.2f}", self.interval
        if len(self.seeds) == 1:
            return f"{what}: {points} points with seed {self.seeds[0]} alone; one pair has no interval."
        words = f"{points} ± {50 * (high - low):.2f} points over {len(self.seeds)} seeds"
        return f"{what}: {words} (95 %: {100 * low:+.2f} to {100 * high:+.2f}), {verdict(low, high)}."


def differences(groups: Sequence[Group]) -> list[Difference]:
    """Each pair of groups that have seeds in common, for each head that both have."""
    return [found for first, second in combinations(groups, 2) for found in difference(first, second)]


def difference(first: Group, second: Group) -> list[Difference]:
    """One pair of groups; empty where they have no seed in common."""
    seeds = sorted(set(first.runs) & set(second.runs))
    made = []
    for head in common_heads([first, second]) if seeds else []:
        one, other = first.accuracies(head), second.accuracies(head)
        mean, interval = paired_difference([one[seed] for seed in seeds], [other[seed] for seed in seeds])
        made.append(Difference(first.name, second.name, head, tuple(seeds), mean, interval))
    return made


def verdict(low: float, high: float) -> str:
    """What an interval of a difference says."""
    return "which may be chance" if low <= 0 <= high else "more than the seeds explain"


def common_heads(groups: Sequence[Group]) -> list[str]:
    """The heads that all runs have."""
    heads = [list(run.result["test"]) for group in groups for run in group.runs.values()]
    return [head for head in heads[0] if all(head in other for other in heads)]
