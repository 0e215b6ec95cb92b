"""The export command as a person meets it: files, proof, verdict, exit codes, and one line for each fault."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest

import featherweight
from featherweight.cli import main
from featherweight.data import load_dataset
from featherweight.inference.trained import TrainedNetwork
from featherweight.shipping import export
from featherweight.shipping.c_text import sections

C_FILES = {"featherweight_model.c", "featherweight_model.h", "main.c", "Makefile"}
FORMS = {
    "onnx": (["--to", "onnx"], {"model.onnx"}), "onnx-int8": (["--to", "onnx-int8"], {"model.onnx"}),
    "c": (["--to", "c"], C_FILES), "c-int8": (["--to", "c", "--int8"], C_FILES),
    "bundle": (["--to", "bundle"], {"model.onnx", "layers.onnx", "card.json", "card.md"}),
}


@pytest.fixture(scope="module")
def shipped(digits_run, tmp_path_factory):
    """shipped(name): the folder of an export, made once, and its document."""

    @functools.cache
    def make(name):
        folder = tmp_path_factory.mktemp("shipped") / "out"
        to, int8 = ("c", True) if name == "c-int8" else (name, False)
        return folder, export(digits_run, to, folder, int8=int8)

    return make


@pytest.mark.parametrize("name", list(FORMS))
def test_an_export_writes_its_files_and_its_proof(name, shipped, digits_run):
    folder, document = shipped(name)
    files = FORMS[name][1]
    assert {file.name for file in folder.iterdir()} == files | {"ship.json", "ship.md"}
    assert document == json.loads((folder / "ship.json").read_text())
    assert document["verdict"]["sentence"] in (folder / "ship.md").read_text()
    assert document["files"] == {file: (folder / file).stat().st_size for file in files}
    right = digits_run.result["test"]["class"]["correct"]
    assert document["measured"]["torch"]["heads"]["class"]["correct"] == right
    assert document["test_images"] == 360
    found = document["measured"][document["form"]]["heads"]["class"]
    better = sum(each["answer"] == each["label"] for each in found["disagreements"])
    worse = sum(each["torch"] == each["label"] for each in found["disagreements"])
    assert found["correct"] == right + better - worse
    if not name.endswith("int8"):
        assert document["verdict"]["agrees"] and not found["disagreements"] and found["largest_difference"] < 1e-4


def test_the_command_prints_the_verdict_and_no_noise(digits_run, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "featherweight", "export", digits_run.path, "--to", "onnx", "--out", tmp_path / "out"],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "gives torch's class for all 360 test images" in done.stdout
    assert not any(word in done.stderr for word in ("Traceback", "torchvision", "arning"))


@pytest.mark.parametrize("name", ["c", "c-int8"])
def test_c_says_its_memory_and_builds_with_its_makefile(name, shipped, digits_run, tmp_path):
    folder, document = shipped(name)
    source = (folder / "featherweight_model.c").read_text()
    assert f"RAM    {document['ram']:,} bytes" in source and f"flash  {document['flash']:,} bytes" in source
    assert document["sanitizers"] == {"flags": "-fsanitize=address,undefined", "images": 300, "findings": 0}
    assert "malloc(" not in source and max(map(len, source.splitlines())) < 200
    for file in C_FILES:
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    subprocess.run(["make"], cwd=tmp_path, check=True, capture_output=True)
    linked = subprocess.run(["nm", "featherweight_model.o"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "malloc" not in linked.stdout
    image = load_dataset("digits").test.images[0, 0].numpy()
    (tmp_path / "one.pgm").write_bytes(b"P5\n# a comment\n28 28\n255\n" + image.tobytes())
    (tmp_path / "two.raw").write_bytes(image.tobytes() * 2)
    answers = [subprocess.run(["./demo", file], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
               for file in ("one.pgm", "two.raw")]
    assert answers[1] == 2 * answers[0]
    label, shares = answers[0].strip().split("\t")
    torchs = TrainedNetwork.open(digits_run).probabilities(image[None, None])["class"][0]
    assert int(label) == torchs.argmax()
    assert np.abs(np.array(shares.split(), float) - torchs).max() < (1e-5 if name == "c" else 0.2)


@pytest.mark.parametrize("content", [b"P5 27 28 255\n" + bytes(756), b"P6 28 28 255\n", b""])
def test_the_demo_refuses_other_pictures(shipped, tmp_path, content):
    folder, _ = shipped("c")
    sources = folder / "main.c", folder / "featherweight_model.c"
    subprocess.run(["gcc", "-o", tmp_path / "demo", *sources, "-lm"], check=True)
    (tmp_path / "a.pgm").write_bytes(content)
    done = subprocess.run([tmp_path / "demo", tmp_path / "a.pgm"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "28x28" in done.stderr and not done.stdout
    done = subprocess.run([tmp_path / "demo"], input=bytes(785), capture_output=True, check=False)
    assert done.returncode == 2 and b"within an image" in done.stderr and done.stdout.count(b"\n") == 1


def test_int8_is_int8(shipped):
    folder, _ = shipped("onnx-int8")
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    weights = [tensor for tensor in model.graph.initializer if tensor.name.endswith("_weight_8")]
    assert len(weights) == kinds.count("Conv") == 9
    assert all(tensor.data_type == onnx.TensorProto.UINT8 for tensor in weights)
    scales = [tensor for tensor in model.graph.initializer if tensor.name.endswith("_weight_scale")]
    assert [list(scale.dims) for scale in scales] == [[weight.dims[0]] for weight in weights]
    assert kinds.count("QuantizeLinear") == 9 and "BatchNormalization" not in kinds
    assert {entry.key for entry in model.metadata_props} >= {"heads", "recipe", "accuracy", "picture"}


def test_a_second_export_needs_force_and_then_is_the_same(shipped, digits_run, run_command, refused):
    folder, _ = shipped("c-int8")
    options, files = FORMS["c-int8"]
    before = {file: (folder / file).read_bytes() for file in files}
    command = ["export", digits_run.path, *options, "--out", folder]
    refused(*command, words=["--force"])
    assert run_command(*command, "--force")[0] == 0
    assert {file: (folder / file).read_bytes() for file in files} == before


def test_json_is_one_document_and_another_form_replaces_all_of_the_first(
    shipped, digits_run, run_command, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(shipped("bundle")[0], out)
    code, printed, _ = run_command("export", digits_run.path, "--to", "onnx", "--out", out, "--json", "--force")
    assert code == 0
    assert json.loads(printed) == json.loads((out / "ship.json").read_text())
    assert sorted(file.name for file in out.iterdir()) == ["model.onnx", "ship.json", "ship.md"]


def test_digit_sum_is_asked_all_numbers_in_turn(sum_run, tmp_path):
    document = export(sum_run, "c", tmp_path / "out")
    assert document["verdict"]["holds"] and "numbers 0..9 in turn" in document["questions"]
    assert set(document["measured"]["c"]["heads"]) == {"digit", "sum"}
    header = (tmp_path / "out" / "featherweight_model.h").read_text()
    assert "const uint8_t image[784], int number, float digit[10], float sum[19]" in header


@pytest.mark.parametrize(("options", "words"), [
    (["--to", "onxx"], ["'onxx'", "Did you mean 'onnx'?"]), (["--to", "onnx", "--int8"], ["--to c", "onnx-int8"]),
])
def test_faults_are_one_line_and_write_nothing(digits_run, refused, tmp_path, options, words):
    refused("export", digits_run.path, *options, "--out", tmp_path / "out", words=words)
    assert not (tmp_path / "out").exists()


def test_data_that_are_not_there_are_named(digits_run, refused, reseal, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(digits_run.path, run)
    recipe = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(recipe.replace('dataset = "digits"', 'dataset = "folder:nowhere"'))
    reseal(run)
    refused("export", run, "--to", "c", "--out", tmp_path / "out", words=["nowhere"])
    assert not (tmp_path / "out").exists()


def test_folders_that_hold_something_else_stay_as_they_are(digits_run, refused, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    refused("export", digits_run.path, "--to", "onnx", "--out", tmp_path, "--force", words=["notes.txt", "--out"])
    refused("export", digits_run.path, "--to", "onnx", "--out", tmp_path / "notes.txt", words=["is a file"])
    refused("export", digits_run.path, "--to", "onnx", "--out", digits_run.path, "--force", words=["no part of an"])
    refused("export", tmp_path, "--to", "onnx", "--out", tmp_path / "new", words=["recipe.toml"])
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_without_gcc_the_c_is_written_and_not_called_proved(digits_run, run_command, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = run_command("export", digits_run.path, "--to", "c", "--out", tmp_path / "out", "--json")
    document = json.loads(out)
    assert code == 1 and not document["verdict"]["proved"] and "gcc was not found" in document["verdict"]["sentence"]
    assert set(document["measured"]) == {"torch"} and (tmp_path / "out" / "featherweight_model.c").is_file()


def test_strict_exits_with_1_where_int8_loses_too_much(digits_run, run_command, tmp_path, monkeypatch):
    monkeypatch.setattr("featherweight.shipping.verdict.MOST_LOST", -1.0)     # as if every loss were too much
    command = ["export", digits_run.path, "--to", "onnx-int8"]
    code, out, _ = run_command(*command, "--out", tmp_path / "a")
    assert code == 0 and "more than the" in out
    assert run_command(*command, "--out", tmp_path / "b", "--strict")[0] == 1


def test_a_wrong_weight_fails_the_export_loudly(digits_run, run_command, tmp_path, monkeypatch):
    """The proof is about what was written: C that forgets its bias is found out."""
    from featherweight.shipping import c_text

    right = sections("float.c")
    wrong = {"float.c": right | {"convolve": right["convolve"].replace("out[x] = layer->bias[o]", "out[x] = 0.0f")}}
    monkeypatch.setattr(c_text, "sections", lambda name: wrong.get(name) or sections(name))
    code, _out, fault = run_command("export", digits_run.path, "--to", "c", "--out", tmp_path / "out")
    assert code == 1 and "do not use" in fault and "do not use" in (tmp_path / "out" / "ship.md").read_text()
    document = json.loads((tmp_path / "out" / "ship.json").read_text())
    assert document["measured"]["c"]["heads"]["class"]["disagreements"]


def test_c_that_reaches_beyond_its_memory_is_refused(digits_run, run_command, tmp_path, monkeypatch):
    from featherweight.shipping import c_text

    right = sections("float.c")
    wrong = right["pool"].replace("float best = 0.0f, sum = 0.0f;",
                                  "float best = 0.0f, sum = 0.0f * in[layer->in.height * layer->in.width * 999];")
    patched = {"float.c": right | {"pool": wrong}}
    monkeypatch.setattr(c_text, "sections", lambda name: patched.get(name) or sections(name))
    code, out, fault = run_command("export", digits_run.path, "--to", "c", "--out", tmp_path / "out")
    assert (code, out) == (2, "") and "ended with code" in fault.splitlines()[-1] and "Traceback" not in fault
    assert not (tmp_path / "out").exists()


UNSUPPORTED = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 28)

    def forward(self, x):
        return torch.{function}(self.conv(x)).flatten(1)
"""


def test_a_network_with_another_layer_ships_as_onnx_and_is_refused_as_c(
    digits_recipe, network_file, run_command, tmp_path
):
    file = network_file(UNSUPPORTED.format(function="sin"))
    run = featherweight.train(digits_recipe(model={"name": f"{file}:Net"}), tmp_path / "run")
    assert export(run, "onnx", tmp_path / "onnx")["verdict"]["holds"]
    code, out, fault = run_command("export", run.path, "--to", "onnx-int8", "--out", tmp_path / "int8")
    last = fault.splitlines()[-1]
    assert (code, out) == (2, "")
    assert all(word in last for word in ("sin cannot go into C or int8", "Linear", "--to onnx"))


def test_a_missing_package_is_one_line(digits_run, refused, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    refused("export", digits_run.path, "--to", "onnx", "--out", tmp_path / "out", words=["onnxscript", "[ship]"])
    assert set(export(digits_run, "c", tmp_path / "c")["measured"]) == {"torch", "c"}


def test_help_names_the_formats(run_command):
    assert "onnx-int8" in run_command("export", "--help")[1]
    with pytest.raises(SystemExit):
        main(["export"])
