"""What a network is asked: inputs beside the image, the right answer of each head, the loss."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from featherweight.errors import UnknownName
from featherweight.tasks import TASKS, DigitSum, as_heads, build_task, loss_of

LABELS = torch.arange(10).repeat(10)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbers_of(question):
    """The numbers beside the images, read back from their one-hot form."""
    (one_hot,) = question.inputs
    assert one_hot.dtype == torch.float32
    assert one_hot.shape == (len(question.targets[0]), 10)
    assert ((one_hot == 0) | (one_hot == 1)).all()
    assert (one_hot.sum(dim=1) == 1).all()
    return one_hot.argmax(dim=1)


def test_tasks_by_name():
    assert set(TASKS) == {"classification", "digit-sum"}
    assert build_task("classification").heads == ("class",)
    assert build_task("digit-sum").heads == ("digit", "sum")
    with pytest.raises(UnknownName, match="Did you mean 'digit-sum'"):
        build_task("digit_sum")


def test_classification_asks_for_the_label_and_nothing_else():
    task = build_task("classification")
    for question in (task.ask(LABELS, seeded()), *task.ask_all(LABELS)):
        assert question.inputs == ()
        assert len(question.targets) == 1
        assert torch.equal(question.targets[0], LABELS)
    assert len(list(task.ask_all(LABELS))) == 1


class TestDigitSum:
    def test_targets_are_the_digit_and_digit_plus_number(self):
        question = DigitSum().ask(LABELS, seeded())
        digit, total = question.targets
        assert torch.equal(digit, LABELS)
        assert torch.equal(total, LABELS + numbers_of(question))
        assert total.dtype == torch.int64

    def test_every_image_draws_its_own_number_and_all_ten_occur(self):
        numbers = numbers_of(DigitSum().ask(LABELS, seeded()))
        assert set(numbers.tolist()) == set(range(10))

    def test_draws_repeat_with_the_generators_seed_only(self):
        first, again, other = (numbers_of(DigitSum().ask(LABELS, seeded(seed))) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        generator = seeded(1)
        epochs = [numbers_of(DigitSum().ask(LABELS, generator)) for _ in range(2)]
        assert not torch.equal(*epochs), "a number is drawn anew in every epoch"

    def test_the_draw_leaves_torchs_own_random_state_alone(self):
        before = torch.get_rng_state()
        DigitSum().ask(LABELS, seeded())
        assert torch.equal(before, torch.get_rng_state())

    def test_ask_all_asks_every_image_every_number_exactly_once(self):
        questions = list(DigitSum().ask_all(LABELS))
        asked = torch.stack([numbers_of(question) for question in questions])       # (10, N)
        assert torch.equal(asked.sort(dim=0).values, torch.arange(10).view(10, 1).expand(10, len(LABELS)))
        for question in questions:
            assert torch.equal(question.targets[0], LABELS)
            assert torch.equal(question.targets[1], LABELS + numbers_of(question))
        assert {int(total) for question in questions for total in question.targets[1]} == set(range(19))

    def test_with_numbers(self):
        question = DigitSum.with_numbers(torch.tensor([9, 0]), torch.tensor([9, 3]))
        assert numbers_of(question).tolist() == [9, 3]
        assert [target.tolist() for target in question.targets] == [[9, 0], [18, 3]]


class TestLoss:
    LOGITS = torch.randn(6, 10, generator=seeded()) * 3
    TARGETS = torch.tensor([0, 3, 9, 3, 5, 1])

    def test_as_heads(self):
        assert as_heads(self.LOGITS) == (self.LOGITS,)
        assert as_heads((self.LOGITS, self.TARGETS)) == (self.LOGITS, self.TARGETS)

    def test_is_the_cross_entropy(self):
        assert torch.equal(loss_of(self.LOGITS, (self.TARGETS,)), F.cross_entropy(self.LOGITS, self.TARGETS))

    def test_is_one_for_logits_and_log_probabilities(self):
        log_probabilities = F.log_softmax(self.LOGITS, dim=1)
        torch.testing.assert_close(
            loss_of(log_probabilities, (self.TARGETS,)), loss_of(self.LOGITS, (self.TARGETS,))
        )
        torch.testing.assert_close(loss_of(log_probabilities, (self.TARGETS,)),
                                   F.nll_loss(log_probabilities, self.TARGETS))

    def test_is_the_sum_over_heads(self):
        sums, totals = torch.randn(6, 19), self.TARGETS + 4
        wanted = F.cross_entropy(self.LOGITS, self.TARGETS) + F.cross_entropy(sums, totals)
        torch.testing.assert_close(loss_of((self.LOGITS, sums), (self.TARGETS, totals)), wanted)

    def test_is_float32_whatever_the_outputs_are(self):
        loss = loss_of(self.LOGITS.bfloat16(), (self.TARGETS,))
        assert loss.dtype == torch.float32
        assert torch.equal(loss, F.cross_entropy(self.LOGITS.bfloat16().float(), self.TARGETS))

    def test_as_many_targets_as_heads(self):
        with pytest.raises(ValueError, match="zip"):
            loss_of(self.LOGITS, (self.TARGETS, self.TARGETS))
