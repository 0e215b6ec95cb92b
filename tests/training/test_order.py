"""Which images an epoch takes: all of them, or the hardest half and as many others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from featherweight.training.order import epoch_order, selected_order


def test_every_image_is_seen_once_an_epoch_in_another_order_each():
    first, second = (epoch_order(1000, seed=3, epoch=epoch) for epoch in (0, 1))
    assert sorted(first.tolist()) == list(range(1000)) == sorted(second.tolist())
    assert not torch.equal(first, second)
    assert torch.equal(first, epoch_order(1000, seed=3, epoch=0))
    assert not torch.equal(first, epoch_order(1000, seed=4, epoch=0))


@given(st.data())
def test_a_selection_holds_the_hardest_and_nothing_twice(data):
    losses = data.draw(st.lists(st.floats(0, 100) | st.just(float("inf")), min_size=2, max_size=60))
    count = data.draw(st.integers(2, len(losses)))
    order = selected_order(torch.tensor(losses), count, seed=1, epoch=1).tolist()
    assert len(order) == len(set(order)) == count and set(order) <= set(range(len(losses)))
    hard = (count + 1) // 2
    assert sorted((losses[i] for i in order), reverse=True)[:hard] == pytest.approx(sorted(losses, reverse=True)[:hard])


def test_a_selection_is_of_its_seed_and_epoch_and_well_mixed():
    losses = torch.linspace(1, 0, 1000)
    order = selected_order(losses, 400, seed=3, epoch=1)
    assert torch.equal(order, selected_order(losses, 400, seed=3, epoch=1))
    for seed, epoch in ((4, 1), (3, 2)):
        other = selected_order(losses, 400, seed=seed, epoch=epoch)
        assert set(range(200)) <= set(other.tolist()) and set(other.tolist()) != set(order.tolist())
    assert 60 < (order[:200] < 200).sum() < 140                     # the hardest do not come first
    drawn = order[order >= 200].float()
    assert drawn.min() < 250 and drawn.max() > 950                  # the others come from everywhere
