"""Confusion, classes, calibration, size against accuracy, and pictures made of images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight import plots
from featherweight.evaluation import Bin
from featherweight.plots.pareto import best_for_size
from featherweight.statistics import wilson_interval

IMAGE = np.arange(28 * 28).reshape(28, 28) % 256


def gids(axes):
    return [artist.get_gid().removeprefix("title: ") for artist in (*axes.patches, *axes.lines, *axes.collections)
            if artist.get_gid()]


def test_confusion_counts_every_cell():
    axes = plots.confusion([[5, 1], [0, 7]], ["cat", "dog"]).axes[0]
    assert gids(axes) == ["cat read as cat: 5 of 6", "cat read as dog: 1 of 6", "dog read as cat: 0 of 7",
                          "dog read as dog: 7 of 7"]
    assert [text.get_text() for text in axes.texts] == ["5", "1", "7"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]


def test_a_perfect_or_large_matrix_can_be_drawn():
    plots.confusion([[5, 0], [0, 7]], ["a", "b"])
    many = plots.confusion(np.eye(40, dtype=int).tolist(), [f"class {n}" for n in range(40)])
    assert many.axes[0].texts == [] or len(many.axes[0].texts) == 0


def test_classes_have_wilsons_interval_and_an_empty_one_is_left_out():
    axes = plots.by_class([[9, 1], [0, 0]], ["a", "b"]).axes[0]
    low, high = wilson_interval(9, 10)
    assert list(axes.lines[0].get_xdata()) == [100 * low, 100 * high] and list(axes.lines[1].get_xdata()) == [90]
    assert len(axes.lines) == 2


def test_calibration_has_a_disc_for_each_bin():
    axes = plots.calibration([Bin(0.5, 0.4, 10), Bin(0.95, 1.0, 90)]).axes[0]
    assert gids(axes) == ["10 images, 50.0 % sure on average, 40.0 % right",
                          "90 images, 95.0 % sure on average, 100.0 % right"]
    sizes = [collection.get_sizes()[0] for collection in axes.collections]
    assert sizes[1] > sizes[0]


@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 1)), min_size=1, max_size=20))
def test_the_front_holds_what_no_smaller_network_beats(pairs):
    points = [plots.Point(str(n), size, accuracy, 0, 1) for n, (size, accuracy) in enumerate(pairs)]
    front = best_for_size(points)
    for point in points:
        beaten = any(p.parameters <= point.parameters and p.accuracy > point.accuracy for p in points)
        assert not (point in front and beaten)
    assert [p.parameters for p in front] == sorted({p.parameters for p in front})
    assert max(p.accuracy for p in points) == front[-1].accuracy


def test_pareto_says_each_point():
    points = [plots.Point("small", 1000, 0.98, 0.97, 0.99), plots.Point("large", 9000, 0.99, 0.985, 0.995)]
    axes = plots.pareto(points).axes[0]
    assert axes.get_xscale() == "log"
    assert "small: 1,000 parameters, 98.00 %; 97.00 % to 99.00 %" in gids(axes)
    assert [text.get_text() for text in axes.texts] == ["small", "large"]


def images_in(figure):
    return [image.get_array() for image in figure.axes[0].images]


def test_mistakes_show_each_image_with_its_caption():
    figure = plots.mistakes([IMAGE] * 5, [f"{n}\nread as" for n in range(5)])
    assert len(images_in(figure)) == 5 and [text.get_text()[0] for text in figure.axes[0].texts] == list("01234")


def test_kernels_are_on_one_scale_around_zero():
    weights = np.zeros((70, 1, 3, 3))
    weights[3, 0, 1, 1] = -2.0
    figure = plots.kernels(weights)
    assert len(images_in(figure)) == 64
    assert {image.get_clim() for image in figure.axes[0].images} == {(-1.0, 1.0)}
    assert figure.axes[0].images[3].get_array().min() == -1.0
    colour = plots.kernels(np.random.default_rng(0).normal(size=(4, 3, 5, 5)))
    assert images_in(colour)[0].shape == (5, 5, 3)


def test_activations_show_eight_channels_a_layer():
    figure = plots.activations([("Conv2d-1", np.random.rand(12, 4, 4)), ("Conv2d-2", np.zeros((3, 2, 2)))])
    assert len(images_in(figure)) == 8 + 3
    assert [text.get_text() for text in figure.axes[0].texts] == ["Conv2d-1", "Conv2d-2"]


def test_class_maps_and_fields_are_framed():
    maps = plots.class_maps([IMAGE], [np.linspace(-1, 3, 784).reshape(28, 28)], [(2, 3, 10, 10)], ["answer 4"])
    assert maps.axes[0].images[1].get_clim() == (-1, 1)
    assert maps.axes[0].images[1].get_array().min() == pytest.approx(-1 / 3)
    picture = plots.FieldPicture("Conv2d-1", "3 px", (12, 12, 3, 3), np.eye(28, dtype=bool))
    fields = plots.receptive_fields(IMAGE, [picture])
    shade = images_in(fields)[1]
    assert shade.shape == (28, 28, 4) and int((shade[..., 3] > 0).sum()) == 28
    frames = [patch for patch in fields.axes[0].patches if patch.get_width() != 1]
    assert frames[0].get_width() == pytest.approx(3 / 28)
    assert frames[0].get_x() == pytest.approx(12 / 28)
