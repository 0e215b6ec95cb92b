"""A row of words builds the network that it describes, through training, run folder, report and export."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import featherweight
from featherweight.anatomy import summarize
from featherweight.cli import main
from featherweight.errors import FeatherweightError
from featherweight.models import blueprint_of, build_model, find_blueprint, words
from featherweight.models.layers import GainlessNorm
from featherweight.networks import load_network

DOCS = Path(__file__).resolve().parents[2] / "docs"
HALVED = {"t", "F"}
SHRINKING = {"c": 2, "s": 2, "e": 2, "n": 2}


@st.composite
def rows(draw: st.DrawFn) -> str:
    """Draw a row of words that a grey image of 28 x 28 pixels passes through."""
    side, channels, row = 28, 1, []
    for letter in draw(st.lists(st.sampled_from("cCktFsSenxwpz"), max_size=8)):
        n, times = draw(st.integers(1, 9)), draw(st.integers(1, 3))
        cut = 2 * times if letter == "w" else 2 if letter == "z" else SHRINKING.get(letter, 0)
        if side - cut < 2:
            continue
        side = (side + 1) // 2 if letter in HALVED else side // 2 if letter == "p" else side - cut
        row.append({"p": "p", "z": "z1", "x": f"x{channels}t{times}", "w": f"w{channels}t{times}"}.get(letter)
                   or f"{letter}{n}")
        channels = channels if letter in "xwpz" else n
    return "words:" + " ".join([*row, draw(st.sampled_from(["g h", "q h", "h g"]))])


@given(rows(), st.booleans(), st.sampled_from([0.0, 0.1]), st.integers(2, 12))
@settings(max_examples=30)
def test_every_row_builds_and_is_counted_as_torch_counts_it(name, gain, dropout, classes):
    model = build_model(name, {"gain": gain, "dropout": dropout}, suggested={"in_channels": 1, "classes": classes})
    assert model.eval()(torch.rand(2, 1, 28, 28)).shape == (2, classes)
    described = summarize(model, ((1, 28, 28),), name=name)
    assert described.total_parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "count"), [
    ("words:h g", 10 + 10),
    ("words:c8 g h", 72 + 16 + 90),
    ("words:F8 g h", 200 + 16 + 90),
    ("words:C4 S8 g h", 36 + 8 + (36 + 32 + 16) + 90),
    ("words:k4 e8 q h", 4 + 8 + (36 + 8 + 32 + 16) + 90),
    ("words:k4 n8 g h", 4 + 8 + (32 + 16) + 90),
    ("words:k4 x4t3 w4t2 g h", 4 + 8 + (36 + 16 + 3 * 8) + (36 + 16 + 2 * 8) + 50),
    ("words:t4 p z1 g h", 36 + 8 + 50),
])  # fmt: skip
def test_parameters_are_those_that_a_person_counts(name, count):
    assert sum(parameter.numel() for parameter in build_model(name).parameters()) == count


def test_a_row_writes_the_network_of_the_catalogue():
    row, feather = build_model("words:c6 s12 p s16 s16 s16 s15 g h"), build_model("feather-2k")
    assert [tuple(p.shape) for p in row.parameters()] == [tuple(p.shape) for p in feather.parameters()]


def test_parts_have_the_names_of_the_words():
    assert [name for name, _ in build_model("words:c8  s16 x16 p g h").named_children()] == \
        ["1-c8", "2-s16", "3-x16t1", "4-p", "5-g", "6-h", "flatten"]


def test_gain_and_dropout_are_arguments():
    model = build_model("words:c8 p s16 g h", {"gain": False, "dropout": 0.2})
    norms = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert all(isinstance(norm, GainlessNorm) for norm in norms) and len(norms) == 2
    assert [part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)] == [0.2, 0.2]
    with pytest.raises(FeatherweightError, match="unknown argument of model 'words:h g': 'drop'"):
        build_model("words:h g", {"drop": 0.2})


def test_the_network_is_the_packages_own_and_needs_no_source():
    blueprint = blueprint_of("words:c8 g h")
    assert not blueprint.is_own and blueprint.name == "words:c8 g h"
    assert blueprint.source(blueprint.build(), (torch.rand(2, 1, 28, 28),)) is None


@pytest.mark.parametrize(("row", "said"), [
    ("c8 v9 h", ["word 2 'v9' of model 'words:c8 v9 h' is unknown", "Allowed: cN, CN,", "xNtR", "1 to 512", "pydoc"]),
    ("", ["0 words", "1 to 64", "words:c8 s16 p s22 g h"]),
    ("h " * 65, ["65 words", "1 to 64"]),
    ("c8 c g h", ["word 2 'c'", "of the form cN", "e.g. c8"]),
    ("c8 p2 g h", ["word 2 'p2'", "of the form p."]),
    ("c8t2 g h", ["word 1 'c8t2'", "of the form cN"]),
    ("c0 g h", ["word 1 'c0'", "0 is not from 1 to 512", "e.g. c8"]),
    ("c513 g h", ["word 1 'c513'", "513 is not from 1 to 512"]),
    ("k8 x8t0 g h", ["word 2 'x8t0'", "0 times is not from 1 to 100", "x8t2"]),
    ("c99999999999999999999 h", ["word 1 'c99999999999", "is unknown"]),
    ("c8 x16t3 g h", ["word 2 'x16t3'", "8 come in and not 16", "Write x8t3, or put k16 before it"]),
    ("c٨ g h", ["word 1 'c٨'", "is unknown"]),
])  # fmt: skip
def test_a_bad_word_is_one_line_with_its_position(row, said):
    with pytest.raises(FeatherweightError) as fault:
        build_model(f"words:{row}")
    text = str(fault.value)
    assert "\n" not in text and all(piece in text for piece in said), text


@given(st.text(max_size=40))
def test_any_text_is_a_network_or_a_fault_of_ours(row):
    with suppress(FeatherweightError):
        assert find_blueprint(f"words:{row}").build() is not None


def test_all_words_are_described_in_the_module_and_on_the_page():
    page = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", (DOCS / "own-networks.md").read_text(), re.M)
    on_the_page = [word for row in page for word in re.findall(r"`(\w+)`", row)]
    in_the_module = re.findall(r"^- (\w+): ", words.__doc__, re.M)
    assert sorted(in_the_module) == sorted(words.FORMS.values()) == \
        sorted(word for word in on_the_page if word in words.FORMS.values())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one epoch, whose recipe names the network by a row of words."""
    folder = tmp_path_factory.mktemp("words")
    (folder / "mine.toml").write_text(
        'name = "row"\n[model]\nname = "words:c8 s16 p s22 g h"\narguments = { dropout = 0.05 }\n'
        '[data]\ndataset = "digits"\n[training]\nbatch_size = 32\n'
    )
    with pytest.raises(SystemExit) as stop:
        main(["train", str(folder / "mine.toml"), "--out", str(folder / "run"), "--device", "cpu"])
    assert stop.value.code == 0
    (folder / "mine.toml").unlink()
    return featherweight.Run.open(folder / "run")


def test_a_run_needs_nothing_but_the_name(run):
    assert not run.source_folder.exists()
    assert (run.path / "report.html").is_file()
    assert run.result["parameters"] == 1_090
    assert sum(parameter.numel() for parameter in load_network(run).parameters()) == 1_090


@pytest.mark.parametrize("command", [
    ["evaluate", "RUN", "--json"],
    ["report", "RUN", "--out", "page.html"],
    ["plot", "graph", "RUN", "--out", "run.svg"],
    ["plot", "graph", "words:c8 s16 p s22 g h", "--out", "words.svg"],
    ["plot", "receptive-field", "words:c8 s16 p s22 g h", "--out", "field.png"],
    ["summary", "words:c8 s16 p s22 g h", "--verify"],
    ["evaluate", "words:c8 s16 p s22 g h", "--weights", "RUN/model.safetensors", "--data", "digits"],
    ["export", "RUN", "--to", "onnx", "--out", "onnx"],
    ["export", "RUN", "--to", "c", "--out", "c"],
    ["export", "RUN", "--to", "bundle", "--out", "bundle"],
    ["train", "--from", "RUN", "--out", "more", "--no-report"],
])  # fmt: skip
def test_every_command_takes_the_run_or_the_row(run, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([word.replace("RUN", str(run.path)) for word in command])
    assert stop.value.code == 0


def test_seeds_train_side_by_side_in_python(tmp_path):
    recipe = featherweight.Recipe.from_dict({
        "name": "row", "model": {"name": "words:c4 p s8 g h"}, "data": {"dataset": "digits"},
        "training": {"batch_size": 32, "fraction": 0.2},
    })
    found = featherweight.train_seeds(recipe, [1, 2], tmp_path / "seeds", device="cpu")
    assert len(found.runs) == 2


def test_a_bad_word_ends_a_command_with_2_and_leaves_no_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["summary", "words:c8 v9 h"], ["train", "session6", "--set", "model.name=words:c8 v9 h"],
                    ["plot", "graph", "words:c8 v9 h", "--out", "graph.svg"]):
        with pytest.raises(SystemExit) as stop:
            main(command)
        fault = capsys.readouterr().err
        assert stop.value.code == 2 and fault.count("\n") == 1 and "word 2 'v9'" in fault
    assert list(tmp_path.iterdir()) == []


def test_a_stage_that_does_not_fit_is_named_by_its_word(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["summary", "words:c8 g c8 h"])
    assert stop.value.code == 2 and "layer 3-c8.0 (Conv2d)" in capsys.readouterr().err


def test_summary_as_json_has_the_row_as_its_name(capsys):
    with pytest.raises(SystemExit):
        main(["summary", "words:c8 g h", "--json", "--set", "classes=4"])
    document = json.loads(capsys.readouterr().out)
    assert document["model"] == "words:c8 g h"
