"""The pooling of our own: its value, its gradient, its precision, and how it runs as a stack."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import vmap

from featherweight.models.layers import RootMeanSquare


def maps(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (3, 8, 4, 4)])
def test_the_root_of_the_mean_square_over_places(shape: tuple[int, int, int, int]) -> None:
    x = maps(*shape)
    expected = np.sqrt((x.double().numpy() ** 2).mean(axis=(2, 3), keepdims=True) + 1e-6)
    found = RootMeanSquare()(x)
    assert found.shape == (*shape[:2], 1, 1)
    assert np.allclose(found.numpy(), expected, rtol=1e-6)


def test_a_channel_that_is_dark_everywhere_has_a_gradient() -> None:
    x = maps(2, 3, 4, 4)
    x[:, 1] = 0
    x.requires_grad_()
    (ours,) = torch.autograd.grad(RootMeanSquare()(x).sum(), x)
    assert ours.isfinite().all()
    assert not ours[:, 1].any()
    assert ours[:, 0].all()
    (alone,) = torch.autograd.grad((x**2).mean(dim=(2, 3)).sqrt().sum(), x)
    assert alone[:, 1].isnan().all()      # why something is added


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_what_comes_out_has_the_inputs_type(dtype: torch.dtype) -> None:
    assert RootMeanSquare()(maps(2, 3, 4, 4).to(dtype)).dtype == dtype


def test_under_autocast_only_the_result_is_rounded() -> None:
    x = maps(2, 3, 12, 12).bfloat16()
    exact = RootMeanSquare()(x.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = RootMeanSquare()(x)
    assert torch.equal(found, exact.bfloat16())


def test_many_at_once_are_each_alone() -> None:
    stacked, layer = maps(4, 2, 3, 5, 5), RootMeanSquare()
    together = vmap(layer)(stacked)
    assert torch.allclose(together, torch.stack([layer(one) for one in stacked]))
