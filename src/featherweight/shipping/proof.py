"""Comparison of an exported network with torch on every test image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import ExportError
from featherweight.inference.network import Numbers, Pixels, Probabilities
from featherweight.statistics import paired_shares

TIE = 1e-5              # two probabilities of torch that differ by less are a tie
MOST_LOST = 0.001       # the share of test images that int8 may get wrong beyond torch: 0.10 points
RUINED = 0.01           # above this share int8 can count as ruined: ten times MOST_LOST
BATCH = 500


Answer = Callable[[Pixels, Numbers | None], Probabilities]


@dataclass(frozen=True)
class Questions:
    """The test images and the true classes of each head, (N,).

    numbers: a number for each image, (N,), if the network adds a number; otherwise None.
    """

    images: Pixels
    numbers: Numbers | None
    targets: Mapping[str, NDArray[np.int64]]
    leaning: Pixels | None = None       # the images before slanted ink was made upright; None if it was not

    def as_given(self) -> Questions:
        """Return the same questions with the images as they were before slanted ink was made upright."""
        return self if self.leaning is None else replace(self, images=self.leaning, leaning=None)

    def ask(
        self, answer: Answer, tick: Callable[[int], None] = lambda done: None
    ) -> Probabilities:
        """Return the probabilities of all images, computed in batches; tick gets the number of images done."""
        parts = []
        for start in range(0, len(self.images), BATCH):
            part = slice(start, start + BATCH)
            parts.append(answer(self.images[part], None if self.numbers is None else self.numbers[part]))
            tick(min(start + BATCH, len(self.images)))
        return {head: np.concatenate([part[head] for part in parts]) for head in self.targets}

    def some(self, count: int) -> Questions:
        """Return `count` of the questions, evenly spread; all if there are fewer."""
        places = np.unique(np.linspace(0, len(self.images) - 1, count).round().astype(np.int64))
        numbers = None if self.numbers is None else self.numbers[places]
        leaning = None if self.leaning is None else self.leaning[places]
        return Questions(self.images[places], numbers, {head: t[places] for head, t in self.targets.items()}, leaning)


def compare(answers: Probabilities, torch_answers: Probabilities, questions: Questions) -> dict[str, dict[str, Any]]:
    """Return for each head the accuracy, every disagreement with torch, and the largest difference in probability."""
    return {
        head: compare_head(answers[head], torch_answers[head], target) for head, target in questions.targets.items()
    }


def compare_head(ours: NDArray[np.float32], torchs: NDArray[np.float32], target: NDArray[np.int64]) -> dict[str, Any]:
    """Return the comparison of one head. ours and torchs: probabilities (N, classes). target: classes (N,).

    Raises ExportError if a probability is NaN or infinite.
    """
    if not np.isfinite(ours).all():
        raise ExportError("the exported network gives NaN or infinity where torch gives numbers: its weights are "
                          "too large. Train again, e.g. with a lower optimizer.lr.")
    found, expected = ours.argmax(axis=1), torchs.argmax(axis=1)
    disagreements = []
    for image in np.flatnonzero(found != expected).tolist():
        gap = float(torchs[image, expected[image]] - torchs[image, found[image]])
        disagreements.append({
            "image": image, "label": int(target[image]), "torch": int(expected[image]), "answer": int(found[image]),
            "tie": gap < TIE,
        })
    return {
        **score(ours, target), "disagreements": disagreements,
        "largest_difference": float(np.abs(ours - torchs).max()),
    }


def score(answers: NDArray[np.float32], target: NDArray[np.int64]) -> dict[str, Any]:
    """Return the accuracy (fraction), the number of correct images and the number of images."""
    correct = int((answers.argmax(axis=1) == target).sum())
    return {"accuracy": correct / len(target), "correct": correct, "count": len(target)}


def differing(heads: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the number of predicted classes that differ from torch's, over all heads, without ties."""
    return sum(1 for head in heads.values() for each in head["disagreements"] if not each["tie"])


@dataclass(frozen=True)
class Loss:
    """The loss of accuracy against torch, as a share of test images, and its 95 % interval for new images.

    Example: 0.001 for 10 fewer correct of 10,000. Negative if the form is better than torch.
    """

    share: float
    low: float
    high: float

    @property
    def is_ruin(self) -> bool:
        """True if the loss is over RUINED, and beyond MOST_LOST with the whole interval."""
        return self.share > RUINED and self.low > MOST_LOST

    @property
    def is_allowed(self) -> bool:
        """True if the loss is at most MOST_LOST, or if so few images cannot show that it is larger."""
        return self.share <= MOST_LOST or self.low <= MOST_LOST


def lost(heads: Mapping[str, Mapping[str, Any]]) -> Loss:
    """Return the loss against torch of the worst head."""
    return max(map(loss_of, heads.values()), key=lambda loss: loss.share)


def loss_of(head: Mapping[str, Any]) -> Loss:
    """Return the loss of one head, from its disagreements with torch."""
    torch_right = sum(one["torch"] == one["label"] for one in head["disagreements"])
    form_right = sum(one["answer"] == one["label"] for one in head["disagreements"])
    share, (low, high) = paired_shares(form_right, torch_right, head["count"])
    return Loss(share, low, high)
