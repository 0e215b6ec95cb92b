"""Several readings of one picture, and the decision between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawings import INK, box, drawing, likeness, pixels
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from featherweight.data import load_dataset
from featherweight.errors import PictureError
from featherweight.inference import Predictor, ink, readings
from featherweight.inference.answering import combined, is_doubted, read_digit, surest
from featherweight.inference.frames import inside_frame
from featherweight.inference.ink import View
from featherweight.inference.picture import AS_IT_IS, prepare, without_search
from featherweight.inference.readings import further_readings, likely_readings
from featherweight.inference.zoom import reduced
from featherweight.specification import NONE, PictureSpecification


def all_readings(picture):
    view = View(picture)
    first = likely_readings(view, INK)
    return [one.pixels[0] for one in [*first, *further_readings(view, INK, first)]]


def best_likeness(picture, expected):
    return max(likeness(one, expected) for one in all_readings(picture))


def framed(width, level=40):
    picture = drawing()
    ImageDraw.Draw(picture).rectangle((0, 0, 199, 199), outline=level, width=width)
    return picture


def ring(width):
    picture = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(picture).ellipse((50, 20, 150, 180), outline=0, width=width)
    return picture


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_frame_at_the_edge_is_no_ink_and_does_not_turn_light_and_dark_round(width):
    expected = pixels(drawing())
    assert width > 2 or likeness(pixels(framed(width)), expected) < 0.8     # the usual reading takes a thin one for ink
    assert best_likeness(framed(width), expected) > 0.85


@pytest.mark.parametrize("level", [40, 160, 230])
@pytest.mark.parametrize("width", [1, 2, 4, 7])
def test_a_frame_is_cut_off_before_ink_is_searched(width, level):
    view = inside_frame(View(framed(width, level)))
    assert view.picture.size == (200 - 2 * width, 200 - 2 * width)
    assert likeness(pixels(view.picture), pixels(drawing())) > 0.95


def test_a_frame_is_cut_off_where_ink_crosses_it_and_from_a_large_photo():
    crossed = framed(2)
    ImageDraw.Draw(crossed).line((0, 60, 199, 140), 0, 20)
    assert inside_frame(View(crossed)).picture.size == (196, 196)
    large = framed(4).resize((1000, 1000))
    assert 950 <= min(inside_frame(View(large)).picture.size) <= 960


@pytest.mark.parametrize("picture", [
    drawing(), drawing(width=5, ground=0, ink=255), ImageOps.expand(drawing(), (10, 0), 0),
    Image.radial_gradient("L"), Image.linear_gradient("L"), Image.new("L", (40, 3), 9), Image.new("L", (1, 1), 9),
])
def test_a_picture_without_a_frame_is_unchanged(picture):
    tight = picture.crop(ImageOps.invert(picture).getbbox())
    for one in (picture, tight):
        assert inside_frame(View(one)).picture is one


def test_soft_faint_strokes_stay_whole():
    page = drawing(width=5, ground=0, ink=255).resize((28, 28), Image.Resampling.BOX).point(lambda value: value // 2)
    ImageDraw.Draw(page).point((3, 3), 160)                         # one bright speck
    assert max(box(one, 40)[0] for one in all_readings(page.filter(ImageFilter.GaussianBlur(0.5)))) == 20


def test_a_thick_ring_stays_open_in_the_reading_as_drawn():
    one = next(reading for reading in likely_readings(View(ring(40)), INK) if reading.way.endswith("as drawn"))
    rows, columns = np.nonzero(one.pixels[0] > 128)
    middle = one.pixels[0][int(rows.mean().round()), int(columns.mean().round())]
    assert middle < 100


def test_a_digit_that_reaches_the_border_keeps_its_end():
    cut = drawing().crop((40, 30, 160, 166))
    assert best_likeness(cut, pixels(drawing())) > 0.85


def test_the_edge_of_a_shadow_is_not_taken_for_a_thin_digit():
    light = np.fromfunction(lambda y, x: np.where(x + 0.4 * y < 110, 210.0, 120.0), (200, 200))
    page = np.asarray(drawing([(120, 110), (150, 110), (133, 150)], width=4), float) / 255 * light
    page = Image.fromarray((page + np.random.default_rng(0).normal(0, 3, page.shape)).clip(0, 255).astype(np.uint8))
    expected = pixels(drawing([(120, 110), (150, 110), (133, 150)], width=4))
    assert best_likeness(page.filter(ImageFilter.GaussianBlur(1)), expected) > 0.8


def test_further_readings_are_of_other_ways():
    view = View(drawing())
    first = likely_readings(view, INK)
    ways = [one.way for one in [*first, *further_readings(view, INK, first)]]
    assert len(first) == 2 and len(ways) == len(set(ways)) == 7


def counted(search, calls):
    """The search itself, with its name added to the calls each time."""
    return lambda view: calls.append(search.__name__) or search(view)


def test_a_picture_is_reduced_and_each_search_made_once_for_all_readings(monkeypatch):
    searched, halved = [], []
    for name in ("ink_on_level_ground", "ink_under_light", "thin_ink"):
        monkeypatch.setattr(readings, name, counted(getattr(readings, name), searched))
    monkeypatch.setattr(ink, "reduced", lambda picture, area: halved.append(picture) or reduced(picture, area))
    view = View(drawing().resize((600, 600)))
    first = likely_readings(view, INK)
    assert len(first) + len(further_readings(view, INK, first)) == 7
    assert sorted(searched) == ["ink_on_level_ground", "ink_under_light", "thin_ink"]
    assert halved[0] is view.picture and len(halved) == 2      # the second is the crop around the thin strokes


def test_a_picture_that_needs_no_search_has_one_reading():
    image = Image.fromarray(load_dataset("digits").test.images[0, 0].numpy())
    assert without_search(image, PictureSpecification(kind="plain")).way == AS_IT_IS
    as_trained = Image.fromarray(pixels(drawing()))
    assert without_search(as_trained, INK).way == AS_IT_IS
    with pytest.raises(PictureError, match="blank"):
        likely_readings(View(Image.new("L", (50, 50), 200)), INK)


def test_the_mean_decides_and_the_surest_reading_of_it_is_shown(digits_run):
    card = replace(Predictor(digits_run.path).card, heads={"class": ("0", "1", NONE)})
    one = prepare(drawing(), INK)
    answers = {"class": np.array([[0.6, 0.4, 0], [0.1, 0.9, 0], [0.3, 0.6, 0.1]], np.float32)}
    chosen, mean = combined([one, prepare(ring(20), INK), one], answers, card)
    assert mean["class"].shape == (1, 3) and mean["class"][0] == pytest.approx([1 / 3, 1.9 / 3, 0.1 / 3])
    assert (chosen.readings, chosen.agreeing) == (3, 2) and np.array_equal(chosen.pixels, prepare(ring(20), INK).pixels)
    assert surest(answers, card) == pytest.approx(1.9 / 3)


def test_none_is_never_the_answer(digits_run):
    card = replace(Predictor(digits_run.path).card, heads={"class": ("0", "1", NONE)})
    one, other = prepare(drawing(), INK), prepare(ring(20), INK)
    answers = {"class": np.array([[0.0, 0.1, 0.9], [0.0, 0.4, 0.6]], np.float32)}
    chosen, mean = combined([one, other], answers, card)
    assert np.array_equal(chosen.pixels, other.pixels) and chosen.agreeing == 0
    assert surest(answers, card) == pytest.approx(0.25) and is_doubted(mean, card)


def test_more_readings_are_made_only_if_the_network_is_unsure(digits_run):
    network = Predictor(digits_run.path).network
    image = Image.fromarray(load_dataset("digits").test.images[0, 0].numpy()).resize((150, 150))
    seen, answers = read_digit(network, image)
    assert seen.readings == (2 if surest(answers, network.card) >= 0.9 else 7)
    rng = np.random.default_rng(0)
    scribble = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(scribble).line([tuple(point) for point in rng.uniform(20, 180, (20, 2)).tolist()], 0, 6)
    assert read_digit(network, scribble)[0].readings >= 5


def test_doubt_leaves_the_class_none_out(digits_run):
    card = Predictor(digits_run.path).card
    few = np.full((1, 10), 0.06, np.float32)
    few[0, 3] = 0.46
    assert is_doubted({"class": few}, card)
    few[0, 3], few[0, 4] = 0.6, 0.0
    assert not is_doubted({"class": few}, card)
