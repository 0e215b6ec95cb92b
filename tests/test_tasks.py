"""What a network is asked, and the loss it is trained with."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from featherweight.errors import UnknownName
from featherweight.tasks import TASKS, ClassificationTask, DigitSumTask, Loss, as_heads, build_task, loss_of

LABELS = torch.arange(30) % 10


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_tasks_by_name() -> None:
    assert set(TASKS) == {"classification", "digit-sum"}
    assert all(build_task(name).name == name for name in TASKS)
    with pytest.raises(UnknownName, match="Did you mean 'classification'"):
        build_task("clasification")


def test_classification_asks_for_the_label_and_draws_nothing() -> None:
    draws = generator(0)
    question = ClassificationTask().training_batch(LABELS, draws)
    assert question.inputs == ()
    assert question.targets[0].equal(LABELS)
    assert draws.get_state().equal(generator(0).get_state())
    [whole] = ClassificationTask().evaluation_batches(LABELS)
    assert whole.targets[0].equal(LABELS)


@given(st.integers(0, 2**32))
def test_digit_sum_asks_about_the_number_that_it_shows(seed: int) -> None:
    [numbers], (digits, sums) = _parts(DigitSumTask().training_batch(LABELS, generator(seed)))
    assert numbers.shape == (30, 10)
    assert numbers.dtype == torch.float32
    assert numbers.sum(dim=1).eq(1).all()
    assert numbers.max(dim=1).values.eq(1).all()
    assert digits.equal(LABELS)
    assert sums.equal(LABELS + numbers.argmax(dim=1))
    assert 0 <= int(sums.min()) <= int(sums.max()) <= 18


def test_digit_sum_draws_differ_between_images_and_repeat_with_the_seed() -> None:
    drawn = [DigitSumTask().training_batch(LABELS, generator(seed)).inputs[0].argmax(dim=1) for seed in (1, 1, 2)]
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
    assert len(drawn[0].unique()) > 3


def test_digit_sum_draws_go_on_within_a_generator() -> None:
    draws = generator(1)
    first, second = (DigitSumTask().training_batch(LABELS, draws).inputs[0] for _ in range(2))
    assert not first.equal(second)


def test_digit_sum_draws_every_number_about_equally_often() -> None:
    labels = torch.zeros(10_000, dtype=torch.int64)
    counts = DigitSumTask().training_batch(labels, generator(3)).targets[1].bincount(minlength=10)
    assert len(counts) == 10
    assert 850 < int(counts.min()) <= int(counts.max()) < 1150     # five standard deviations of 30


def test_digit_sum_asks_every_pair_of_image_and_number_exactly_once() -> None:
    asked: Counter[tuple[int, int]] = Counter()
    for [numbers], (digits, sums) in map(_parts, DigitSumTask().evaluation_batches(LABELS)):
        assert digits.equal(LABELS)
        assert sums.equal(digits + numbers.argmax(dim=1))
        asked.update(enumerate(numbers.argmax(dim=1).tolist()))
    assert asked == Counter((image, number) for image in range(30) for number in range(10))


def test_loss_is_the_cross_entropy_of_torch() -> None:
    logits = torch.randn(30, 10)
    assert loss_of(logits, (LABELS,)).item() == pytest.approx(F.cross_entropy(logits, LABELS).item())


@given(st.integers(0, 1000))
def test_loss_is_the_same_for_logits_and_log_probabilities(seed: int) -> None:
    logits = 5 * torch.randn(30, 10, generator=generator(seed))
    for_logits, for_log_probabilities = (loss_of(each, (LABELS,)) for each in (logits, logits.log_softmax(1)))
    assert for_logits.item() == pytest.approx(for_log_probabilities.item(), rel=1e-5)


def test_gradients_are_the_same_for_logits_and_log_probabilities() -> None:
    logits = torch.randn(30, 10, requires_grad=True)
    [plain] = torch.autograd.grad(loss_of(logits, (LABELS,)), logits)
    [twice] = torch.autograd.grad(loss_of(logits.log_softmax(1), (LABELS,)), logits)
    assert torch.allclose(plain, twice, atol=1e-7)


def test_loss_sums_over_heads_in_float32() -> None:
    heads = (torch.randn(30, 10), torch.randn(30, 19))
    targets = (LABELS, LABELS + 4)
    loss = loss_of(heads, targets)
    assert loss.item() == pytest.approx(sum(loss_of(h, (t,)).item() for h, t in zip(heads, targets, strict=True)))
    assert loss_of(heads[0].bfloat16(), (LABELS,)).dtype == torch.float32


def test_loss_refuses_another_number_of_heads() -> None:
    with pytest.raises(ValueError, match="zip"):
        loss_of(torch.randn(30, 10), (LABELS, LABELS))


# ---- with a teacher ----


def soft_labels(seed: int, classes: int = 10) -> Tensor:
    return (3 * torch.randn(30, classes, generator=generator(seed))).softmax(dim=1)


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0.5, 8))
def test_loss_with_a_teacher_is_the_formula(seed: int, weight: float, temperature: float) -> None:
    logits, soft = 4 * torch.randn(30, 10, generator=generator(seed)), soft_labels(seed)
    output, truth = logits.double().numpy(), soft.double().numpy()
    logs = output / temperature - np.log(np.exp(output / temperature).sum(axis=1, keepdims=True))
    hard = -(output - np.log(np.exp(output).sum(axis=1, keepdims=True)))[np.arange(30), LABELS].mean()
    expected = (1 - weight) * hard + weight * temperature**2 * -(truth * logs).sum(axis=1).mean()
    for outputs in (logits, logits.log_softmax(dim=1)):
        assert Loss(weight, temperature)(outputs, (LABELS,), (soft,)).item() == pytest.approx(expected, rel=1e-4)


def test_a_pupil_that_answers_like_its_teacher_has_nothing_to_learn() -> None:
    logits = torch.randn(30, 10, requires_grad=True)
    soft = (logits.detach() / 3).softmax(dim=1)
    [gradient] = torch.autograd.grad(Loss(1.0, 3.0)(logits, (LABELS,), (soft,)), logits)
    assert gradient.abs().max() < 1e-7


def test_a_head_that_is_wider_than_the_classes_follows_too() -> None:
    logits = torch.randn(30, 12)
    padded = torch.nn.functional.pad(soft_labels(0), (0, 2))
    assert Loss(0.5, 2.0)(logits, (LABELS,), (soft_labels(0),)) == Loss(0.5, 2.0)(logits, (LABELS,), (padded,))


def test_without_soft_labels_the_weight_is_of_no_account() -> None:
    logits = torch.randn(30, 10)
    assert torch.equal(Loss(0.7, 2.0)(logits, (LABELS,)), F.cross_entropy(logits, LABELS))


@given(st.integers(0, 2**32))
def test_digit_sum_shifts_the_teachers_answer_by_the_number(seed: int) -> None:
    soft, draws, alone = soft_labels(seed), generator(seed), generator(seed)
    question = DigitSumTask().training_batch(LABELS, draws, soft)
    plain = DigitSumTask().training_batch(LABELS, alone)
    assert draws.get_state().equal(alone.get_state()) and question.inputs[0].equal(plain.inputs[0])
    digits, sums = question.soft
    assert digits.equal(soft) and sums.shape == (30, 19)
    for image, number in enumerate(question.inputs[0].argmax(dim=1).tolist()):
        expected = np.zeros(19, dtype=np.float32)
        expected[number : number + 10] = soft[image].numpy()
        assert np.array_equal(sums[image].numpy(), expected)


def test_classification_passes_the_teachers_answer_on() -> None:
    [passed] = ClassificationTask().training_batch(LABELS, generator(0), soft_labels(1)).soft
    assert passed.equal(soft_labels(1)) and ClassificationTask().training_batch(LABELS, generator(0)).soft == ()


def test_one_output_is_one_head() -> None:
    output = torch.zeros(2, 3)
    assert as_heads(output)[0] is output
    assert as_heads((output, output)) == (output, output)


def _parts(question: object) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    return question.inputs, question.targets  # type: ignore[attr-defined]
