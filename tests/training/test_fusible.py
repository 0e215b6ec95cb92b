"""Convolutions as sums and norms in float32, beside torch's own, alone and mapped over many networks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import vmap

from featherweight.models import build_model
from featherweight.training import fusible
from featherweight.training.fusible import FusibleLayers, is_fusible

CHANNELS = {"pointwise": (3, 5, 1), "depthwise": (4, 4, 4), "of one channel": (1, 6, 1), "across": (3, 5, 1)}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.sampled_from(sorted(CHANNELS)), st.booleans(), st.integers(0, 99))
def test_a_convolution_is_torchs(kind, biased, seed):
    channels, out_channels, groups = CHANNELS[kind]
    size = (1, 1) if kind == "pointwise" else (3, 2)
    images = random(2, channels, 7, 6, seed=seed)
    weight = random(out_channels, channels // groups, *size, seed=seed + 1)
    bias = random(out_channels, seed=seed + 2) if biased else None
    torch.testing.assert_close(
        fusible.conv2d(images, weight, bias, groups=groups), F.conv2d(images, weight, bias, groups=groups)
    )


@pytest.mark.parametrize("changes", [{"stride": 2}, {"padding": (1, 1)}, {"dilation": 2}])
def test_what_moves_otherwise_is_left_to_torch(changes):
    images, weight = random(2, 4, 9, 9), random(4, 1, 3, 3)
    found = fusible.conv2d(images, weight, groups=4, **changes)
    assert torch.equal(found, F.conv2d(images, weight, groups=4, **changes))


def test_in_bf16_a_mapped_norm_has_a_gradient_and_moves_its_statistics():
    norms = [nn.BatchNorm2d(4) for _ in range(3)]
    means, variances = (torch.stack([getattr(one, name) for one in norms]) for name in ("running_mean", "running_var"))
    gains, shifts = torch.ones(3, 4, requires_grad=True), torch.zeros(3, 4)
    images = random(3, 8, 4, 5, 5).bfloat16()

    def one(images, mean, variance, gain, shift):
        return F.batch_norm(images, mean, variance, gain, shift, training=True)

    with FusibleLayers():
        outputs = vmap(one)(images, means, variances, gains, shifts)
    outputs.float().square().sum().backward()
    assert outputs.dtype == torch.bfloat16 and gains.grad.abs().min() > 0
    for norm, own, mean, variance, output in zip(norms, images, means, variances, outputs, strict=True):
        torch.testing.assert_close(output.float(), norm(own.float()), atol=2e-2, rtol=2e-2)
        torch.testing.assert_close(mean, norm.running_mean)
        torch.testing.assert_close(variance, norm.running_var)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_autocast_reaches_mapped_convolutions(precision):
    images, weights = random(2, 3, 4, 6, 6), random(2, 5, 4, 3, 3)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16), FusibleLayers():
        outputs = vmap(F.conv2d)(images, weights)
    assert outputs.dtype == precision
    expected = torch.stack([F.conv2d(*one) for one in zip(images, weights, strict=True)])
    torch.testing.assert_close(outputs.float(), expected, atol=0.2 if precision == torch.bfloat16 else 1e-5, rtol=1e-2)


def test_which_networks_are_made_of_sums():
    made = {name for name in ("feather-1k", "feather-8k", "feather-20k") if is_fusible(build_model(name))}
    assert made == {"feather-1k", "feather-8k", "feather-20k"}
    assert not any(is_fusible(build_model(name)) for name in ("session6", "session7-model2", "feather-fast"))
    assert is_fusible(nn.Sequential(nn.Flatten(), nn.Linear(4, 2))) and not is_fusible(nn.Conv1d(1, 1, 1))
