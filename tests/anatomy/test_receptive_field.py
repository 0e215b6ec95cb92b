"""Receptive fields: published ones, and rule against gradient to the pixel."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from featherweight.anatomy import gradient_support, receptive_field, summarize, verify
from featherweight.errors import ModelError
from featherweight.models import CATALOGUE, input_shapes
from featherweight.models.layers import RootMeanSquare


class Through(nn.Module):
    """A module from a function, with whatever layers it needs."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def fields(module, *shapes):
    return [layer.receptive_field for layer in receptive_field(module, shapes or ((1, 28, 28),))]


def disagreements(module, *shapes):
    checks = verify(module, shapes or ((1, 28, 28),))
    assert checks
    return [(check.layer.label, check.rule, check.gradient) for check in checks if check.verdict == "different"]


def test_rule_equals_gradient_over_the_catalogue():
    equal = 0
    for name, build in CATALOGUE.items():
        module = build()
        checks = verify(module, input_shapes(module))
        verdicts = [check.verdict for check in checks]
        after_the_join = 14 if name == "digit-sum" else 0
        assert verdicts.count("not applicable") == after_the_join
        assert verdicts.count("equal") == len(verdicts) - after_the_join
        equal += len(verdicts) - after_the_join
    assert len(CATALOGUE) == 14
    assert equal == 16 + 13 + 36 + 28 + 24 + 24 + 29 + 5 * 26 + 27 + 6 + 19


def test_a_field_larger_than_the_image_is_checked_on_a_larger_one():
    checks = verify(CATALOGUE["session1"]())
    assert checks[-1].layer.receptive_field == 40
    assert checks[-1].whole
    assert [high - low for low, high in checks[-1].gradient] == [40, 40]
    assert checks[-1].input_shape[1] >= 40
    assert checks[0].input_shape == (1, 28, 28)


def test_a_row_behind_a_linear_layer_stays_at_the_given_size():
    last = verify(CATALOGUE["session6"]())[-1]
    assert (last.layer.receptive_field, last.whole, last.verdict) == (36, False, "equal")
    assert [high - low for low, high in last.gradient] == [28, 28]


def vgg16():
    layers, channels = [], 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        channels = width or channels
    return nn.Sequential(*layers)


def alexnet():
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, width, 1), nn.Conv2d(width, 4 * width, 1)
        self.conv = nn.Conv2d(width, width, 3, stride, 1)
        self.norm = nn.BatchNorm2d(4 * width)
        if channels != 4 * width:
            self.shortcut = nn.Conv2d(channels, 4 * width, 1, stride)
        else:
            self.shortcut = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.norm(self.expand(F.relu(self.conv(F.relu(self.reduce(x))))))
        y += self.shortcut(x)
        return F.relu(y)


def resnet50(stride_in_last_unit):
    layers = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, (width, count) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for unit in range(count):
            if stride_in_last_unit:
                stride = 2 if unit == count - 1 and stage < 3 else 1
            else:
                stride = 2 if unit == 0 and stage > 0 else 1
            layers.append(Bottleneck(channels, width, stride))
            channels = 4 * width
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def published():
    """Built without drawing weights, which these checks do not read."""
    with torch.device("meta"):
        networks = {
            "vgg16": vgg16(), "alexnet": alexnet(), "resnet50": resnet50(False), "slim": resnet50(True),
        }
    return {name: network.to_empty(device="cpu") for name, network in networks.items()}


@pytest.mark.parametrize(("name", "size"), [("vgg16", 212), ("alexnet", 195), ("resnet50", 427), ("slim", 483)])
def test_published_receptive_fields(published, name, size):
    """Araujo et al. 2019, table 1; VGG's and AlexNet's at the last pool."""
    side = 64 if name != "alexnet" else 67
    last = receptive_field(published[name], (3, side, side))[-1]
    assert (last.receptive_field, last.jump) == (size, 32)


def test_resnet50_by_gradient(published):
    checks = verify(published["resnet50"], (3, 64, 64))
    assert {check.verdict for check in checks} == {"equal"}
    assert checks[-1].whole
    assert [high - low for low, high in checks[-1].gradient] == [427, 427]


def test_start_is_the_centre_of_the_first_field():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Conv2d(2, 2, 3, padding=1))
    assert [(layer.receptive_field, layer.jump, layer.start) for layer in receptive_field(module)] == [
        (3, 1, 1.5), (4, 2, 2.0), (8, 2, 2.0),
    ]


def test_height_and_width_may_differ():
    module = nn.Sequential(nn.Conv2d(1, 2, (3, 5), stride=(1, 2), padding=(1, 0)))
    (layer,) = receptive_field(module, (1, 20, 30))
    assert (layer.receptive_field, layer.jump, layer.start) == ([3, 5], [1, 2], [0.5, 2.5])
    assert not disagreements(module, (1, 20, 30))


LAYERS = {
    "dilated": lambda: nn.Conv2d(4, 4, 3, dilation=3, padding=3),
    "dilated, beyond the border": lambda: nn.Conv2d(4, 4, 3, dilation=2, padding=1),
    "same": lambda: nn.Conv2d(4, 4, 4, padding="same"),
    "reflected": lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    "circular": lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(4, 4, 3, padding=1),
    "dilated pool": lambda: nn.MaxPool2d(3, 1, padding=1, dilation=2),
    "ceil pool": lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
    "average pool": lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    "zero padding": lambda: nn.ZeroPad2d((1, 2, 3, 0)),
    "crop": lambda: nn.ZeroPad2d(-2),
    "adaptive": lambda: nn.AdaptiveMaxPool2d(2),
    "global": lambda: nn.AdaptiveAvgPool2d(1),
    "root mean square": RootMeanSquare,
    "flatten": nn.Flatten,
    "norm": lambda: nn.GroupNorm(2, 4),
    "softmax": nn.Softmax2d,
}


@pytest.mark.filterwarnings("ignore:.*Using padding='same' with even kernel")
@pytest.mark.parametrize("kind", LAYERS)
def test_each_kind_of_layer_by_gradient(kind):
    layer = LAYERS[kind]()
    module = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), layer)
    assert None not in fields(module, (1, 25, 25))
    assert not disagreements(module, (1, 25, 25))


BRANCHES = {
    "residual": (lambda m, x: m.a(m.b(x)) + x, 5),
    "in place": (lambda m, x: m.a(m.b(x)).relu_().add_(x), 5),
    "concatenation": (lambda m, x: torch.cat([m.a(x), m.c(x), x], 1), 5),
    "stack": (lambda m, x: torch.stack([m.a(x), m.c(x)], 1).mean(1), 5),
    "gate": (lambda m, x: m.a(x) * torch.sigmoid(m.c(x)), 5),
    "unequal jumps": (lambda m, x: m.a(x)[:, :, :14, :14] + m.d(x), 16),
    "slices": (lambda m, x: torch.cat([m.a(x)[:, :, ::2, ::2], m.a(x)[..., 1::2, 1::2]], 1).relu(), 4),
    "chunk": (lambda m, x: torch.maximum(*m.a(x).chunk(2, 1)), 3),
    "mean": (lambda m, x: m.a(x).mean((2, 3)).relu(), 30),
    "max over axes": (lambda m, x: m.a(x).amax((2, 3)) + m.c(x).mean([-1, -2]), 32),
    "squeeze and excite": (lambda m, x: m.c(m.a(x) * m.a(x).mean((2, 3), keepdim=True).sigmoid()), 30),
    "transposed image": (lambda m, x: m.a(x.transpose(2, 3)).permute(0, 2, 3, 1).relu(), 3),
    "shuffled channels": (lambda m, x: m.c(m.a(x).view(-1, 2, 1, 28, 28).transpose(1, 2).reshape(-1, 2, 28, 28)), 7),
    "matmul": (lambda m, x: m.a(x).flatten(1) @ torch.ones(2 * 784, 3, dtype=x.dtype), 30),
}


@pytest.mark.parametrize("kind", BRANCHES)
def test_branches(kind):
    function, size = BRANCHES[kind]
    module = Through(
        function,
        a=nn.Conv2d(2, 2, 3, padding=1), b=nn.Conv2d(2, 2, 3, padding=1),
        c=nn.Conv2d(2, 2, 5, padding=2), d=nn.Conv2d(2, 2, 2, stride=2),
    )
    assert fields(module, (2, 28, 28))[-1] == size
    assert not disagreements(module, (2, 28, 28))


def test_tokens_that_are_flattened_are_told_by_their_union():
    module = Through(lambda m, x: m.b(m.a(x).flatten(2).transpose(1, 2)), a=nn.Conv2d(1, 8, 4, 4), b=nn.Linear(8, 3))
    assert fields(module) == [4, 28]
    assert not disagreements(module)


def test_two_inputs_have_no_common_place():
    module = Through(lambda m, x, y: m.b(m.a(x) + y), a=nn.Conv2d(1, 1, 3, padding=1), b=nn.Conv2d(1, 1, 1))
    assert fields(module, (1, 8, 8), (1, 8, 8)) == [3, None, None]


def test_one_axis_and_three():
    assert fields(nn.Sequential(nn.Conv1d(2, 2, 5), nn.MaxPool1d(2)), (2, 40)) == [5, 6]
    assert fields(nn.Sequential(nn.Conv3d(1, 2, 3), nn.AvgPool3d(2)), (1, 8, 8, 8)) == [3, 4]
    assert not disagreements(nn.Sequential(nn.Conv1d(2, 2, 5), nn.MaxPool1d(2)), (2, 40))


def test_gradient_support_shows_the_holes():
    mask = gradient_support(nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2)), 0, (1, 9, 9))
    assert mask.shape == (9, 9)
    assert mask.sum() == 9
    assert mask[2:7:2, 2:7:2].all()


def test_gradient_support_of_a_chosen_unit_and_of_none():
    module = CATALOGUE["digit-sum"]()
    corner = gradient_support(module, 0, input_shapes(module), unit=(0, 25))
    assert torch.nonzero(corner)[[0, -1]].tolist() == [[0, 25], [2, 27]]
    with pytest.raises(ModelError, match="no receptive field"):
        gradient_support(module, 29, input_shapes(module))


def test_a_wrong_rule_would_be_seen():
    """Half of a grouped concatenation sees less than the rule's union over channels."""
    module = Through(lambda m, x: torch.cat([m.a(x), m.c(x)], 1)[:, :2].relu(),
                     a=nn.Conv2d(2, 2, 3, padding=1), c=nn.Conv2d(2, 2, 5, padding=2))
    (check,) = [check for check in verify(module, (2, 28, 28)) if check.verdict == "different"]
    assert [high - low for low, high in check.rule] == [5, 5]
    assert [high - low for low, high in check.gradient] == [3, 3]


UNEVEN = {
    "transposed": lambda: nn.ConvTranspose2d(4, 4, 3, 2, 1),
    "upsampled": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "adaptive": lambda: nn.AdaptiveAvgPool2d(7),
    "flipped": lambda: Through(lambda m, x: x.flip(3).roll(2, 2)),
}


@st.composite
def layer(draw):
    kind = draw(st.sampled_from(["conv", "max", "avg", "pad", "residual", "cat", *UNEVEN]))
    if kind in UNEVEN:
        return UNEVEN[kind]()
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (5, 3), (2, 2), (3, 4)]))
    stride = draw(st.sampled_from([1, 1, 2, (1, 2)]))
    dilation = draw(st.integers(1, 2))
    half = tuple(k // 2 * (k % 2) for k in kernel)
    if kind == "conv":
        padding = tuple(draw(st.integers(0, (k - 1) // 2)) * dilation for k in kernel)
        groups = draw(st.sampled_from([1, 2, 4]))
        return nn.Conv2d(4, 4, kernel, stride, padding, dilation, groups)
    if kind == "max":
        return nn.MaxPool2d(kernel, stride, half, dilation, ceil_mode=draw(st.booleans()))
    if kind == "avg":
        return nn.AvgPool2d(kernel, stride, half)
    if kind == "pad":
        return nn.ZeroPad2d(tuple(draw(st.lists(st.integers(0, 2), min_size=4, max_size=4))))
    odd = [3, 5, 7]
    a, b = (nn.Conv2d(4, 4, k, padding=k // 2) for k in (draw(st.sampled_from(odd)), draw(st.sampled_from(odd))))
    if kind == "residual":
        return Through(lambda m, x: m.b(F.relu(m.a(x))) + x, a=a, b=b)
    return Through(lambda m, x: m.c(torch.cat([m.a(x), m.b(x)], 1)), a=a, b=b, c=nn.Conv2d(8, 4, 1, groups=2))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(layer(), min_size=1, max_size=5), st.integers(12, 33), st.integers(12, 33))
def test_random_networks_by_gradient(layers, height, width):
    module = nn.Sequential(nn.Conv2d(1, 4, 1), *layers)
    try:
        summarize(module, (1, height, width))
    except ModelError:      # the image is used up
        return
    assert not disagreements(module, (1, height, width))
