"""A network that answers many images answers one, and whoever asks it: predict, report, evaluation, every export."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from featherweight.data import load_dataset
from featherweight.errors import ModelError
from featherweight.inference.runtime import open_model
from featherweight.inference.trained import TrainedNetwork
from featherweight.shipping import export
from featherweight.tasks import heads_of


@pytest.fixture(scope="module")
def images():
    return load_dataset("digits").test.images[:20].numpy()


@pytest.fixture
def picture(images, tmp_path):
    Image.fromarray(images[0, 0]).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("name", ["Squeezed", "SqueezedLog"])
def test_squeeze_drops_no_image(name, odd_run, images, picture, run_command, tmp_path):
    run = odd_run(name)
    many = TrainedNetwork.open(run).probabilities(images)["class"]
    one = [TrainedNetwork.open(run).probabilities(image[None])["class"] for image in images]
    assert many.shape == (20, 10) and np.abs(np.concatenate(one) - many).max() < 1e-6
    assert run_command("predict", run.path, picture)[0] == 0
    assert run_command("report", run.path)[0] == 0
    for form in ("onnx", "bundle", "c"):
        assert export(run, form, tmp_path / form)["verdict"]["holds"]
    shipped = open_model((tmp_path / "onnx" / "model.onnx").read_bytes())
    alone = [shipped.run(None, {"images": image[None]})[0] for image in images]
    assert np.abs(np.concatenate(alone) - many).max() < 1e-6


def test_a_network_that_cannot_answer_one_image_says_why(odd_run, picture, refused):
    refused("predict", odd_run("BatchStatistics").path, picture, words=["one image alone", "track_running_stats=True"])


def test_heads_keep_one_row_an_image():
    assert [head.shape for head in heads_of((torch.zeros(10), torch.zeros(1, 19)), 1)] == [(1, 10), (1, 19)]
    for outputs, count in ((torch.zeros(10), 10), (torch.zeros(4, 10), 2), (torch.zeros(2, 10, 1), 2)):
        with pytest.raises(ModelError, match="Keep the batch axis"):
            heads_of(outputs, count)
