"""A finished run looked at closely."""

from __future__ import annotations

import pytest
import torch

from featherweight.errors import RunError
from featherweight.examination import evaluate, examine


def test_answers_are_the_networks_on_every_test_image(digits_run):
    found = examine(digits_run, device="cpu")
    result = digits_run.result["test"]["class"]
    answers, targets = found.answers["class"], found.targets["class"]
    assert answers.shape == (360, 10) and int((answers.argmax(dim=1) == targets).sum()) == result["correct"]
    assert evaluate(digits_run, device="cpu")["class"].to_dict() == result


def test_mistakes_are_wrong_answers_worst_first(digits_run):
    found = examine(digits_run, device="cpu")
    mistakes = found.mistakes("class", 100)
    result = digits_run.result["test"]["class"]
    assert len(mistakes) == result["count"] - result["correct"] == len({mistake.image for mistake in mistakes})
    losses = [-float(found.answers["class"][m.image, int(m.truth)]) for m in mistakes]
    assert losses == sorted(losses, reverse=True)
    for mistake in mistakes:
        shares = [share for _, share in mistake.ranked]
        assert mistake.ranked[0][0] != mistake.truth and shares == sorted(shares, reverse=True) and len(shares) == 3
        assert mistake.truth == str(int(found.dataset.test.labels[mistake.image])) and mistake.said == ""
    assert len(found.mistakes("class", 3)) == min(3, len(mistakes))


def test_a_task_with_several_questions_is_asked_one_about_each_image(sum_run):
    found = examine(sum_run, device="cpu")
    assert {head: answers.shape for head, answers in found.answers.items()} == {"digit": (360, 10), "sum": (360, 19)}
    numbers = found.task_batch.inputs[0].argmax(dim=1)
    assert torch.equal(numbers, torch.arange(360) % 10)
    assert torch.equal(found.targets["sum"], found.dataset.test.labels + numbers)
    assert found.classes("sum")[-1] == "18"
    mistake = found.mistakes("sum", 1)[0]
    assert mistake.said == f"+ {mistake.image % 10}"


def test_inputs_of_an_image_give_the_answer_again(digits_run, sum_run):
    for run in (digits_run, sum_run):
        found = examine(run, device="cpu")
        with torch.no_grad():
            outputs = found.network(*found.inputs(7))
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        for head, output in zip(found.task.heads, heads, strict=True):
            assert torch.allclose(output[0], found.answers[head][7], atol=0.1), head      # bf16 there


def test_an_image_of_each_class(digits_run):
    found = examine(digits_run, device="cpu")
    assert found.dataset.test.labels[found.an_image_of_each_class()].tolist() == list(range(10))


def test_other_data_must_have_as_many_classes(digits_run, tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        for index in range(4):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("L", (28, 28), index * 40).save(tmp_path / name / f"{index}.png")
    with pytest.raises(RunError, match="knows 10 classes"):
        examine(digits_run, data=f"folder:{tmp_path}", device="cpu")
