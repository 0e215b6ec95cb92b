"""A result.json as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featherweight.cli.output import duration, percent
from featherweight.statistics import wilson_interval

if TYPE_CHECKING:
    from rich.console import RenderableType

WORDS = {"accuracy": "accuracy >= {}", "max_parameters": "parameters <= {:,}", "max_epochs": "epochs <= {}"}


def verdict_table(result: Mapping[str, Any]) -> RenderableType:
    """The numbers of one run, two columns."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    made.add_row("model", f"{result['model']}, {result['parameters']:,} parameters")
    made.add_row("data", f"{result['dataset']}, {result['train_images']:,} training images")
    made.add_row("trained", trained(result))
    for head, score in result["test"].items():
        made.add_row("test" if len(result["test"]) == 1 else f"test, {head}", in_words(score))
    made.add_row("goal", Text(goal(result["goal"]), style={True: "green", False: "red"}.get(result["goal"]["met"], "")))
    return made


def trained(result: Mapping[str, Any]) -> str:
    """How it was trained."""
    seconds, how = duration(result["seconds"]), f"{result['device']}, {result['precision']}"
    return f"{result['epochs']} epochs in {seconds} ({how}), seed {result['seed']}"


def in_words(score: Mapping[str, Any]) -> str:
    """ "99.11 % (9,911 of 10,000; 95 % interval 98.91 to 99.28), loss 0.0290"."""
    low, high = wilson_interval(score["correct"], score["count"])
    text = f"{percent(score['accuracy'])} ({score['correct']:,} of {score['count']:,}; "
    text += f"95 % interval {100 * low:.2f} to {100 * high:.2f})"
    return text + (f", loss {score['loss']:.4f}" if "loss" in score else "")


def goal(goal: Mapping[str, Any]) -> str:
    """What was promised and whether it was kept."""
    if goal["met"] is None:
        return "none was set"
    shown = {key: percent(goal[key]) if key == "accuracy" else goal[key] for key in WORDS if key in goal}
    parts = [WORDS[key].format(value) + (" (missed)" if key in goal["missed"] else "") for key, value in shown.items()]
    return f"{'met' if goal['met'] else 'not met'}: {', '.join(parts)}"
