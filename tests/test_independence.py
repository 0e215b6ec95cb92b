"""Answers that depend on an image's neighbours are found, by themselves and in order; others give exactly 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from featherweight.independence import TOLERANCE, asked, changed_by_neighbours

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 1, 3, 3), dtype=np.uint8)


def logits(images):
    return images.reshape(len(images), -1)[:, :4] / 100.0


def softmax(values, axis):
    powers = np.exp(values)
    return powers / powers.sum(axis=axis, keepdims=True)


def test_an_answer_of_each_image_by_itself_does_not_change():
    assert changed_by_neighbours(lambda images: [softmax(logits(images), 1)], IMAGES) == 0


@pytest.mark.parametrize("answer", [
    lambda images: [softmax(logits(images), 1), softmax(logits(images), 0)],        # the second head
    lambda images: [softmax(logits(images) - logits(images).mean(0), 1)],
    lambda images: [softmax(logits(images) * (np.arange(len(images)) == 0)[:, None], 1)],   # the first one only
])
def test_an_answer_by_the_batch_changes(answer):
    assert changed_by_neighbours(answer, IMAGES) > 100 * TOLERANCE


def test_further_inputs_stay_with_their_images_and_tensors_are_taken():
    numbers = torch.arange(12) % 10

    def answer(images, numbers):
        assert len(images) == len(numbers)
        return [torch.softmax(images.flatten(1)[:, :4].float() / 100 + numbers[:, None] * torch.arange(4), dim=1)]

    assert changed_by_neighbours(answer, torch.tensor(IMAGES), numbers) < 1e-6


def test_batches_come_back_in_the_order_of_the_images():
    [found] = asked(lambda images: [images], [np.arange(5)], [[3, 1], [0, 4, 2], []])
    assert found.tolist() == [0, 1, 2, 3, 4]
