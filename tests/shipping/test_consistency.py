"""Networks whose answer cannot be trusted are refused in one line, before a file is written."""

from __future__ import annotations

import numpy as np
import pytest

from featherweight.errors import ExportError
from featherweight.shipping.consistency import check_form
from featherweight.shipping.forms import Form
from featherweight.shipping.proof import Questions


@pytest.mark.parametrize(("name", "words"), [
    ("AlwaysDropped", ["F.dropout is active in evaluation (odd_networks.py:", "F.dropout(x, 0.2, self.training)"]),
    ("DroppedByAHiddenLayer", ["F.dropout is active in evaluation (odd_networks.py:", "in __init__"]),
    ("Noisy", ["randn_like draws random numbers in evaluation (odd_networks.py:"]),
])
def test_random_answers_are_refused_with_their_line(name, words, odd_run, refused, tmp_path):
    for form in ("onnx", "c"):
        refused("export", odd_run(name).path, "--to", form, "--out", tmp_path / "out",
                words=["differently each time", *words])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "words"), [
    ("SoftOverTheBatch", ["depend on the other images in the batch", "dim=0"]),
    ("MapStatistics", ["depend on the other images in the batch", "track_running_stats=False"]),
    ("LessTheMean", ["depend on the other images in the batch", "mean over dim 0"]),
    ("BatchStatistics", ["one image alone", "track_running_stats=True"]),
])
def test_answers_that_depend_on_the_batch_are_refused(name, words, odd_run, refused, tmp_path):
    for form in ("onnx", "bundle", "c"):
        refused("export", odd_run(name).path, "--to", form, "--out", tmp_path / "out", words=words)
    assert not (tmp_path / "out").exists()


def test_a_form_that_answers_by_the_batch_is_refused_and_names_itself():
    """torch may be right and a form wrong: here one that gives every image the answer of the batch's first."""
    images = np.arange(40, dtype=np.uint8).reshape(10, 1, 2, 2)

    def first(given, numbers=None):
        return {"class": np.repeat(softened(given[:1]), len(given), axis=0)}

    questions = Questions(images, None, {"class": np.zeros(10, np.int64)})
    with pytest.raises(ExportError, match=r"^c gives outputs that depend on the other images in the batch"):
        check_form(Form("c", True, {}, probabilities=first), questions)
    check_form(Form("c", True, {}, probabilities=lambda given, numbers=None: {"class": softened(given)}), questions)


def softened(images):
    """(N, 2) probabilities that differ by image."""
    share = images.reshape(len(images), -1)[:, :1] / 255
    return np.concatenate([share, 1 - share], axis=1)
