"""--data PATH and --data-dir DIR on the command line: data are taken as they are, and wrong places are refused."""

from __future__ import annotations

import json

import digit_files
import numpy as np
import pytest

DIGITS = digit_files.real_digits()
TRAIN = ["train", "session7-model2", "--set", "training.epochs=1", "--set", "training.batch_size=30", "--no-report"]


def test_a_run_on_a_file_is_trained_and_evaluated(run_command, tmp_path):
    file = tmp_path / "mnist.npz"
    np.savez(file, x_train=DIGITS.train, y_train=DIGITS.train_labels, x_test=DIGITS.test, y_test=DIGITS.test_labels)
    code, out, _ = run_command(*TRAIN, "--data", file, "--out", tmp_path / "run", "--json")
    result = json.loads(out)
    assert code == 0 and result["dataset"] == str(file) and result["train_images"] == 60
    assert not (tmp_path / "run" / "data.safetensors").exists()
    again = json.loads(run_command("evaluate", tmp_path / "run", "--json")[1])
    (once,), (twice,) = result["test"].values(), again["test"].values()
    assert twice["correct"] == once["correct"] and twice["loss"] == pytest.approx(once["loss"], rel=1e-6)


def test_a_name_in_the_working_folder_is_a_path(run_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digit_files.write_mnist(tmp_path / "mine", DIGITS, packed=True, mark="-")
    code, out, _ = run_command(*TRAIN, "--data", "mine", "--out", "run", "--json")
    assert code == 0 and json.loads(out)["dataset"] == "./mine"
    assert run_command("data", "show", "mine", "--json")[1] == '{\n  "file": "mine.png"\n}\n'


def test_a_validation_folder_is_the_curve(run_command, tmp_path):
    names = [f"{label}_{place}.png" for place, label in enumerate(DIGITS.test_labels)]
    digit_files.write_pictures(tmp_path / "d" / "val", DIGITS.test, names)
    digit_files.write_pictures(tmp_path / "d" / "test", DIGITS.test, names)
    names = [f"{label}_{place}.png" for place, label in enumerate(DIGITS.train_labels)]
    digit_files.write_pictures(tmp_path / "d" / "train", DIGITS.train, names)
    code, out, _ = run_command(*TRAIN, "--data", tmp_path / "d", "--out", tmp_path / "run", "--json")
    result = json.loads(out)
    assert code == 0 and result["curve"] == "validation" and result["train_images"] == 60
    (line,) = map(json.loads, (tmp_path / "run" / "history.jsonl").read_text().splitlines())
    assert line["curve_on"] == "validation"


def test_the_recipe_of_cifar_10_trains_on_its_files(run_command, tmp_path):
    digit_files.write_cifar10(tmp_path / "cifar-10-batches-bin", DIGITS)
    command = ["train", "cifar-10", "--set", "training.epochs=1", "--set", "training.batch_size=30", "--no-report"]
    code, out, _ = run_command(*command, "--data-dir", tmp_path, "--out", tmp_path / "run", "--json")
    result = json.loads(out)
    assert code == 0 and result["classes"][0] == "airplane" and len(result["mean"]) == 3


@pytest.mark.parametrize("name", ["mnist", "digits", "x.npz", "cifar-10"])
@pytest.mark.parametrize("command", [TRAIN, ["data", "show"]])
def test_a_folder_that_does_not_exist_is_refused(refused, tmp_path, name, command):
    given = [*command, *(["--data", name] if command is TRAIN else [name])]
    refused(*given, "--data-dir", tmp_path / "nope", "--out", tmp_path / "new.png",
            words=["--data-dir: ", "nope' is no folder. Name a folder that holds data"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["demo"], ["data"], ["data", "get", "mnist"]])
def test_other_commands_refuse_it_too(refused, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    refused(*arguments, "--data-dir", "nope", words=["--data-dir: 'nope' is no folder."])


def test_a_folder_without_the_data_is_refused(refused, tmp_path):
    refused(*TRAIN, "--data-dir", tmp_path, "--out", tmp_path / "run",
            words=[f"--data-dir: '{tmp_path}' does not hold mnist. Name a folder that holds mnist/"])
