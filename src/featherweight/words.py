"""Format numbers and facts of a result as text, for the terminal and for the report page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def percent(share: float, digits: int = 2) -> str:
    """Return a fraction as a percentage: 0.9943 gives "99.43 %". digits: number of decimals."""
    return f"{100 * share:.{digits}f} %"


def duration(seconds: float) -> str:
    """Return seconds as text: 12.34 gives "12.3 s", 125 gives "2 min 05 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def training_images(result: Mapping[str, Any]) -> str:
    """Return the data set, the number of training images and the preprocessing from a result.json, as a phrase."""
    upright = ", stood upright" if result.get("picture", {}).get("upright") else ""
    return f"{result['dataset']}, {result['train_images']:,} training images{upright}"


def ending(result: Mapping[str, Any]) -> str:
    """Return a phrase with the kept epoch and the reason of an early stop, from a result.json or summary.json.

    Return "" for a training that ended after all planned epochs and kept the last.
    """
    said = []
    if kept := result.get("kept"):
        one = f"epoch {kept['epoch']} of {kept['of']}" if "epoch" in kept else f"epochs {numbers(kept['epochs'])}"
        said.append(f"{one}, by {kept['by']}")
    if early := result.get("stopped_early"):
        after = f" after {numbers(early['after'])}" if "after" in early else ""
        said.append(f"stopped early{after}: no lower validation loss in {early['patience']} of {early['planned']} "
                    "planned epochs")
    return "; ".join(said)


def numbers(values: Sequence[int]) -> str:
    """Return numbers as a list in text: [3, 7, 3] gives "3, 7, 3"."""
    return ", ".join(str(value) for value in values)
