"""Verdict on an export: can it be trusted? As values for ship.json and as a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featherweight.shipping.forms import Form
from featherweight.shipping.proof import MOST_LOST, Loss, differing, lost

Measured = Mapping[str, Mapping[str, Any]]


def judge(forms: Sequence[Form], measured: Measured) -> dict[str, Any]:
    """Return the verdict on the last form and on the forms from which it is made.

    - proved: all forms could be run on this machine.
    - agrees: the forms in float give torch's classes.
    - lost: the share of test images that int8 gets wrong beyond torch; None for a form in float.
    - interval: the 95 % interval of this share for new images; None for a form in float.
    - ruined: int8 lost over 1.00 point, beyond chance, so it must not be used.
    - holds: the export is proved, agrees, and the whole interval of its loss is not above what is allowed.
    - sentence: the verdict in words.
    """
    proved = all(form.name in measured for form in forms)
    wrong = next((form for form in forms if form.exact and not agrees(form, measured)), None)
    last = forms[-1]
    loss = None if last.exact or not proved else lost(measured[last.name]["heads"])
    if wrong:
        sentence = failed(wrong, measured)
    elif not proved:
        sentence = "gcc was not found: the C was written, but neither compiled nor proved. Install gcc, export again."
    else:
        sentence = kept(last, measured) if loss is None else in_points(last, loss, measured)
    return {"proved": proved, "agrees": wrong is None, "lost": loss and loss.share,
            "interval": loss and [loss.low, loss.high], "ruined": loss is not None and loss.is_ruin,
            "holds": proved and wrong is None and (loss is None or loss.is_allowed), "sentence": sentence}


def agrees(form: Form, measured: Measured) -> bool:
    """Return True if a form in float gives torch's class for every image, ties aside, or if the form was not run."""
    return form.name not in measured or differing(measured[form.name]["heads"]) == 0


def failed(form: Form, measured: Measured) -> str:
    """Return the sentence for a form in float that differs from torch."""
    heads = measured[form.name]["heads"]
    return (f"{form.name} differs from torch in {differing(heads):,} predictions for {count_of(heads):,} test images: "
            "do not use this export.")


def kept(form: Form, measured: Measured) -> str:
    """Return the sentence for a form in float that agrees with torch."""
    heads = measured[form.name]["heads"]
    ties = sum(len(head["disagreements"]) for head in heads.values())
    aside = f", but for {ties:,} that torch finds equally probable" if ties else ""
    largest = max(head["largest_difference"] for head in heads.values())
    return (f"{form.name} gives torch's class for all {count_of(heads):,} test images{aside}; "
            f"probabilities differ by at most {largest:.1e}.")


def in_points(form: Form, loss: Loss, measured: Measured) -> str:
    """Return the sentence for an int8 form: its loss against torch in points of accuracy."""
    heads, share = measured[form.name]["heads"], loss.share
    change = f"{'loses' if share > 0 else 'gains'} {100 * abs(share):.2f} points" if share else "loses nothing"
    if loss.is_ruin:
        return (f"{form.name} {change} against torch on {count_of(heads):,} test images: do not use this export. "
                "Weights of very different size do not fit 8 bits. "
                f"Export in float: --to {form.name.removesuffix('-int8')}.")
    allowed = "within" if share <= MOST_LOST else "more than"
    differ = differing(heads)
    answers = "1 answer differs" if differ == 1 else f"{differ:,} answers differ"
    told = (f"{form.name} {change} against torch on {count_of(heads):,} test images, {allowed} the "
            f"{100 * MOST_LOST:.2f} that are allowed; {answers}.")
    interval = f"95 % interval {100 * loss.low:+.2f} to {100 * loss.high:+.2f} points"
    if share <= MOST_LOST:
        return told
    if loss.is_allowed:
        return f"{told} The loss may be chance: {interval}. More test images tell more."
    return f"{told} The loss is beyond the limit by more than chance: {interval}."


def count_of(heads: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the number of test images."""
    return int(next(iter(heads.values()))["count"])
