"""Group runs by recipe, with the mean accuracy of each group and its interval."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from featherweight.errors import RunError
from featherweight.report.likeness import settings_of
from featherweight.runs import Run
from featherweight.statistics import bootstrap_interval, summarize_values, wilson_interval
from featherweight.wording import option

FEW = 3         # groups: with more, names are short, and each is compared in words with the best only


@dataclass(frozen=True)
class Group:
    """All runs with the same settings except the seed. runs: seed -> run."""

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
    """Return the groups of runs with the same settings except the seed, number of parameters and folder of seeds.

    If a seed occurs twice, the second run goes into another group.
    Seeds in different folders stay separate, because the settings of the folders may differ.
    """
    found: dict[tuple[str, str, int, Path | None, str, int], dict[int, Run]] = {}
    for run in runs:
        result, copy = run.result, 0
        settings = json.dumps(settings_of(run, seed=False), sort_keys=True)
        same = (result["recipe"], result["model"], result["parameters"], folder_of_seeds(run), settings)
        while result["seed"] in found.get((*same, copy), {}):
            copy += 1
        found.setdefault((*same, copy), {})[result["seed"]] = run
    made = [(recipe, home(next(iter(seeds.values()))), size, seeds) for (recipe, _, size, *_), seeds in found.items()]
    recipes = {recipe for recipe, *_ in made}
    return [
        Group(tell_apart(recipe if len(recipes) > 1 or len(made) <= FEW else "", own,
                         [path for name, path, *_ in made if name == recipe]), size, seeds)
        for recipe, own, size, seeds in made
    ]


def tell_apart(recipe: str, own: Path, alike: Sequence[Path]) -> str:
    """Return the name of a group: its recipe, and, if other groups have the same recipe, the end of its path.

    recipe: "" if it tells nothing, because all groups have it. Then the name is the end of the path.

    The end is as short as possible, but differs from the ends of the other paths.
    Example: "mine (a/seed-1)" and "mine (b/seed-1)".
    """
    if len(alike) == 1:
        return recipe
    others = [path for path in alike if path != own]
    count = next(n for n in range(1, len(own.parts) + 1) if all(own.parts[-n:] != path.parts[-n:] for path in others))
    end = "/".join(own.parts[-count:])
    return f"{recipe} ({end})" if recipe else end


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


def common_heads(groups: Sequence[Group]) -> list[str]:
    """Return the names of the heads that all runs have."""
    heads = [list(run.result["test"]) for group in groups for run in group.runs.values()]
    return [head for head in heads[0] if all(head in other for other in heads)]
