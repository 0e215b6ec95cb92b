"""Sentences beside the numbers of a training."""

from __future__ import annotations

import torch
from torch import nn

from featherweight.training.notes import batch_norm_note


def after(steps, **how):
    model = nn.Sequential(nn.BatchNorm2d(2, **how), nn.ReLU())
    for _ in range(steps):
        model(torch.randn(4, 2, 3, 3))
    return model


def test_few_steps_of_batch_norm_are_said_with_what_is_left():
    model = after(12)
    assert "has seen 12 steps: 28 % of its running statistics" in batch_norm_note(model)
    model[0].running_mean.fill_(1.0)    # 0.9 ** 12 of an initial value is left, whatever the images are
    for _ in range(12):
        model(torch.zeros(4, 2, 3, 3))
    assert torch.allclose(model[0].running_mean, torch.tensor(0.9**12))
    assert "has seen 1 step: 90 %" in batch_norm_note(after(1))


def test_the_layer_that_is_furthest_from_settled_counts():
    model = nn.Sequential(after(40), after(12, momentum=0.01))
    assert "has seen 12 steps: 89 %" in batch_norm_note(model)


def test_settled_statistics_need_no_note():
    assert batch_norm_note(after(28)) is not None and batch_norm_note(after(29)) is None     # 0.9 ** 29 = 0.047
    assert batch_norm_note(after(1, momentum=None)) is None         # the mean of all batches
    assert batch_norm_note(after(1, track_running_stats=False)) is None
    assert batch_norm_note(nn.Linear(2, 2)) is None
    assert batch_norm_note(after(0)) is None                        # frozen from the start
