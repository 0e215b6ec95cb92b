"""The contract of every network in the catalogue."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from featherweight.models import CATALOGUE, build_model, input_shapes
from featherweight.tasks import as_heads

DOCUMENTED = {      # the documents' tables
    "session1": 6_379_786,
    "session5": 593_200,
    "session6": 16_976,
    "session7-model1": 4_312,
    "session7-model2": 7_524,
    "session7-model3": 7_524,
    "digit-sum": 21_843,
}
OWN = {             # below their budgets of 1,000, 2,000, 3,500, 8,000, 20,000, 20,000 and 100,000
    "feather-1k": 988,
    "feather-2k": 1_986,
    "feather-3k5": 3_336,
    "feather-8k": 7_878,
    "feather-20k": 18_482,
    "feather-fast": 18_554,
    "feather-cifar": 54_842,
}
PARAMETERS = DOCUMENTED | OWN
HEADS = dict.fromkeys(PARAMETERS, (10,)) | {"digit-sum": (10, 19)}
NAMES = list(CATALOGUE)
WITH_CLASSES = [name for name in NAMES if name != "digit-sum"]


def build(name: str, seed: int = 1, **arguments: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(name, arguments)


def examples(model: nn.Module, count: int, seed: int = 0, channels: int | None = None) -> list[Tensor]:
    """Images like normalised ones, and whatever else the network takes."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [list(shape) for shape in input_shapes(model)]
    shapes[0][0] = channels or shapes[0][0]
    return [torch.randn(count, *shape, generator=generator) for shape in shapes]


def test_there_are_fourteen_and_each_is_checked() -> None:
    assert len(NAMES) == 14
    assert set(NAMES) == set(PARAMETERS)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_documents_and_our_budgets(name: str) -> None:
    parameters = list(build(name).parameters())
    assert all(p.requires_grad for p in parameters)
    assert sum(p.numel() for p in parameters) == PARAMETERS[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_are_log_probabilities(name: str, training: bool) -> None:
    model = build(name).train(training)
    outputs = as_heads(model(*examples(model, 4)))
    assert tuple(output.shape for output in outputs) == tuple((4, classes) for classes in HEADS[name])
    for output in outputs:
        assert torch.allclose(output.exp().sum(dim=1), torch.ones(4), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_one_image_gets_the_answer_that_it_gets_in_a_batch(name: str) -> None:
    model = build(name).eval()
    inputs = examples(model, 3)
    with torch.no_grad():
        together = as_heads(model(*inputs))
        alone = as_heads(model(*(value[:1] for value in inputs)))
    for one, all_three in zip(alone, together, strict=True):
        assert torch.allclose(one, all_three[:1], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_weights(name: str) -> None:
    one, same, other = (build(name, seed).state_dict() for seed in (1, 1, 2))
    assert all(one[key].equal(same[key]) for key in one)
    assert any(not one[key].equal(other[key]) for key in one)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter(name: str) -> None:
    model = build(name)
    outputs = as_heads(model(*examples(model, 8)))
    sum(output[:, index].sum() for output in outputs for index in range(5)).backward()  # type: ignore[union-attr]
    missed = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missed == []


@pytest.mark.parametrize("name", NAMES)
def test_weights_move_into_a_network_built_anew(name: str) -> None:
    first, second = build(name, 1).eval(), build(name, 2).eval()
    second.load_state_dict(first.state_dict())
    inputs = examples(first, 2)
    with torch.no_grad():
        for a, b in zip(as_heads(first(*inputs)), as_heads(second(*inputs)), strict=True):
            assert a.equal(b)


@pytest.mark.parametrize("name", NAMES)
def test_three_channels(name: str) -> None:
    model = build(name, in_channels=3).eval()
    with torch.no_grad():
        outputs = as_heads(model(*examples(model, 2, channels=3)))
    assert tuple(output.shape[1] for output in outputs) == HEADS[name]


@pytest.mark.parametrize("name", WITH_CLASSES)
@pytest.mark.parametrize("classes", [2, 26])
def test_another_number_of_classes(name: str, classes: int) -> None:
    model = build(name, classes=classes).eval()
    with torch.no_grad():
        output = model(*examples(model, 2))
    assert output.shape == (2, classes)
    assert torch.allclose(output.exp().sum(dim=1), torch.ones(2), atol=1e-5)


@pytest.mark.parametrize("name", ["session6", "session7-model1", "digit-sum"])
def test_dropout_is_the_argument(name: str) -> None:
    rates = {module.p for module in build(name, dropout=0.25).modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.25}


def test_session1_with_its_final_relu_never_has_a_logit_below_zero() -> None:
    """log_softmax keeps differences: the lowest of several clamped logits is shared, unclamped ones all differ."""
    clamped, free = build("session1", final_relu=True), build("session1", final_relu=False)
    free.load_state_dict(clamped.state_dict())
    images = examples(clamped, 16)
    with torch.no_grad():
        with_relu, without = clamped(*images), free(*images)
        logits = without - without.logsumexp(1, keepdim=True)
    assert not torch.allclose(with_relu, without)
    ties = (with_relu == with_relu.min(dim=1, keepdim=True).values).sum(dim=1)
    assert int(ties.max()) > 1
    assert (logits == logits.min(dim=1, keepdim=True).values).sum(dim=1).eq(1).all()


def test_session1_is_documented_with_its_final_relu() -> None:
    assert build("session1").final_relu is True


def test_digit_sum_is_a_reader_and_an_adder() -> None:
    model = build("digit-sum")
    counts = [sum(p.numel() for p in part.parameters()) for part in (model.reader, model.adder)]
    assert counts == [7_840, 14_003]


def test_digit_sum_reads_the_digit_from_the_image_alone() -> None:
    model = build("digit-sum").eval()
    [images, _] = examples(model, 10)
    numbers = torch.eye(10)
    with torch.no_grad():
        (digit, total), (same_digit, other_total) = model(images, numbers), model(images, numbers.flip(0))
    assert digit.equal(same_digit)
    assert not total.equal(other_total)


def test_session7_model3_is_model2() -> None:
    assert CATALOGUE["session7-model3"] is CATALOGUE["session7-model2"]
