"""Judge the record of one finished run."""

from __future__ import annotations

from featherweight.doctor.finding import Report
from featherweight.doctor.run.rules import RULES, Judged
from featherweight.runs import Run


def judge(run: Run, *, alone: bool = True) -> Report:
    """Return the findings on a run's record. Nothing of the run is executed.

    alone: True compares with the other runs in the same folder. False if all of them are judged together.
    Raises RunError for a run that is not finished or was edited after training.
    """
    judged = Judged(run, alone)
    found = tuple(finding for rule in RULES for finding in rule(judged))
    beside = f", {len(judged.siblings)} runs beside it" if judged.siblings else ""
    done = f"{run.path}: record of {len(judged.history)} epochs and {len(run.result['test'])} heads{beside}"
    return Report(found, checked=(done,), unchecked=tuple(gaps(judged)), levels=("run",))


def gaps(judged: Judged) -> list[str]:
    """Return one line for each property that the record does not hold."""
    found = []
    if judged.trained is None:
        found.append(f"{judged.run.path}: no training accuracy in the record: overfitting not checked")
    elif judged.run.recipe.training.fraction < 1:
        found.append(f"{judged.run.path}: training.fraction prefers the hardest images: overfitting not checked")
    if "calibration_error" not in judged.run.result["test"][judged.head]:
        found.append(f"{judged.run.path}: no calibration error in the record")
    return found
