"""What an exported network answers to every test image, beside what torch answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import ExportError
from featherweight.inference.network import Numbers, Pixels, Probabilities

TIE = 1e-5              # two probabilities of torch that are so near are a tie
MOST_LOST = 0.001       # the share of test images that int8 may lose: 0.10 points
RUINED = 0.01           # beyond this share int8 is another network: ten times what is allowed
BATCH = 500


Answer = Callable[[Pixels, Numbers | None], Probabilities]


@dataclass(frozen=True)
class Questions:
    """Test images with a number for each where one is added, and what is right for each head."""

    images: Pixels
    numbers: Numbers | None
    targets: Mapping[str, NDArray[np.int64]]
    leaning: Pixels | None = None       # the images before they were stood upright, where they were

    def as_given(self) -> Questions:
        """The same about images that nobody stood upright."""
        return self if self.leaning is None else replace(self, images=self.leaning, leaning=None)

    def ask(
        self, answer: Answer, tick: Callable[[int], None] = lambda done: None
    ) -> Probabilities:
        """Every question, in batches; tick is told how many are answered."""
        parts = []
        for start in range(0, len(self.images), BATCH):
            part = slice(start, start + BATCH)
            parts.append(answer(self.images[part], None if self.numbers is None else self.numbers[part]))
            tick(min(start + BATCH, len(self.images)))
        return {head: np.concatenate([part[head] for part in parts]) for head in self.targets}

    def some(self, count: int) -> Questions:
        """So many of them, evenly spread."""
        places = np.unique(np.linspace(0, len(self.images) - 1, count).round().astype(np.int64))
        numbers = None if self.numbers is None else self.numbers[places]
        leaning = None if self.leaning is None else self.leaning[places]
        return Questions(self.images[places], numbers, {head: t[places] for head, t in self.targets.items()}, leaning)


def compare(answers: Probabilities, torch_answers: Probabilities, questions: Questions) -> dict[str, dict[str, Any]]:
    """For each head: accuracy, every disagreement with torch, the largest difference of two probabilities."""
    return {
        head: compare_head(answers[head], torch_answers[head], target) for head, target in questions.targets.items()
    }


def compare_head(ours: NDArray[np.float32], torchs: NDArray[np.float32], target: NDArray[np.int64]) -> dict[str, Any]:
    """One head; (N, classes) both, targets (N,)."""
    if not np.isfinite(ours).all():
        raise ExportError("the exported network answers with NaN or infinity where torch gives numbers: its weights "
                          "are too large. Train again, e.g. with a lower optimizer.lr.")
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
    """How many are right."""
    correct = int((answers.argmax(axis=1) == target).sum())
    return {"accuracy": correct / len(target), "correct": correct, "count": len(target)}


def differing(heads: Mapping[str, Mapping[str, Any]]) -> int:
    """Answers that are not torch's, ties aside."""
    return sum(1 for head in heads.values() for each in head["disagreements"] if not each["tie"])


def lost(heads: Mapping[str, Mapping[str, Any]], torchs: Mapping[str, Mapping[str, Any]]) -> float:
    """How much worse than torch the worst head is, as a share of test images; negative where every head is better."""
    shares = [(torchs[head]["correct"] - each["correct"]) / each["count"] for head, each in heads.items()]
    return float(max(shares))
