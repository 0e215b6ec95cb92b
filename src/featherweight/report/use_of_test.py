"""State when a test accuracy is more than one measurement at the end: a curve on test, or one seed of several."""

from __future__ import annotations

from pathlib import Path

from featherweight.errors import RunError
from featherweight.runs import Run, seeds_in
from featherweight.verdict import curve_on_test
from featherweight.words import percent


def sentences_on_use(run: Run, *, alone: bool) -> list[str]:
    """Return the sentences about the use of test images in a run. Empty if they were used once.

    alone: the run is shown without the other seeds of its folder, so that they are mentioned.
    """
    found = [curve_on_test(run.result), among_siblings(run) if alone else ""]
    return [sentence for sentence in found if sentence]


def among_siblings(run: Run) -> str:
    """Return a sentence that compares a run of a folder of seeds with the other finished seeds, else ""."""
    path, head = Path(run.path).resolve(), next(iter(run.result["test"]))
    if path.name != f"seed-{run.result['seed']}":
        return ""
    runs = [Run(path.parent / f"seed-{seed}") for seed in seeds_in(path.parent)]
    found = [value for one in runs if (value := accuracy_of(one, head)) is not None]
    if len(found) < 2:
        return ""
    own, mean = run.result["test"][head]["accuracy"], sum(found) / len(found)
    place = 1 + sum(value > own for value in found)
    told = (f"The run is one of {len(found)} seeds, number {place} by test accuracy; their mean is {percent(mean)}.")
    return told + (" If it was picked for its test accuracy, that accuracy is too high." if own > mean else "")


def accuracy_of(run: Run, head: str) -> float | None:
    """Return the test accuracy of a run, a fraction. None if the run is unfinished, damaged or has no such head."""
    try:
        accuracy: float | None = run.result["test"].get(head, {}).get("accuracy")
    except RunError:
        return None
    return accuracy
