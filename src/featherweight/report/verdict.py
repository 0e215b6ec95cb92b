"""Show a result.json as a table with two columns. Used by the command line and by the results of `interface`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featherweight.outside import visible
from featherweight.statistics import UNEVEN, wilson_interval
from featherweight.verdict import curve_on_test, verdict
from featherweight.words import duration, ending, percent, training_images

if TYPE_CHECKING:
    from rich.console import RenderableType

    from featherweight.evaluation import Score

MOST_CLASSES_TOLD = 10


def verdict_table(result: Mapping[str, Any]) -> RenderableType:
    """Return the results of one run, or the summary of several seeds, as a table for the terminal."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    colour = {True: "green", False: "red"}.get(result["goal"]["met"], "")
    for name, text in verdict_rows(result):
        made.add_row(visible(name), Text(visible(text), style=colour if name == "goal" else ""))
    return made


def verdict_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows (name, text): model, data, training, test results, goal and notes."""
    several = len(result["test"]) > 1
    return [
        ("model", f"{result['model']}, {result['parameters']:,} parameters"),
        ("data", training_images(result)),
        ("trained", trained(result)),
        *([("start", f"weights of {start['run']} (sha256 {start['sha256'][:12]})")]
          if (start := result.get("start")) else []),
        *([("kept" if "kept" in result else "ended", ended)] if (ended := ending(result)) else []),
        *((f"test, {head}" if several else "test", over_seeds(score) if "seeds" in result else in_words(score))
          for head, score in result["test"].items()),
        *((f"recall, {head}" if several else "recall", recall_in_words(result, head))
          for head in result["test"] if shows_recall(result, head)),
        ("goal", verdict(result["goal"])),
        *([("note", told)] if (told := curve_on_test(result)) else []),
        *(("note", sentence) for sentence in result.get("notes", [])),      # runs of earlier versions lack the key
    ]


def score_rows(scores: Mapping[str, Score], result: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows (head, text) of scores measured again. Recall is added where the run's own verdict shows it.

    result: of the run, empty for other data.
    """
    test = {head: score.to_dict() for head, score in scores.items()}
    return [[head, in_words(score)] for head, score in test.items()] + [
        [f"{head}, recall", recall_in_words({**result, "test": test, "confusion": {}}, head)]
        for head in test if result and shows_recall({**result, "test": test}, head)
    ]


def trained(result: Mapping[str, Any]) -> str:
    """Return epochs, time, device, precision, engine and seeds in words."""
    keys = ("device", "precision", "engine")        # runs of earlier versions have no engine
    how = ", ".join(result[key] for key in keys if key in result)
    if "seeds" not in result:
        return f"{result['epochs']} epochs in {duration(result['seconds'])} ({how}), seed {result['seed']}"
    whole = "" if result["wall_seconds"] is None else f", all in {duration(result['wall_seconds'])}"
    each = duration(result["seconds_a_seed"])
    return f"{result['epochs']} epochs in {each} a seed ({how}), {len(result['seeds'])} seeds{whole}"


def over_seeds(found: Mapping[str, Any]) -> str:
    """Return the accuracy over seeds in words.

    Example: "mean 99.52 % (99.41 to 99.60), standard deviation 0.05, 95 % interval of the mean 99.50 to 99.54".
    """
    text = f"mean {percent(found['mean'])} ({100 * found['lowest']:.2f} to {100 * found['highest']:.2f})"
    if found["count"] == 1:
        return f"{text}, one seed"
    low, high = found["interval"]
    text += f", standard deviation {100 * found['standard_deviation']:.2f}"
    return f"{text}, 95 % interval of the mean {100 * low:.2f} to {100 * high:.2f}"


def shows_recall(result: Mapping[str, Any], head: str) -> bool:
    """Return True if the recall of each class says more than the accuracy.

    Conditions: a goal for recall, a balanced training, or classes with unequal numbers of test images.
    """
    asked = "balance" in result or not {"macro_recall", "lowest_recall"}.isdisjoint(result["goal"])
    return "recall" in result["test"][head] and (asked or is_uneven(result.get("confusion", {}).get(head, [])))


def is_uneven(confusion: Sequence[Sequence[int]]) -> bool:
    """Return True if a class has at least UNEVEN times as many test images as another. confusion: rows are targets."""
    counts = [sum(row) for row in confusion if sum(row)]
    return bool(counts) and max(counts) >= UNEVEN * min(counts)


def recall_in_words(result: Mapping[str, Any], head: str) -> str:
    """Return the macro average and the recall of each class in words, the lowest first. At most MOST_CLASSES_TOLD."""
    score, matrix = result["test"][head], result.get("confusion", {}).get(head)
    names = class_names(result, head, len(score["recall"]))
    rows = sorted((recall, label) for label, recall in enumerate(score["recall"]) if recall is not None)
    told = [f"{names[label]} {percent(recall)}" for recall, label in rows[:MOST_CLASSES_TOLD]]
    if matrix:      # a summary of seeds has none
        counts = [f" ({matrix[label][label]:,} of {sum(matrix[label]):,})" for _, label in rows]
        told = [text + count for text, count in zip(told, counts, strict=False)]
    more = f", and {len(rows) - len(told):,} higher" if len(rows) > len(told) else ""
    return f"macro average {percent(score['macro_recall'])}; {', '.join(told)}{more}"


def class_names(result: Mapping[str, Any], head: str, count: int) -> list[str]:
    """Return a name for each of `count` outputs of a head: the classes of the data, then numbers.

    The outputs of the head "sum" are numbers.
    """
    names = [] if head == "sum" else list(result.get("classes", []))
    return [*names, *(str(number) for number in range(len(names), count))][:count]


def in_words(score: Mapping[str, Any]) -> str:
    """Return a score in words. Example: "99.11 % (9,911 of 10,000; 95 % interval 98.91 to 99.28), loss 0.0290"."""
    low, high = wilson_interval(score["correct"], score["count"])
    text = f"{percent(score['accuracy'])} ({score['correct']:,} of {score['count']:,}; "
    text += f"95 % interval {100 * low:.2f} to {100 * high:.2f})"
    return text + (f", loss {score['loss']:.4f}" if "loss" in score else "")
