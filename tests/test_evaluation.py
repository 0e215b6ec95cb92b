"""Scores against scikit-learn, and calibration against cases that can be counted by hand."""

from __future__ import annotations

import math

import pytest
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from featherweight.evaluation import Score, calibration_error, confusion_matrix, score, score_all

seeds = st.integers(0, 2**32)


def answers(seed: int, count: int = 200, classes: int = 10) -> tuple[Tensor, Tensor]:
    """(log-probabilities, targets), right in about half of the cases."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(classes, (count,), generator=generator)
    logits = torch.randn(count, classes, generator=generator)
    logits[torch.arange(count), targets] += 1.5
    return logits.log_softmax(1), targets


@given(seeds)
def test_score_is_what_scikit_learn_says(seed: int) -> None:
    log_probabilities, targets = answers(seed)
    result = score(log_probabilities, targets)
    predictions = log_probabilities.argmax(1)
    assert result.count == 200
    assert result.accuracy == sklearn.metrics.accuracy_score(targets, predictions)
    assert result.correct == sklearn.metrics.accuracy_score(targets, predictions, normalize=False)
    probabilities = log_probabilities.double().exp()
    expected = sklearn.metrics.log_loss(
        targets, probabilities / probabilities.sum(dim=1, keepdim=True), labels=list(range(10))
    )
    assert result.loss == pytest.approx(expected, rel=1e-6)


@given(seeds)
def test_confusion_matrix_is_what_scikit_learn_says(seed: int) -> None:
    log_probabilities, targets = answers(seed, count=50)
    predictions = log_probabilities.argmax(1)
    expected = sklearn.metrics.confusion_matrix(targets, predictions, labels=list(range(10)))
    matrix = confusion_matrix(predictions, targets, 10)
    assert matrix.dtype == torch.int64
    assert matrix.tolist() == expected.tolist()


def test_confusion_matrix_has_the_truth_in_rows() -> None:
    assert confusion_matrix(torch.tensor([2]), torch.tensor([0]), 3).tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_the_loss_of_a_whole_is_no_mean_of_batch_means() -> None:
    """501 answers: the last batch of 500 and 1 must not weigh as much as the first."""
    log_probabilities = torch.full((501, 2), math.log(0.5))
    log_probabilities[-1] = torch.tensor([0.0, -100.0])
    targets = torch.ones(501, dtype=torch.int64)
    assert score(log_probabilities, targets).loss == pytest.approx((500 * math.log(2) + 100) / 501, rel=1e-6)


def test_a_score_without_a_loss_does_not_write_one() -> None:
    assert Score(0.5, None, 1, 2).to_dict() == {"accuracy": 0.5, "correct": 1, "count": 2}
    assert Score(0.5, 0.25, 1, 2).to_dict() == {"accuracy": 0.5, "loss": 0.25, "correct": 1, "count": 2}


def test_all_right_at_once_counts_only_where_every_head_is_right() -> None:
    first = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]).log()
    second = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]).log()
    zeros = torch.zeros(4, dtype=torch.int64)
    assert score_all((first, second), (zeros, zeros)) == Score(0.25, None, 1, 4)


@given(seeds)
def test_all_right_at_once_is_never_better_than_one_head(seed: int) -> None:
    (first, a), (second, b) = answers(seed), answers(seed + 1)
    both = score_all((first, second), (a, b))
    assert both.correct <= min(score(first, a).correct, score(second, b).correct)


def test_calibration_of_a_network_that_is_as_sure_as_it_is_right() -> None:
    log_probabilities = torch.tensor([[0.75, 0.25]] * 4).log()
    assert calibration_error(log_probabilities, torch.tensor([0, 0, 0, 1])) == pytest.approx(0, abs=1e-6)


def test_calibration_of_a_network_that_is_sure_and_wrong() -> None:
    log_probabilities = torch.tensor([[0.0, -50.0]] * 4)
    assert calibration_error(log_probabilities, torch.tensor([1, 1, 1, 1])) == pytest.approx(1)
    assert calibration_error(log_probabilities, torch.tensor([0, 0, 1, 1])) == pytest.approx(0.5)


def test_calibration_weighs_bins_by_their_answers() -> None:
    """Three answers at 0.95 (all wrong), one at 0.55 (right): (3 * 0.95 + 0.45) / 4."""
    log_probabilities = torch.tensor([[0.95, 0.05]] * 3 + [[0.55, 0.45]]).log()
    error = calibration_error(log_probabilities, torch.tensor([1, 1, 1, 0]))
    assert error == pytest.approx((3 * 0.95 + 0.45) / 4, abs=1e-6)


@given(seeds, st.integers(1, 30))
def test_calibration_is_at_least_the_gap_between_mean_confidence_and_accuracy(seed: int, bins: int) -> None:
    log_probabilities, targets = answers(seed)
    error = calibration_error(log_probabilities, targets, bins)
    gap = log_probabilities.double().exp().max(1).values.mean().item() - score(log_probabilities, targets).accuracy
    assert abs(gap) - 1e-9 <= error <= 1
    if bins == 1:
        assert error == pytest.approx(abs(gap))
