"""Order and names of several runs, the differences between their recipes, and runs with the same weights.

Used by the command `compare` and by the report of several runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from featherweight.errors import RunError
from featherweight.integrity import fingerprint
from featherweight.runs import Run

Named = TypeVar("Named", Path, Run)
TEXTS = ("goal.target", "goal.results", "goal.analysis")    # not settings: they change no result
MOST_KEYS = 8


def in_order(found: Sequence[Named]) -> list[Named]:
    """Return runs or paths with numbers in names in ascending order: student2 before student10.

    Names that differ in more than their numbers keep their order.
    """
    split = [re.split(r"(\d+)", str(one.path if isinstance(one, Run) else one)) for one in found]
    stems = ["0".join(parts[::2]) for parts in split]
    keys = [(stems.index(stem), [int(number) for number in parts[1::2]])
            for stem, parts in zip(stems, split, strict=True)]
    return [found[place] for place in sorted(range(len(found)), key=keys.__getitem__)]


def called(runs: Sequence[Run]) -> list[str]:
    """Return a short name for each run: the name of its folder. Equal names get the parent folder: "a/seed-1"."""
    names = [Path(run.path).resolve().name for run in runs]
    return [
        name if names.count(name) == 1 else "/".join(Path(run.path).resolve().parts[-2:])
        for name, run in zip(names, runs, strict=True)
    ]


def settings_of(run: Run, *, seed: bool = True) -> dict[str, Any]:
    """Return everything in a run's recipe that its results depend on, as "section.key" -> value.

    seed: include training.seed. The source of a user's own network is included as its hash.
    """
    flat = flattened(run.recipe.model_dump(mode="json"))
    dropped = [*TEXTS, "name", *([] if seed else ["training.seed"])]
    source = {"network": run.result["network"][:12]} if "network" in run.result else {}
    return {key: value for key, value in flat.items() if key not in dropped} | source


def flattened(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one: {"a": {"b": 1}} gives {"a.b": 1}."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= flattened(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def recipe_differences(names: Sequence[str], runs: Sequence[Run], *, seed: bool = True) -> dict[str, dict[str, str]]:
    """Return the settings in which runs differ: key -> {name of the run: value as text}. "-" for a missing key."""
    settings = [settings_of(run, seed=seed) for run in runs]
    keys = dict.fromkeys(key for one in settings for key in one)
    rows = {key: [text_of(one.get(key)) for one in settings] for key in keys}
    return {key: dict(zip(names, row, strict=True)) for key, row in rows.items() if len(set(row)) > 1}


def text_of(value: Any) -> str:
    """Return a value of a recipe as text. "-" for None, "none" for an empty text."""
    if value is None:
        return "-"
    return (value or "none") if isinstance(value, str) else json.dumps(value)


def difference_lines(differing: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return one line per key: each value with its runs. If every run has another value: all values, in order.

    Example: "optimizer.lr: 0.01 (a, c), 0.1 (b)". At most MOST_KEYS lines, and a line that names the other keys.
    """
    lines = []
    for key, values in list(differing.items())[:MOST_KEYS]:
        names: dict[str, list[str]] = {}
        for name, value in values.items():
            names.setdefault(value, []).append(name)
        if len(names) == len(values) > 3:
            lines.append(f"{key}: {', '.join(names)}, in the order of the runs")
        else:
            lines.append(f"{key}: " + ", ".join(f"{value} ({', '.join(who)})" for value, who in names.items()))
    if others := list(differing)[MOST_KEYS:]:
        lines.append(f"and {', '.join(others)}")
    return lines


def identical(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """Return a sentence that names each set of runs whose networks have exactly the same weights, or no sentence."""
    alike: dict[str, list[str]] = {}
    for name, run, suspected in zip(names, runs, suspects(runs), strict=True):
        if suspected and (found := digest_of(run)):
            alike.setdefault(found, []).append(name)
    sets = [" and ".join(same) for same in alike.values() if len(same) > 1]
    return [f"Identical, with the same weights, so that they count as one run: {'; '.join(sets)}."] if sets else []


def suspects(runs: Sequence[Run]) -> list[bool]:
    """Return True for each run with the same size and test results as another: only its weights must be read."""
    keys = [json.dumps([run.result["parameters"], run.result["test"]], sort_keys=True) for run in runs]
    return [keys.count(key) > 1 for key in keys]


def digest_of(run: Run) -> str:
    """Return a hash of the names and values of a run's weights, "" if they cannot be read.

    The hash of the file differs between equal trainings, because the file also holds a hash of result.json.
    """
    try:
        return fingerprint(run.weights(), {})
    except RunError:
        return ""
