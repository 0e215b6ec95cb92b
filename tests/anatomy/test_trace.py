"""Any module can be looked at, and looking changes nothing."""

import copy
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from featherweight.anatomy import receptive_field, summarize, verify
from featherweight.errors import ModelError
from featherweight.models import CATALOGUE, input_shapes


class Through(nn.Module):
    """A module from a function, with whatever layers it needs."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            if isinstance(layer, nn.Parameter):
                self.register_parameter(name, layer)
            else:
                self.add_module(name, layer)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def rows(module, shapes=((1, 28, 28),)):
    return [(layer.label, layer.parameters) for layer in summarize(module, shapes).layers]


@pytest.mark.parametrize("look", [summarize, receptive_field, verify])
@pytest.mark.parametrize("name", CATALOGUE)
def test_looking_changes_nothing(look, name):
    module = CATALOGUE[name]().train()
    next(module.children()).eval()
    seen = []
    handle = module.register_forward_hook(lambda *_: seen.append(1))
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = copy.deepcopy(module.state_dict())
    modes = [part.training for part in module.modules()]
    hooks = [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in module.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    settings = torch.is_grad_enabled(), torch.get_num_threads()

    look(module, input_shapes(module))

    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert [part.training for part in module.modules()] == modes
    assert [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in module.modules()] == hooks
    assert all(bool((parameter.grad == 1).all()) and parameter.requires_grad for parameter in module.parameters())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()
    assert (torch.is_grad_enabled(), torch.get_num_threads()) == settings
    assert seen == []
    handle.remove()


def test_a_network_that_draws_random_numbers_leaves_the_generators_alone():
    def forward(m, x):
        return m.a(x) * torch.rand(1) * random.random() * float(np.random.rand())

    module = Through(forward, a=nn.Conv2d(1, 1, 3))
    state, python_state, numpy_state = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    summarize(module)
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == python_state
    assert (np.random.get_state()[1] == numpy_state).all()


def test_a_functional_network():
    """No layer at all: every function is a row, and the parameters are where they are used."""
    def forward(m, x):
        x = torch.relu(F.conv2d(x, m.kernel * m.scale, m.bias))
        x = F.max_pool2d(x, 2).view(x.size(0), -1)
        return F.log_softmax(x @ m.head, dim=1)

    module = Through(
        forward, kernel=nn.Parameter(torch.ones(4, 1, 3, 3)), scale=nn.Parameter(torch.ones(4, 1, 1, 1)),
        bias=nn.Parameter(torch.zeros(4)), head=nn.Parameter(torch.ones(676, 10)),
    )
    summary = summarize(module)
    assert rows(module) == [("conv2d", 44), ("relu", 0), ("max_pool2d", 0), ("matmul", 6760)]
    assert [layer.receptive_field for layer in summary.layers] == [3, 3, 4, 28]
    assert [layer.macs for layer in summary.layers] == [4 * 26 * 26 * 9, 0, 0, 6760]
    assert summary.sizes_mb["forward_backward"] == 0       # only module rows are counted there
    assert {check.verdict for check in verify(module)} == {"equal"}


def test_names_say_whose_forward_called():
    block = Through(lambda m, x: F.relu(m.conv(x)) + x, conv=nn.Conv2d(1, 1, 3, padding=1))
    names = [(layer.index, layer.name, layer.kind) for layer in summarize(Through(lambda m, x: m.block(x).mul(2),
                                                                                  block=block)).layers]
    assert names == [(1, "block.conv", "Conv2d"), (None, "block.relu", "relu"), (None, "block.add", "add"),
                     (None, "mul", "mul")]


def test_a_shared_module_is_counted_once():
    module = Through(lambda m, x: m.again(m.conv(m.conv(x))), conv=nn.Conv2d(2, 2, 3))
    module.again = module.conv
    summary = summarize(module, (2, 9, 9))
    assert [(layer.label, layer.parameters, layer.shared) for layer in summary.layers] == [
        ("Conv2d-1", 38, False), ("Conv2d-2", 0, True), ("Conv2d-3", 0, True),
    ]
    assert [layer.receptive_field for layer in summary.layers] == [3, 5, 7]
    assert summary.total_parameters == 38
    assert "shared" in summary.to_text()


def test_a_shared_tensor_is_counted_once():
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    module[1].weight = module[0].weight
    assert rows(module, (4,)) == [("Linear-1", 16), ("Linear-2", 0)]
    assert summarize(module, (4,)).total_parameters == 16


def test_unused_and_frozen_parameters():
    module = Through(lambda m, x: m.used(x), used=nn.Conv2d(1, 2, 3), unused=nn.Linear(3, 3))
    module.used.weight.requires_grad_(False)
    summary = summarize(module)
    assert (summary.total_parameters, summary.trainable_parameters, summary.unused_parameters) == (32, 14, 12)
    assert "Not used by any layer: 12 (unused)" in str(summary).splitlines()
    assert summary.to_dict()["unused"] == [{"name": "unused", "kind": "Linear", "parameters": 12}]
    assert "Non-trainable params: 18" in str(summary)


def test_a_leaf_of_torch_alone_is_a_row():
    assert rows(nn.Conv2d(1, 8, 3)) == [("Conv2d-1", 80)]


def test_an_empty_container_is_no_row():
    """A residual block's shortcut is often an empty Sequential; torchsummary lists no container."""
    block = Through(lambda m, x: F.relu(m.conv(x) + m.shortcut(x)), conv=nn.Conv2d(1, 1, 3, padding=1),
                    shortcut=nn.Sequential(), none=nn.ModuleList(), named=nn.ModuleDict())
    module = nn.Sequential(block, nn.Sequential(), nn.Flatten())
    assert rows(module) == [("Conv2d-1", 10), ("add", 0), ("relu", 0), ("Flatten-2", 0)]
    assert summarize(module).layers[1].receptive_field == 3
    assert rows(nn.Sequential()) == []


def test_several_outputs():
    class Two(nn.Module):
        def forward(self, x):
            return {"a": x, "rest": [x.mean((2, 3)), (x[:, :1],)]}

    module = Through(lambda m, x: m.two(x)["rest"][0], two=Two())
    (layer,) = summarize(module, (2, 8, 8)).layers
    assert layer.to_dict()["output_shape"] == [[2, 8, 8], [2], [1, 8, 8]]
    assert layer.activation_bytes == 4 * (128 + 2 + 64)
    assert layer.receptive_field is None


def test_a_batch_axis_that_is_not_the_first():
    (layer,) = summarize(nn.LSTM(8, 16, num_layers=3, batch_first=True), (5, 8)).layers
    assert layer.output_shapes == ((5, 16), (3, 16), (3, 16))
    assert layer.receptive_field is None


def test_lazy_modules_are_filled_in_on_the_copy_only():
    module = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10))
    state = torch.get_rng_state()
    assert rows(module) == [("Conv2d-1", 40), ("BatchNorm2d-2", 8), ("Flatten-3", 0), ("Linear-4", 27050)]
    assert isinstance(module[0].weight, nn.UninitializedParameter)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_input_takes_the_modules_dtype(dtype):
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).to(dtype)
    assert rows(module) == [("Conv2d-1", 20), ("BatchNorm2d-2", 4)]
    assert {check.verdict for check in verify(module)} == {"equal"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_another_device():
    module = CATALOGUE["session6"]().cuda()
    state = torch.cuda.get_rng_state()
    assert summarize(module).total_parameters == 16_976
    assert {check.verdict for check in verify(module)} == {"equal"}
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert all(parameter.is_cuda for parameter in module.parameters())


def test_squeeze_does_not_lose_the_batch_and_one_image_is_tried_too():
    squeezed = Through(lambda m, x: F.log_softmax(m.a(x).squeeze(), dim=1), a=nn.Conv2d(1, 10, 28))
    assert summarize(squeezed).layers[0].output_shapes == ((10, 1, 1),)
    single = Through(lambda m, x: m.b(m.a(x).view(1, -1)), a=nn.Conv2d(1, 2, 28), b=nn.Linear(2, 3))
    assert rows(single) == [("Conv2d-1", 1570), ("Linear-2", 9)]


def test_control_flow_parametrizations_and_unknown_functions():
    def forward(m, x):
        x = m.conv(x)
        if bool(x.sum() > 1e9):
            x = x.sum()
        return torch.fft.fft2(x).real

    module = Through(forward, conv=torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 2, 3)))
    summary = summarize(module)
    assert [layer.label for layer in summary.layers if layer.index] == ["ParametrizedConv2d-1"]
    assert summary.layers[0].parameters == summary.total_parameters == 22
    assert summary.layers[-1].receptive_field is None


def test_an_assignment_into_a_tensor_ends_the_field():
    def forward(m, x):
        y = torch.zeros(x.shape[0], 1, 30, 30)
        y[:, :, 1:-1, 1:-1] = x
        return m.conv(y)

    assert summarize(Through(forward, conv=nn.Conv2d(1, 1, 3))).layers[-1].receptive_field is None


def macs(module, shape):
    return summarize(module, shape).total_macs


def test_multiply_accumulates():
    assert macs(nn.Conv2d(4, 8, 3, groups=2), (4, 10, 10)) == 8 * 8 * 8 * 2 * 9
    assert macs(nn.ConvTranspose2d(4, 8, 2, stride=2), (4, 5, 5)) == 4 * 5 * 5 * 8 * 4
    assert macs(nn.Linear(7, 5), (7,)) == 35
    assert macs(nn.Linear(7, 5), (3, 7)) == 3 * 35
    assert macs(nn.Bilinear(1, 1, 1), ((1,), (1,))) == 0
    assert macs(Through(lambda m, x: torch.einsum("nij,nkj->nik", x, x)), (3, 4)) == 3 * 3 * 4
    assert macs(Through(lambda m, x: torch.bmm(x, x.transpose(1, 2))), (3, 4)) == 3 * 3 * 4
    assert macs(Through(lambda m, x: F.scaled_dot_product_attention(x, x, x)), (5, 8)) == 2 * 5 * 5 * 8
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    assert macs(Through(lambda m, x: m.a(x, x, x)[0], a=attention), (5, 8)) == 4 * 5 * 64 + 2 * 5 * 5 * 8


@pytest.mark.parametrize(("shapes", "message"), [
    ((1, 14, 14), r"^Session5 does not run on input \(1, 14, 14\): .+ small\. It runs on \(1, 28, 28\): give that"),
    ((3, 28, 28), r"^Session5 .+: layer \S+ \(Conv2d\): .+ 3 channels.+\. Give its shape with input_shapes=\(C, "),
    (((1, 28, 28), (10,)), r"^Session5 does not run on input \(1, 28, 28\), \(10,\): .*positional"),
    ((0, 28, 28), r"^input shape \(0, 28, 28\) has an empty axis"),
    ((), "empty"),
])
@pytest.mark.parametrize("look", [summarize, verify])
def test_faults_are_one_line(look, shapes, message):
    with pytest.raises(ModelError, match=message) as fault:
        look(CATALOGUE["session5"](), shapes)
    assert "\n" not in str(fault.value)
