"""Rules on axes, groups, equal weights and unregistered tensors: a wrong network and close right ones for each."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from featherweight.doctor.probe import probe

SHAPE = (1, 28, 28)


class Run(nn.Module):
    """A network whose forward is a function of its layers and the images."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def found(model, code, shape=SHAPE):
    report = probe(model, [shape], classes=10)
    return [(one.place.layer, one.severity, f"{one.what} {one.why}") for one in report.findings if one.code == code]


def conv(inputs, outputs, kernel=3, groups=1, **given):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, groups=groups, padding="same", **given),
                         nn.BatchNorm2d(outputs), nn.ReLU())


def classified(*layers, width=16):
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(width, 10))


def tokens(change, width=64):
    parts = {"patch": nn.Conv2d(1, 64, 4, stride=4), "fc": nn.Linear(width, 10)}
    return Run(lambda net, x: net.fc(torch.tanh(change(net.patch(x))).mean(dim=1)), **parts)


@pytest.mark.parametrize(("change", "wrong"), [
    (lambda x: x.reshape(-1, 49, 64), True),
    (lambda x: F.relu(x).flatten(2).view(len(x), 49, 64), True),
    (lambda x: x.permute(0, 2, 3, 1).reshape(-1, 49, 64), False),
    (lambda x: x.permute(0, 2, 3, 1).contiguous().view(-1, 49, 64), False),
    (lambda x: x.flatten(2).transpose(1, 2), False),
])
def test_a_reshape_of_a_map_to_rows_needs_a_transpose(change, wrong):
    assert bool(found(tokens(change), "FW714")) is wrong


def maps(change):
    parts = {"patch": nn.Conv2d(1, 64, 4, stride=4), "norm": nn.LayerNorm(64), "fc": nn.Linear(64, 10)}
    return Run(lambda net, x: net.fc(change(net.norm(net.patch(x).flatten(2).transpose(1, 2))).mean((2, 3))), **parts)


@pytest.mark.parametrize(("change", "wrong"), [
    (lambda x: x.reshape(-1, 64, 7, 7), True),
    (lambda x: x.transpose(1, 2).reshape(-1, 64, 7, 7), False),
    (lambda x: x.reshape(-1, 7, 7, 64).permute(0, 3, 1, 2), False),
])
def test_a_reshape_of_rows_to_a_map_needs_a_transpose(change, wrong):
    assert bool(found(maps(change), "FW714")) is wrong


@pytest.mark.parametrize("change", [
    lambda x: x.view(-1, 4, 4, 28, 28).transpose(1, 2).reshape(-1, 16, 28, 28),     # channel shuffle
    lambda x: x.view(-1, 16, 14, 2, 14, 2).permute(0, 2, 4, 1, 3, 5).reshape(-1, 196, 64).transpose(1, 2)[..., None],
    lambda x: x.reshape(-1, 16 * 28 * 28)[:, :16, None, None],
])
def test_shuffles_and_patches_are_right(change):
    after = Run(lambda net, x: change(x))
    assert found(classified(after, nn.LazyConv2d(16, 1)), "FW714") == []


def equal(model, value=0.01, biases=True):
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            nn.init.constant_(parameter, value)
        elif biases and name.endswith("bias"):
            nn.init.zeros_(parameter)
    return model


def dense(*between):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), *between, nn.Linear(32, 10))


def test_equal_weights_are_an_error_only_if_the_gradients_are_equal():
    ((layer, severity, text),) = found(equal(dense()), "FW715")
    assert (layer, severity) == ("1", "error") and "never differ" in text
    assert [one[1] for one in found(equal(dense(nn.Dropout(0.5))), "FW715")] == ["warning"]
    model = dense()
    equal(model[1])
    assert [one[:2] for one in found(model, "FW715")] == [("1", "warning")]


def test_equal_last_layers_zeros_and_filters_of_channels_are_right():
    last, zero = dense(), dense(nn.Linear(32, 32), nn.ReLU())
    equal(last[3])
    nn.init.zeros_(zero[3].weight)
    assert found(last, "FW715") == found(zero, "FW715") == []
    assert found(classified(equal(nn.Conv2d(16, 16, 3, groups=16))), "FW715") == []
    scale = Run(lambda net, x: x * net.gamma, gamma=nn.Parameter(torch.ones(16, 1, 1)))
    assert found(classified(scale), "FW715") == []


def test_convolutions_that_keep_groups_apart_are_counted():
    ((layer, _, text),) = found(classified(conv(16, 16, 3, 4), conv(16, 32, 1, 4), conv(32, 16, 3, 4)), "FW716")
    assert layer == "3.0" and "3 convolutions" in text and "4 groups" in text
    assert found(classified(conv(16, 32, 3, 16), conv(32, 64, 3, 32), width=64), "FW716")


@pytest.mark.parametrize("layers", [
    (conv(16, 16, 3, 16), conv(16, 16, 1), conv(16, 16, 3, 16)),                    # separable
    (conv(16, 16, 1), conv(16, 16, 3, 4), conv(16, 16, 1), conv(16, 16, 3, 4)),     # ResNeXt
    (conv(16, 16, 1, 4), nn.ChannelShuffle(4), conv(16, 16, 3, 16), conv(16, 16, 1, 4)),
    (conv(16, 16, (7, 1), 16), conv(16, 16, (1, 7), 16), conv(16, 16, 1)),          # a kernel in two factors
    (conv(16, 16, 1), conv(16, 16, 3, 4), conv(16, 16, 3, 4), conv(16, 16, 1)),     # NFNet
    (nn.Conv2d(16, 16, 5, groups=16), nn.Conv2d(16, 16, 7, groups=16, dilation=2)),     # without an activation between
])
def test_grouped_convolutions_with_mixing_between_are_right(layers):
    assert found(classified(*layers), "FW716") == []


def test_weights_on_padding_are_counted():
    model = classified(nn.MaxPool2d(28), nn.Conv2d(16, 16, 3, padding=1))
    ((layer, severity, text),) = found(model, "FW717")
    assert (layer, severity) == ("3", "note") and "2,048 of" in text
    assert found(classified(nn.MaxPool2d(28), nn.Conv2d(16, 16, 1)), "FW717") == []
    assert found(classified(nn.MaxPool2d(14), nn.Conv2d(16, 16, 3, padding=1)), "FW717") == []


def test_a_pooling_of_one_pixel_is_found_but_not_the_pooling_of_a_gate():
    twice = classified(nn.AdaptiveAvgPool2d(1), nn.MaxPool2d(3, 2, 1))
    assert [one[0] for one in found(twice, "FW717")] == ["3"]
    assert [one[0] for one in found(classified(nn.AdaptiveAvgPool2d(1), nn.ReLU()), "FW717")] == ["4"]
    gate = Run(lambda net, x: x * torch.sigmoid(F.adaptive_avg_pool2d(x, 1)))
    assert found(classified(nn.MaxPool2d(28), gate), "FW717") == []


def squeeze(x):
    return F.adaptive_avg_pool2d(x, 1)


@pytest.mark.parametrize(("change", "wrong"), [
    (lambda net, x: x + torch.sigmoid(net.point(squeeze(x))), True),
    (lambda net, x: squeeze(x) + net.point(x), True),
    (lambda net, x: x * torch.sigmoid(net.point(squeeze(x))), False),
    (lambda net, x: x + net.point(squeeze(x)), False),                  # a learned shift of each channel
    (lambda net, x: x + net.shift, False),
    (lambda net, x: x + net.point(x), False),
])
def test_gates_and_pooled_shortcuts_are_not_added(change, wrong):
    part = Run(change, point=nn.Conv2d(16, 16, 1), shift=nn.Parameter(torch.ones(1, 16, 1, 1)))
    assert bool(found(classified(part), "FW718")) is wrong


@pytest.mark.parametrize(("drop", "severity"), [
    (nn.Dropout2d(0.2), ["warning"]), (nn.Dropout1d(0.2), ["error"]), (nn.Dropout(0.2), []),
    (nn.AlphaDropout(0.2), [])])
def test_dropout_of_maps_on_vectors_is_found(drop, severity):
    assert [one[1] for one in found(dense(drop), "FW719")] == severity
    assert found(classified(nn.Dropout2d(0.2)), "FW719") == []


def attend(weigh):
    def forward(net, x):
        rows = net.patch(x).flatten(2).transpose(1, 2)
        q, k, v = net.qkv(rows).chunk(3, dim=-1)
        return net.fc(weigh(q, k, v).mean(dim=1))

    return Run(forward, patch=nn.Conv2d(1, 32, 4, stride=4), qkv=nn.Linear(32, 96), fc=nn.Linear(32, 10))


@pytest.mark.parametrize(("weigh", "wrong"), [
    (lambda q, k, v: (q @ k.transpose(-2, -1) / 6).softmax(dim=-2) @ v, True),
    (lambda q, k, v: torch.bmm(F.dropout(F.softmax(torch.bmm(q, k.mT), dim=1), 0.0), v), True),
    (lambda q, k, v: (q @ k.transpose(-2, -1) / 6).softmax(dim=-1) @ v, False),
    (lambda q, k, v: torch.bmm(torch.bmm(q, k.mT).softmax(2), v), False),
    (lambda q, k, v: (k @ q.mT).softmax(dim=-2).mT @ v, False),
    (lambda q, k, v: q.softmax(dim=-1) @ (k.softmax(dim=-2).mT @ v), False),        # linear attention
    (lambda q, k, v: q.softmax(dim=1).mT @ v, False),
    (lambda q, k, v: q.mT.softmax(dim=1) @ v, False),                               # soft clusters
])
def test_attention_weights_sum_to_one_over_the_axis_of_the_product(weigh, wrong):
    assert bool(found(attend(weigh), "FW105")) is wrong


def test_parameters_in_a_list_are_found_unless_they_are_registered_or_unused():
    def forward(net, x):
        return net.fc(x.flatten(1)) * net.factors[0]

    fc, factor = nn.Linear(784, 10), nn.Parameter(torch.ones(1))
    ((layer, severity, text),) = found(Run(forward, fc=fc, factors=[factor]), "FW108")
    assert (layer, severity) == ("factors", "error") and "not registered: 1." in text
    assert found(Run(forward, fc=fc, factors=nn.ParameterList([factor])), "FW108") == []
    assert found(Run(forward, fc=fc, factors=[factor], same=factor), "FW108") == []
    assert found(Run(lambda net, x: net.fc(x.flatten(1)), fc=fc, factors=[factor]), "FW108") == []
    layers = {"a": [nn.Linear(784, 10)]}
    assert found(Run(lambda net, x: net.kept["a"][0](x.flatten(1)), kept=layers), "FW108")[0][0] == "kept"


def test_a_frozen_teacher_in_a_list_is_right():
    def forward(net, x):
        with torch.no_grad():
            hint = net.teacher[0](x.flatten(1))
        return net.fc(x.flatten(1)) + hint

    assert found(Run(forward, fc=nn.Linear(784, 10), teacher=[nn.Linear(784, 10)]), "FW108") == []


class Mover(Run):
    def _apply(self, function, recurse=True):
        self.mean = function(self.mean)
        return super()._apply(function, recurse)


@pytest.mark.parametrize(("change", "wrong"), [
    (lambda net, x: x - net.mean, True),
    (lambda net, x: x - 2 * net.mean.view(1, 1, 1, 1), True),
    (lambda net, x: x - net.mean.to(x.device), False),
    (lambda net, x: x - net.mean.type_as(x), False),
    (lambda net, x: x[:, net.mean.long()], False),
    (lambda net, x: x, False),
])
def test_a_plain_tensor_that_forward_reads_is_found(change, wrong):
    def forward(net, x):
        return net.fc(change(net, x).flatten(1))

    parts = {"fc": nn.Linear(784, 10), "mean": torch.zeros(1)}
    assert bool(found(Run(forward, **parts), "FW118")) is wrong
    assert found(Mover(forward, **parts), "FW118") == []
    parts["mean"] = nn.Parameter(torch.zeros(1))
    assert found(Run(forward, **parts), "FW118") == []


def test_tensors_that_the_pass_made_or_hooks_compute_are_right():
    def forward(net, x):
        net.kept = torch.ones(1, device=x.device)
        return net.fc((x * net.kept).flatten(1))

    for wrapped in (nn.utils.spectral_norm, nn.utils.parametrizations.weight_norm):
        model = Run(forward, fc=wrapped(nn.Linear(784, 10)))
        assert found(model, "FW118") == found(model, "FW108") == []
    lstm = Run(lambda net, x: net.fc(net.lstm(x[:, 0])[0][:, -1]), lstm=nn.LSTM(28, 8, batch_first=True),
               fc=nn.Linear(8, 10))
    assert found(lstm, "FW118") == found(lstm, "FW108") == []


def start(*layers):
    return nn.Sequential(*layers, nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(16, 10))


def steep(model, shape):
    return [one[0] for one in found(model, "FW708", shape) if "after one convolution" in one[2]]


def test_a_start_for_large_images_is_found_on_small_ones():
    large = start(nn.Conv2d(1, 16, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    assert steep(large, (1, 32, 32)) == ["2"] and steep(large, (1, 96, 96)) == []
    assert steep(start(nn.Conv2d(1, 16, 7, 2, 3), nn.ReLU()), SHAPE) == []
    assert steep(start(nn.Conv2d(1, 16, 7, 7), nn.ReLU()), SHAPE) == []                 # patches
    twice = start(nn.Conv2d(1, 16, 5), nn.Conv2d(16, 16, 3), nn.MaxPool2d(4))
    assert steep(twice, SHAPE) == []
