"""Rules on the record of a run. Each takes a Judged and yields findings; none executes code of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from featherweight.doctor.codes import CODES
from featherweight.doctor.finding import Finding, Place
from featherweight.doctor.run.siblings import SEED, Sibling, accuracy_of, siblings_of
from featherweight.runs import Run, watched_losses
from featherweight.statistics import wilson_interval
from featherweight.words import percent

GAP = 0.03          # training accuracy above test accuracy, as a fraction
RISEN = 1.1         # last validation loss, as a multiple of the lowest
RISING = 0.005      # gain of training accuracy in the last epoch
CHANCE = 2.0        # training accuracy, as a multiple of that of a guess
MISCALIBRATED = 0.05        # calibration error; a small test set adds 1 / sqrt(images)
FEW_KEYS = 3        # settings in which runs of one search differ


@dataclass(frozen=True)
class Judged:
    """A finished run. alone: True if the user named this run and not the folder of all its seeds."""

    run: Run
    alone: bool

    @cached_property
    def siblings(self) -> list[Sibling]:
        """Finished runs in the same folder; empty if all seeds are judged together."""
        return siblings_of(self.run) if self.alone else []

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """One dictionary per epoch."""
        return self.run.history

    @cached_property
    def head(self) -> str:
        """The first head of the task."""
        head: str = next(iter(self.run.result["test"]))
        return head

    @property
    def trained(self) -> float | None:
        """Training accuracy of the first head in the last epoch, or None if it was not recorded."""
        accuracy: float | None = (self.run.result.get("train") or {}).get("accuracy", {}).get(self.head)
        return accuracy

    def finding(self, code: str, what: str, why: str, how: str, severity: str = "") -> Finding:
        """Return a finding on the run. severity: "" for that of the code."""
        return Finding(code, severity or CODES[code][0], Place(str(self.run.path), None, 0, 0), what, why, how)


def curve_on_test(judged: Judged) -> Iterator[Finding]:
    """Find a run whose test accuracy was measured after each epoch."""
    lines = [line for line in judged.history if line.get("curve") and line.get("curve_on") == "test"]
    if len(lines) > 1:
        best = max(lines, key=lambda line: line["curve"][judged.head]["accuracy"])
        highest, last = (line["curve"][judged.head]["accuracy"] for line in (best, lines[-1]))
        yield judged.finding(
            "FW901", f"Test accuracy was measured after each of {len(lines)} epochs.",
            f"Epoch {best['epoch']} has the highest, {percent(highest)}; the last has {percent(last)}. A choice "
            "by this curve makes the result too good.",
            "Set data.validation=5000 and evaluation.curve=validation, and report the last epoch.")


def seed_picked(judged: Judged) -> Iterator[Finding]:
    """Find the best of several seeds in one folder."""
    seeds = [one for one in judged.siblings if one.differs in ((SEED,), ())]
    own = accuracy_of(judged.run)
    if seeds and best_of(own, seeds):
        count = len(seeds) + 1
        mean = (own + sum(one.accuracy for one in seeds)) / count
        yield judged.finding(
            "FW902", f"This seed has the highest test accuracy of {count} seeds in the folder.",
            f"It has {percent(own)}; the mean of all {count} is {percent(mean)}.",
            f"Report the mean and the spread of all {count} seeds.")


def settings_picked(judged: Judged) -> Iterator[Finding]:
    """Find the best of several runs that differ in epochs or other settings, without validation images."""
    others = [one for one in judged.siblings if 0 < len(set(one.differs) - {SEED}) <= FEW_KEYS]
    own = accuracy_of(judged.run)
    if others and not judged.run.recipe.data.validation and best_of(own, others):
        keys = list(dict.fromkeys(key for one in others for key in one.differs if key != SEED))
        shown = ", ".join(keys[:FEW_KEYS]) + (" and others" if len(keys) > FEW_KEYS else "")
        second = max(one.accuracy for one in others)
        yield judged.finding(
            "FW903", f"This run has the highest test accuracy of {len(others) + 1} runs that differ in {shown}.",
            f"It has {percent(own)}, the next {percent(second)}, and no run held out validation images: the "
            "settings can only have been chosen on test.",
            "Choose settings with data.validation=5000, then train once more and measure test.")


def best_of(own: float, others: Sequence[Sibling]) -> bool:
    """Return True if no other run is better and not all are equal."""
    return own >= max(one.accuracy for one in others) and own > min(one.accuracy for one in others)


def overfitting(judged: Judged) -> Iterator[Finding]:
    """Find a training accuracy far above that on test, and a validation loss that rose again."""
    score, trained = judged.run.result["test"][judged.head], judged.trained
    if trained is None or judged.run.recipe.training.fraction < 1:      # then the hardest images were preferred
        return
    _, highest = wilson_interval(score["correct"], score["count"])
    if trained - score["accuracy"] > GAP and trained > highest:
        yield judged.finding(
            "FW904", f"The network knows {percent(trained)} of its training images, and {percent(score['accuracy'])} "
            "of the test images.",
            rise(judged.history) or f"The gap is {100 * (trained - score['accuracy']):.1f} points.",
            "Add augmentation, dropout, weight decay or images, or take fewer parameters or epochs.")


def rise(history: Sequence[dict[str, Any]]) -> str:
    """Return a sentence about a watched loss that rose after its minimum, or "" without one."""
    if not history or not all(line.get("curve") for line in history):
        return ""
    losses = watched_losses(history)
    best = losses.index(min(losses))
    if losses[-1] < RISEN * losses[best]:
        return ""
    split = history[0].get("curve_on") or "validation"
    return (f"The {split} loss was lowest in epoch {best + 1}, {losses[best]:.4f}; in the last epoch it was "
            f"{losses[-1]:.4f}.")


def underfitting(judged: Judged) -> Iterator[Finding]:
    """Find a training that stands at chance, and one that was still getting better when it ended."""
    trained, classes = judged.trained, len(judged.run.result["classes"])
    if trained is None:
        return
    if trained < CHANCE / classes:
        epochs = judged.run.result["epochs"]
        yield judged.finding(
            "FW905", f"After {epochs} epochs the network knows {percent(trained)} of its training images.",
            f"A guess among {classes} classes is right for {percent(1 / classes)}.",
            "Try the recipe with `featherweight doctor RECIPE --data NAME`, which looks for the cause.", "error")
        return
    values = [line["train_accuracy"][judged.head] for line in judged.history]
    tested = judged.run.result["test"][judged.head]["accuracy"]
    if len(values) > 1 and values[-1] - values[-2] > RISING and trained < tested + RISING:
        yield judged.finding(
            "FW905", f"Training accuracy rose from {percent(values[-2])} to {percent(values[-1])} in the last epoch.",
            f"It is not above test accuracy, {percent(tested)}, so more training would improve both.",
            "Train more epochs, raise the learning rate, or let a schedule lower it at the end.")


def calibration(judged: Judged) -> Iterator[Finding]:
    """Find probabilities that differ from the accuracy."""
    for head, score in judged.run.result["test"].items():
        error = score.get("calibration_error")
        if error is not None and error > MISCALIBRATED + 1 / math.sqrt(score["count"]):
            yield judged.finding(
                "FW907", f"The probabilities of {head} are wrong by {100 * error:.1f} points on average.",
                f"This is the calibration error over {score['count']:,} test answers; the accuracy is "
                f"{percent(score['accuracy'])}.",
                "Do not show them as confidence. Training longer, or with soft labels of a teacher, changes them.")
            return


RULES = (curve_on_test, seed_picked, settings_picked, overfitting, underfitting, calibration)
