"""The verdict on a run in words: was the goal met, and which parts were missed. Used by the terminal and the report.

The goal of a result.json holds the promised values, `met` (True, False, or null without a goal), and `missed` (keys).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from featherweight.words import percent

OUTCOMES = {True: "met", False: "not met", None: "no goal"}
PARTS = {
    "accuracy": "accuracy >=", "macro_recall": "macro recall >=", "lowest_recall": "recall of each class >=",
    "max_parameters": "parameters <=", "max_epochs": "epochs <=", "max_ram": "RAM <=", "max_flash": "flash <=",
}
SHARES = ("accuracy", "macro_recall", "lowest_recall")


def verdict(goal: Mapping[str, Any]) -> str:
    """Return the outcome and the parts of a goal. Example: "not met: accuracy >= 99.40 % (missed), epochs <= 15"."""
    parts = parts_of(goal)
    told = outcome(goal) + (f" (a goal for {goal['dataset']})" if goal.get("dataset") else "")
    return f"{told}: {', '.join(parts)}" if parts else told


def outcome(goal: Mapping[str, Any]) -> str:
    """Return "met", "not met" or "no goal"."""
    return OUTCOMES[goal["met"]]


def other_data(goals: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence if the accuracies of some goals were set for other data than those of the run."""
    named = sorted({goal["dataset"] for goal in goals if goal.get("dataset")})
    return [f"The goal's accuracy was set for {' and '.join(named)}, not for these data."] if named else []


def parts_of(goal: Mapping[str, Any]) -> list[str]:
    """Return the parts of a goal, each with "(missed)" if the run missed the part."""
    shown = {key: percent(goal[key]) if key in SHARES else f"{goal[key]:,}" for key in PARTS if key in goal}
    return [f"{PARTS[key]} {value}" + (" (missed)" if key in goal["missed"] else "") for key, value in shown.items()]


def curve_on_test(result: Mapping[str, Any]) -> str:
    """Return a sentence for a run that measured test images after every epoch, else ""."""
    if result.get("curve") != "test":
        return ""
    return ("Test images were measured after every epoch (evaluation.curve is test): a setting or an epoch that was "
            "chosen by this curve makes the test accuracy too high.")
