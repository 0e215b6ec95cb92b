"""The run folder: written whole or not at all, never overwritten by accident, read with one-line faults."""

from __future__ import annotations

import json

import pytest
import torch

from featherweight.errors import RunError
from featherweight.files import write_atomically
from featherweight.recipe import Recipe
from featherweight.runs import FILES, RESULT_KEYS, Run, create_run
from featherweight.user_code import Source

SCORE = {"accuracy": 0.5, "correct": 1, "count": 2}
LINE = {"epoch": 1, "lr": 0.1, "train_loss": 2.0, "train_accuracy": {"class": 0.5}}
RESULT = dict.fromkeys(RESULT_KEYS, 0) | {
    "recipe": "tiny", "model": "session6", "dataset": "digits", "device": "cpu", "precision": "float32",
    "test": {"class": SCORE}, "goal": {"met": None, "missed": []}, "classes": ["a", "b"], "mean": [0.1], "std": [0.3],
}
RECIPE = Recipe.from_dict({"name": "tiny", "model": {"name": "session6"}})


def test_a_new_run_holds_the_complete_recipe(tmp_path):
    run = create_run(tmp_path / "a" / "b", RECIPE)
    assert Run.open(run.path).recipe == RECIPE
    assert "threshold = 0.0001" in (run.path / "recipe.toml").read_text()       # a default, written out
    assert not run.finished and run.history == []


def test_what_is_written_comes_back(tmp_path):
    run = create_run(tmp_path / "run", RECIPE)
    tensors = {"w": torch.randn(3, 2), "n": torch.tensor(7), "r": torch.arange(5, dtype=torch.uint8)}
    run.save_tensors("model.safetensors", tensors, {"key": "text"})
    loaded, text = run.load_tensors("model.safetensors")
    assert text == {"key": "text"} and all(torch.equal(loaded[key], value) for key, value in tensors.items())
    lines = [LINE, LINE | {"epoch": 2, "lr": 1 / 3}]
    run.save_history(lines)
    assert run.history == lines
    run.save_json("result.json", RESULT)
    assert run.finished and run.result == RESULT


def test_nothing_is_overwritten_without_force(tmp_path):
    run = create_run(tmp_path / "run", RECIPE)
    with pytest.raises(RunError, match=r"unfinished run: resume=True continues it, force=True replaces it, out= takes"):
        create_run(run.path, RECIPE)
    run.save_json("result.json", {})
    with pytest.raises(RunError, match="a finished run: force=True replaces it"):
        create_run(run.path, RECIPE)
    assert run.finished
    assert not create_run(run.path, RECIPE, force=True).finished


def test_force_removes_no_file_that_lies_among_the_source(tmp_path):
    run = create_run(tmp_path / "run", RECIPE, Source("net.py", "Net", {"net.py": "", "parts/blocks.py": ""}))
    (run.source_folder / "parts" / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=r"holds 'network/parts/thesis\.tex', which is no part of a run"):
        create_run(run.path, RECIPE, force=True)
    (run.source_folder / "parts" / "thesis.tex").unlink()
    create_run(run.path, RECIPE, force=True)
    assert not run.source_folder.exists()


def test_force_removes_only_runs(tmp_path):
    run = create_run(tmp_path / "run", RECIPE)
    (run.path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=r"thesis\.tex"):
        create_run(run.path, RECIPE, force=True)
    assert (run.path / "thesis.tex").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        create_run(tmp_path / "file", RECIPE, force=True)


def test_an_empty_folder_is_as_good_as_none(tmp_path):
    assert create_run(tmp_path, RECIPE).path == tmp_path


def test_what_a_killed_process_left_is_swept(tmp_path):
    run = create_run(tmp_path / "run", RECIPE)
    (run.path / ".history.jsonl.x7f").write_text('{"epo')
    (run.path / ".mine").write_text("")
    run.sweep()
    assert {file.name for file in run.path.iterdir()} == {"recipe.toml", ".mine"}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "result.json"
    write_atomically(file, b"old")
    with pytest.raises(TypeError):
        write_atomically(file, "not bytes")  # type: ignore[arg-type]
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_number_that_json_does_not_know_is_refused(tmp_path):
    run = create_run(tmp_path / "run", RECIPE)
    with pytest.raises(ValueError, match="JSON"):
        run.save_json("result.json", {"loss": float("nan")})
    assert not run.finished


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_a_folder_that_is_no_run(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=rf"{name}.*featherweight\.train\(RECIPE, out="):
        Run.open(tmp_path / name)


def test_damaged_files_are_named(tmp_path):
    run = create_run(tmp_path / "run", RECIPE)
    with pytest.raises(RunError, match=r"not finished \(0 of 1 epochs\).*resume=True\)$"):
        _ = run.result
    for name, content in (("result.json", b"{"), ("model.safetensors", b"cut short")):
        (run.path / name).write_bytes(content)
    for read in (lambda: Run(run.path).result, run.weights, lambda: run.environment):
        with pytest.raises(RunError, match=r"(result\.json|model\.safetensors|environment\.json)") as fault:
            read()
        assert "\n" not in str(fault.value)
    (run.path / "result.json").write_text("[1]")
    with pytest.raises(RunError, match="no JSON object"):
        _ = Run(run.path).result


def test_names_are_escaped_in_notebooks(tmp_path):
    run = create_run(tmp_path / "run", RECIPE)
    run.save_json("result.json", RESULT | {"model": "<script>", "test": {"<b>": SCORE}})
    shown = run._repr_html_()
    assert "<script>" not in shown and "<b>" not in shown and "50.00 %" in shown
    assert "unfinished" not in create_run(tmp_path / "new", RECIPE)._repr_html_()


@pytest.mark.parametrize(("key", "value"), [
    ("classes", 7), ("classes", ["a", "b\x1b"]), ("classes", ["a" * 101, "b"]), ("test", []), ("test", {}),
    ("test", {"class": 0.5}), ("test", {"class": SCORE | {"correct": 3}}), ("parameters", "9"), ("epochs", 1.5),
    ("seconds", -1), ("goal", None), ("mean", []), ("std", [0.0]), ("recipe", None), ("model", "a\nb"),
    ("precision", "int8"), ("confusion", {"class": [[1, 2], [3]]}), ("kept", {"epoch": 0, "of": 1, "by": "x"}),
    ("train", {"accuracy": {"class": 2}, "loss": 0.1}), ("notes", "none"), ("start", 3),
])
def test_a_result_of_another_type_is_one_line(tmp_path, key, value):
    run = create_run(tmp_path / "run", RECIPE)
    run.save_json("result.json", RESULT | {key: value})
    with pytest.raises(RunError, match=rf"result\.json is no result of a training: .*{key}.*train again") as fault:
        _ = run.result
    assert "\n" not in str(fault.value) and "\x1b" not in str(fault.value)


@pytest.mark.parametrize("text", [
    '{"epoch": 1, "lr": NaN}', '{"epoch": 1, "lr": 1e999}', '{"epoch": 1, "lr": -Infinity}', "[" * 100_000,
    *(json.dumps(LINE | change) for change in (
        {"train_loss": "low"}, {"epoch": -1}, {"epoch": "<script>"}, {"train_accuracy": {}}, {"curve": 3},
        {"train_accuracy": {"class": 1.5}}, {"lr": None}, {"curve_on": "\u202e"},
    )),
    json.dumps(LINE) + "\n" + json.dumps(LINE | {"epoch": 2, "train_accuracy": {"other": 0.5}}),
])
def test_a_history_of_another_type_is_one_line(tmp_path, text):
    run = create_run(tmp_path / "run", RECIPE)
    (run.path / "history.jsonl").write_text(text)
    with pytest.raises(RunError, match=r"history\.jsonl (is not JSON|holds)") as fault:
        _ = run.history
    assert "\n" not in str(fault.value) and len(str(fault.value)) < 500


def test_the_files_are_those_of_the_design():
    assert set(FILES) >= {"recipe.toml", "history.jsonl", "result.json", "model.safetensors", "environment.json"}


@pytest.mark.parametrize(
    ("old", "new"),
    [('"lr": 1', '"lr": ' + "[" * 100_000), ('"lr": 1', '"lr": NaN'), ('"lr": 1', '"lr": 1e999'),
     ('"lr": 1', '"lr": "1"'), ('"lr": 1', '"lr": ' + "9" * 400), ('"epoch": 1', '"epoch": 1.5'),
     ('{"class": 1}', '{"class": null}'),
     ('{"class": 1}', '{}'), ('"train_accuracy"', '"x"'), ('"curve": null', '"curve": {"class": 3}'),
     ("{", "[")],
)
def test_a_line_of_the_history_that_is_no_epoch(tmp_path, old, new):
    run, line = create_run(tmp_path / "run", RECIPE), (
        '{"epoch": 1, "lr": 1, "train_loss": 1, "train_accuracy": {"class": 1}, "curve": null}\n')
    (run.path / "history.jsonl").write_text(line)
    assert len(run.history) == 1
    (run.path / "history.jsonl").write_text(line + line.replace(old, new))
    with pytest.raises(RunError, match=r"history\.jsonl (is not JSON|holds a line that is no epoch)"):
        assert run.history


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"seconds": NaN}', r'{"model": "\ud800"}', '{"a": %s}' % ("1" * 10_000)]
)
def test_a_result_that_cannot_be_read(tmp_path, text):
    run = create_run(tmp_path / "run", RECIPE)
    (run.path / "result.json").write_text(text)
    with pytest.raises(RunError, match=r"result\.json is not JSON"):
        assert run.result
