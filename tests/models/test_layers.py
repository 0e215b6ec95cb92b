"""The layers of our own: their values, gradients and precision, and how they run as a stack."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import vmap

from featherweight.models.layers import GainlessNorm, RootMeanSquare, separable


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


# ---- without gain ----


def test_a_gainless_norm_learns_one_number_a_channel_and_is_otherwise_a_batch_norm() -> None:
    ours, torchs = GainlessNorm(5), torch.nn.BatchNorm2d(5)
    assert [name for name, _ in ours.named_parameters()] == ["bias"]
    assert ours.state_dict().keys() == torchs.state_dict().keys()       # so that files fit either
    x = maps(4, 5, 6, 6) * 3 + 1
    assert torch.equal(ours(x), torchs(x))
    assert torch.equal(ours.running_var, torchs.running_var)
    assert torch.equal(ours.eval()(x), torchs.eval()(x))


def test_a_positive_gain_can_move_behind_the_relu() -> None:
    """Why it is no loss: any network with gains equals one without, with other weights behind."""
    with_gain, without = torch.nn.BatchNorm2d(4).eval(), GainlessNorm(4).eval()
    behind, moved = (torch.nn.Conv2d(4, 4, 3, groups=4, bias=False) for _ in range(2))
    with torch.no_grad():
        with_gain.weight.copy_(torch.tensor([0.5, 1.0, 2.0, 3.0]))
        with_gain.bias.copy_(torch.tensor([0.1, -0.2, 0.3, -0.4]))
        without.bias.copy_(with_gain.bias / with_gain.weight)
        moved.weight.copy_(behind.weight * with_gain.weight.view(-1, 1, 1, 1))
        x = maps(2, 4, 8, 8)
        assert torch.allclose(behind(with_gain(x).relu()), moved(without(x).relu()), atol=1e-5)


def test_a_separable_block_takes_either() -> None:
    plain, gainless = separable(4, 6), separable(4, 6, norm=GainlessNorm)
    count = [sum(p.numel() for layer in layers for p in layer.parameters()) for layers in (plain, gainless)]
    assert count == [36 + 24 + 12, 36 + 24 + 6]
