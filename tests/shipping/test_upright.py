"""A network that knows only upright ink, from its recipe to every form in which it leaves."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from PIL import Image

import featherweight
from featherweight.data import load_dataset
from featherweight.examination import evaluate
from featherweight.inference.picture import prepare
from featherweight.inference.predictor import Predictor
from featherweight.inference.reading import read_picture
from featherweight.report import write_report
from featherweight.shipping import export
from featherweight.upright import upright
from featherweight.words import training_images


@pytest.fixture(scope="module")
def upright_run(digits_recipe, tmp_path_factory):
    """The tiny network on upright digits, trained with Muon."""
    recipe = digits_recipe(
        data={"upright": True}, optimizer={"name": "muon", "lr": 0.05}, schedule={"name": "one-cycle"},
        training={"epochs": 6, "batch_size": 32},
    )
    return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / "upright", device="cpu")


def leaning(count: int) -> np.ndarray:
    """(N, 28, 28) test images as they are."""
    return load_dataset("digits").test.images[:count, 0].numpy()


def test_it_is_trained_and_measured_on_upright_images(upright_run, tmp_path):
    assert upright_run.result["picture"]["upright"] is True
    assert upright_run.result["test"]["class"]["accuracy"] > 0.9
    assert evaluate(upright_run)["class"].correct == upright_run.result["test"]["class"]["correct"]
    assert training_images(upright_run.result) == "digits, 1,437 training images, stood upright"
    write_report([upright_run], tmp_path / "report.html")
    assert "digits, 1,437 training images, stood upright, seed 1" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("int8", [False, True])
def test_the_c_stands_images_upright_itself(upright_run, tmp_path, int8):
    document = export(upright_run, "c", tmp_path / "out", int8=int8)
    found = document["measured"][document["form"]]["heads"]["class"]
    assert int8 or found["disagreements"] == []
    assert document["sanitizers"]["findings"] == 0
    page = (tmp_path / "out" / "ship.md").read_text()
    assert "`featherweight_predict` makes slanted ink upright first" in page
    assert "and may be slanted" in (tmp_path / "out" / "featherweight_model.h").read_text()


def test_the_c_moves_rows_to_the_byte_as_numpy_does(upright_run, tmp_path):
    """The function of an export in a program of its own, on digits, noise, a blank image and one that leans too far."""
    export(upright_run, "c", tmp_path / "out")
    source = (tmp_path / "out" / "featherweight_model.c").read_text().replace("featherweight_predict", "unused")
    (tmp_path / "ask.c").write_text(source + """
#include <stdio.h>
int main(void)
{
    uint8_t image[784];
    while (fread(image, 1, 784, stdin) == 784)
        fwrite(upright(image, 28, 28, standing), 1, 784, stdout);
    return 0;
}
""")
    subprocess.run(["gcc", "-std=c99", f"-I{tmp_path / 'out'}", "-o", tmp_path / "ask", tmp_path / "ask.c", "-lm"],
                   check=True)
    noise = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)
    flat = np.zeros((2, 28, 28), np.uint8)
    flat[1, 13, :9], flat[1, 14, 9:] = 255, 200
    images = np.concatenate([leaning(360), noise, noise * (noise > 240), flat])
    done = subprocess.run([tmp_path / "ask"], input=images.tobytes(), capture_output=True, check=True)
    assert np.array_equal(np.frombuffer(done.stdout, np.uint8).reshape(images.shape), upright(images))


def test_a_picture_and_a_bundle_are_answered_alike(upright_run, tmp_path):
    document = export(upright_run, "bundle", tmp_path / "bundle")
    assert document["measured"]["onnx"]["heads"]["class"]["disagreements"] == []
    assert "until the ink is upright" in (tmp_path / "bundle" / "card.md").read_text()
    run, bundle = Predictor(upright_run), Predictor(tmp_path / "bundle")
    for index, image in enumerate(leaning(10)):
        path = tmp_path / f"{index}.png"
        Image.fromarray(image).resize((112, 112)).save(path)
        ours, theirs = (one.predict(path, top=1) for one in (run, bundle))
        assert ours.answers["class"][0][0] == theirs.answers["class"][0][0]
        seen = prepare(read_picture(path), bundle.card.picture).pixels
        assert np.abs(upright(seen)[0].astype(int) - seen[0]).mean() < 1       # it stands already


def test_onnx_says_that_it_wants_upright_images(upright_run, tmp_path):
    export(upright_run, "onnx", tmp_path / "out")
    assert "with `featherweight.upright.upright`" in (tmp_path / "out" / "ship.md").read_text()
