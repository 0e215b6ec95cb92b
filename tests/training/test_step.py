"""One optimisation step: the device and precision it runs with, and what it does to the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featherweight.data import load_dataset
from featherweight.devices import autocast, keep_freed_memory, pick_device, pick_precision
from featherweight.errors import DeviceError
from featherweight.models import build_model
from featherweight.tasks import TaskBatch, loss_of
from featherweight.training.optimization import build_optimizer, move
from featherweight.training.step import make_passes

CPU = torch.device("cpu")
no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


@pytest.fixture(scope="module")
def batch():
    """A batch of 64 real digits: (images, question) as a step takes them."""
    train = load_dataset("digits").train
    images = train.images[:64].float().div(255).contiguous(memory_format=torch.channels_last)
    return images, TaskBatch((), (train.labels[:64],))


def build(name="session7-model2", lr=0.05, *, precision="float32", gradient_clip=0.0):
    """(model, step) of a fresh network with SGD."""
    torch.manual_seed(0)
    model = build_model(name).to(memory_format=torch.channels_last).train()
    optimizer = build_optimizer(model.parameters(), "sgd", lr=lr)
    passes = make_passes(model, loss_of, precision=precision, device=CPU, gradient_clip=gradient_clip)

    def step(images, question):
        found = passes(images, question)
        move([optimizer], lr)
        return found

    return model, step


class TestDevice:
    def test_the_cpu_is_always_there(self):
        assert pick_device("cpu") == CPU

    def test_auto_is_the_fastest_that_is_here(self):
        here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        fastest = next(kind for kind, present in here.items() if present)
        assert pick_device("auto").type == pick_device().type == fastest

    @pytest.mark.parametrize("name", ["tpu", "cuda:x", "cuda:-1", "gpu", "", "CPU", ":0", "cpu:", "cuda:", "cpu:01"])
    def test_what_is_no_device(self, name):
        with pytest.raises(DeviceError) as fault:
            pick_device(name)
        text = str(fault.value)
        assert repr(name) in text
        assert "\n" not in text
        if name in {"tpu", "cuda:x"}:
            assert text == f"unknown device {name!r}. Allowed: auto, cpu, cuda, mps."

    @no_cuda
    @pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
    def test_cuda_where_there_is_none(self, name):
        with pytest.raises(DeviceError, match=rf"device '{name}' is not on this machine\. Found: cpu.*device='auto'"):
            pick_device(name)


class TestPrecision:
    @pytest.mark.parametrize("name", ["float32", "bf16"])
    def test_what_is_asked_is_given(self, name):
        assert pick_precision(name, CPU) == name

    def test_auto_is_bf16_only_where_the_processor_has_it(self):
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        assert pick_precision("auto", CPU) in ({"bf16", "float32"} if native else {"float32"})
        assert pick_precision("auto", torch.device("mps")) == "float32"

    @pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
    def test_autocast_sets_the_activations_and_leaves_the_weights(self, batch, precision, dtype):
        model, step = build(precision=precision)
        seen = []
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
        loss, _ = step(*batch)
        assert set(seen) == {dtype}
        assert loss.dtype == torch.float32
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}

    def test_autocast_ends_with_its_block(self):
        with autocast("bf16", CPU):
            assert torch.is_autocast_enabled("cpu")
        assert not torch.is_autocast_enabled("cpu")
        with autocast("float32", CPU):
            assert not torch.is_autocast_enabled("cpu")


class TestStep:
    @pytest.mark.parametrize("name", ["session6", "session7-model1", "session7-model2"])
    @pytest.mark.parametrize("precision", ["float32", "bf16"])
    def test_steps_on_one_batch_lower_its_loss(self, batch, name, precision):
        _, step = build(name, precision=precision)
        losses = [step(*batch)[0].item() for _ in range(8)]
        assert losses[-1] < losses[0] - 0.05

    def test_gives_the_loss_and_the_outputs_before_the_weights_moved(self, batch):
        model, step = build("session5", lr=0.01)
        images, question = batch
        with torch.no_grad():
            wanted = model(images)
        loss, outputs = step(images, question)
        torch.testing.assert_close(outputs.detach(), wanted)
        torch.testing.assert_close(loss, loss_of(wanted, question.targets))
        assert not loss.requires_grad

    def test_moves_each_weight_by_lr_times_its_gradient(self, batch):
        model, step = build(lr=0.05)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        step(*batch)
        for old, new in zip(before, model.parameters(), strict=True):
            torch.testing.assert_close(new.detach(), old - 0.05 * new.grad)

    def test_gradients_do_not_add_up_over_steps(self, batch):
        model, step = build(lr=0.0)
        step(*batch)
        once = [parameter.grad.clone() for parameter in model.parameters()]
        step(*batch)
        for first, parameter in zip(once, model.parameters(), strict=True):
            torch.testing.assert_close(parameter.grad, first)

    def test_several_inputs_and_heads(self):
        _, step = build("digit-sum")
        images, numbers = torch.rand(8, 1, 28, 28), torch.eye(10)[:8]
        loss, outputs = step(images, TaskBatch((numbers,), (torch.arange(8), 2 * torch.arange(8))))
        assert [tuple(head.shape) for head in outputs] == [(8, 10), (8, 19)]
        torch.testing.assert_close(loss, loss_of(outputs, (torch.arange(8), 2 * torch.arange(8))).detach())

    def test_repeats_bit_for_bit_with_the_seed(self, batch):
        results = []
        for _ in range(2):
            model, step = build("session7-model1")      # it has dropout
            torch.manual_seed(3)
            results.append([step(*batch)[0] for _ in range(3)] + [p.detach().clone() for p in model.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


class TestGradientClip:
    @staticmethod
    def norm_after_a_step(batch, gradient_clip):
        model, step = build(gradient_clip=gradient_clip)
        step(*batch)
        return torch.stack([parameter.grad.norm() for parameter in model.parameters()]).norm().item()

    def test_limits_the_norm_of_all_gradients_together(self, batch):
        free = self.norm_after_a_step(batch, 0.0)
        limit = free / 10
        assert self.norm_after_a_step(batch, limit) == pytest.approx(limit, rel=1e-3)

    def test_leaves_smaller_gradients_as_they_are(self, batch):
        free = self.norm_after_a_step(batch, 0.0)
        assert self.norm_after_a_step(batch, 10 * free) == pytest.approx(free, rel=1e-6)


def test_keep_freed_memory_may_be_called_again():
    keep_freed_memory()
    keep_freed_memory()
    assert torch.ones(1_000_000).sum() == 1_000_000
