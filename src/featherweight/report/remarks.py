"""The doctor's findings on the network of a run, in two lines. The report and the command `train` show them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from featherweight.doctor import CODES, SEVERITIES, Finding
from featherweight.doctor.probe import probe
from featherweight.errors import ModelError
from featherweight.networks import load_network, shapes_of
from featherweight.runs import Run
from featherweight.wording import call

AT_START = ("FW701", "FW702")       # hold for first weights on random images, not for trained ones
SHOWN = 3                           # findings that are named


def remarks(run: Run) -> Sequence[str]:
    """Return the findings on the network, the worst first, and the command that explains them. Errors come first.

    The network runs once, as a copy, on random images. A network that does not run on them gives no line.
    """
    return _remarks(run, run.result.get("weights"))


@lru_cache(maxsize=8)
def _remarks(run: Run, weights: str | None) -> tuple[str, ...]:
    """Return the lines of remarks. weights: hash of the weights, because a folder may be trained again."""
    source = run.source
    name = f"{run.source_folder / source.entry}:{source.attribute}" if source else run.recipe.model.name
    classes = len(run.result["classes"]) if run.recipe.task == "classification" else None
    try:
        report = probe(load_network(run), shapes_of(run.recipe), name=name, classes=classes, recipe=run.recipe)
    except ModelError:
        return ()
    found = report.kept(ignore=AT_START).findings
    if not found:
        return ("doctor: no known mistake in the network.",)
    return (in_a_line(found), f"Reasons and changes: {call('doctor', run.path)}")


def in_a_line(found: Sequence[Finding]) -> str:
    """Return findings as text: "doctor: 1 error, 1 note: FW101 activation on the logits (conv7), ..."."""
    ordered = sorted(found, key=lambda one: SEVERITIES.index(one.severity))
    counts = [(sum(one.severity == name for one in found), name) for name in SEVERITIES]
    counted = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)
    named = [f"{one.code} {CODES[one.code][1]}" + (f" ({one.place.layer})" if one.place.layer else "")
             for one in ordered[:SHOWN]]
    more = [f"{len(ordered) - SHOWN} more"] if len(ordered) > SHOWN else []
    return f"doctor: {counted}: {', '.join([*named, *more])}."
