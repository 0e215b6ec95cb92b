"""Each change does what its number says, for each image on its own, and again with the same seed."""

from __future__ import annotations

import math
from collections.abc import Sized
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from featherweight.augment import GRID, Augmentation, affine_grid, bend_field, erase, normalise, resample

EVERYTHING = Augmentation(rotation=15, shift=0.1, scale=0.1, shear=10, crop=22, crop_probability=0.5,
                          elastic=1.5, erasing=0.5)
ALONE = [
    Augmentation(rotation=10), Augmentation(shift=0.1), Augmentation(scale=0.1), Augmentation(shear=10),
    Augmentation(crop=22, crop_probability=0.5), Augmentation(elastic=1.5), Augmentation(erasing=0.5), EVERYTHING,
]
seeds = st.integers(0, 2**32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(rows: int, images: Sized, seed: int = 0) -> Tensor:
    """(rows, N) in [-1, 1]."""
    return torch.rand(rows, len(images), generator=generator(seed)) * 2 - 1


def affine_of(augmentation: Augmentation, images: Tensor, draws: torch.Generator) -> Tensor:
    """(N, 2, 3): the maps that these draws give these images."""
    return augmentation.affine(images, torch.rand(6, len(images), generator=draws) * 2 - 1)


def blob(x: float = 0.0, y: float = 0.0, size: int = 28, width: float = 2.0) -> Tensor:
    """(1, size, size): a soft dot, x pixels to the right of and y pixels below the centre."""
    axis = torch.arange(size) - (size - 1) / 2
    return torch.exp(-((axis - x) ** 2 + (axis.view(-1, 1) - y) ** 2) / (2 * width**2)).unsqueeze(0)


def centres(images: Tensor) -> Tensor:
    """(N, 1, H, W) -> (N, 2): x and y of the centre of mass, in pixels from the middle."""
    axis = torch.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    mass = images.sum(dim=(1, 2, 3))
    x = (images.sum(dim=(1, 2)) * axis).sum(1) / mass
    y = (images.sum(dim=(1, 3)) * axis).sum(1) / mass
    return torch.stack([x, y], dim=1)


def spreads(images: Tensor) -> Tensor:
    """(N, 1, H, W) -> (N,): root of the mean squared distance to the middle, in pixels."""
    axis = torch.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    distance = axis**2 + axis.view(-1, 1) ** 2
    return ((images.squeeze(1) * distance).sum(dim=(1, 2)) / images.sum(dim=(1, 2, 3))).sqrt()


# ---- of all changes ----


@given(seeds)
def test_nothing_is_changed_when_everything_is_off(seed: int) -> None:
    images, draws = torch.rand(3, 1, 28, 28), generator(seed)
    assert Augmentation()(images, draws).equal(images)
    assert draws.get_state().equal(generator(seed).get_state())


def test_each_generator_is_that_of_its_part() -> None:
    images = torch.rand(6, 1, 28, 28)
    together = EVERYTHING(images, generator(1), generator(2), left=0.5)
    parts = [EVERYTHING(images[:3], generator(1), left=0.5), EVERYTHING(images[3:], generator(2), left=0.5)]
    assert torch.allclose(together, torch.cat(parts), atol=1e-5)


def test_what_is_drawn_is_all_that_is_random() -> None:
    images = torch.rand(6, 1, 28, 28)
    draws = EVERYTHING.draw(6, generator(1))
    assert draws.shape == (EVERYTHING.numbers, 6) == (6 + 2 * GRID * GRID + 5, 6)
    whole = EVERYTHING.apply(images, draws)
    assert whole.equal(EVERYTHING(images, generator(1)))
    halves = [EVERYTHING.apply(images[part], draws[:, part]) for part in (slice(0, 2), slice(2, 6))]
    assert torch.allclose(torch.cat(halves), whole, atol=1e-5)      # however images are put together


def test_a_crop_that_never_happens_moves_nothing() -> None:
    assert not Augmentation(crop=22).moves
    assert not Augmentation(crop_probability=0.5).moves


@pytest.mark.parametrize("augmentation", ALONE, ids=str)
def test_the_smallest_change_is_nearly_none(augmentation: Augmentation) -> None:
    """One affine map with no motion in it reads every pixel from itself."""
    images = torch.rand(4, 1, 28, 28)
    still = torch.eye(2, 3).expand(4, 2, 3)
    assert torch.allclose(resample(images, still), images, atol=1e-5)
    assert affine_of(augmentation, images, generator()).shape == (4, 2, 3)


@given(seeds, st.sampled_from(ALONE))
def test_a_seed_repeats_exactly_and_another_does_not(seed: int, augmentation: Augmentation) -> None:
    images = torch.stack([blob(3, -2)] * 16)
    first, again, other = (augmentation(images, generator(s)) for s in (seed, seed, seed + 1))
    assert first.equal(again)
    assert not first.equal(other)


@given(seeds, st.sampled_from(ALONE))
def test_two_images_of_one_batch_get_different_draws(seed: int, augmentation: Augmentation) -> None:
    """Of 16 equal images, those that were changed differ from one another."""
    changed = augmentation(torch.stack([blob(3, -2)] * 16), generator(seed)).flatten(1)
    different = {tuple(row.tolist()) for row in changed}
    cropped_or_not = augmentation == Augmentation(crop=22, crop_probability=0.5)
    assert len(different) == 2 if cropped_or_not else len(different) > 2


@pytest.mark.parametrize("augmentation", ALONE, ids=str)
def test_an_image_is_drawn_once_however_many_channels_it_has(augmentation: Augmentation) -> None:
    grey = torch.rand(8, 1, 28, 28)
    changed = augmentation(grey.expand(8, 3, 28, 28).contiguous(), generator())
    assert changed.shape == (8, 3, 28, 28)
    for channel in range(3):
        assert torch.allclose(changed[:, channel : channel + 1], augmentation(grey, generator()), atol=1e-6)


@given(seeds, st.integers(1, 5), st.sampled_from([1, 3]), st.sampled_from([8, 28, 33]))
def test_shape_and_type_are_kept_the_input_is_left_alone_and_values_stay_in_range(
    seed: int, count: int, channels: int, size: int
) -> None:
    images = torch.rand(count, channels, size, size, generator=generator(seed))
    before = images.clone()
    changed = Augmentation(rotation=20, shift=0.2, scale=0.2, shear=10, erasing=0.5)(images, generator(seed))
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert images.equal(before)
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1 + 1e-6


# ---- each change alone ----


@given(seeds, st.floats(1, 180))
def test_rotation_is_a_turn_by_no_more_than_its_angle(seed: int, largest: float) -> None:
    maps = affine_of(Augmentation(rotation=largest), torch.zeros(64, 1, 28, 28), generator(seed))
    linear, shift = maps[:, :, :2], maps[:, :, 2]
    angles = torch.atan2(linear[:, 1, 0], linear[:, 0, 0]).rad2deg()
    assert shift.eq(0).all()
    assert torch.allclose(linear @ linear.transpose(1, 2), torch.eye(2).expand(64, 2, 2), atol=1e-5)
    assert torch.allclose(torch.linalg.det(linear), torch.ones(64), atol=1e-5)
    assert float(angles.abs().max()) <= largest + 1e-3
    assert float(angles.min()) < -0.5 * largest                 # to either side, nearly to the end
    assert float(angles.max()) > 0.5 * largest


@pytest.mark.parametrize("size", [28, 27])
def test_a_quarter_turn_is_torch_rot90(size: int) -> None:
    images = torch.rand(2, 1, size, size)
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]).expand(2, 2, 3)
    assert torch.allclose(resample(images, quarter), torch.rot90(images, 1, dims=(2, 3)), atol=1e-4)


def test_a_turned_dot_is_where_its_angle_puts_it() -> None:
    """A rotation keeps the distance to the middle."""
    turned = centres(Augmentation(rotation=90)(torch.stack([blob(6)] * 32), generator()))
    assert torch.allclose(turned.norm(dim=1), torch.full((32,), 6.0), atol=0.05)
    assert float(turned[:, 0].min()) >= -0.1                    # 90 degrees to either side: never on the left
    assert float(turned[:, 1].min()) < -3 < 3 < float(turned[:, 1].max())


@given(seeds, st.floats(0.02, 0.25))
def test_shift_moves_both_ways_by_no_more_than_its_part(seed: int, shift: float) -> None:
    images = torch.stack([blob(width=1.5)] * 64)
    augmentation = Augmentation(shift=shift)
    moved = centres(augmentation(images, generator(seed)))
    drawn = affine_of(augmentation, images, generator(seed))[:, :, 2]      # where is read, of an axis 2 long
    assert torch.allclose(moved, -drawn * 14, atol=0.1)
    assert float(moved.abs().max()) <= shift * 28 + 0.1
    for axis in (0, 1):
        assert float(moved[:, axis].min()) < -0.5 * shift * 28
        assert float(moved[:, axis].max()) > 0.5 * shift * 28
    assert float((moved[:, 0] - moved[:, 1]).abs().max()) > 0.5 * shift * 28    # x and y on their own


@given(seeds, st.floats(0.05, 0.4))
def test_scale_is_smaller_or_larger_within_its_part(seed: int, scale: float) -> None:
    images = torch.stack([blob()] * 64)
    ratio = spreads(Augmentation(scale=scale)(images, generator(seed))) / spreads(images)
    assert 1 - scale - 0.05 <= float(ratio.min()) < 1 - 0.5 * scale + 0.05
    assert 1 + 0.5 * scale - 0.05 < float(ratio.max()) <= 1 + scale + 0.05


@given(seeds, st.floats(5, 60))
def test_shear_slants_within_its_angle_and_keeps_area_and_place(seed: int, shear: float) -> None:
    maps = affine_of(Augmentation(shear=shear), torch.zeros(64, 1, 28, 28), generator(seed))
    slant = maps[:, 0, 1].atan().rad2deg()
    assert torch.allclose(maps[:, :, 0], torch.tensor([1.0, 0.0]).expand(64, 2))
    assert torch.allclose(maps[:, 1, 1], torch.ones(64))
    assert maps[:, :, 2].eq(0).all()
    assert 0.5 * shear < float(slant.abs().max()) <= shear + 1e-3
    assert float(slant.min()) < 0 < float(slant.max())


@pytest.mark.parametrize("crop", [22, 14])
def test_crop_is_the_centre_crop_resized_back(crop: int) -> None:
    images = torch.stack([blob(3, 1), blob(-4, 5)])
    edge = (28 - crop) // 2
    centre = images[:, :, edge : 28 - edge, edge : 28 - edge]
    expected = F.interpolate(centre, size=(28, 28), mode="bilinear", align_corners=False)
    cropped = Augmentation(crop=crop, crop_probability=1)(images, generator())
    # at the very border the one repeats the edge of the crop, the other still sees the pixel beyond it
    assert torch.allclose(cropped[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1], atol=1e-4)


@given(seeds, st.floats(0.1, 0.9))
def test_crop_happens_to_as_many_images_as_its_probability_says(seed: int, probability: float) -> None:
    augmentation = Augmentation(crop=14, crop_probability=probability)
    maps = affine_of(augmentation, torch.zeros(2000, 1, 28, 28), generator(seed))
    zoomed = maps[:, 0, 0].isclose(torch.tensor(0.5))
    assert zoomed.logical_or(maps[:, 0, 0].isclose(torch.tensor(1.0))).all()
    assert abs(float(zoomed.float().mean()) - probability) < 6 * math.sqrt(probability * (1 - probability) / 2000)


@given(seeds)
def test_erasing_blanks_one_rectangle_of_2_to_20_percent(seed: int) -> None:
    images = torch.ones(64, 3, 28, 28)
    erased = erase(images, 1.0, numbers(5, images, seed))
    for image in erased:
        blank = image[0] == 0
        assert image.eq(image[0]).all()                         # every channel, the same place
        rows, columns = blank.any(dim=1), blank.any(dim=0)
        assert blank.equal(rows.view(-1, 1) & columns)          # a rectangle, and
        assert _runs(rows) == _runs(columns) == 1               # only one
        assert 4 <= int(blank.sum()) <= 0.2 * 784 + 28          # whole pixels round the area
    assert images.eq(1).all()


@given(seeds, st.floats(0.1, 0.9))
def test_erasing_happens_to_as_many_images_as_its_probability_says(seed: int, probability: float) -> None:
    hit = erase(torch.ones(2000, 1, 14, 14), probability, numbers(5, range(2000), seed)).eq(0).flatten(1).any(dim=1)
    assert abs(float(hit.float().mean()) - probability) < 6 * math.sqrt(probability * (1 - probability) / 2000)


def test_erasing_reaches_every_pixel() -> None:
    assert erase(torch.ones(3000, 1, 28, 28), 1.0, numbers(5, range(3000))).eq(0).any(dim=0).all()


def test_what_comes_from_outside_is_black() -> None:
    right = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]).unsqueeze(0)    # half the image to the right
    moved = resample(torch.ones(1, 1, 28, 28), right)
    assert moved[..., :13].eq(0).all()
    assert torch.allclose(moved[..., 15:], torch.ones(1, 1, 28, 13))


def test_normalise_is_for_each_channel() -> None:
    mean, std = torch.tensor([0.5, 0.2, 0.1]), torch.tensor([0.1, 0.2, 0.5])
    images = torch.rand(4, 3, 5, 5)
    changed = normalise(images, mean, std)
    for channel in range(3):
        assert torch.allclose(changed[:, channel] * std[channel] + mean[channel], images[:, channel], atol=1e-6)


def _runs(line: Tensor) -> int:
    """How many stretches of True a line has."""
    padded = F.pad(line.int(), (1, 1))
    return int((padded.diff() == 1).sum())


# ---- elastic ----


@given(seeds, st.floats(0.1, 5))
def test_a_bend_is_bicubic_between_points_that_move_as_far_as_it_says(seed: int, pixels: float) -> None:
    images = torch.zeros(3, 1, 28, 20)
    bend = bend_field(images, pixels, numbers(2 * GRID * GRID, images, seed))
    moved = bend * torch.tensor([20.0, 28.0]) / 2                           # (3, 28, 20, 2) in pixels
    points = (torch.rand(2 * GRID * GRID, 3, generator=generator(seed)) * 2 - 1).T.reshape(3, 2, GRID, GRID)
    field = F.interpolate(points * pixels, (28, 20), mode="bicubic", align_corners=True)
    assert torch.allclose(moved.permute(0, 3, 1, 2), field, atol=1e-4)
    corners = moved[:, ::27, ::19].permute(0, 3, 1, 2)                      # where points and pixels coincide
    assert torch.allclose(corners, points[:, :, :: GRID - 1, :: GRID - 1] * pixels, atol=1e-4)


def test_a_bend_moves_parts_of_an_image_apart() -> None:
    two = torch.stack([blob(-7) + blob(7), blob(7)]).repeat(200, 1, 1, 1)
    left, right = Augmentation(elastic=3)(two, generator())[::2].split(14, dim=3)
    apart = (centres(F.pad(right, (14, 0))) - centres(F.pad(left, (0, 14))))[:, 0]
    assert 0.5 < apart.std() < 3 and apart.mean() == pytest.approx(14, abs=0.5)


# ---- fade ----


@given(seeds, st.floats(0, 0.999), st.floats(0.001, 1))
def test_what_fades_is_whole_until_its_part_begins_and_then_shrinks_evenly(seed: int, done: float, fade: float) -> None:
    fading, images = replace(EVERYTHING, fade=fade), torch.rand(4, 1, 28, 28, generator=generator(seed))
    left = min(1.0, (1 - done) / fade)
    shrunk = Augmentation(rotation=15 * left, shift=0.1 * left, scale=0.1 * left, shear=10 * left, crop=22,
                          crop_probability=0.5 * left, elastic=1.5 * left, erasing=0.5 * left)
    draws = fading.draw(4, generator(seed))
    assert fading.left(done) == pytest.approx(left)
    assert torch.allclose(fading.apply(images, draws, left), shrunk.apply(images, draws), atol=1e-4)
    assert torch.equal(fading.apply(images, draws, torch.tensor(left)), fading.apply(images, draws, left))


def test_what_does_not_fade_is_the_same_all_through_a_training() -> None:
    assert all(EVERYTHING.left(done) == 1 for done in (0, 0.5, 0.999))


def test_at_the_end_of_a_fade_next_to_nothing_is_left() -> None:
    images = torch.stack([blob(5, 3)] * 8)
    fading = replace(EVERYTHING, crop_probability=0, fade=0.5)
    assert torch.allclose(fading(images, generator(), left=fading.left(1 - 1e-4)), images, atol=1e-2)


@given(seeds, st.integers(1, 4), st.integers(1, 30), st.integers(1, 30))
def test_the_grid_of_an_affine_map_is_torchs(seed: int, count: int, height: int, width: int) -> None:
    maps = torch.randn(count, 2, 3, generator=generator(seed))
    expected = F.affine_grid(maps, [count, 1, height, width], align_corners=False)
    assert torch.allclose(affine_grid(torch.empty(count, 1, height, width), maps), expected, atol=1e-5)
