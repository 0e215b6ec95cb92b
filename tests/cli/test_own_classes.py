"""Pictures of one's own on the command line: damage, odd shapes, skipped files, goals that name a chip."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from featherweight.recipe import Recipe

TRAIN = ["train", "words:c4 s8 p g h", "--set", "name=own", "--set", "training.epochs=1", "--batch-size", "8"]
GELU = """from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, 10))
"""


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of two unbalanced classes with two damaged pictures of 26, in shapes of all kinds."""
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pictures"
    for name, count, ink in (("dot", 20, 250), ("ring", 6, 120)):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.full((30 + 5 * (index % 3), 30 + 7 * (index % 4)), 20, np.uint8)
            pixels[8:20, 8:20] = ink
            Image.fromarray(pixels).save(folder / name / f"{index:02}.png")
    for name in ("dot/03.png", "ring/02.png"):
        (folder / name).write_bytes(b"no picture")
    return folder


def test_damaged_pictures_are_listed_and_with_the_option_skipped_and_counted(pictures, run_command, tmp_path):
    command = [*TRAIN, "--data", pictures, "--out", tmp_path / "run"]
    code, out, fault = run_command(*command)
    assert (code, out) == (2, "") and "2 of 26 pictures cannot be read" in fault and "--skip-damaged" in fault
    assert str(pictures / "dot" / "03.png") in fault and str(pictures / "ring" / "02.png") in fault
    assert not (tmp_path / "run").exists()
    code, out, fault = run_command(*command, "--skip-damaged", "--set", "training.balance=class-weights")
    assert code == 0 and "2 damaged pictures are skipped; environment.json lists them." in " ".join(out.split())
    assert "note: 2 damaged pictures" in fault
    assert "the classes are unbalanced" in fault and "recall   macro average" in out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["skipped"]["count"] == 2 == len(environment["skipped"]["pictures"])
    assert result["train_images"] + result["test"]["class"]["count"] == 24
    assert "2 damaged pictures are skipped" in (tmp_path / "run" / "report.html").read_text()
    again = json.loads(run_command("evaluate", tmp_path / "run", "--json")[1])
    assert again["as_recorded"] and again["test"] == result["test"]
    assert "class, recall   macro average" in run_command("evaluate", tmp_path / "run")[1]


def test_odd_shapes_are_kept_by_the_run_the_bundle_and_prediction(pictures, run_command, tmp_path):
    run = tmp_path / "run"
    assert run_command(*TRAIN, "--data", pictures, "--skip-damaged", "--no-report", "--out", run)[0] == 0
    assert json.loads((run / "result.json").read_text())["picture"]["fit"] == "letterbox"
    assert run_command("export", run, "--to", "bundle", "--out", tmp_path / "bundle")[0] == 0
    card = json.loads((tmp_path / "bundle" / "card.json").read_text())
    assert card["picture"]["fit"] == "letterbox" and "its shape stays" in (tmp_path / "bundle" / "card.md").read_text()
    assert run_command("export", run, "--to", "c", "--out", tmp_path / "c")[0] == 0
    assert "keeps its shape" in (tmp_path / "c" / "featherweight_model.h").read_text()
    wide = pictures / "dot" / "01.png"
    answers = [json.loads(run_command("predict", place, wide, "--json")[1]) for place in (run, tmp_path / "bundle")]
    for one, other in zip(answers[0][0]["class"], answers[1][0]["class"], strict=True):
        assert one["class"] == other["class"] and one["probability"] == pytest.approx(other["probability"], abs=1e-3)


def test_a_run_of_an_earlier_version_still_stretches(pictures, run_command, tmp_path, reseal):
    run = tmp_path / "run"
    command = [*TRAIN, "--data", pictures, "--skip-damaged", "--no-report", "--set", "data.fit=stretch"]
    assert run_command(*command, "--out", run)[0] == 0
    text = (run / "recipe.toml").read_text()
    assert 'fit = "stretch"\n' in text
    (run / "recipe.toml").write_text(text.replace('fit = "stretch"\n', ""))
    result = json.loads((run / "result.json").read_text())
    assert "fit" not in result["picture"]
    assert reseal(run).recipe.data.fit == "stretch" == Recipe.load(run / "recipe.toml").data.fit
    assert json.loads(run_command("evaluate", run, "--json")[1])["as_recorded"]
    assert Recipe.load("session6").data.fit == "letterbox"


def test_predict_names_what_it_skipped_in_a_folder(digits_run, run_command, tmp_path):
    pixels = np.zeros((28, 28), np.uint8)
    pixels[5:22, 12:16] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for name in ("list.txt", "b.mov", ".hidden"):
        (tmp_path / name).write_text("x")
    code, out, fault = run_command("predict", digits_run.path, tmp_path)
    assert code == 0 and "a.png" in out
    assert f"{tmp_path}: 2 files are no picture and skipped: b.mov, list.txt" in fault and "hidden" not in fault


def test_predict_says_what_a_heic_picture_needs(digits_run, run_command, tmp_path, monkeypatch):
    import sys
    from pathlib import Path

    from featherweight.picture_files import formats

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    formats.cache_clear()
    shutil.copy(Path(__file__).parents[1] / "data" / "red.heic", tmp_path / "photo.heic")
    code, _, fault = run_command("predict", digits_run.path, tmp_path)
    formats.cache_clear()
    assert code == 2 and "photo.heic' is a HEIC picture, which needs pillow-heif" in fault and "[heic]" in fault


CHIP = ["--set", "data.dataset=digits", "--no-report", "--set", "training.epochs=1"]


def test_a_goal_that_names_a_chip_is_judged_by_the_c_code(run_command, tmp_path):
    goal = ["--set", "goal.max_ram=100000", "--set", "goal.max_flash=1"]
    code, out, fault = run_command("train", "words:c4 g h", *CHIP, *goal, "--out", tmp_path / "run", "--json")
    result = json.loads(out)
    assert code == 0 and result["goal"]["missed"] == ["max_flash"] and result["code"]["form"] == "int8"
    assert "the C code (int8) needs" in fault and "more than goal.max_flash 1." in fault
    assert run_command("export", tmp_path / "run", "--to", "c", "--int8", "--out", tmp_path / "c")[0] == 0
    shipped = json.loads((tmp_path / "c" / "ship.json").read_text())
    assert (shipped["ram"], shipped["flash"]) == (result["code"]["ram"], result["code"]["flash"])
    seeds = run_command("train", "words:c4 g h", *CHIP, *goal, "--seeds", "2", "--out", tmp_path / "runs", "--json")
    assert json.loads(seeds[1])["goal"]["missed"] == ["max_flash"]


def test_what_c_cannot_take_is_said_before_training_by_the_name_and_class_of_the_layer(run_command, refused, tmp_path):
    (tmp_path / "net.py").write_text(GELU)
    command = ["train", f"{tmp_path / 'net.py'}:Net", *CHIP, "--out", tmp_path / "run"]
    refused(*command, "--set", "goal.max_flash=100000",
            words=["goal.max_flash asks for C in int8, but layer 1 (GroupNorm) cannot go into int8",
                   "set goal.code=float"])
    assert not (tmp_path / "run").exists()
    code, _, _ = run_command(*command, "--set", "goal.max_flash=100000", "--set", "goal.code=float")
    assert code == 0
    code, _, fault = run_command("export", tmp_path / "run", "--to", "c", "--int8", "--out", tmp_path / "c")
    assert code == 2 and "featherweight: layer 1 (GroupNorm) cannot go into int8" in fault


def test_a_table_is_read_once_and_again_when_it_changes(tmp_path, monkeypatch):
    from featherweight.data import load_dataset

    file, cache = tmp_path / "train.csv", tmp_path / "cache"
    rows = ["label," + ",".join(f"pixel{place}" for place in range(16))]
    rows += [f"{row % 2}," + ",".join(str((row * 7 + place) % 256) for place in range(16)) for row in range(20)]
    file.write_text("\n".join(rows))
    first = load_dataset(str(file), size=4, cache_dir=cache)
    with monkeypatch.context() as patch:
        patch.setattr("featherweight.data.reading.finished", None)      # a second reading would fail
        again = load_dataset(str(file), size=4, cache_dir=cache)
    assert (again.train.images == first.train.images).all() and (again.test.labels == first.test.labels).all()
    assert (again.classes, again.source, again.mean) == (first.classes, first.source, first.mean)
    (kept,) = (cache / "tables").iterdir()
    kept.write_bytes(kept.read_bytes()[:-30])
    assert len(load_dataset(str(file), size=4, cache_dir=cache).train) == len(first.train)
    file.write_text("\n".join(rows[:-4]))
    assert len(load_dataset(str(file), size=4, cache_dir=cache).train) < len(first.train)


def test_a_network_with_more_outputs_than_classes_goes_into_int8(run_command, tmp_path):
    command = ["train", "session7-model2", *CHIP, "--set", "data.size=32", "--out", tmp_path / "run"]
    code, _, fault = run_command(*command)
    assert code == 0 and "has 90 outputs for 10 classes" in fault
    for form in (["onnx-int8"], ["c", "--int8"]):
        code, out, fault = run_command("export", tmp_path / "run", "--to", *form, "--out", tmp_path / form[0])
        assert code in (0, 1) and "against torch on 360 test images" in out, fault
        document = json.loads((tmp_path / form[0] / "ship.json").read_text())
        assert document["verdict"]["agrees"] and document["verdict"]["interval"]


def test_few_pictures_are_trained_in_small_batches(pictures, run_command, tmp_path):
    command = ["train", "words:c4 g h", "--data", pictures, "--skip-damaged", "--epochs", "1", "--no-report"]
    assert run_command(*command, "--out", tmp_path / "run")[0] == 0
    assert Recipe.load(tmp_path / "run" / "recipe.toml").training.batch_size == 32
    assert run_command(*command, "--batch-size", "4", "--out", tmp_path / "four")[0] == 0
    assert Recipe.load(tmp_path / "four" / "recipe.toml").training.batch_size == 4
