"""The command line as a person meets it: output, exit codes, one line for each fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featherweight import __version__
from featherweight.cli import main

QUICK = ["--set", "data.dataset=digits", "--set", "training.epochs=1", "--device", "cpu", "--no-report"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run folder made by the command itself."""
    out = tmp_path_factory.mktemp("cli") / "run"
    with pytest.raises(SystemExit) as stop:
        main(["train", "session7-model2", *QUICK, "--out", str(out)])
    assert stop.value.code == 0
    return out


def assert_one_line(fault: str, *words: str) -> None:
    assert fault.startswith("featherweight: ") and fault.count("\n") == 1, fault
    for word in words:
        assert word in fault, f"{word!r} not in {fault!r}"


def test_help_and_version(run_command):
    assert run_command("--version") == (0, f"featherweight {__version__}\n", "")
    code, out, _ = run_command("--help")
    assert code == 0 and all(name in out for name in ("train", "summary", "predict", "data", "demo"))
    assert run_command()[1] == out
    assert "--resume" in run_command("train", "--help")[1]


def test_help_imports_nothing_heavy():
    program = "import sys; from featherweight.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    program += "print([name for name in ('torch', 'numpy', 'pydantic', 'sklearn', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_models_lists_the_catalogue(run_command):
    listed = json.loads(run_command("models", "--json")[1])
    assert {m["name"]: m["parameters"] for m in listed}["digit-sum"] == 21_843
    assert len(listed) == 14
    assert "6,379,786" in run_command("models")[1]


def test_recipes_lists_the_recipes(run_command):
    listed = json.loads(run_command("recipes", "--json")[1])
    assert [recipe["name"] for recipe in listed] == sorted(recipe["name"] for recipe in listed)
    assert "session7-model3" in run_command("recipes")[1]


def test_summary_prints_the_documents_table(run_command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run_command("summary", "session6")
    assert code == 0
    assert "Linear-36" in out and "Total params: 16,976" in out and "Estimated Total Size (MB): 0.88" in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_summary_as_json(run_command):
    described = json.loads(run_command("summary", "digit-sum", "--json")[1])
    assert described["model"] == "digit-sum" and described["total_parameters"] == 21_843
    assert described["input_shape"] == [[1, 28, 28], [10]]
    assert described["layers"][0] == {
        "index": 1, "name": "reader.0", "kind": "Conv2d", "output_shape": [10, 26, 26], "parameters": 90,
        "macs": 60_840, "activation_bytes": 27_040, "receptive_field": 3, "jump": 1, "start": 1.5,
    }  # fmt: skip


def test_summary_verifies_to_the_pixel(run_command):
    code, out, _ = run_command("summary", "session7-model2", "--verify")
    assert code == 0 and "24 equal, 0 different" in out
    checks = json.loads(run_command("summary", "session7-model2", "--verify", "--json")[1])["verified"]
    assert [check["verdict"] for check in checks] == ["equal"] * 24


def test_summary_of_an_own_file(run_command, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\nclass Mine(nn.Sequential):\n"
        "    def __init__(self, width=4):\n        super().__init__(nn.Conv2d(3, width, 5))\n"
    )
    mine = f"{tmp_path / 'mine.py'}:Mine"
    described = json.loads(
        run_command("summary", mine, "--input", "3,9,9", "--set", "width=2", "--json")[1]
    )
    assert described["layers"][0]["output_shape"] == [2, 5, 5]
    code, out, note = run_command("summary", mine, "--json")
    assert code == 0 and json.loads(out)["input_shape"] == [3, 32, 32]     # as the first layer takes it
    assert note.count("\n") == 1 and "3x32x32" in note and "--input" in note


def test_train_leaves_a_run_folder(finished):
    assert {"recipe.toml", "history.jsonl", "result.json", "model.safetensors", "checkpoint.safetensors",
            "checkpoint.json", "environment.json"} == {file.name for file in finished.iterdir()}  # fmt: skip


def test_train_prints_json_and_nothing_else(run_command, tmp_path):
    code, out, progress = run_command("train", "session7-model2", *QUICK, "--out", tmp_path / "run", "--json")
    result = json.loads(out)
    assert code == 0 and result["recipe"] == "session7-model2" and result["run"] == str(tmp_path / "run")
    assert result["test"]["class"]["count"] == 360
    assert "epoch 1/1" in progress and "1,437 images of digits" in progress


def test_strict_exits_with_one_when_the_goal_is_missed(run_command, tmp_path):
    command = ["train", "session7-model2", *QUICK, "--set", "goal.accuracy=1.0", "--out", tmp_path / "run"]
    code, out, _ = run_command(*command, "--strict")
    assert code == 1 and "not met" in out and "(missed)" in out
    assert "note batch normalisation has seen 12 steps" in " ".join(out.split())
    assert run_command(*command, "--force")[0] == 0     # without --strict a missed goal is a result like another


def test_an_existing_run_is_never_overwritten(run_command, finished):
    before = {file.name: file.read_bytes() for file in finished.iterdir()}
    code, _, fault = run_command("train", "session7-model2", *QUICK, "--out", finished)
    assert code == 2
    assert_one_line(fault, str(finished), "--force", "--out")
    assert before == {file.name: file.read_bytes() for file in finished.iterdir()}


def test_resume_of_a_finished_run_shows_its_result(run_command, finished):
    code, out, _ = run_command("train", finished / "recipe.toml", "--out", finished, "--resume")
    assert code == 0 and "run folder" in out


def test_data_option_is_a_setting(run_command, tmp_path):
    for index in range(8):
        for split, name in (("train", "dark"), ("train", "light"), ("test", "dark"), ("test", "light")):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True, exist_ok=True)
            level = 40 if name == "dark" else 200
            Image.fromarray(np.full((9, 9), level + index, np.uint8)).save(folder / f"{index}.png")
    data = f"folder:{tmp_path / 'pictures'}"
    command = ["train", "session7-model2", "--data", data]
    command += ["--set", "training.epochs=1", "--set", "training.batch_size=8"]
    code, out, _ = run_command(*command, "--out", tmp_path / "run", "--json")
    assert code == 0
    assert json.loads(out)["classes"] == ["dark", "light"]


def test_evaluate_repeats_the_record(run_command, finished):
    again = json.loads(run_command("evaluate", finished, "--json")[1])
    assert again["test"] == json.loads((finished / "result.json").read_text())["test"]
    assert "95 % interval" in run_command("evaluate", finished)[1]


def test_predict_answers_the_good_and_names_the_bad(run_command, finished, tmp_path):
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no picture")
    code, out, fault = run_command("predict", finished, tmp_path / "bad.png", tmp_path / "good.png", "--json")
    assert code == 2 and [p["picture"] for p in json.loads(out)] == [str(tmp_path / "good.png")]
    assert_one_line(fault, "bad.png")
    code, out, fault = run_command("predict", finished, tmp_path / "good.png")
    assert code == 0 and "answer" in out and fault == ""


def test_compare_lays_runs_side_by_side(run_command, finished):
    assert len(json.loads(run_command("compare", finished, finished, "--json")[1])["runs"]) == 1
    assert "7,524" in run_command("compare", finished)[1]


def test_many_seeds_are_one_command(run_command, refused, tmp_path):
    command = ["train", "session7-model2", *QUICK[:-1], "--seeds", "2"]     # with a report
    code, out, said = run_command(*command, "--out", tmp_path / "two", "--json")
    summary = json.loads(out)
    assert code == 0 and summary["seeds"] == [1, 2] and summary["test"]["class"]["count"] == 2
    assert "; 2 seeds, " in said and "seed 1: test" in said and "(2 of 2)" in said
    assert (tmp_path / "two" / "report.html").exists()
    refused(*command, "--out", tmp_path / "two", words=["holds 2 trained seeds", "--resume", "--force", "--out"])
    refused("evaluate", tmp_path / "two", words=["the runs of 2 seeds", "seed-1"])
    code, out, _ = run_command(*command, "--out", tmp_path / "two", "--resume", "--no-report", "--strict")
    assert code == 1 and "2 seeds" in out and "mean" in out

    run_command("train", "session7-model2", *QUICK, "--set", "optimizer.lr=0.02", "--seeds", "1,2", "--set",
                "name=faster", "--out", tmp_path / "faster", "--no-report")
    out = run_command("compare", tmp_path / "two", tmp_path / "faster")[1]
    assert "lowest" in out and "faster - session7-model2: " in out and "points over 2 seeds" in out
    content = json.loads(run_command("compare", tmp_path / "two", tmp_path / "faster", "--json")[1])
    (difference,) = content["differences"]
    assert difference["seeds"] == [1, 2] and difference["interval"][0] <= difference["mean"]


def test_data_lists_and_draws(run_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [entry["name"] for entry in json.loads(run_command("data", "--json")[1])]
    assert names == ["mnist", "fashion-mnist", "kmnist", "digits", "strokes", "emnist", "qmnist", "cifar-10"]
    assert run_command("data", "show", "digits")[:2] == (0, "wrote digits.png\n")
    with Image.open("digits.png") as grid:
        assert grid.size[0] > 280
    code, _, fault = run_command("data", "show", "digits")
    assert code == 2
    assert_one_line(fault, "digits.png", "--force")
    assert run_command("data", "show", "digits", "--force")[0] == 0


FAULTS = [
    (["summary", "sesion6"], ["'sesion6'", "'session6'", "featherweight models"]),
    (["summary", "session6", "--input", "1,x,28"], ["1,x,28", "1,28,28"]),
    (["summary", "session6", "--input", "1,14,14"], ["(1, 14, 14)"]),
    (["summary", "gone.py:Net"], ["gone.py"]),
    (["train", "sesion6"], ["'sesion6'", "'session6'", "featherweight recipes"]),
    (["train", "gone.toml"], ["gone.toml"]),
    (["train", "session6", "--set", "training.epochs"], ["training.epochs", "section.key=value"]),
    (["train", "session6", "--device", "tpu"], ["'tpu'", "cpu"]),
    (["train", "session6", "--data", "minst"], ["'minst'", "'mnist'"]),
    (["train", "session6", "--data", "folder:gone"], ["gone"]),
    (["train", "session6", "--out", "gone", "--resume"], ["gone", "does not exist"]),
    (["train"], ["RECIPE", "--help"]),
    (["train", "session6", "--sed", "1"], ["--sed", "--help"]),
    (["trian"], ["trian", "--help"]),
    (["evaluate", "gone"], ["gone", "featherweight train"]),
    (["predict", "gone", "x.png"], ["gone"]),
    (["compare", "gone"], ["gone"]),
    (["train", "session6", "--seeds", "many"], ["'many'", "such as 20", "3,7,11"]),
    (["train", "session6", "--seeds", "0"], ["'0'", "between 1 and 10000"]),
    (["train", "session6", "--seeds", "3,3"], ["seed 3 is given twice"]),
    (["train", "session6", "--seeds", "2", "--set", "training.seed=4"], ["--seeds", "training.seed"]),
    (["data", "get", "minst"], ["'minst'", "'mnist'"]),
    (["data", "show", "digits", "--out", "x.jpg"], ["x.jpg", ".png"]),
    (["data", "show", "digits", "--out", "gone/x.png"], ["gone"]),
]


@pytest.mark.parametrize(("arguments", "words"), FAULTS, ids=[" ".join(fault[0]) for fault in FAULTS])
def test_bad_input_is_one_line_and_two(run_command, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, fault = run_command(*arguments)
    assert code == 2 and out == ""
    assert_one_line(fault, *words)
    assert list(tmp_path.iterdir()) == []       # and nothing is left behind


def test_all_faults_of_a_recipe_come_at_once(run_command):
    settings = ["--set", "optimizer.lr=-0.1", "--set", "schedule.name=cosin", "--set", "trainng.epochs=3"]
    code, _, fault = run_command("train", "session6", *settings)
    assert code == 2
    assert fault.splitlines()[0] == "featherweight: session6.toml has 3 faults:"
    assert "  optimizer.lr: -0.1 is not greater than 0" in fault.splitlines()
    assert "Did you mean 'cosine'?" in fault and "Did you mean 'training'?" in fault


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_writes_the_checkpoint_and_says_how_to_go_on(tmp_path, number):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "featherweight", "train", "session7-model2", "--device", "cpu", "--out", str(out)]
    command += ["--set", "data.dataset=digits", "--set", "training.epochs=400"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    history = out / "history.jsonl"
    while not history.exists() and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, number)
    printed, progress = process.communicate(timeout=60)
    assert process.returncode == 128 + number and printed == ""
    last = progress.splitlines()[-1]
    assert last.startswith("featherweight: interrupted in epoch") and last.endswith(f"--out {out} --resume")
    position = json.loads((out / "checkpoint.json").read_text())["position"]
    assert position["epoch"] >= 1 and not (out / "result.json").exists()


def test_the_demo_runs_twice_on_the_bundled_digits(tmp_path, monkeypatch, run_command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEATHERWEIGHT_DATA", raising=False)
    monkeypatch.setattr("featherweight.cli.training.choose_data", lambda data_dir: ("digits", "It is at hand."))
    for _ in range(2):
        code, out, progress = run_command("demo")
        assert code == 0 and "Data: digits" in progress and "epoch 15/15" in progress
        assert "Total params: 7,524" in out and "goal" in out and "run folder: runs/demo" in out
        assert out.count(".png") == 5
    assert len(list(Path("runs/demo-pictures").iterdir())) == 5
