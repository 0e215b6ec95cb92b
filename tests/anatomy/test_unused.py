"""What a network declares and never uses, by name."""

import torch
import torch.nn.functional as F
from torch import nn

from featherweight.anatomy import summarize


class Net(nn.Module):
    """The layers and parameters it is given; forward is a function of it and the image."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.way = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.way(self, x)


def unused(forward, **parts):
    summary = summarize(Net(forward, **parts), (1, 28, 28))
    assert sum(one.parameters for one in summary.unused) == summary.unused_parameters
    return [(one.name, one.kind, one.parameters) for one in summary.unused]


def conv():
    return nn.Conv2d(1, 1, 3)       # 10 parameters


def test_nothing_is_unused():
    assert unused(lambda m, x: m.a(x), a=conv()) == []
    assert unused(lambda m, x: m.a[0](x), a=nn.ModuleList([conv()])) == []


def test_a_layer_that_is_never_called_is_named_at_its_outermost():
    block = nn.Sequential(conv(), nn.ReLU(), conv())
    assert unused(lambda m, x: m.a(x), a=conv(), block=block, drop=nn.Dropout(), none=nn.Sequential()) == [
        ("block", "Sequential", 20), ("drop", "Dropout", 0),
    ]
    assert unused(lambda m, x: m.block[0](x), block=block) == [("block.1", "ReLU", 0), ("block.2", "Conv2d", 10)]


def test_a_parameter_is_named_by_itself():
    assert unused(lambda m, x: m.a(x) * m.scale, a=conv(), scale=nn.Parameter(torch.ones(1)),
                  shift=nn.Parameter(torch.ones(3))) == [("shift", "Parameter", 3)]
    assert unused(lambda m, x: F.conv2d(x, m.a.weight), a=conv()) == [("a.bias", "Parameter", 1)]


def test_a_list_of_parameters():
    weights = nn.ParameterList([torch.ones(1), torch.ones(2), torch.ones(5)])
    assert unused(lambda m, x: m.a(x) * m.w[0], a=conv(), w=weights) == [
        ("w.1", "Parameter", 2), ("w.2", "Parameter", 5),
    ]


def test_shared_weights_are_counted_once():
    first, second = conv(), conv()
    second.weight = first.weight
    assert unused(lambda m, x: m.a(x), a=conv(), b=first, c=second) == [("b", "Conv2d", 10), ("c", "Conv2d", 1)]


def test_attention_uses_what_it_never_calls():
    attention = nn.MultiheadAttention(28, 2, batch_first=True)
    assert unused(lambda m, x: m.a(*[x.squeeze(1)] * 3)[0], a=attention) == []


def test_a_parameter_that_is_written_into_a_tensor_is_used():
    def forward(m, x):
        template = torch.zeros(1, 1, 28, 28)
        template[..., :1] = m.edge
        return x + template

    assert unused(forward, edge=nn.Parameter(torch.ones(1))) == []


def test_of_many_the_table_shows_some_and_json_all():
    summary = summarize(Net(lambda m, x: m.a(x), a=conv(), **{f"fc{k}": nn.Linear(2, 2) for k in range(9)}))
    assert "Not used by any layer: 54 (fc0, fc1, fc2, fc3 and 5 more)" in str(summary).splitlines()
    assert [one["name"] for one in summary.to_dict()["unused"]] == [f"fc{k}" for k in range(9)]


def test_a_layer_without_parameters_is_named_too():
    assert "Never called: drop" in str(summarize(Net(lambda m, x: m.a(x), a=conv(), drop=nn.Dropout()))).splitlines()
