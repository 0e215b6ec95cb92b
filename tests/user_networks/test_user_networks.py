"""Networks in the manners of course work: each file and notebook is summarised as typed, and the sound ones train."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest

from featherweight.cli import main

HERE = Path(__file__).parent
TABLE = tomllib.loads((HERE / "expected.toml").read_text(encoding="utf-8"))
NETWORKS, REFUSED = TABLE["network"], TABLE["refused"]


def label(entry: dict[str, Any]) -> str:
    return " ".join([entry["name"], *entry.get("arguments", [])])


def each(entries):
    return pytest.mark.parametrize("entry", entries, ids=label)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A copy of the networks, where each folder is the root of a repository, as after git clone."""
    root = tmp_path_factory.mktemp("cloned")
    for repository in sorted((HERE / "files").iterdir()):
        shutil.copytree(repository, root / repository.name, ignore=shutil.ignore_patterns("__pycache__"))
        (root / repository.name / ".git").mkdir()
    return root


@pytest.fixture
def typed(files, tmp_path, monkeypatch, capsys):
    """Run a command line in an empty folder: (exit code, standard output, standard error with warnings).

    No trace is left, and a warning names a line of the network's own.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        before = contents(files), list(sys.path), list(sys.argv), contents(tmp_path)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with pytest.raises(SystemExit) as stop:
                main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        outside = [name for name in contents(tmp_path) if name.split("/")[0] != "run"]
        assert (contents(files), sys.path, sys.argv, outside) == before
        assert "Traceback" not in captured.err, captured.err
        assert all(Path(each.filename).is_relative_to(files) for each in warned), [str(each) for each in warned]
        places = [f"{Path(each.filename).name}:{each.lineno}: {each.message}\n" for each in warned]
        return stop.value.code, captured.out, "".join(places) + captured.err

    return run


def contents(folder: Path) -> list[str]:
    """Every file below the folder; compiled modules are Python's own business."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(name for name in names if "__pycache__" not in name)


def summary(entry, files):
    settings = [part for argument in entry.get("arguments", []) for part in ("--set", argument)]
    inputs = [part for shape in entry.get("inputs", []) for part in ("--input", shape)]
    return ["summary", files / entry["name"], *settings, *inputs]


def recipe(entry, files, folder):
    """The shortest recipe that names the network; its shape is left to be found."""
    arguments = [argument.partition("=")[::2] for argument in entry.get("arguments", [])]
    written = [f"{key} = {value if value[0].isdigit() else json.dumps(value)}" for key, value in arguments]
    file = folder / "own.toml"
    lines = ['name = "own"', "[data]", 'dataset = "digits"', "[training]", "epochs = 1", "[model]"]
    lines += [f"name = {json.dumps(str(files / entry['name']))}", "[model.arguments]", *written]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def one_line(fault: str) -> str:
    """The message of a refusal, which is one line; what the network's own code printed stands before it."""
    lines = [line for line in fault.splitlines() if line.startswith("featherweight: ")]
    assert fault.splitlines()[-1:] == lines[-1:], fault
    return lines[-1]


def test_there_are_enough_of_them():
    sound = [entry for entry in NETWORKS if entry["trains"] == "yes"]
    assert (len(NETWORKS), len(sound), len(REFUSED)) == (50, 48, 13)
    assert len({entry["name"] for entry in NETWORKS}) == 48
    assert len({entry["name"] for entry in NETWORKS if ".ipynb:" in entry["name"]}) == 7


@each(NETWORKS)
def test_summary_as_typed(entry, files, typed):
    code, out, fault = typed(*summary(entry, files), "--json")
    assert code == 0, fault
    found = json.loads(out)     # prints of the network's own code are not in it
    assert (found["total_parameters"], found["input_shape"]) == (entry["parameters"], entry["input"])
    fields = {layer["name"]: layer["receptive_field"] for layer in found["layers"]}
    assert "layer" not in entry or fields[entry["layer"]] == entry["field"], fields


@each(NETWORKS)
def test_training_as_typed(entry, files, typed, tmp_path):
    file = recipe(entry, files, tmp_path)
    code, _, fault = typed("train", file, "--out", tmp_path / "run", "--no-report", "--device", "cpu")
    told = code == 2 and all(word in one_line(fault) for word in entry["words"]) if "words" in entry else False
    trained = code == 0 and (tmp_path / "run" / "model.safetensors").is_file()
    assert {"yes": trained, "told": told, "or told": trained or told}[entry["trains"]], (code, fault)


@each([entry for entry in NETWORKS if "says" in entry])
def test_what_is_unusual_is_said_before_training(entry, files, typed, tmp_path):
    _, _, said = typed(*summary(entry, files))
    _, _, also = typed("train", recipe(entry, files, tmp_path), "--out", tmp_path / "run", "--no-report")
    assert all(words in said + also for words in entry["says"]), said + also


@each(REFUSED)
def test_refusal_names_the_place(entry, files, typed, tmp_path):
    advised = entry.get("advice", True)
    for arguments in (summary(entry, files), ["train", recipe(entry, files, tmp_path), "--out", tmp_path / "run"]):
        code, out, fault = typed(*arguments)
        line = one_line(fault)
        assert (code, out) == (2, ""), fault
        assert all(word in line for word in entry["words"] if word != "--input" or arguments[0] == "summary"), line
        assert advised or "--input" not in line, line
