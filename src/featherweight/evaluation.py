"""Compute loss, accuracy, confusion and calibration from outputs and targets. Pure functions on whole tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Score:
    """The score of one head. accuracy: fraction in [0, 1]. loss: mean over all predictions, in nats.

    recall: for each class, the fraction of its images that are predicted correctly; None for a class without images.
    macro_recall: mean of recall over the classes with images, also called balanced accuracy.
    Without probabilities there is no loss, calibration_error and recall, for example for "all heads right at once".
    """

    accuracy: float
    loss: float | None
    correct: int
    count: int
    calibration_error: float | None = None
    macro_recall: float | None = None
    recall: tuple[float | None, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        content = asdict(self) | {"recall": list(self.recall)}
        return {key: value for key, value in content.items() if value not in (None, [])}

    def without_classes(self) -> dict[str, Any]:
        """Return the values for JSON without the recall of each class."""
        return replace(self, recall=()).to_dict()


def score(log_probabilities: Tensor, targets: Tensor) -> Score:
    """Return the score of log-probabilities (N, classes) for targets (N,).

    The loss is a float64 sum over all images divided by N. A mean of batch means is wrong if the last batch is short.
    """
    count = len(targets)
    correct = int((log_probabilities.argmax(dim=1) == targets).sum())
    loss = F.nll_loss(log_probabilities.double(), targets, reduction="sum").item() / count
    recall = recall_of(confusion_matrix(log_probabilities.argmax(dim=1), targets, log_probabilities.shape[1]).tolist())
    return Score(correct / count, loss, correct, count, calibration_error(log_probabilities, targets), macro(recall),
                 tuple(recall))


def score_all(log_probabilities: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> Score:
    """Return the score of all heads together: a prediction is right if all heads are right."""
    pairs = zip(log_probabilities, targets, strict=True)
    right = torch.stack([head.argmax(dim=1) == target for head, target in pairs]).all(dim=0)
    return Score(int(right.sum()) / len(right), None, int(right.sum()), len(right))


def confusion_matrix(predictions: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Return int64 (classes, classes): rows are targets, columns are predictions, both given as int64 (N,)."""
    return torch.bincount(targets * classes + predictions, minlength=classes * classes).view(classes, classes)


def recall_of(confusion: Sequence[Sequence[int]]) -> list[float | None]:
    """Return the recall of each class, or None for a class without images. confusion: rows are targets."""
    return [row[label] / sum(row) if sum(row) else None for label, row in enumerate(confusion)]


def macro(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None. Return None if all values are None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def calibration_error(log_probabilities: Tensor, targets: Tensor, bins: int = 15) -> float:
    """Return the expected calibration error: mean difference of confidence and accuracy over equal-width bins.

    The bins are weighted by their number of predictions.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks. A fraction in [0, 1].
    """
    found = calibration_curve(log_probabilities, targets, bins)
    return sum(one.count * abs(one.accuracy - one.confidence) for one in found) / len(targets)


@dataclass(frozen=True)
class Bin:
    """Predictions of similar confidence: mean confidence and accuracy (fractions), and their number."""

    confidence: float
    accuracy: float
    count: int


def calibration_curve(log_probabilities: Tensor, targets: Tensor, bins: int = 15) -> list[Bin]:
    """Return the predictions in equal-width bins of confidence, without empty bins."""
    confidence, predictions = (value.cpu() for value in log_probabilities.double().exp().max(dim=1))
    right = (predictions == targets.cpu()).double()
    bin_of = (confidence * bins).ceil().long().clamp(1, bins) - 1
    count, sure, hits = (
        torch.zeros(bins, dtype=torch.float64).index_add_(0, bin_of, values).tolist()
        for values in (torch.ones_like(confidence), confidence, right)
    )
    return [Bin(s / n, h / n, int(n)) for n, s, h in zip(count, sure, hits, strict=True) if n]
