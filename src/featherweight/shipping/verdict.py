"""Whether an export may be trusted, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featherweight.shipping.forms import Form
from featherweight.shipping.proof import MOST_LOST, differing, lost

Rows = Mapping[str, Mapping[str, Any]]


def judge(form: Form, rows: Rows) -> dict[str, Any]:
    """proved: whether the form was run here; holds: whether it answers as it must; and both in a sentence.

    A form in float must give torch's class for every image, ties aside. A form in int8 may lose 0.10 points.
    """
    if form.name not in rows:
        text = "gcc was not found: the C was written, but neither compiled nor proved. Install gcc and export again."
        return {"proved": False, "holds": False, "sentence": text}
    holds, text = judge_float(form, rows) if form.exact else judge_int8(form, rows)
    return {"proved": True, "holds": holds, "sentence": text}


def judge_float(form: Form, rows: Rows) -> tuple[bool, str]:
    """Every class as torch gives it."""
    heads = rows[form.name]["heads"]
    count, wrong = next(iter(heads.values()))["count"], differing(heads)
    if wrong:
        return False, f"{form.name} differs from torch in {wrong:,} answers to {count:,} test images: do not use it."
    ties = sum(len(head["disagreements"]) for head in heads.values())
    aside = f", but for {ties} where torch has two classes equally probable" if ties else ""
    largest = max(head["largest_difference"] for head in heads.values())
    return True, (f"{form.name} gives torch's class for all {count:,} test images{aside}; "
                  f"probabilities differ by at most {largest:.1e}.")


def judge_int8(form: Form, rows: Rows) -> tuple[bool, str]:
    """No head may be more than 0.10 points worse."""
    heads = rows[form.name]["heads"]
    count, share = next(iter(heads.values()))["count"], lost(heads, rows["torch"]["heads"])
    holds = share <= MOST_LOST
    change = f"loses {100 * share:.2f} points" if share > 0 else f"loses nothing ({-100 * share:+.2f} points)"
    allowed = "within" if holds else "more than"
    return holds, (f"{form.name} {change} against torch on {count:,} test images, {allowed} the "
                   f"{100 * MOST_LOST:.2f} that are allowed; {differing(heads):,} answers differ.")
