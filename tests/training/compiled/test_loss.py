"""The compiled loss gives what torch's autograd gives: gradients, losses of each image, right predictions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from featherweight.tasks import Loss, TaskBatch
from featherweight.training.compiled.loss import FusedLoss
from featherweight.training.count import Count
from featherweight.training.state import Position


def count_of(heads: int) -> Count:
    return Count([Position(correct=[0] * heads)], heads, torch.device("cpu"))


def by_torch(loss: Loss, outputs: list[Tensor], batch: TaskBatch) -> tuple[list[Tensor], Tensor, float]:
    leaves = tuple(output.double().requires_grad_() for output in outputs)
    targets, soft = batch.targets, tuple(one.double() for one in batch.soft)
    heads = zip(leaves, targets, soft or [None] * len(leaves), strict=True)
    total = torch.stack([in_double(loss, *head) for head in heads]).sum(dim=0)
    total.mean().backward()
    return [leaf.grad for leaf in leaves], total.detach(), total.sum().item()     # type: ignore[misc]


def in_double(loss: Loss, output: Tensor, target: Tensor, soft: Tensor | None) -> Tensor:
    hard = torch.nn.functional.cross_entropy(output, target, reduction="none")
    if soft is None:
        return hard
    logs = torch.log_softmax(output / loss.temperature, dim=1)[:, : soft.shape[1]]
    return (1 - loss.weight) * hard - loss.weight * loss.temperature**2 * (soft * logs).sum(dim=1)


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(1, 130), classes=st.integers(2, 40), heads=st.integers(1, 2), seed=st.integers(0, 10**6),
    weight=st.sampled_from([0.0, 0.3, 1.0]), temperature=st.sampled_from([0.5, 1.0, 4.0]),
    fewer=st.integers(0, 5), scale=st.sampled_from([0.1, 3.0, 60.0]), taught=st.booleans(),
)
def test_equals_autograd(
    images: int, classes: int, heads: int, seed: int, weight: float, temperature: float, fewer: int, scale: float,
    taught: bool,
) -> None:
    torch.manual_seed(seed)
    outputs = [torch.randn(images, classes) * scale for _ in range(heads)]
    targets = tuple(torch.randint(classes, (images,)) for _ in range(heads))
    width = max(classes - fewer, 1)
    soft = tuple(torch.rand(images, width).softmax(dim=1) for _ in range(heads)) if taught else ()
    batch, loss, count = TaskBatch((), targets, soft), Loss(weight, temperature), count_of(heads)
    each = torch.zeros(images)

    gradients = FusedLoss(loss, count)(outputs, batch, each)

    wanted, losses, total = by_torch(loss, outputs, batch)
    for found, right in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(found.double(), right, rtol=1e-4, atol=1e-6 / images)
    torch.testing.assert_close(each.double(), losses, rtol=1e-4, atol=1e-4)
    assert count.loss.item() == pytest.approx(total, rel=1e-5, abs=1e-4)
    hits = [int((output.argmax(1) == target).sum()) for output, target in zip(outputs, targets, strict=True)]
    assert count.correct.tolist() == [hits]


def test_a_number_that_is_none_shows() -> None:
    outputs = torch.zeros(3, 10)
    outputs[1, 4] = float("nan")
    count = count_of(1)

    (gradient,) = FusedLoss(Loss(), count)([outputs], TaskBatch((), (torch.tensor([1, 2, 3]),)))

    assert count.loss.isnan().all()
    assert gradient[1].isnan().any()
    assert not gradient[0].isnan().any()
