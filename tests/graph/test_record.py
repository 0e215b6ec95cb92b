"""The record of a network: values and calls in order, in-place writes, constants, and what no function shows."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from featherweight.errors import ModelError
from featherweight.graph import LayerCall, calls, record_of
from featherweight.graph.lowering import lower
from featherweight.graph.record import values_in

IMAGE = [(1, 8, 8)]


class Net(nn.Module):
    def __init__(self, way, **parts):
        super().__init__()
        self.way = way
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        return self.way(self, x)


def recorded(way, **parts):
    return record_of(Net(way, **parts), IMAGE)


def test_calls_stand_in_order_with_their_arguments_and_layers():
    record = recorded(lambda net, x: F.relu(net.a(x)).flatten(1), a=nn.Conv2d(1, 4, 3, stride=2))
    assert [call.operation for call in record.calls] == ["conv2d", "relu", "flatten"]
    conv, relu, flat = record.calls
    assert (conv.path, relu.path) == ("a", "") and conv.layer is record.events[0] and relu.layer is None
    assert conv.sources == record.inputs and relu.sources == list(conv.outputs) and flat.outputs[0] in record.outputs
    _, weight, bias, *settings = calls.named("conv2d", conv.args, conv.kwargs).values()
    assert weight.constant.shape == (4, 1, 3, 3) and bias.parameters and settings[0] == (2, 2)
    assert record.one_image(record.outputs[0]) == (36,) and record.batch == 2
    assert isinstance(record.events[0], LayerCall) and record.events[0].kind == "Conv2d"


def test_an_overwritten_tensor_becomes_a_new_value():
    record = recorded(lambda net, x: net.a(x).relu_().add_(1), a=nn.Conv2d(1, 4, 3))
    values = [call.outputs[0] for call in record.calls]
    assert len(set(values)) == 3 and record.outputs == values[-1:] and not any(call.aliased for call in record.calls)


def test_what_was_overwritten_through_another_view_is_marked_and_refused():
    def way(net, x):
        x = net.a(x)
        x[:, 0].mul_(2)
        return x.mean((2, 3))

    record = recorded(way, a=nn.Conv2d(1, 4, 3))
    assert [call.operation for call in record.calls if call.aliased] == ["mean"]
    with pytest.raises(ModelError, match="mean on a tensor that was overwritten through another view"):
        lower(record, ["images"], ["class"])


def test_a_layer_that_returns_its_input_is_seen():
    record = recorded(lambda net, x: x + net.drop(x), drop=nn.Dropout(0.3))
    dropout, added = record.calls
    assert len(set(added.sources)) == 2 and calls.named("dropout", dropout.args, dropout.kwargs)["p"] == 0.3


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_constants_know_their_parameters_and_scripted_layers_are_refused_by_name():
    record = recorded(lambda net, x: net.b(F.conv2d(x, net.a.weight / 2)), a=nn.Conv2d(1, 4, 3, bias=False),
                      b=torch.jit.script(nn.ReLU()))
    half, conv, scripted = record.calls
    assert not half.sources and half.outputs[0].constant is not None
    assert list(half.outputs[0].parameters.values()) == [36] and conv.inputs[1] is half.outputs[0]
    assert scripted.sources == list(conv.outputs) and scripted.layer is record.events[-1]
    with pytest.raises(ModelError, match=r"layer b \(ReLU\): relu\.default cannot go into C"):
        lower(record, ["images"], ["class"])


def test_reads_of_values_are_noted_and_reads_of_shapes_are_not():
    assert recorded(lambda net, x: x if x.mean() > -1 else -x).branches == [""]
    assert recorded(lambda net, x: x if x.shape[-1] > 3 else -x).branches == []


def test_a_record_holds_no_activation():
    record = recorded(lambda net, x: F.relu(net.a(x)), a=nn.Conv2d(1, 4, 3))
    dynamic = [value for call in record.calls for value in (*values_in(call.args), *call.outputs) if value.dynamic]
    assert dynamic and all(value.constant is None and value.tensor is None for value in dynamic)
