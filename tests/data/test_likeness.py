"""Digits like those of MNIST are told by their pixels, whatever file they are read from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import featherweight
from featherweight.data import as_dataset, load_dataset
from featherweight.data.likeness import extent, is_like_mnist
from featherweight.specification import specification_of


def in_box(image):
    """A digit of 8 x 8 pixels, its longer side enlarged to 20, in the middle of 28 x 28."""
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    ink = Image.fromarray((image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] * 15.9).astype(np.uint8))
    scale = 20 / max(ink.size)
    ink = ink.resize((round(ink.width * scale), round(ink.height * scale)), Image.Resampling.NEAREST)
    square = Image.new("L", (28, 28))
    square.paste(ink, ((28 - ink.width) // 2, (28 - ink.height) // 2))
    return np.asarray(square)


@pytest.fixture(scope="module")
def like_mnist():
    """Real digits, scaled as those of MNIST."""
    digits = load_digits()
    return as_dataset((np.stack([in_box(image) for image in digits.images[:300]]), digits.target[:300]))


def test_digits_in_a_box_of_20_pixels_are_like_mnist(like_mnist):
    assert is_like_mnist(like_mnist)


def test_other_images_are_not(like_mnist):
    pixels = like_mnist.train.images.numpy()
    train = lambda images: replace(like_mnist.train, stored=torch.from_numpy(images), rows=None,    # noqa: E731
                                   stored_labels=like_mnist.train.labels)
    assert not is_like_mnist(replace(like_mnist, train=train(255 - pixels)))                        # dark ink
    assert not is_like_mnist(replace(like_mnist, train=train(pixels[:, :, ::2, ::2])))              # 14 x 14
    assert not is_like_mnist(replace(like_mnist, classes=tuple("abcdefghij")))
    assert not is_like_mnist(replace(like_mnist, name="fashion-mnist"))     # the name says what the images are


def test_the_extent_of_used_places():
    used = torch.tensor([[0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]).bool()
    assert extent(used).tolist() == [3, 5, 0, 1]


def test_the_bundled_digits_fill_their_image():
    data = load_dataset("digits")
    assert not is_like_mnist(replace(data, name="./digits.npz"))


def test_a_run_on_such_a_file_reads_pictures_as_one_on_mnist(like_mnist, digits_recipe, tmp_path):
    train, test = like_mnist.train, like_mnist.test
    np.savez(tmp_path / "own.npz", x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    run = featherweight.train(digits_recipe(data={"dataset": str(tmp_path / "own.npz")}), tmp_path / "run", quiet=True)
    assert run.result["picture"] == specification_of("mnist", 1, 28).to_dict()
