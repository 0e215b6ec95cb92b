"""The two faster operations give what torch's give, and leave to torch what they do not speed up."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from featherweight.models import build_model
from featherweight.training.kernels import LARGE, NarrowKernels, batch_norm, dropout

CHANNELS_LAST = torch.channels_last


def images(*shape, dtype=torch.float32, layout=CHANNELS_LAST, seed=0):
    """Maps like those behind a convolution: neither centred nor of unit spread."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator) * 1.5 + 0.7).to(dtype).contiguous(memory_format=layout)


def seeded(function, *arguments, seed=0, **keywords):
    torch.manual_seed(seed)
    return function(*arguments, **keywords)


class TestDropout:
    @pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
    def test_rate_scale_and_expectation(self, p):
        ones = torch.ones(64, 10, 24, 24).contiguous(memory_format=CHANNELS_LAST)
        got = dropout(ones, p)
        kept = got != 0
        assert 1 - kept.float().mean().item() == pytest.approx(p, abs=0.005)
        torch.testing.assert_close(got[kept], torch.full_like(got[kept], 1 / (1 - p)), rtol=2e-4, atol=0)
        assert got.mean().item() == pytest.approx(1, abs=0.02 if p < 0.9 else 0.05)

    def test_the_mask_has_no_pattern(self):
        kept = (dropout(torch.ones(64, 8, 16, 16), 0.5) != 0).float() - 0.5
        for axis in range(4):
            neighbours = (kept * kept.roll(1, dims=axis)).mean().item()
            assert abs(neighbours) < 0.005
            rate = kept.mean(dim=[other for other in range(4) if other != axis])
            assert rate.abs().max() < 5 * 0.5 * (rate.numel() / kept.numel()) ** 0.5

    @pytest.mark.parametrize("layout", [CHANNELS_LAST, torch.contiguous_format])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_layout_and_dtype_are_kept(self, layout, dtype):
        input = images(4, 10, 6, 6, dtype=dtype, layout=layout)
        got = dropout(input, 0.3)
        assert got.dtype == dtype
        assert got.stride() == input.stride()

    @pytest.mark.parametrize("shape", [(1,), (3, 7), (2, 3, 5), (1, 1, 1, 1), (2, 10, 1, 1), (0, 4)])
    def test_any_shape(self, shape):
        got = dropout(torch.ones(shape), 0.5)
        assert got.shape == shape
        assert ((got == 0) | (got == 2)).all()

    def test_the_gradient_is_the_mask(self):
        input = images(4, 10, 6, 6).requires_grad_()
        got = dropout(input, 0.25)
        got.sum().backward()
        torch.testing.assert_close(input.grad, (got / input).detach(), rtol=1e-5, atol=0)
        assert input.grad.unique().tolist() == pytest.approx([0, 4 / 3])

    def test_repeats_with_torchs_seed(self):
        ones = torch.ones(4, 10, 6, 6)
        assert torch.equal(seeded(dropout, ones, 0.5, seed=1), seeded(dropout, ones, 0.5, seed=1))
        assert not torch.equal(seeded(dropout, ones, 0.5, seed=1), seeded(dropout, ones, 0.5, seed=2))
        assert not torch.equal(dropout(ones, 0.5), dropout(ones, 0.5))

    @pytest.mark.parametrize(
        ("p", "training", "inplace"),
        [(0.0, True, False), (1.0, True, False), (1e-6, True, False), (0.5, False, False), (0.5, True, True)],
    )
    def test_what_is_torchs_stays_torchs(self, p, training, inplace):
        input = images(4, 10, 6, 6)
        got = seeded(dropout, input.clone(), p, training, inplace)
        assert torch.equal(got, seeded(F.dropout, input.clone(), p, training, inplace))

    def test_inplace_writes_into_the_input(self):
        input = torch.ones(100)
        assert dropout(input, 0.5, inplace=True) is input
        assert (input == 0).any()

    def test_views_that_are_not_dense(self):
        input = images(4, 10, 6, 6)[:, ::2]
        assert torch.equal(seeded(dropout, input, 0.5), seeded(F.dropout, input, 0.5))

    @pytest.mark.parametrize("p", [-0.1, 1.5])
    def test_a_rate_that_is_none(self, p):
        with pytest.raises(ValueError, match="between 0 and 1"):
            dropout(torch.ones(3), p)


def through(function, input, weight, bias, gradient, *, statistics=None, **keywords):
    """(output, gradients of input, weight and bias) of a batch norm in training."""
    leaves = [tensor.clone().requires_grad_() for tensor in (input, weight, bias)]
    mean, variance = statistics or (None, None)
    output = function(leaves[0], mean, variance, leaves[1], leaves[2], training=True, **keywords)
    output.backward(gradient.to(output.dtype))
    return output.detach(), [leaf.grad for leaf in leaves]


def is_ours(output):
    """Whether this output was computed by this package's batch norm, by the name of its backward step."""
    return output.grad_fn is not None and output.grad_fn.name() == "_BatchNormBackward"


TAKEN = [(128, 8, 26, 26), (96, 8, 26, 26), (128, 10, 24, 24), (96, 10, 24, 24), (120, 40, 9, 9)]


@pytest.mark.parametrize("shape", TAKEN)
class TestBatchNormOfLargeNarrowMaps:
    @staticmethod
    def affine(channels):
        generator = torch.Generator().manual_seed(1)
        return torch.rand(channels, generator=generator) + 0.5, torch.randn(channels, generator=generator)

    def test_is_taken(self, shape):
        input = images(*shape)
        assert input.numel() >= LARGE
        weight, bias = self.affine(shape[1])
        assert is_ours(batch_norm(input, None, None, weight.requires_grad_(), bias, training=True))

    def test_forward_and_gradients_in_float32(self, shape):
        input, gradient, (weight, bias) = images(*shape), images(*shape, seed=2), self.affine(shape[1])
        output, gradients = through(batch_norm, input, weight, bias, gradient)
        theirs, _ = through(F.batch_norm, input, weight, bias, gradient)
        torch.testing.assert_close(output, theirs, atol=1e-4, rtol=1e-4)
        exact, wanted = through(F.batch_norm, *(t.double() for t in (input, weight, bias, gradient)))
        torch.testing.assert_close(output.double(), exact, atol=1e-5, rtol=1e-5)
        for got, want in zip(gradients, wanted, strict=True):
            error = (got.double() - want).abs().max() / want.abs().max()
            assert error < 1e-5

    def test_forward_and_gradients_in_bf16(self, shape):
        """As under autocast: maps in bf16, weights in float32."""
        input, gradient = images(*shape, dtype=torch.bfloat16), images(*shape, seed=2, dtype=torch.bfloat16)
        weight, bias = self.affine(shape[1])
        output, gradients = through(batch_norm, input, weight, bias, gradient)
        assert [output.dtype, *(g.dtype for g in gradients)] == [torch.bfloat16] * 2 + [torch.float32] * 2
        exact, wanted = through(F.batch_norm, *(t.double() for t in (input, weight, bias, gradient)))
        for got, want in zip([output, *gradients], [exact, *wanted], strict=True):
            error = (got.double() - want).norm() / want.norm()
            assert error < 0.01

    @pytest.mark.parametrize("momentum", [0.1, 0.7])
    def test_running_statistics(self, shape, momentum):
        input, (weight, bias) = images(*shape), self.affine(shape[1])
        ours = torch.full((shape[1],), 0.5), torch.full((shape[1],), 2.0)
        theirs = ours[0].clone(), ours[1].clone()
        through(batch_norm, input, weight, bias, input, statistics=ours, momentum=momentum)
        through(F.batch_norm, input, weight, bias, input, statistics=theirs, momentum=momentum)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)

    def test_output_and_gradient_stay_channels_last(self, shape):
        input = images(*shape)
        output, gradients = through(batch_norm, input, *self.affine(shape[1]), torch.ones_like(input))
        assert output.is_contiguous(memory_format=CHANNELS_LAST)
        assert gradients[0].is_contiguous(memory_format=CHANNELS_LAST)


def test_batch_norm_takes_a_gradient_of_any_layout():
    input, weight, bias = images(128, 10, 24, 24), torch.rand(10), torch.rand(10)
    gradient = images(128, 10, 24, 24, seed=2)
    _, wanted = through(batch_norm, input, weight, bias, gradient)
    _, got = through(batch_norm, input, weight, bias, gradient.contiguous())
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("change", [lambda x: F.relu(x, inplace=True), lambda x: x.add_(1.0)])
def test_a_network_may_change_the_output_of_batch_norm_in_place(change):
    input, weight, bias = images(64, 10, 24, 24), torch.linspace(0.5, 1.5, 10), torch.linspace(-0.3, 0.3, 10)
    assert is_ours(batch_norm(input, None, None, weight.clone().requires_grad_(), bias, training=True))
    ours, theirs = (
        through(lambda *given, norm=norm, **training: change(norm(*given, **training)), input, weight, bias, input)
        for norm in (batch_norm, F.batch_norm)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_batch_norm_of_maps_far_from_zero():
    """Two passes: a mean of 1,000 does not swallow a spread of 1."""
    input = images(128, 10, 24, 24) + 1000
    got = batch_norm(input, None, None, torch.ones(10), torch.zeros(10), training=True)
    wanted = F.batch_norm(input.double(), None, None, training=True)
    torch.testing.assert_close(got.double(), wanted, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("shape", "layout", "training", "affine"),
    [
        pytest.param((4, 10, 8, 8), CHANNELS_LAST, True, True, id="small"),
        pytest.param((128, 16, 24, 24), CHANNELS_LAST, True, True, id="channels fill the lanes"),
        pytest.param((128, 10, 24, 24), CHANNELS_LAST, False, True, id="eval"),
        pytest.param((128, 10, 24, 24), torch.contiguous_format, True, True, id="channels first"),
        pytest.param((128, 10, 24, 24), CHANNELS_LAST, True, False, id="no weight"),
    ],
)
def test_batch_norm_leaves_the_rest_to_torch(shape, layout, training, affine):
    input = images(*shape, layout=layout)
    channels = shape[1]
    weight, bias = (torch.rand(channels), torch.rand(channels)) if affine else (None, None)
    results = []
    for function in (batch_norm, F.batch_norm):
        statistics = torch.full((channels,), 0.5), torch.full((channels,), 2.0)
        results.append((function(input, *statistics, weight, bias, training), *statistics))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*results, strict=True))


def test_batch_norm_leaves_linear_layers_to_torch():
    input = torch.randn(40_000, 10)
    weight, bias = torch.rand(10), torch.rand(10)
    ours, theirs = (f(input, None, None, weight, bias, True) for f in (batch_norm, F.batch_norm))
    assert torch.equal(ours, theirs)


def test_batch_norm_in_float64_keeps_its_precision():
    """A network of a user's own may be in double; torch's result, or one as good, must come out."""
    input = images(128, 10, 24, 24, dtype=torch.float64)
    norm = nn.BatchNorm2d(10).double()
    with NarrowKernels():
        output = norm(input)
    torch.testing.assert_close(output, F.batch_norm(input, None, None, training=True), atol=1e-10, rtol=0)


class TestNarrowKernels:
    @staticmethod
    def run(model, inputs, narrow):
        """One training pass: (outputs, gradients, buffers, whether the first batch norm was ours)."""
        seen = []
        model.zero_grad()
        first = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
        handle = first.register_forward_hook(lambda module, args, output: seen.append(is_ours(output)))
        if narrow:
            with NarrowKernels():
                output = model(inputs)
        else:
            output = model(inputs)
        handle.remove()
        F.nll_loss(output, torch.arange(len(inputs)) % 10).backward()
        gradients = [parameter.grad.clone() for parameter in model.parameters()]
        return output.detach(), gradients, [buffer.clone() for buffer in model.buffers()], seen[0]

    @staticmethod
    def norm_of_errors(gradients, exact):
        errors = [(gradient.double() - wanted).norm() for gradient, wanted in zip(gradients, exact, strict=True)]
        return torch.stack(errors).norm().item()

    def test_a_whole_network_gives_what_it_gives_without(self):
        """Rounding decides which pixel a pool picks, so gradients are held against float64, beside torch's own."""
        results = []
        for narrow, dtype in [(True, torch.float32), (False, torch.float32), (False, torch.float64)]:
            torch.manual_seed(0)
            model = build_model("session7-model2").to(dtype=dtype, memory_format=CHANNELS_LAST).train()
            results.append(self.run(model, images(128, 1, 28, 28).to(dtype), narrow))
        ours, theirs, exact = results
        assert [result[3] for result in results] == [True, False, False]
        torch.testing.assert_close(ours[0], exact[0].float(), atol=1e-2, rtol=0)
        for got, want in zip(ours[2], theirs[2], strict=True):
            torch.testing.assert_close(got, want, atol=1e-3, rtol=1e-3)
        assert self.norm_of_errors(ours[1], exact[1]) < 2 * self.norm_of_errors(theirs[1], exact[1])

    def test_a_network_without_pools_has_the_same_gradients(self):
        results = []
        for narrow in (True, False):
            torch.manual_seed(0)
            layers = [nn.Conv2d(1, 10, 3), nn.BatchNorm2d(10), nn.Softplus(), nn.Conv2d(10, 10, 3), nn.BatchNorm2d(10)]
            head = [nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(90, 10), nn.LogSoftmax(dim=1)]
            model = nn.Sequential(*layers, *head).to(memory_format=CHANNELS_LAST)
            results.append(self.run(model, images(128, 1, 28, 28), narrow))
        ours, theirs = results
        assert (ours[3], theirs[3]) == (True, False)
        torch.testing.assert_close(ours[0], theirs[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(ours[2], theirs[2], atol=1e-5, rtol=1e-5)
        for got, want in zip(ours[1], theirs[1], strict=True):
            assert (got - want).norm() <= 1e-3 * want.norm() + 1e-5     # a bias before a batch norm gets nothing

    def test_dropout_inside_of_a_network_is_ours(self):
        layer, input = nn.Dropout(0.3), images(8, 10, 6, 6)
        with NarrowKernels():
            inside = seeded(layer, input)
        assert torch.equal(inside, seeded(dropout, input, 0.3))
        assert not torch.equal(inside, seeded(F.dropout, input, 0.3))

    def test_functional_calls_are_ours_too(self):
        input = images(8, 10, 6, 6)
        with NarrowKernels():
            assert torch.equal(seeded(F.dropout, input, p=0.3), seeded(dropout, input, 0.3))

    def test_nothing_is_left_behind_after_the_block(self):
        input = images(128, 8, 26, 26).requires_grad_()
        before = F.dropout, F.batch_norm
        wanted = seeded(F.dropout, input, 0.3)
        with pytest.raises(RuntimeError, match="inside"), NarrowKernels():
            raise RuntimeError("inside")
        assert (F.dropout, F.batch_norm) == before
        assert torch.equal(seeded(F.dropout, input, 0.3), wanted)
        assert not is_ours(nn.BatchNorm2d(8)(input))

    def test_in_eval_a_network_is_untouched(self):
        model, inputs = build_model("session7-model1").eval(), images(128, 1, 28, 28)
        with torch.no_grad():
            wanted = model(inputs)
            with NarrowKernels():
                assert torch.equal(model(inputs), wanted)

    def test_under_bf16_autocast(self):
        norm, input = nn.BatchNorm2d(10).train(), images(128, 10, 24, 24, dtype=torch.bfloat16)
        with NarrowKernels(), torch.autocast("cpu", torch.bfloat16):
            output = norm(input)
        assert is_ours(output)
        assert output.dtype == torch.bfloat16
        assert norm.running_mean.dtype == torch.float32
        assert int(norm.num_batches_tracked) == 1
