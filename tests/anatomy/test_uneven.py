"""Units that see fields of different sizes or at different distances: rule and gradient agree to the pixel."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from featherweight.anatomy import middle_fields, summarize, verify


class Net(nn.Module):
    """The layers it is given; forward is a function of it and the image."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.way = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.way(self, x)


def conv(inputs=4, outputs=4, kernel=3, **settings):
    return nn.Conv2d(inputs, outputs, kernel, **settings)


LAYERS = {
    **{f"transposed {numbers}": nn.ConvTranspose2d(4, 4, kernel, stride, padding, more, dilation=dilation)
       for numbers in [(2, 2, 0, 0, 1), (3, 2, 1, 1, 1), (2, 3, 0, 0, 1), (3, 3, 1, 0, 2), (5, 4, 2, 3, 1)]
       for kernel, stride, padding, more, dilation in [numbers]},
    "transposed, unlike axes": nn.ConvTranspose2d(4, 4, (2, 3), (2, 1)),
    **{f"{mode} {list(size.items())}": Net(lambda m, x, mode=mode, size=size: F.interpolate(x, mode=mode, **size))
       for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
       for size in ({"scale_factor": 2}, {"scale_factor": (1.5, 0.7)}, {"size": (7, 30)})},
    "corners aligned": nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    "antialiased": Net(lambda m, x: F.interpolate(x, size=5, mode="bilinear", antialias=True)),
    "scale computed anew": Net(lambda m, x: F.interpolate(x, scale_factor=1.7, recompute_scale_factor=True)),
    "old upsampling": nn.UpsamplingNearest2d(scale_factor=2),
    "adaptive": nn.AdaptiveAvgPool2d(6),
    "adaptive maximum": nn.AdaptiveMaxPool2d((5, None)),
    "adaptive, larger": nn.AdaptiveAvgPool2d(20),
    "pixel shuffle": nn.Sequential(conv(4, 16, 1), nn.PixelShuffle(2)),
    "pixel unshuffle": nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.PixelUnshuffle(2), conv(16, 4, 1)),
    "shuffles as functions": Net(lambda m, x: F.pixel_unshuffle(F.pixel_shuffle(x, upscale_factor=2), 2)),
    "windows": Net(lambda m, x: x.unfold(2, 3, 2).unfold(dimension=3, size=3, step=1).flatten(4).mean(-1)),
    "repeated": Net(lambda m, x: x.repeat(1, 1, 2, 3)),
    "tiled": Net(lambda m, x: torch.tile(x, (1, 2))),
    "interleaved": Net(lambda m, x: x.repeat_interleave(2, 2).repeat_interleave(3, dim=3)),
    "flipped": Net(lambda m, x: x.flip(2, 3)),
    "flipped and added": Net(lambda m, x: x + torch.flip(x, [3])),
    "turned": Net(lambda m, x: torch.rot90(x, 1, (2, 3))),
    "rolled": Net(lambda m, x: x.roll((1, -2), (2, 3))),
    "chosen": Net(lambda m, x: x[:, :, [0, 3, 4, 9]].index_select(3, torch.tensor([5, 1, 1]))),
    "side by side": Net(lambda m, x: torch.cat([x, x.flip(3)], 3)),
    "with constants": Net(lambda m, x: torch.cat([torch.zeros(x.shape[0], 4, 2, 13), x, x[:, :, ::2]], 2)),
    "with its mean": Net(lambda m, x: torch.cat([x, x.mean(3, keepdim=True)], axis=3)),
    "U-Net": Net(lambda m, x: m.d(torch.cat([x, F.interpolate(m.c(F.max_pool2d(x, 2)), size=x.shape[2:])], 1)),
                 c=conv(padding=1), d=conv(8, 4, 1)),
    "gated": Net(lambda m, x: m.u(x) * m.u(x).mean((2, 3), keepdim=True), u=nn.Upsample(scale_factor=2)),
    "quarters": Net(lambda m, x: x[:, :, :6, :6] + x[:, :, 6:12, 6:12].flip(2)),
}
TAIL = nn.Sequential(
    conv(padding=1), nn.MaxPool2d(2, ceil_mode=True), conv(dilation=2, padding=2), nn.Upsample(scale_factor=2),
    conv(padding=1, padding_mode="reflect"), nn.ConvTranspose2d(4, 4, 3, 2), nn.AdaptiveAvgPool2d(5), nn.Flatten(),
    nn.LazyLinear(3),
)


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_each_kind_by_gradient(kind, strided):
    head = conv(1, 4, 3, stride=2, padding=1) if strided else conv(1, 4, 1)
    image = (1, 25, 25) if strided else (1, 13, 13)
    checks = verify(nn.Sequential(head, LAYERS[kind], TAIL), image)
    assert [(c.layer.label, c.rule, c.gradient) for c in checks if c.verdict != "equal"] == []


@pytest.mark.parametrize("layer", [nn.Unfold((2, 3), stride=(2, 1)), nn.Unfold(3, padding=1, dilation=2)])
def test_all_windows_along_one_axis_see_what_they_see_together(layer):
    checks = verify(nn.Sequential(conv(1, 4), layer), (1, 13, 13))
    assert {check.verdict for check in checks} == {"equal"}


def numbers(module, image):
    layer = summarize(module, image).layers[-1]
    return layer.receptive_field, layer.jump, layer.start, layer.uneven


def test_the_numbers_are_the_largest_size_the_mean_jump_and_the_first_centre():
    assert numbers(nn.AdaptiveAvgPool2d(6), (1, 14, 14)) == (3, 2.333, 1.5, True)
    assert numbers(nn.Upsample(scale_factor=2), (1, 14, 14)) == (1, 0.5, 0.5, True)
    assert numbers(nn.ConvTranspose2d(1, 1, 2, 2), (1, 14, 14)) == (1, 0.5, 0.5, True)
    assert numbers(nn.ConvTranspose2d(1, 1, 3, 2), (1, 14, 14)) == (2, 0.5, 0.5, True)
    assert numbers(nn.Sequential(conv(1), nn.Upsample(scale_factor=2), conv(padding=1)), (1, 14, 14)) == (
        4, 0.5, 1.5, True,
    )
    assert numbers(nn.AdaptiveAvgPool2d(7), (1, 14, 14)) == (2, 2, 1, False)


def test_units_that_are_even_again_are_told_by_three_numbers():
    module = nn.Sequential(conv(1), nn.Upsample(scale_factor=2), nn.MaxPool2d(2))
    assert numbers(module, (1, 14, 14)) == (3, 1, 1.5, False)
    back = Net(lambda m, x: x.flip(3).flip(3).relu())
    assert numbers(back, (1, 14, 14)) == (1, 1, 0.5, False)
    assert numbers(nn.AdaptiveAvgPool2d(6), (1, 13, 13)) == (3, 2, 1.5, False)      # windows that overlap evenly


def test_table_and_json_say_what_is_uneven():
    summary = summarize(nn.Sequential(conv(1), nn.AdaptiveAvgPool2d(5)), (1, 14, 14))
    line = next(line for line in str(summary).splitlines() if line.startswith("Adaptive"))
    assert line.split()[5:9] == ["0", "≤6", "~2.4", "2.5"]
    rows = summary.to_dict()["layers"]
    assert "uneven" not in rows[0]
    assert rows[1]["uneven"] is True


def test_what_stands_behind_each_other_with_other_sizes_has_no_common_field():
    module = Net(lambda m, x: torch.cat([x, m.c(x)], 2).relu(), c=conv(1, 1, padding=1))
    assert numbers(module, (1, 14, 14)) == (None, None, None, False)


def test_a_border_that_only_one_branch_sees_has_no_common_field():
    module = Net(lambda m, x: F.pad(x, (1, 1, 1, 1)) + m.c(x), c=nn.ConvTranspose2d(1, 1, 3))
    assert numbers(module, (1, 14, 14)) == (None, None, None, False)
    assert "different" not in {check.verdict for check in verify(module, (1, 14, 14))}


def test_the_middle_unit_of_an_uneven_layer_is_drawn():
    seen = middle_fields(nn.Sequential(conv(1), nn.Upsample(scale_factor=2)), (1, 14, 14))
    assert [one.box for one in seen] == [(5, 5, 3, 3), (5, 5, 3, 3)]
    assert int(seen[1].support.sum()) == 9
