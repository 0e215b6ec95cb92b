"""Outputs and targets -> loss, accuracy, confusion, calibration. Pure functions on whole tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Score:
    """How one head did. accuracy is a fraction in [0, 1]; loss is nats, the mean over all answers.

    loss and calibration_error are None where no probability was given, as for "all heads right at once".
    """

    accuracy: float
    loss: float | None
    correct: int
    count: int
    calibration_error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def score(log_probabilities: Tensor, targets: Tensor) -> Score:
    """(N, classes) log-probabilities, (N,) targets -> Score. The loss is a sum over N divided by N.

    Summed in float64, because a mean of batch means is wrong when the last batch is short.
    """
    count = len(targets)
    correct = int((log_probabilities.argmax(dim=1) == targets).sum())
    loss = F.nll_loss(log_probabilities.double(), targets, reduction="sum").item() / count
    return Score(correct / count, loss, correct, count, calibration_error(log_probabilities, targets))


def score_all(log_probabilities: tuple[Tensor, ...], targets: tuple[Tensor, ...]) -> Score:
    """How often all heads were right at once."""
    pairs = zip(log_probabilities, targets, strict=True)
    right = torch.stack([head.argmax(dim=1) == target for head, target in pairs]).all(dim=0)
    return Score(int(right.sum()) / len(right), None, int(right.sum()), len(right))


def confusion_matrix(predictions: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Two int64 (N,) of class numbers -> int64 (classes, classes): row the truth, column the answer."""
    return torch.bincount(targets * classes + predictions, minlength=classes * classes).view(classes, classes)


def calibration_error(log_probabilities: Tensor, targets: Tensor, bins: int = 15) -> float:
    """Expected calibration error: how far confidence is from accuracy, weighted over equal-width bins.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks. A fraction in [0, 1].
    """
    found = calibration_curve(log_probabilities, targets, bins)
    return sum(one.count * abs(one.accuracy - one.confidence) for one in found) / len(targets)


@dataclass(frozen=True)
class Bin:
    """Answers of about the same confidence: how sure they were and how often they were right, fractions."""

    confidence: float
    accuracy: float
    count: int


def calibration_curve(log_probabilities: Tensor, targets: Tensor, bins: int = 15) -> list[Bin]:
    """The answers sorted into equal-width bins of confidence; empty bins are left out."""
    confidence, predictions = (value.cpu() for value in log_probabilities.double().exp().max(dim=1))
    right = (predictions == targets.cpu()).double()
    bin_of = (confidence * bins).ceil().long().clamp(1, bins) - 1
    count, sure, hits = (
        torch.zeros(bins, dtype=torch.float64).index_add_(0, bin_of, values).tolist()
        for values in (torch.ones_like(confidence), confidence, right)
    )
    return [Bin(s / n, h / n, int(n)) for n, s, h in zip(count, sure, hits, strict=True) if n]
