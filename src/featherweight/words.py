"""How numbers are said to a person, in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def percent(share: float) -> str:
    """0.9943 -> "99.43 %"."""
    return f"{100 * share:.2f} %"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def training_images(result: Mapping[str, Any]) -> str:
    """What a result.json says that a network was trained on."""
    upright = ", stood upright" if result.get("picture", {}).get("upright") else ""
    return f"{result['dataset']}, {result['train_images']:,} training images{upright}"


def ending(result: Mapping[str, Any]) -> str:
    """The kept epoch and the reason of an early end, from a result.json or summary.json; "" for all planned epochs."""
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
    """[3, 7, 3] -> "3, 7, 3"."""
    return ", ".join(str(value) for value in values)
