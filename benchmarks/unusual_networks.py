"""Twenty unusual networks, as students write them: control flow, shared modules, odd outputs, functional calls."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class Way(nn.Module):
    """Layers, and forward as a function of this module and the image."""

    def __init__(self, way, **parts):
        super().__init__()
        self.way = way
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.way(self, *inputs)


class Doubled(torch.autograd.Function):
    """A function with a backward of its own."""

    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return 2 * gradient


def conv(inputs: int = 1, outputs: int = 4) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3)


def branch_on_values(net: Way, x: Tensor) -> Tensor:
    return net.a(x).flatten(1) if x.mean() > -1 else x.flatten(1)


def loop_until(net: Way, x: Tensor) -> Tensor:
    x = net.a(x)
    while x.shape[-1] > 4:
        x = F.max_pool2d(x, 2)
    return x.flatten(1)


def prints_a_number(net: Way, x: Tensor) -> Tensor:
    net.seen = float(x.max())
    return net.a(x).flatten(1)


def tries(net: Way, x: Tensor) -> Tensor:
    try:
        return net.wrong(x)
    except RuntimeError:
        return net.a(x).flatten(1)


def through_numpy(net: Way, x: Tensor) -> Tensor:
    scale = float(net.a.weight.detach().numpy().std())
    return net.a(x).flatten(1) * scale


def writes_in_place(net: Way, x: Tensor) -> Tensor:
    y = torch.zeros(len(x), 4, 26, 26)
    y[:, :, 1:] = net.a(x)[:, :, 1:]
    return y.flatten(1)


def masks(net: Way, x: Tensor) -> Tensor:
    x = net.a(x)
    return torch.where(x > 0, x, 0.1 * x).flatten(1)


def stacks(net: Way, x: Tensor) -> Tensor:
    return torch.stack([part(x) for part in net.parts_list]).sum(0).flatten(1)


UNUSUAL = {
    "if on values": lambda: Way(branch_on_values, a=conv()),
    "while on a shape": lambda: Way(loop_until, a=conv()),
    "float(x.max()) kept": lambda: Way(prints_a_number, a=conv()),
    "try and except": lambda: Way(tries, a=conv(), wrong=nn.Linear(3, 3)),
    "weights through numpy": lambda: Way(through_numpy, a=conv()),
    "module called twice": lambda: Way(lambda net, x: net.b(net.b(net.a(x))).flatten(1), a=conv(), b=conv(4, 4)),
    "weight used by two layers": lambda: Way(
        lambda net, x: F.conv2d(F.conv2d(net.a(x), net.b.weight), net.b.weight).flatten(1), a=conv(), b=conv(4, 4)),
    "dict output": lambda: Way(lambda net, x: {"logits": net.a(x).flatten(1), "map": x}, a=conv()),
    "nested tuple output": lambda: Way(lambda net, x: (net.a(x).flatten(1), (x, [x])), a=conv()),
    "functional calls alone": lambda: Way(
        lambda net, x: F.linear(F.relu(F.conv2d(x, net.w)).mean((2, 3)), net.v),
        w=nn.Parameter(torch.randn(4, 1, 3, 3)), v=nn.Parameter(torch.randn(10, 4))),
    "dropout without its flag": lambda: Way(lambda net, x: F.dropout(net.a(x), 0.5).flatten(1), a=conv()),
    "assignment into a tensor": lambda: Way(writes_in_place, a=conv()),
    "where on a mask": lambda: Way(masks, a=conv()),
    "ModuleList in a comprehension": lambda: Way(stacks, parts_list=nn.ModuleList([conv(), conv()])),
    "autograd function": lambda: Way(lambda net, x: Doubled.apply(net.a(x)).flatten(1), a=conv()),
    "normalised weights": lambda: Way(lambda net, x: net.a(x).flatten(1), a=weight_norm(conv())),
    "lazy layers": lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(10)),
    "scripted layer": lambda: nn.Sequential(conv(), torch.jit.script(nn.ReLU()), nn.Flatten()),
    "recurrent over rows": lambda: Way(
        lambda net, x: net.a(x.squeeze(1))[0][:, -1], a=nn.LSTM(28, 8, batch_first=True)),
    "attention": lambda: Way(
        lambda net, x: net.a(x.squeeze(1), x.squeeze(1), x.squeeze(1))[0].flatten(1),
        a=nn.MultiheadAttention(28, 4, batch_first=True)),
}
