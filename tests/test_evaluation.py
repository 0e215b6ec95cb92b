"""Scores beside scikit-learn's and beside sums done by hand."""

from __future__ import annotations

import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from featherweight.evaluation import Score, calibration_error, confusion_matrix, score, score_all


def random_answers(count, classes, seed=0, sharpness=2.0):
    """(log-probabilities, targets), float64 so that scikit-learn sees rows that sum to one."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, generator=generator, dtype=torch.float64) * sharpness
    return F.log_softmax(logits, dim=1), torch.randint(classes, (count,), generator=generator)


def two_class(confidences):
    """Log-probabilities of two classes; class 0 has these confidences."""
    confidence = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([confidence, 1 - confidence], dim=1).log()


@pytest.mark.parametrize(("count", "classes"), [(1, 2), (137, 10), (500, 19)])
class TestParityWithSklearn:
    def test_accuracy_and_loss(self, count, classes):
        log_probabilities, targets = random_answers(count, classes)
        got = score(log_probabilities, targets)
        assert got.accuracy == sklearn.metrics.accuracy_score(targets, log_probabilities.argmax(dim=1))
        wanted = sklearn.metrics.log_loss(targets, log_probabilities.exp(), labels=list(range(classes)))
        assert got.loss == pytest.approx(wanted)
        assert (got.correct, got.count) == (round(got.accuracy * count), count)

    def test_confusion(self, count, classes):
        log_probabilities, targets = random_answers(count, classes)
        predictions = log_probabilities.argmax(dim=1)
        got = confusion_matrix(predictions, targets, classes)
        wanted = sklearn.metrics.confusion_matrix(targets, predictions, labels=list(range(classes)))
        assert got.dtype == torch.int64
        assert got.tolist() == wanted.tolist()
        assert int(got.diagonal().sum()) == score(log_probabilities, targets).correct


def test_confusion_rows_are_the_truth_and_classes_that_never_occur_stay():
    matrix = confusion_matrix(torch.tensor([1, 1, 0]), torch.tensor([0, 0, 0]), 3)
    assert matrix.tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 0]]


def test_loss_is_a_sum_over_images_and_not_a_mean_of_batch_means():
    log_probabilities = two_class([0.9, 0.9, 0.1])      # batches of two: the last is short
    targets = torch.zeros(3, dtype=torch.int64)
    losses = F.nll_loss(log_probabilities, targets, reduction="none")
    of_batch_means = torch.stack([losses[:2].mean(), losses[2:].mean()]).mean().item()
    got = score(log_probabilities, targets).loss
    assert got == pytest.approx(losses.sum().item() / 3)
    assert abs(got - of_batch_means) > 0.1


def test_loss_of_many_float32_answers_does_not_drift():
    log_probabilities = torch.full((300_000, 2), 0.1).log()
    targets = torch.zeros(300_000, dtype=torch.int64)
    assert score(log_probabilities, targets).loss == pytest.approx(-log_probabilities[0, 0].item(), rel=1e-12)


def test_score_all_counts_images_with_every_head_right():
    targets = torch.zeros(4, dtype=torch.int64)
    first, second = two_class([0.9, 0.9, 0.1, 0.1]), two_class([0.9, 0.1, 0.9, 0.1])
    assert score_all((first, second), (targets, targets)) == Score(0.25, None, 1, 4)
    assert score_all((first,), (targets,)).accuracy == score(first, targets).accuracy
    with pytest.raises(ValueError, match="zip"):
        score_all((first, second), (targets,))


def test_a_score_as_json_leaves_out_what_has_no_meaning():
    assert Score(0.25, None, 1, 4).to_dict() == {"accuracy": 0.25, "correct": 1, "count": 4}
    assert set(score(*random_answers(5, 3)).to_dict()) == {"accuracy", "loss", "correct", "count", "calibration_error"}


class TestCalibration:
    def test_by_hand(self):
        # five bins. (0.6, 0.8]: 0.7, 0.7 and one of them right: |0.5 - 0.7| = 0.2 for two answers
        #            (0.8, 1.0]: 0.9, 0.9 and both right:        |1.0 - 0.9| = 0.1 for two answers
        log_probabilities, targets = two_class([0.7, 0.7, 0.9, 0.9]), torch.tensor([0, 1, 0, 0])
        assert calibration_error(log_probabilities, targets, bins=5) == pytest.approx((2 * 0.2 + 2 * 0.1) / 4)

    def test_errors_of_opposite_sign_do_not_cancel_across_bins(self):
        log_probabilities, targets = two_class([0.55, 0.95]), torch.tensor([0, 1])
        assert calibration_error(log_probabilities, targets) == pytest.approx((0.45 + 0.95) / 2)

    def test_zero_where_confidence_is_accuracy(self):
        log_probabilities = two_class([0.75] * 4 + [0.6] * 5)
        targets = torch.tensor([0, 0, 0, 1, 0, 0, 0, 1, 1])
        assert calibration_error(log_probabilities, targets) == pytest.approx(0.0, abs=1e-12)

    def test_sure_and_right_sure_and_wrong(self):
        sure = torch.tensor([[0.0, -torch.inf]])
        assert calibration_error(sure, torch.tensor([0])) == 0.0
        assert calibration_error(sure, torch.tensor([1])) == 1.0

    @given(st.integers(1, 60), st.integers(2, 12), st.integers(0, 10_000), st.floats(0, 50), st.integers(1, 30))
    def test_bounds(self, count, classes, seed, sharpness, bins):
        log_probabilities, targets = random_answers(count, classes, seed, sharpness)
        error = calibration_error(log_probabilities, targets, bins)
        confidence, predictions = log_probabilities.exp().max(dim=1)
        overall = abs((predictions == targets).double().mean() - confidence.mean()).item()
        assert overall - 1e-9 <= error <= 1 + 1e-9      # one bin is the least that binning can see
        if bins == 1:
            assert error == pytest.approx(overall, abs=1e-9)
