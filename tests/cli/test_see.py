"""report, plot and curves as a person meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from PIL import Image

import featherweight
from featherweight.cli import main

SETTINGS = ("data.dataset=digits", "training.epochs=2", "data.validation=100")
QUICK = [*(part for setting in SETTINGS for part in ("--set", setting)), "--device", "cpu"]
KINDS = [
    "curves", "confusion", "mistakes", "by-class", "calibration", "kernels", "activations", "cam", "receptive-field",
    "graph",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run folder as train leaves it, with its report."""
    out = tmp_path_factory.mktemp("see") / "run"
    with pytest.raises(SystemExit) as stop:
        main(["train", "session7-model2", *QUICK, "--out", str(out)])
    assert stop.value.code == 0
    return out


def test_train_leaves_a_report(finished):
    page = (finished / "report.html").read_text()
    assert page.startswith("<!doctype html>") and "session7-model2" in page


def test_a_network_that_cannot_be_drawn_is_still_trained(run_command, tmp_path, network_file):
    flat = "from torch import nn\nclass Flat(nn.Sequential):\n    def __init__(self):\n"
    own = network_file(flat + "        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n")
    (tmp_path / "own.toml").write_text(f'name = "own"\n[model]\nname = "{own}:Flat"\n[data]\ndataset = "digits"\n')
    code, out, _ = run_command("train", tmp_path / "own.toml", "--set", "training.epochs=1", "--out", tmp_path / "run")
    assert code == 0 and "report.html" in out
    assert "Where it looks" in (tmp_path / "run" / "report.html").read_text()


def test_a_report_is_made_anew_in_the_run_and_nowhere_else(run_command, refused, finished, tmp_path):
    (finished / "report.html").unlink()
    assert run_command("report", finished)[:2] == (0, f"wrote {finished / 'report.html'}\n")
    assert run_command("report", finished)[0] == 0
    page = tmp_path / "page.html"
    assert run_command("report", finished, finished, "--out", page)[0] == 0
    refused("report", finished, "--out", page, words=["exists", "--force"])
    assert run_command("report", finished, "--out", page, "--force")[0] == 0
    refused("report", finished, "--out", tmp_path / "page.pdf", words=["does not end in .html"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_is_drawn(run_command, finished, tmp_path, kind):
    file = tmp_path / "picture.png"
    assert run_command("plot", kind, finished, "--out", file) == (0, f"wrote {file}\n", "")
    with Image.open(file) as picture:
        assert picture.format == "PNG" and min(picture.size) > 50


@pytest.mark.parametrize("arguments", [["kernels", "session6"], ["receptive-field", "digit-sum", "--image", "3"],
                                       ["graph", "digit-sum", "--autograd"], ["graph", "session1"]])
def test_a_network_without_a_run_can_be_drawn(run_command, tmp_path, arguments):
    file = tmp_path / "picture.svg"
    assert run_command("plot", *arguments, "--out", file)[0] == 0
    assert "<svg" in file.read_text()


def test_pictures_of_the_chosen_head(run_command, tmp_path, sum_run):
    for head, classes in (("digit", 10), ("sum", 19)):
        file = tmp_path / f"{head}.svg"
        assert run_command("plot", "confusion", sum_run.path, "--head", head, "--out", file)[0] == 0
        assert file.read_text().count("read as") == classes**2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plot", "curve", "RUN", "--out", "x.png"], ["'curve'", "'curves'"]),
        (["plot", "curves", "RUN"], ["--out"]),
        (["plot", "curves", "RUN", "--out", "x.pdf"], ["'x.pdf'", ".png or .svg"]),
        (["plot", "curves", "session6", "--out", "x.png"], ["'session6' does not exist"]),
        (["plot", "kernels", "sesion6", "--out", "x.png"], ["'sesion6'", "'session6'"]),
        (["plot", "cam", "RUN", "--image", "360", "--out", "x.png"], ["360", "0 and 359", "--image"]),
        (["plot", "cam", "RUN", "--image", "-1", "--out", "x.png"], ["-1", "--image"]),
        (["plot", "confusion", "RUN", "--head", "sum", "--out", "x.png"], ["'sum'", "class"]),
        (["plot", "cam", "RUN", "--autograd", "--out", "x.png"], ["--autograd", "graph"]),
        (["report", "RUN", "--image", "360", "--out", "x.html"], ["360", "--image"]),
        (["report", "gone"], ["'gone' does not exist"]),
        (["report", "."], ["'.'", "no run folder"]),
        (["curves", "gone"], ["'gone' does not exist"]),
    ],
)
def test_bad_input_is_one_line(refused, finished, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    refused(*(finished if word == "RUN" else word for word in arguments), words=words)
    assert list(tmp_path.iterdir()) == []


def test_a_report_of_a_run_without_weights_is_one_line(refused, finished, tmp_path):
    bare = shutil.copytree(finished, tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    refused("report", bare, words=["model.safetensors", "cannot be read"])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_curves_fit_the_terminal(run_command, finished, width):
    code, out, _ = run_command("curves", finished, "--width", width)
    assert code == 0 and max(map(len, out.splitlines())) <= width
    assert "loss, by epoch" in out and "validation class" in out and "epoch 2: learning rate" in out


def test_curves_of_a_run_that_is_still_training(run_command, refused, finished, tmp_path):
    young = shutil.copytree(finished, tmp_path / "young")
    (young / "result.json").unlink()
    assert run_command("curves", young)[0] == 0
    (young / "history.jsonl").write_text("")
    refused("curves", young, words=["no epoch is done yet"])


COLOUR = """import torch
from torch import nn
class Colour(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, width, 5, stride=5), nn.Linear(16 * width, 10)
    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).flatten(1))
"""
SUM = """import torch
from torch import nn
class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 7, stride=7), nn.Linear(74, 29)
    def forward(self, image, number):
        found = self.head(torch.cat([self.conv(image).flatten(1), number], 1))
        return found[:, :10], found[:, 10:]
"""


@pytest.mark.parametrize(("source", "name", "settings"), [
    (COLOUR, "Colour", {"data": {"channels": 3, "size": 20}}), (SUM, "Sum", {"task": "digit-sum"}),
])
def test_a_run_is_drawn_in_the_shapes_of_its_data(
    run_command, network_file, digits_recipe, tmp_path, source, name, settings
):
    recipe = digits_recipe(model={"name": f"{network_file(source)}:{name}"}, **settings)
    featherweight.train(recipe, tmp_path / "run", device="cpu")
    for kind in ("graph", "receptive-field", "kernels"):
        assert run_command("plot", kind, tmp_path / "run", "--out", tmp_path / f"{kind}.svg")[0] == 0
    shape = "3x20x20" if name == "Colour" else "input number"
    assert shape in (tmp_path / "graph.svg").read_text()
    assert run_command("report", tmp_path / "run")[0] == 0


def test_a_model_is_drawn_on_the_input_it_is_given(run_command, refused, network_file, tmp_path):
    model, file, other = f"{network_file(COLOUR)}:Colour", tmp_path / "x.svg", tmp_path / "y.svg"
    refused("plot", "graph", model, "--out", file, words=["layer head (Linear), own.py:8: "])
    given = ["--input", "3,20,20", "--set", "width=7"]
    assert run_command("plot", "graph", model, *given, "--out", file)[0] == 0
    assert "3x20x20" in file.read_text() and "7x4x4" in file.read_text()
    assert run_command("plot", "receptive-field", model, *given, "--out", other)[0] == 0
    refused("plot", "kernels", model, "--input", "3,20,20", "--out", other, words=["--input", "kernels"])


def test_the_arguments_of_a_run_stand_in_its_recipe(refused, finished, tmp_path):
    refused("plot", "graph", finished, "--set", "width=7", "--out", tmp_path / "x.svg", words=["--set", "is a run"])


def test_a_network_without_places_has_no_fields_to_draw(refused, network_file, tmp_path):
    spectrum = "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n"
    model = network_file(spectrum + "        return torch.fft.fft2(x).real.mean((2, 3))\n")
    refused("plot", "receptive-field", f"{model}:Net", "--out", tmp_path / "x.svg", words=["no layer", "another kind"])


def test_an_existing_picture_is_refused_before_the_work(tmp_path):
    (tmp_path / "x.png").write_text("kept")
    program = "import sys; from featherweight.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit as stop: "
    program += "print(stop.code, [name for name in ('torch', 'matplotlib') if name in sys.modules])"
    for command in (["plot", "graph", "session6"], ["report", "one", "two"]):
        file = tmp_path / ("x.png" if command[0] == "plot" else "x.html")
        file.write_text("kept")
        done = subprocess.run([sys.executable, "-c", program, *command, "--out", str(file)], capture_output=True,
                              text=True, check=True)
        assert done.stdout == "2 []\n" and "exists" in done.stderr and file.read_text() == "kept"


def test_drawing_prints_json(run_command, finished, tmp_path):
    for kind in (["plot", "curves", finished, "--out", tmp_path / "c.svg"],
                 ["report", finished, "--out", tmp_path / "r.html"]):
        code, out, said = run_command(*kind, "--json", "--quiet")
        assert code == 0 and said == "" and json.loads(out) == {"file": str(kind[-1])}
    history = json.loads(run_command("curves", finished, "--json")[1])
    assert [line["epoch"] for line in history] == list(range(1, len(history) + 1))
