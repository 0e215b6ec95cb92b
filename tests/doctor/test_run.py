"""The record of a run is judged: choices on test, overfitting, underfitting, calibration, and dead units."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import featherweight
from featherweight.doctor import CODES, consult
from featherweight.doctor.options import Options
from featherweight.doctor.run import dead_in, judge
from featherweight.errors import RunError
from featherweight.recipe import Recipe
from featherweight.runs import Run

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of a network of the catalogue, three epochs."""
    settings = ["data.dataset=digits", "training.epochs=3", "training.batch_size=32", "name=mine"]
    recipe = Recipe.load("session7-model2", [*settings, "model.name=words:c8 s16 p g h"])
    return featherweight.train(recipe, tmp_path_factory.mktemp("runs") / "first", device="cpu").path


@pytest.fixture
def altered(trained, tmp_path, reseal):
    """altered(name, accuracy=0.9, settings=[], **result): a copy of the run with another record, beside the others."""

    def make(name, accuracy=0.9, settings=(), history=None, **changes):
        folder = Path(shutil.copytree(trained, tmp_path / "runs" / name))
        (folder / "recipe.toml").write_text(Recipe.load(str(folder / "recipe.toml"), settings).to_toml())
        if history is not None:
            (folder / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in history))
        score = {"accuracy": accuracy, "correct": round(360 * accuracy), "count": 360, "loss": 0.3,
                 "calibration_error": 0.02} | changes.pop("score", {})
        train = {"accuracy": {"class": changes.pop("train_accuracy", accuracy)}, "loss": 0.3}
        return reseal(folder, **({"test": {"class": score}, "train": train} | changes))

    return make


def codes(report):
    return {finding.code: finding.severity for finding in report.findings}


def lines(*accuracies, curve=(), on="validation", losses=()):
    """Return a history with these training accuracies, and perhaps a curve on a split."""
    made = []
    for number, accuracy in enumerate(accuracies):
        line = {"epoch": number + 1, "lr": 0.01, "train_loss": 0.3, "train_accuracy": {"class": accuracy}}
        if curve:
            right = round(360 * curve[number])
            score = {"accuracy": right / 360, "correct": right, "count": 360, "loss": (losses or curve)[number]}
            line |= {"curve": {"class": score}, "curve_on": on}
        made.append(line)
    return made


STEADY = lines(0.899, 0.9, 0.9)


def test_every_code_of_a_run_is_described():
    described = re.findall(r"^### (FW9\d+): ", PAGE, re.M)
    assert described == [code for code in CODES if code.startswith("FW9")]


def test_a_steady_run_has_no_finding(altered):
    report = judge(altered("a", history=STEADY))
    assert report.findings == () and "record of 3 epochs" in report.checked[0] and report.unchecked == ()


def test_a_curve_on_test_is_found_and_one_on_validation_is_not(altered):
    curve = (0.80, 0.92, 0.90)
    (found,) = judge(altered("a", history=lines(0.899, 0.9, 0.9, curve=curve, on="test"))).findings
    assert found.code == "FW901" and "Epoch 2 has the highest, 91.94 %" in found.why
    assert codes(judge(altered("b", history=lines(0.899, 0.9, 0.9, curve=curve, losses=(3, 2, 2))), alone=False)) == {}


def test_the_best_of_several_seeds_is_found_and_another_seed_is_not(altered):
    best = altered("seed-1", 0.93, history=STEADY, train_accuracy=0.93)
    worse = altered("seed-2", 0.90, ["training.seed=2"], STEADY)
    altered("seed-3", 0.88, ["training.seed=3"], STEADY)
    (found,) = judge(best).findings
    assert found.code == "FW902" and "3 seeds" in found.what and "90.33 %" in found.why
    assert judge(worse).findings == () and judge(best, alone=False).findings == ()


def test_the_folder_of_all_seeds_is_judged_together(altered, tmp_path):
    altered("seed-1", 0.93, history=STEADY, train_accuracy=0.93)
    altered("seed-2", 0.90, ["training.seed=2"], STEADY)
    report = consult([str(tmp_path / "runs")])
    assert not {one.code for one in report.findings} & {"FW902", "FW903"}
    assert sum("record of 3 epochs" in line for line in report.checked) == 2
    assert any("1 other seeds" in line for line in report.unchecked)


def test_epochs_chosen_on_test_are_found_but_not_those_chosen_on_validation(altered):
    chosen = altered("long", 0.93, ["training.epochs=3"], STEADY, train_accuracy=0.93)
    altered("short", 0.90, ["training.epochs=2"], STEADY)
    (found,) = judge(chosen).findings
    assert found.code == "FW903" and "training.epochs" in found.what and "next 90.00 %" in found.why
    (chosen.path / "recipe.toml").write_text(
        Recipe.load(str(chosen.path / "recipe.toml"), ["data.validation=100"]).to_toml())
    chosen.save_result(json.loads((chosen.path / "result.json").read_text()), Run(chosen.path).weights())
    assert judge(Run(chosen.path)).findings == ()


def test_another_network_or_data_set_beside_a_run_is_no_sibling(altered):
    best = altered("a", 0.93, history=STEADY, train_accuracy=0.93)
    altered("b", 0.90, ["model.name=words:c4 p g h"], STEADY)
    altered("c", 0.90, ["data.dataset=mnist"], STEADY)
    assert judge(best).findings == ()


def test_overfitting_is_found_with_the_epoch_of_the_lowest_loss(altered):
    history = lines(0.9, 0.99, 1.0, curve=(0.85, 0.86, 0.85), losses=(0.5, 0.4, 0.9))
    (found,) = judge(altered("a", 0.85, history=history, train_accuracy=1.0)).findings
    assert found.code == "FW904" and "lowest in epoch 2, 0.4000" in found.why
    assert judge(altered("b", 0.985, history=STEADY, train_accuracy=1.0), alone=False).findings == ()


def test_overfitting_is_not_judged_with_a_fraction_of_hard_images(altered):
    report = judge(altered("a", 0.85, ["training.fraction=0.5"], STEADY, train_accuracy=1.0))
    assert report.findings == () and "overfitting not checked" in report.unchecked[0]


def test_underfitting_is_found_while_the_accuracy_rises_and_at_chance(altered):
    (found,) = judge(altered("a", 0.90, history=lines(0.7, 0.8, 0.9))).findings
    assert found.code == "FW905" and "80.00 % to 90.00 %" in found.what and found.severity == "warning"
    (found,) = judge(altered("b", 0.10, history=lines(0.1, 0.1, 0.1)), alone=False).findings
    assert found.code == "FW905" and found.severity == "error" and "10.00 %" in found.why


def test_probabilities_that_do_not_match_the_accuracy_are_found(altered):
    (found,) = judge(altered("a", history=STEADY, score={"calibration_error": 0.2})).findings
    assert found.code == "FW907" and "20.0 points" in found.what
    assert judge(altered("b", history=STEADY, score={"calibration_error": 0.08}), alone=False).findings == ()


def test_dead_units_of_the_trained_network_are_found(altered):
    run = altered("a", history=STEADY)
    assert dead_in(run, "a", Options()).findings == ()
    weights = run.weights()
    name = next(name for name, value in weights.items() if value.dim() == 1)
    changed = {key: torch.full_like(value, -50.0) if key == name else value for key, value in weights.items()}
    run.save_result(run.result, changed)
    found = dead_in(Run(run.path), "a", Options()).findings
    assert [one.code for one in found][:1] == ["FW906"] and "8 of 8 units" in found[0].what


def test_an_edited_and_an_unfinished_run_are_one_line(trained, tmp_path):
    folder = Path(shutil.copytree(trained, tmp_path / "edited"))
    (folder / "result.json").write_text((folder / "result.json").read_text().replace('"seed": 1', '"seed": 2'))
    with pytest.raises(RunError, match="was edited after training"):
        consult([str(folder)])
    (folder / "result.json").unlink()
    report = consult([str(folder), "session7-model2"])
    (line,) = report.unread
    assert "is not finished" in line and "session7-model2" in report.checked[0]


def test_the_command_judges_a_run(run_command, trained):
    code, out, said = run_command("doctor", trained, "--data", "digits")
    words = " ".join(out.split())       # without the line breaks
    assert (code, said) == (0, "") and "record of 3 epochs" in words and "30 steps" in words
    assert "trained network on 256 test images" in words


def test_train_and_report_show_the_findings_on_the_network(run_command, trained, tmp_path):
    from featherweight.report.remarks import remarks

    first, *others = remarks(Run(trained))
    assert first.startswith("doctor: ") and len(others) <= 1
    settings = ["--set", "data.dataset=digits", "--epochs", "1", "--quiet"]
    code, out, _ = run_command("train", "words:c8 p g h", *settings, "--out", tmp_path / "own")
    page = (tmp_path / "own" / "report.html").read_text()
    assert code == 0 and "doctor: " in out and "FW706" in out and "FW706" in page
