"""Verdict on an export: can it be trusted? As values for ship.json and as a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featherweight.shipping.forms import Form
from featherweight.shipping.proof import MOST_LOST, RUINED, differing, lost

Measured = Mapping[str, Mapping[str, Any]]


def judge(forms: Sequence[Form], measured: Measured) -> dict[str, Any]:
    """Return the verdict on the last form and on the forms from which it is made.

    - proved: all forms could be run on this machine.
    - agrees: the forms in float give torch's classes.
    - lost: the share of test images that int8 gets wrong beyond torch; None for a form in float.
    - ruined: int8 lost over 1.00 point, so it must not be used.
    - holds: the export is proved, agrees, and lost no more than is allowed.
    - sentence: the verdict in words.
    """
    proved = all(form.name in measured for form in forms)
    wrong = next((form for form in forms if form.exact and not agrees(form, measured)), None)
    last = forms[-1]
    share = None if last.exact or not proved else lost(measured[last.name]["heads"], measured["torch"]["heads"])
    if wrong:
        sentence = failed(wrong, measured)
    elif not proved:
        sentence = "gcc was not found: the C was written, but neither compiled nor proved. Install gcc, export again."
    else:
        sentence = kept(last, measured) if share is None else in_points(last, share, measured)
    holds = proved and wrong is None and (share is None or share <= MOST_LOST)
    return {"proved": proved, "agrees": wrong is None, "lost": share,
            "ruined": share is not None and is_ruined(share, count_of(measured["torch"]["heads"])), "holds": holds,
            "sentence": sentence}


def is_ruined(share: float, count: int) -> bool:
    """Return True if int8 lost over 1.00 point of `count` test images. A single image is never enough."""
    return share > RUINED and share * count > 1.5


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


def in_points(form: Form, share: float, measured: Measured) -> str:
    """Return the sentence for an int8 form: its loss against torch in points of accuracy."""
    heads = measured[form.name]["heads"]
    change = f"{'loses' if share > 0 else 'gains'} {100 * abs(share):.2f} points" if share else "loses nothing"
    if is_ruined(share, count_of(heads)):
        return (f"{form.name} {change} against torch on {count_of(heads):,} test images: do not use this export. "
                "Weights of very different size do not fit 8 bits. "
                f"Export in float: --to {form.name.removesuffix('-int8')}.")
    allowed = "within" if share <= MOST_LOST else "more than"
    differ = differing(heads)
    answers = "1 answer differs" if differ == 1 else f"{differ:,} answers differ"
    return (f"{form.name} {change} against torch on {count_of(heads):,} test images, {allowed} the "
            f"{100 * MOST_LOST:.2f} that are allowed; {answers}.")


def count_of(heads: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the number of test images."""
    return int(next(iter(heads.values()))["count"])
