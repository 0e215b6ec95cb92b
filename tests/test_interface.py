"""The Python interface: objects in, runs that show themselves out, and faults in Python's words."""

from __future__ import annotations

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import featherweight
from featherweight import Recipe, progress, runs
from featherweight.data import as_dataset, dataset_from_sample, save_sample
from featherweight.errors import DataError, FeatherweightError, PictureError, RecipeError, RunError
from featherweight.interface.training import settle
from featherweight.report.drawing import KINDS

DIGITS = load_digits()
PAIR = (DIGITS.images, DIGITS.target)
QUICK = {"training.epochs": 2, "training.precision": "float32", "data.size": 28}


@pytest.fixture(scope="module")
def own_run(tiny_model, tmp_path_factory) -> featherweight.Run:
    """The tiny network trained on arrays, its folder moved to another place."""
    folder = tmp_path_factory.mktemp("interface")
    run = featherweight.train(model=tiny_model, data=PAIR, settings=QUICK, out=folder / "run", quiet=True)
    return featherweight.Run(shutil.move(run.path, folder / "elsewhere"))


# ---- training ----


def test_a_run_on_arrays_says_what_it_was_trained_on(own_run):
    dataset = as_dataset(PAIR, size=28)
    assert own_run.result["dataset"] == own_run.recipe.data.dataset == dataset.name
    source = "arrays given in Python (floats from 0 to 16, mapped to 0..255), a fifth of each class drawn for test"
    assert own_run.environment["data"] == source
    assert (own_run.recipe.name, own_run.recipe.schedule.name, own_run.recipe.training.batch_size) == \
        ("mine", "one-cycle", 32)
    assert len(own_run.history) == 2 and own_run.accuracy > 0.5


def test_the_same_data_by_name_and_as_objects_give_the_same_network(tiny_model, tmp_path):
    digits = featherweight.load_dataset("digits")
    settings = ["training.epochs=1", "training.precision=float32"]
    loaders = tuple(DataLoader(TensorDataset(split.images, split.labels), batch_size=9, shuffle=True)
                    for split in (digits.train, digits.test))
    given = {"name": "digits", "pair": tuple((split.images, split.labels) for split in (digits.train, digits.test)),
             "loaders": loaders}
    recipe = Recipe.from_dict({"name": "same", "model": {"name": tiny_model}})
    found = [featherweight.train(recipe, tmp_path / kind, data=data, settings=settings, quiet=True)
             for kind, data in given.items()]
    weights = [run.weights() for run in found]
    assert all(torch.equal(weights[0][key], other[key]) for other in weights[1:] for key in weights[0])
    assert [run.recipe.data.dataset for run in found[1:]] == [as_dataset(given["pair"]).name] * 2


def test_a_model_replaces_that_of_a_recipe_and_settings_come_last(tiny_model):
    found = settle("session6", tiny_model, "digits", {"training.epochs": 3, "model.arguments.width": 2})
    settled, dataset = found.recipe, found.dataset
    assert (settled.model.name, settled.model.arguments, settled.data.dataset) == (tiny_model, {"width": 2}, "digits")
    assert (settled.training.epochs, settled.name, dataset) == (3, "session6", None)
    again = settle(settled, None, None, "training.seed=7").recipe
    assert again.training.seed == 7 and again.model == settled.model


def test_the_defaults_move_handwriting_and_nothing_else(tiny_model):
    moved, given = settle(None, tiny_model, "mnist", ()).recipe, settle(None, tiny_model, PAIR, {"optimizer.lr": 0.03})
    still = given.recipe
    assert (moved.augmentation.rotation, moved.training.batch_size, moved.training.epochs) == (7, 128, 15)
    assert (still.augmentation.rotation, still.training.batch_size, still.optimizer.lr) == (0, 32, 0.03)
    assert still.optimizer.name == moved.optimizer.name == "muon"
    assert still.data.dataset == given.dataset.name


def test_a_recipe_that_sets_the_size_has_arrays_resized(tiny_model):
    recipe = Recipe.from_dict({"name": "sized", "model": {"name": tiny_model}, "data": {"size": 12, "channels": 3}})
    assert settle(recipe, None, PAIR, ()).dataset.train.images.shape[1:] == (3, 12, 12)


def test_arrays_are_resized_to_what_the_network_takes_and_it_is_said(network_file):
    large = settle(None, "session7-model2", PAIR, ())
    assert (large.recipe.data.channels, large.recipe.data.size) == (1, 28)
    assert large.dataset.name == as_dataset(PAIR, size=28).name
    assert large.notes == ("session7-model2 takes images of 1x28x28, so those of 1x8x8 are resized",)
    file = network_file("""from torch import nn


class Any(nn.Sequential):
    def __init__(self, channels=1):
        super().__init__(nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))


class Colour(Any):
    def __init__(self):
        super().__init__(3)
""")
    small, colour = (settle(None, f"{file}:{name}", PAIR, ()) for name in ("Any", "Colour"))
    assert (small.recipe.data.size, small.notes) == (8, ())
    assert (colour.recipe.data.channels, colour.recipe.data.size) == (3, 32)


def test_resume_gives_the_finished_run(own_run, tiny_model):
    again = featherweight.train(model=tiny_model, data=PAIR, settings=QUICK, out=own_run.path, resume=True, quiet=True)
    assert again == own_run
    with pytest.raises(RunError, match=r"another data\.dataset"):
        featherweight.train(model=tiny_model, data=(DIGITS.images[::-1], DIGITS.target), settings=QUICK,
                            out=own_run.path, resume=True, quiet=True)


def test_a_run_is_trained_on_from_its_weights(own_run, tmp_path):
    settings = {"training.epochs": 1, "optimizer.lr": 1e-6}
    more = featherweight.train(start=own_run, data=PAIR, settings=settings, out=tmp_path / "more", quiet=True)
    assert more.recipe.training.start == str(own_run.path) and more.recipe.data.dataset == own_run.result["dataset"]
    assert more.accuracy == pytest.approx(own_run.accuracy, abs=0.02)     # hardly moved
    with pytest.raises(DataError, match=r"arrays that were given in Python.*with data="):
        featherweight.train(start=own_run, out=tmp_path / "other", quiet=True)


FAULTS = {
    "nothing": ({}, RecipeError, r"featherweight\.train\('session6'\), or a network with model="),
    "a class": ({"recipe": torch.nn.Linear}, RecipeError, r"Linear is no recipe\. Give a network as model=Linear"),
    "a number": ({"recipe": 3}, RecipeError, r"int is no recipe\. Give a name"),
    "data": ({"recipe": "session6", "data": 3}, DataError, r"data: 3 is no data set\. Give \(images, labels\)"),
    "labels": ({"recipe": "session6", "data": (DIGITS.images, [1])}, DataError, "1 training labels for 1,797 images"),
    "setting": ({"recipe": "session6", "settings": "training.epochs"}, RecipeError,
                r"settings=\['training.epochs'\] is not section\.key=value"),
    "section": ({"recipe": "session6", "settings": {"trainig.epochs": 1}}, RecipeError, "Did you mean 'training'"),
    "upright": ({"recipe": "feather-8k", "data": PAIR}, DataError, "settings=\\['data.upright=false'\\]"),
    "device": ({"recipe": "session7-model2", "data": "digits", "device": "mps"}, FeatherweightError, "device='auto'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_speak_of_arguments(fault, tmp_path):
    given, kind, words = FAULTS[fault]
    with pytest.raises(kind, match=words) as caught:
        featherweight.train(**given, out=tmp_path / "run", quiet=True)
    assert "--" not in str(caught.value) and not (tmp_path / "run").exists()


def test_a_finished_run_is_not_replaced_unless_forced(own_run, tiny_model):
    with pytest.raises(RunError, match=r"finished run: force=True replaces it, out= takes another folder"):
        featherweight.train(model=tiny_model, data=PAIR, out=own_run.path, quiet=True)


# ---- a run ----


def test_a_folder_that_is_no_run_is_refused_at_once(tmp_path):
    for path in ("/nope", tmp_path):
        with pytest.raises(RunError, match=r"Make one with: featherweight\.train\(RECIPE, out="):
            featherweight.Run(path)


def test_a_run_away_from_its_arrays_is_measured_again(own_run):
    again, recorded = own_run.evaluate()["class"].to_dict(), dict(own_run.result["test"]["class"])
    assert again.pop("recall") == recorded.pop("recall") and again == pytest.approx(recorded)
    whole = own_run.evaluate(PAIR)["class"]
    assert whole.count == 1797 and whole.accuracy > 0.5
    assert own_run.evaluate({"train": PAIR, "test": (DIGITS.images[:50], DIGITS.target[:50])})["class"].count == 50
    assert own_run.evaluate("digits")["class"].count == 360
    with pytest.raises(DataError, match="hold 10, and the classes are 0 to 9"):
        own_run.evaluate((DIGITS.images, DIGITS.target + 1))


def test_a_run_keeps_all_test_images_and_a_thousand_others(own_run):
    kept, dataset = own_run.examine().dataset, as_dataset(PAIR, size=28)
    assert torch.equal(kept.test.images, dataset.test.images) and torch.equal(kept.test.labels, dataset.test.labels)
    assert len(kept.train) == 1000 and kept.source.endswith("of which the run keeps 1,000 of 1,438 training images")
    same = dataset_from_sample(*save_sample(kept))
    assert (same.name, same.classes, same.mean, same.std, same.span) == \
        (dataset.name, dataset.classes, dataset.mean, dataset.std, dataset.span)
    known = {image.tobytes() for image in dataset.train.images.numpy()}
    assert all(image.tobytes() in known for image in kept.train.images.numpy())


def test_a_damaged_sample_is_one_line(own_run):
    tensors, text = save_sample(own_run.examine().dataset)
    del tensors["test.labels"]
    with pytest.raises(DataError, match=r"the data in the run are damaged: KeyError.*data="):
        dataset_from_sample(tensors, text)


def test_a_run_on_named_data_keeps_none(digits_run):
    assert not (digits_run.path / "data.safetensors").exists()
    assert "data.safetensors" in runs.FILES


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_draws_every_kind(own_run, kind):
    assert own_run.plot(kind)._repr_png_().startswith(b"\x89PNG")


def test_a_run_says_and_shows_what_it_gave(own_run):
    right, count = own_run.result["test"]["class"]["correct"], own_run.result["test"]["class"]["count"]
    assert own_run.verdict.startswith(f"test {100 * right / count:.2f} % ({right} of {count}; 95 % interval ")
    assert own_run.verdict.startswith("test ") and "goal" not in own_run.verdict
    shown = own_run._repr_html_()
    assert own_run.result["model"] in shown and "<svg" in shown and "epoch 2: train" in shown
    worst = own_run.mistakes(3)
    assert len(worst) == 3 and all(mistake.truth != mistake.ranked[0][0] for mistake in worst)
    network = own_run.model()
    assert isinstance(network, torch.nn.Module) and not network.training


def test_a_run_is_reported_and_exported_without_its_arrays(own_run, tmp_path):
    page = own_run.report()
    assert page == own_run.path / "report.html" and own_run.result["dataset"] in page.read_text()
    shipped = own_run.export("onnx-int8", tmp_path / "ship")
    assert shipped["test_images"] == 359 and shipped["verdict"]["agrees"]
    with pytest.raises(FeatherweightError, match="holds an export: force=True replaces it"):
        own_run.export("onnx", tmp_path / "ship")
    with pytest.raises(FeatherweightError, match=r"int8=True goes with to='c', not with to='onnx'"):
        own_run.export("onnx", tmp_path / "other", int8=True)


def test_an_unfinished_run_shows_how_far_it_is(own_run, tmp_path):
    shutil.copytree(own_run.path, tmp_path / "half")
    (tmp_path / "half" / "result.json").unlink()
    run = featherweight.Run(tmp_path / "half")
    assert "<td>2 of 2</td>" in run._repr_html_()
    with pytest.raises(RunError, match=r"Continue it with: featherweight\.train\(.*resume=True\)"):
        _ = run.accuracy


# ---- predicting ----


def test_one_picture_gives_one_answer_and_several_a_list(own_run, tmp_path):
    image = as_dataset(PAIR, size=28).test.images[0]
    Image.fromarray(image[0].numpy()).save(tmp_path / "a.png")
    alone = own_run.predict(tmp_path / "a.png")
    assert alone == own_run.predict(str(tmp_path / "a.png")) and alone.picture == str(tmp_path / "a.png")
    for one in (image, image[0], image.numpy(), np.moveaxis(image.numpy(), 0, -1), Image.open(tmp_path / "a.png")):
        assert own_run.predict(one).answers == alone.answers
    Image.fromarray(255 - image[0].numpy()).save(tmp_path / "b.png")
    for several in ([tmp_path / "a.png", tmp_path / "b.png"], tmp_path, str(tmp_path / "*.png")):
        assert [one.picture[-5:] for one in own_run.predict(several)] == ["a.png", "b.png"]
    for one in own_run.predict([image, tmp_path / "a.png"]):
        assert dict(one.answers["class"]) == pytest.approx(dict(alone.answers["class"]), abs=1e-5)


def test_arrays_are_read_on_the_scale_of_the_training_images(own_run):
    dataset = as_dataset(PAIR)
    place = next(n for n, image in enumerate(DIGITS.images)
                 if np.array_equal(np.rint(image * 255 / 16), dataset.test.images[0, 0].numpy()))
    raw, same = own_run.predict(DIGITS.images[place]), own_run.predict(dataset.test.images[0])
    assert raw.answers == same.answers
    assert [one.answers.keys() for one in own_run.predict(DIGITS.images[:70])] == [raw.answers.keys()] * 70


def test_floats_for_a_run_on_bytes_are_shares_or_levels(digits_run):
    image = featherweight.load_dataset("digits").test.images[3]
    answers = digits_run.predict(image).answers
    assert digits_run.predict(image.float()).answers == digits_run.predict(image / 255).answers == answers
    with pytest.raises(PictureError, match=r"values from -0\.42.* to .*undo a normalisation"):
        digits_run.predict((image / 255 - 0.1307) / 0.3081)


@pytest.mark.parametrize(("given", "words"), [
    (7, "pictures: int is no picture. Give a path"), ([7], "item 0 is of type int"),
    (np.zeros((5, 6, 7, 8)), "image 0 has 6 channels"),
    (np.full((8, 8), np.nan), "NaN or infinity"), (np.array([["a"]]), "dtype <U1"), ("gone.png", "does not exist"),
    (Image.new("L", (2, 2)), "image 0 has 2 x 2 pixels"),
])
def test_what_is_no_picture_is_one_line(own_run, given, words):
    with pytest.raises(PictureError) as caught:
        own_run.predict(given)
    assert words in str(caught.value) and "\n" not in str(caught.value)


# ---- watching and showing ----


def test_quiet_says_nothing_and_else_an_epoch_is_a_line(tiny_model, tmp_path, capsys):
    for quiet in (True, False):
        featherweight.train(model=tiny_model, data="digits", settings={"training.epochs": 1}, out=tmp_path / str(quiet),
                            quiet=quiet)
        said = capsys.readouterr()
        assert said.out == "" and len(said.err.splitlines()) == (0 if quiet else 2)
    assert said.err.splitlines()[1].startswith("epoch 1/1  lr ")


def test_a_notebook_gets_one_output_that_is_drawn_again(tiny_model, tmp_path, monkeypatch, capsys):
    shown = []
    handle = SimpleNamespace(update=shown.append)
    display = SimpleNamespace(display=lambda content, display_id: shown.append(content) or handle)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1)))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert isinstance(progress.progress(), progress.NotebookProgress)
    featherweight.train(model=tiny_model, data="digits", settings={"training.epochs": 2}, out=tmp_path / "run")
    assert capsys.readouterr().err == ""
    lines = shown[-1].splitlines()
    assert [line[:9] for line in lines[1:]] == ["epoch 1/2", "epoch 2/2"]
    assert any("░" in content and "loss" in content for content in shown)
    assert shown[-1]._repr_html_().startswith("<pre>mine: ")


def test_a_data_set_shows_a_few_images_of_each_class():
    dataset = as_dataset(PAIR)
    shown = dataset._repr_html_()
    assert repr(dataset).startswith(f"{dataset.name}: 1,438 training and 359 test images, ")
    assert "1,438 training and 359 test images, arrays given in Python" in shown and "data:image/png;base64," in shown
