"""A run as a function of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import featherweight
import featherweight.examination
from featherweight.data import load_dataset
from featherweight.errors import FeatherweightError, PictureError, RunError
from featherweight.evaluation import score
from featherweight.inference import Predictor
from featherweight.inference.predictor import rank


def save(image, path, scale=1, invert=False):
    pixels = 255 - image if invert else image
    Image.fromarray(pixels).resize((28 * scale, 28 * scale)).save(path)
    return path


def test_pictures_of_test_images_get_the_accuracy_that_the_test_set_got(digits_run, tmp_path):
    dataset = load_dataset("digits")
    predictor, right = Predictor(digits_run), 0
    for index, (image, label) in enumerate(zip(dataset.test.images[:60], dataset.test.labels[:60], strict=True)):
        answer = predictor.predict(save(image[0].numpy(), tmp_path / f"{index}.png")).answers["class"]
        right += answer[0][0] == str(int(label))
    assert right / 60 == pytest.approx(digits_run.result["test"]["class"]["accuracy"], abs=0.07)
    assert right / 60 > 0.85


def test_a_picture_is_answered_exactly_as_the_evaluation_answers_its_image(digits_run, tmp_path):
    dataset = load_dataset("digits")
    image = dataset.test.images[0]
    predictor = Predictor(digits_run)
    ours = predictor.predict(save(image[0].numpy(), tmp_path / "a.png"), top=10).answers["class"]
    mean, std = digits_run.result["mean"][0], digits_run.result["std"][0]
    with torch.no_grad():
        probabilities = predictor.network.module((image[None].float() / 255 - mean) / std).exp()[0]
    assert probabilities.sort(descending=True).values.tolist() == pytest.approx([p for _, p in ours], abs=1e-6)
    assert ours[0][0] == str(int(probabilities.argmax()))


def test_dark_on_light_gets_the_same_answer(digits_run, tmp_path):
    image = load_dataset("digits").test.images[3, 0].numpy()
    predictor = Predictor(digits_run)
    light, dark = (predictor.predict(save(image, tmp_path / f"{i}.png", invert=i)).answers for i in (False, True))
    assert light == dark


def test_three_classes_most_probable_first(digits_run, tmp_path):
    path = save(load_dataset("digits").test.images[0, 0].numpy(), tmp_path / "a.png")
    (prediction,) = featherweight.predict(digits_run.path, [path])
    shares = [share for _, share in prediction.answers["class"]]
    assert len(shares) == 3 and shares == sorted(shares, reverse=True) and sum(shares) <= 1 + 1e-6
    assert prediction.to_dict()["class"][0]["class"] == prediction.answers["class"][0][0]


def test_digit_sum_answers_both_heads(sum_run, tmp_path):
    path = save(load_dataset("digits").test.images[0, 0].numpy(), tmp_path / "a.png")
    answers = Predictor(sum_run).predict(path, number=7).answers
    assert set(answers) == {"digit", "sum"}
    assert all(0 <= int(name) <= 18 for name, _ in answers["sum"])


@pytest.mark.parametrize("number", [None, -1, 10])
def test_digit_sum_needs_a_number(sum_run, number):
    with pytest.raises(FeatherweightError, match=r"Give number=\."):
        Predictor(sum_run).predict("x.png", number=number)


def test_classification_takes_no_number(digits_run):
    with pytest.raises(FeatherweightError, match="Leave number= out"):
        Predictor(digits_run).predict("x.png", number=3)


def test_a_blank_picture_is_named(digits_run, tmp_path):
    Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
    with pytest.raises(PictureError, match=r"blank\.png.*blank"):
        Predictor(digits_run).predict(tmp_path / "blank.png")


def test_an_unfinished_run_says_how_to_finish_it(digits_run, tmp_path):
    (tmp_path / "recipe.toml").write_text((digits_run.path / "recipe.toml").read_text())
    with pytest.raises(RunError, match="resume=True"):
        Predictor(tmp_path)


def test_names_are_escaped_in_notebooks(digits_run):
    prediction = featherweight.inference.Prediction("<b>.png", {"class": [("<i>", 0.5)]})
    assert "<b>" not in prediction._repr_html_() and "&lt;i&gt;" in prediction._repr_html_()


def test_rank_never_names_an_output_without_a_label():
    ranked = rank(np.array([0.1, 0.2], np.float32), ["a", "b"], top=3)
    assert ranked == [("b", pytest.approx(0.2)), ("a", pytest.approx(0.1))]


def test_evaluation_equals_the_record(digits_run):
    again = featherweight.examination.evaluate(digits_run)
    assert again["class"].to_dict() == digits_run.result["test"]["class"]
    assert score(torch.log(torch.tensor([[0.5, 0.5]])), torch.tensor([0])).loss == pytest.approx(np.log(2))


def test_a_prediction_tells_if_it_is_doubted(digits_run):
    image = load_dataset("digits").test.images[0, 0].numpy()
    sure = Predictor(digits_run.path).read("x", Image.fromarray(image).resize((150, 150)))[0]
    assert not sure.doubted and sure.to_dict()["doubted"] is False


def test_answers_that_are_no_numbers_are_a_fault(digits_run):
    predictor = Predictor(digits_run.path)
    with torch.no_grad():
        for parameter in predictor.network.module.parameters():
            parameter.fill_(torch.nan)
    drawn = Image.new("L", (28, 28))
    drawn.paste(255, (12, 4, 16, 24))
    with pytest.raises(RunError, match="predicts class with NaN or infinity"):
        predictor.read("a", drawn)
