"""Compare runs: group them by recipe, compute means with intervals, and describe differences in sentences."""

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
    """All runs of one recipe. runs: seed -> run."""

    name: str
    parameters: int
    runs: Mapping[int, Run]

    def accuracies(self, head: str) -> dict[int, float]:
        """Return the test accuracy of each seed: seed -> fraction."""
        return {seed: run.result["test"][head]["accuracy"] for seed, run in self.runs.items()}

    def mean(self, head: str) -> float:
        """Return the mean test accuracy over seeds, a fraction."""
        return summarize_values(list(self.accuracies(head).values())).mean

    def interval(self, head: str) -> tuple[float, float]:
        """Return the 95 % interval of the accuracy: bootstrap of the mean over seeds.

        With only one seed: the Wilson interval for its number of correct test predictions.
        """
        values = list(self.accuracies(head).values())
        if len(values) > 1:
            return bootstrap_interval(values)
        score = next(iter(self.runs.values())).result["test"][head]
        return wilson_interval(score["correct"], score["count"])


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Return the groups of runs with the same recipe, network, number of parameters and folder of seeds.

    If a seed occurs twice, the second run goes into another group.
    Seeds in different folders stay separate, because the settings of the folders may differ.
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
    """Return the name of a group: its recipe, and, if other groups have the same recipe, the end of its path.

    The end is as short as possible, but differs from the ends of the other paths.
    Example: "mine (a/seed-1)" and "mine (b/seed-1)".
    """
    if len(alike) == 1:
        return recipe
    others = [path for path in alike if path != own]
    count = next(n for n in range(1, len(own.parts) + 1) if all(own.parts[-n:] != path.parts[-n:] for path in others))
    return f"{recipe} ({'/'.join(own.parts[-count:])})"


def folder(run: Run) -> str:
    """Return the name of a run's folder."""
    return Path(run.path).resolve().name


def folder_of_seeds(run: Run) -> Path | None:
    """Return the common folder of the seeds that were trained together. None for a run that was trained alone."""
    path = Path(run.path).resolve()
    return path.parent if path.name == f"seed-{run.result['seed']}" else None


def home(run: Run) -> Path:
    """Return the folder that distinguishes a group from other groups of the same recipe."""
    return folder_of_seeds(run) or Path(run.path).resolve()


def check_same_data(runs: Sequence[Run], *, mixed: bool = False) -> None:
    """Raise RunError if the runs are on different data sets, unless `mixed`. Such accuracies cannot be compared."""
    names = sorted({run.result["dataset"] for run in runs})
    if len(names) > 1 and not mixed:
        raise RunError(f"the runs are on different data sets ({', '.join(names)}), whose accuracies do not compare. "
                       f"Give runs on one of them, or {option('mixed')}.")


@dataclass(frozen=True)
class Difference:
    """Difference in test accuracy, second group minus first, on one head over their common seeds. Fractions."""

    first: str
    second: str
    head: str
    seeds: tuple[int, ...]
    mean: float
    interval: tuple[float, float]       # 95 %, bootstrap over pairs; not meaningful for a single pair

    def __str__(self) -> str:
        """Return a sentence. Example: "b - a: +0.61 ± 0.12 points over 5 seeds (95 %: ...), which may be chance."."""
        what = f"{self.second} - {self.first}" + ("" if self.head == "class" else f", {self.head}")
        points, (low, high) = f"{100 * self.mean:+.2f}", self.interval
        if len(self.seeds) == 1:
            return f"{what}: {points} points with seed {self.seeds[0]} alone; one pair has no interval."
        words = f"{points} ± {50 * (high - low):.2f} points over {len(self.seeds)} seeds"
        return f"{what}: {words} (95 %: {100 * low:+.2f} to {100 * high:+.2f}), {verdict(low, high)}."


def differences(groups: Sequence[Group]) -> list[Difference]:
    """Return the differences of all pairs of groups, one per common head. Pairs without a common seed are left out."""
    return [found for first, second in combinations(groups, 2) for found in difference(first, second)]


def difference(first: Group, second: Group) -> list[Difference]:
    """Return the differences between two groups, one per common head. Empty if they have no common seed."""
    seeds = sorted(set(first.runs) & set(second.runs))
    made = []
    for head in common_heads([first, second]) if seeds else []:
        one, other = first.accuracies(head), second.accuracies(head)
        mean, interval = paired_difference([one[seed] for seed in seeds], [other[seed] for seed in seeds])
        made.append(Difference(first.name, second.name, head, tuple(seeds), mean, interval))
    return made


def verdict(low: float, high: float) -> str:
    """Return the conclusion from the interval of a difference, as the end of a sentence."""
    return "which may be chance" if low <= 0 <= high else "more than the seeds explain"


def common_heads(groups: Sequence[Group]) -> list[str]:
    """Return the names of the heads that all runs have."""
    heads = [list(run.result["test"]) for group in groups for run in group.runs.values()]
    return [head for head in heads[0] if all(head in other for other in heads)]
