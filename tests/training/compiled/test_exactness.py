"""Numbers of compiled networks: bf16, repetition, NaN, large means, several networks at once, and memory."""

from __future__ import annotations

import copy
import gc
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import pytest
import torch
from beside_torch import (
    Passes,
    by_c,
    by_torch,
    compiled,
    gradient_errors,
    labels_for,
    loss_of,
    pass_through,
    passes_of,
    randomised,
)
from torch import Tensor, nn

from featherweight.models import build_model
from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.program import compile_network


def small() -> nn.Module:
    """A network with all that a NaN could be lost in, and with dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 5, 3), nn.ReLU(), nn.BatchNorm2d(5), nn.Dropout(0.1), nn.Conv2d(5, 6, 3), nn.BatchNorm2d(6),
        nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )


def images(count: int = 70) -> Tensor:
    return torch.randn(count, 1, 12, 11)


def same(one: Passes, other: Passes) -> bool:
    """True if all numbers are equal, bit for bit."""
    return all(a.equal(b) for a, b in zip(one.heads, other.heads, strict=True)) and all(
        one.gradients[name].equal(other.gradients[name]) for name in one.gradients) and all(
        one.statistics[name].equal(other.statistics[name]) for name in one.statistics)


def by_autocast(model: nn.Module, inputs: list[Tensor]) -> Passes:
    twin = copy.deepcopy(model).train()
    with torch.autocast("cpu", torch.bfloat16):
        head = twin(*inputs)
    loss_of([head.float()], labels_for(len(head))).backward()
    return passes_of(twin, [head])


@pytest.mark.parametrize("name", ["session7-model2", "session6", "feather-8k"])
def test_bf16_is_as_exact_as_that_of_torch(name: str) -> None:
    model = randomised(build_model(name))
    inputs = [torch.randn(64, *model.input_shapes[0])]
    expected = by_torch(model, inputs)
    ours = gradient_errors(by_c(model, inputs, half=True), expected)
    theirs = gradient_errors(by_autocast(model, inputs), expected)
    assert median(ours.values()) < 1.5 * median(theirs.values())


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_passes_repeat_bit_for_bit(threads: int, half: bool) -> None:
    model, batch = small(), [images()]
    assert same(by_c(model, batch, threads, half=half), by_c(model, batch, threads, half=half))


@pytest.mark.parametrize("half", [False, True])
def test_a_nan_reaches_the_loss(half: bool) -> None:
    batch = images()
    for layer in (0, 2, 4, 5, 8):
        model = small()
        model[layer].weight.data.view(-1)[-1] = math.nan
        assert by_c(model, [batch], half=half).heads[0].isnan().any(1).all(), layer
    for payload in (0x7FC00000, 0x7FFFFFFF, -1):    # the NaN of x86, of CUDA, and of all ones
        spoilt = batch.clone()
        spoilt[3, 0, 4, 4] = torch.tensor(payload, dtype=torch.int32).view(torch.float32)
        assert by_c(small(), [spoilt], half=half).heads[0].isnan().all()
        model = small()
        model[0].weight.data[2, 0, 1, 1] = spoilt[3, 0, 4, 4]
        assert by_c(model, [batch], half=half).heads[0].isnan().any(1).all()


def test_a_large_mean_leaves_the_variance_exact() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3, momentum=1.0), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model[0].weight.data.fill_(1)
    model[0].bias.data.fill_(1000)
    batch = [images(77)]
    ours, theirs = by_c(model, batch, 2).statistics, by_torch(model, batch).statistics
    assert torch.allclose(ours["1.running_var"].double(), theirs["1.running_var"], rtol=1e-4)
    assert torch.allclose(ours["1.running_mean"].double(), theirs["1.running_mean"], rtol=1e-6)


def test_a_short_batch_is_not_mixed_with_the_batch_before() -> None:
    model, batch = randomised(small()), images(128)
    expected = by_c(model, [batch[:45]])
    twin = copy.deepcopy(model)
    network = CompiledNetwork(compile_network(twin, [batch[:2]], half=False), 128, 1)
    network.forward([batch], key=1)
    twin.load_state_dict(model.state_dict())
    assert same(pass_through(network, twin, [batch[:45].contiguous()]), expected)


def test_networks_of_one_program_do_not_mix() -> None:
    models, batch = [randomised(small()) for _ in range(2)], [images()]
    alone = [by_c(model, batch) for model in models]
    networks = [compiled(model, batch) for model in models]
    leaves = [[head.requires_grad_() for head in network.forward(batch, key=1)] for network in networks]
    for network, heads in zip(networks, leaves, strict=True):
        network.backward(torch.autograd.grad(loss_of(heads, labels_for(70)), heads))
    found = [passes_of(model, heads) for model, heads in zip(models, leaves, strict=True)]
    assert all(same(one, other) for one, other in zip(found, alone, strict=True))


def test_threads_of_python_train_networks_at_once() -> None:
    models, batch = [randomised(small()) for _ in range(4)], [images()]
    alone = [by_c(model, batch, 2) for model in models]
    networks = [compiled(model, batch, 2) for model in models]

    def repeated(network: CompiledNetwork, model: nn.Module, start: dict[str, Tensor]) -> Passes:
        for _ in range(20):
            model.load_state_dict(start)
            found = pass_through(network, model, batch)
        return found

    with ThreadPoolExecutor(4) as pool:
        starts = [copy.deepcopy(model.state_dict()) for model in models]
        together = list(pool.map(repeated, networks, models, starts))
    assert all(same(one, other) for one, other in zip(together, alone, strict=True))


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_networks_free_their_memory_and_threads() -> None:
    model, batch = small(), images()
    program = compile_network(model, [batch[:2]], half=False)

    def create(count: int) -> None:
        for _ in range(count):
            CompiledNetwork(program, 640, 2).forward([batch], key=1)
        gc.collect()

    create(20)
    before, tasks = resident(), len(list(Path("/proc/self/task").iterdir()))
    create(200)
    assert resident() - before < 20e6        # one network takes 3 MB
    assert len(list(Path("/proc/self/task").iterdir())) == tasks
