"""The whole story on the bundled digits: train, stop, kill, resume, judge, evaluate."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import featherweight
from featherweight import examination, experiment, networks, preparation, results
from featherweight.errors import DataError, ModelError, RunError, TrainingDiverged, TrainingInterrupted, UnknownName
from featherweight.recipe import Recipe
from featherweight.runs import FILES, Run
from stopping import StopAt


@pytest.fixture(scope="session")
def lively(digits_recipe):
    """A recipe in which everything that a checkpoint must hold is at work."""
    return digits_recipe(
        training={"epochs": 3, "ema": 0.9, "gradient_clip": 1.0, "batch_size": 128, "fraction": 0.6},
        augmentation={"rotation": 10, "erasing": 0.3},
        schedule={"name": "one-cycle"},
        data={"validation": 200},
    )


@pytest.fixture(scope="session")
def undisturbed(lively, tmp_path_factory):
    return featherweight.train(lively, tmp_path_factory.mktemp("runs") / "undisturbed")


def same_weights(first, second):
    a, b = first.weights(), second.weights()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def told(run):
    """The history without the times."""
    return [{key: value for key, value in line.items() if key != "seconds"} for line in run.history]


def test_few_steps_of_batch_normalisation_are_noted(digits_recipe, undisturbed, tmp_path):
    run = featherweight.train(digits_recipe(), tmp_path / "short")
    assert [note[:42] for note in run.result["notes"]] == ["batch normalisation has seen 12 steps: 28 "]
    many = featherweight.train(digits_recipe(training={"batch_size": 32}), tmp_path / "long")      # 45 steps
    assert many.result["notes"] == []


def test_validation_images_are_of_the_split_seed(digits_recipe):
    def held_out(seed, **data):
        recipe = digits_recipe(training={"seed": seed}, data={"validation": 100} | data)
        training = preparation.build_training(recipe, preparation.load_data(recipe, None), torch.device("cpu"))
        return training.dataset.validation.images

    assert not torch.equal(held_out(1), held_out(2)) and torch.equal(held_out(1), held_out(2, split_seed=1))


def test_a_run_leaves_what_the_design_says(undisturbed, lively):
    names = {file.name for file in undisturbed.path.iterdir()}
    assert names == set(FILES) - {"report.html", "data.safetensors"}
    result = undisturbed.result
    assert result["recipe"] == "tiny" and result["dataset"] == "digits" and result["epochs"] == 3
    assert result["seed"] == 1 and result["seconds"] > 0 and result["curve"] == "validation"
    assert result["train_images"] == 1237 and result["parameters"] == undisturbed.result["parameters"] > 0
    score = result["test"]["class"]
    assert score["count"] == 360 and score["accuracy"] == score["correct"] / 360
    assert sum(map(sum, result["confusion"]["class"])) == 360
    assert sum(result["confusion"]["class"][i][i] for i in range(10)) == score["correct"]
    assert [line["epoch"] for line in undisturbed.history] == [1, 2, 3]
    assert undisturbed.history[0]["curve_on"] == "validation"
    assert undisturbed.history[0]["curve"]["class"]["count"] == 200
    environment = undisturbed.environment
    assert environment["versions"]["torch"] == torch.__version__ and environment["seed"] == 1
    assert "scikit-learn" in environment["data"]
    assert Run.open(undisturbed.path).recipe == lively


def test_no_file_is_a_pickle(undisturbed):
    for file in filter(Path.is_file, undisturbed.path.rglob("*")):
        content = file.read_bytes()
        if file.suffix == ".safetensors":
            assert json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])   # its header is JSON
        else:
            assert content.decode().isprintable() or "\n" in content.decode()


def test_the_same_seed_repeats_bit_for_bit(undisturbed, lively, tmp_path):
    again = featherweight.train(lively, tmp_path / "again")
    assert same_weights(undisturbed, again) and told(undisturbed) == told(again)
    other = Recipe.from_dict(lively.model_dump() | {"training": lively.training.model_dump() | {"seed": 2}})
    assert not same_weights(undisturbed, featherweight.train(other, tmp_path / "other"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("steps", [1, 10, 13, 17])
def test_interrupted_and_resumed_is_the_undisturbed_run(undisturbed, lively, tmp_path, steps, number):
    before = signal.getsignal(number)
    with pytest.raises(TrainingInterrupted, match=rf"out='{tmp_path / 'run'}', resume=True\)$") as stop:
        experiment.train_recipe(lively, tmp_path / "run", watcher=StopAt(steps, number))
    assert stop.value.signal_number == number and signal.getsignal(number) is before
    assert not Run.open(tmp_path / "run").finished
    resumed = featherweight.train(lively, tmp_path / "run", resume=True)
    assert same_weights(undisturbed, resumed) and told(undisturbed) == told(resumed)
    assert resumed.result["test"] == undisturbed.result["test"]


def test_a_checkpoint_in_the_middle_of_an_epoch_is_good(undisturbed, lively, tmp_path, monkeypatch):
    """The one that is written every so many seconds, which is all that a kill -9 leaves of a long epoch."""
    monkeypatch.setattr(experiment, "CHECKPOINT_SECONDS", 0.0)

    class Killed(BaseException):
        pass

    class KilledAt(experiment.Silent):
        def on_step(self, state, steps):
            if (state.position.epoch, state.position.step) == (1, 5):
                raise Killed

    with pytest.raises(Killed):
        experiment.train_recipe(lively, tmp_path / "run", watcher=KilledAt())
    position = json.loads((tmp_path / "run" / "checkpoint.json").read_text())["position"]
    assert (position["epoch"], position["step"]) == (1, 4)
    assert same_weights(undisturbed, featherweight.train(lively, tmp_path / "run", resume=True))


def test_killed_at_random_moments_and_resumed_each_time(undisturbed, lively, tmp_path):
    out, recipe = tmp_path / "run", tmp_path / "lively.toml"
    recipe.write_text(lively.to_toml())
    program = (
        "import sys, torch, featherweight; from pathlib import Path; torch.set_num_threads(1);"
        "out = Path(sys.argv[2]); resume = (out / 'recipe.toml').exists();"
        "featherweight.train(sys.argv[1], out, resume=resume, force=True)"
    )
    moments, kills = random.Random(3), 0
    while not (out / "result.json").exists():
        process = subprocess.Popen([sys.executable, "-c", program, recipe, out], stderr=subprocess.PIPE, text=True)
        if kills < 6:       # from before the data are there until after the last epoch
            time.sleep(moments.uniform(1.0, 5.0))
            process.kill()
            kills += 1
        _, fault = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), fault
    assert same_weights(undisturbed, Run.open(out)) and told(undisturbed) == told(Run.open(out))
    assert {file.name for file in out.iterdir()} == set(FILES) - {"report.html", "data.safetensors"}


def test_a_line_of_history_without_its_checkpoint_is_written_again(undisturbed, lively, tmp_path):
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(lively, tmp_path / "run", watcher=StopAt(12))
    run = Run.open(tmp_path / "run")
    run.save_history([*run.history, {**run.history[0], "epoch": 2, "lr": 99}])
    assert told(featherweight.train(lively, run.path, resume=True)) == told(undisturbed)


def test_a_run_killed_before_its_first_checkpoint_starts_over(undisturbed, lively, tmp_path):
    experiment.create_run(tmp_path / "run", lively)
    assert same_weights(undisturbed, featherweight.train(lively, tmp_path / "run", resume=True))


def test_resuming_a_finished_run_gives_it_back(undisturbed, lively):
    before = {file.name: file.stat().st_mtime_ns for file in undisturbed.path.iterdir()}
    assert featherweight.train(lively, undisturbed.path, resume=True).result == undisturbed.result
    assert before == {file.name: file.stat().st_mtime_ns for file in undisturbed.path.iterdir()}


def test_resuming_with_another_recipe_names_what_differs(undisturbed, lively):
    other = Recipe.from_dict(lively.model_dump() | {"optimizer": {"lr": 0.5}, "name": "other"})
    with pytest.raises(RunError, match=r"optimizer\.lr, name.*recipe\.toml"):
        featherweight.train(other, undisturbed.path, resume=True)
    with pytest.raises(RunError, match="does not exist"):
        featherweight.train(lively, undisturbed.path / "gone", resume=True)


def test_a_damaged_checkpoint_is_one_line(lively, tmp_path):
    with pytest.raises(TrainingInterrupted):
        experiment.train_recipe(lively, tmp_path / "run", watcher=StopAt(3))
    file = tmp_path / "run" / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(RunError, match=r"checkpoint\.safetensors"):
        featherweight.train(lively, tmp_path / "run", resume=True)


def test_faults_come_before_anything_is_written(digits_recipe, tmp_path):
    wrong = [
        (digits_recipe(model={"name": "sesion6"}), UnknownName),
        (digits_recipe(data={"dataset": "folder:gone"}), DataError),
        (digits_recipe(data={"validation": 5000}), DataError),
        (digits_recipe(data={"size": 14}, model={"name": "session7-model2"}), ModelError),
        (digits_recipe(task="digit-sum"), ModelError),
        (digits_recipe(model={"arguments": {"classes": 3}}), ModelError),
        (digits_recipe(model={"arguments": {"depth": 3}}), UnknownName),
    ]
    for recipe, kind in wrong:
        with pytest.raises(kind) as fault:
            featherweight.train(recipe, tmp_path / "run")
        assert "\n" not in str(fault.value)
    assert not (tmp_path / "run").exists()


def test_a_diverging_training_keeps_its_folder_resumable_or_replaceable(digits_recipe, tmp_path):
    with pytest.raises(TrainingDiverged, match="learning rate"):
        featherweight.train(digits_recipe(optimizer={"lr": 1e30}), tmp_path / "run")
    assert not Run.open(tmp_path / "run").finished


def test_training_leaves_the_callers_random_state_alone(digits_recipe, tmp_path):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    featherweight.train(digits_recipe(), tmp_path / "run")
    assert torch.equal(before, torch.get_rng_state())


def test_it_trains_in_a_thread_where_no_signal_can_be_caught(digits_recipe, tmp_path):
    thread = threading.Thread(target=featherweight.train, args=(digits_recipe(), tmp_path / "run"))
    thread.start()
    thread.join()
    assert Run.open(tmp_path / "run").finished


def test_evaluating_again_gives_the_record(undisturbed):
    again = examination.evaluate(undisturbed.path)
    assert {head: score.to_dict() for head, score in again.items()} == undisturbed.result["test"]


def test_weights_of_another_network_are_refused(undisturbed, tmp_path):
    run = Run(shutil.copytree(undisturbed.path, tmp_path / "run"))
    run.save_result(undisturbed.result, {"x": torch.zeros(1)})
    with pytest.raises(RunError, match="do not fit") as fault:
        networks.load_network(run)
    assert "\n" not in str(fault.value)


def test_digit_sum_reports_digit_sum_and_both(tmp_path):
    recipe = Recipe.load("digit-sum", ["data.dataset=digits", "training.epochs=1"])
    result = featherweight.train(recipe, tmp_path / "run", device="cpu").result
    assert list(result["test"]) == ["digit", "sum", "both"]
    assert {score["count"] for score in result["test"].values()} == {3600}
    assert "loss" in result["test"]["sum"] and "loss" not in result["test"]["both"]


def test_the_documents_curve_on_test_is_said_in_the_record(digits_recipe, tmp_path):
    run = featherweight.train(digits_recipe(evaluation={"curve": "test"}), tmp_path / "run")
    assert run.result["curve"] == "test" and run.history[0]["curve_on"] == "test"
    assert run.history[0]["curve"]["class"]["correct"] == run.result["test"]["class"]["correct"]


GOALS = [
    ({}, 0.9, None, []),
    ({"accuracy": 0.9}, 0.9, True, []),
    ({"accuracy": 0.9}, 0.8999, False, ["accuracy"]),
    ({"accuracy": 0.9, "max_parameters": 99, "max_epochs": 1}, 0.5, False, ["accuracy", "max_parameters"]),
    ({"max_parameters": 100}, 0.0, True, []),
]


@pytest.mark.parametrize(("goal", "accuracy", "met", "missed"), GOALS)
def test_the_verdict_compares_what_was_promised(digits_recipe, goal, accuracy, met, missed):
    verdict = results.compare_with_goal(digits_recipe(goal=goal), 100, {"class": accuracy})
    assert verdict == {**goal, "met": met, "missed": missed}


def test_every_head_must_reach_the_goal(digits_recipe):
    verdict = results.compare_with_goal(digits_recipe(goal={"accuracy": 0.9}), 1, {"digit": 0.95, "sum": 0.91})
    assert verdict["met"] and not results.compare_with_goal(
        digits_recipe(goal={"accuracy": 0.9}), 1, {"digit": 0.95, "sum": 0.89}
    )["met"]
