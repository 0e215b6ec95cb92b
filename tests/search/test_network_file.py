"""A network file is the network of its words: the same parameters, first weights, outputs and training."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import featherweight
from featherweight.errors import ModelError
from featherweight.models import build_model
from featherweight.models.words import STAGES
from featherweight.search.network_file import network_file
from featherweight.search.records import Costs
from featherweight.user_code import load_class

CUT = {"c": 2, "s": 2, "e": 2, "n": 2}


@st.composite
def rows(draw: st.DrawFn) -> str:
    """Draw words that an image of 28 x 28 pixels passes through."""
    side, channels, row = 28, 1, []
    for letter in draw(st.lists(st.sampled_from("cCktFsSenxwpz"), min_size=1, max_size=6)):
        n, times = draw(st.integers(1, 9)), draw(st.integers(1, 3))
        cut = 2 * times if letter == "w" else 2 if letter == "z" else CUT.get(letter, 0)
        if side - cut < 2:
            continue
        side = (side + 1) // 2 if letter in "tF" else side // 2 if letter == "p" else side - cut
        same = {"p": "p", "z": "z1", "x": f"x{channels}t{times}", "w": f"w{channels}t{times}"}
        row.append(same.get(letter, f"{letter}{n}"))
        channels = channels if letter in same else n
    return "words:" + " ".join([*row, draw(st.sampled_from(["g h", "q h", "h g", "h"]))])


def built(text: str, folder: Path, **arguments: Any) -> nn.Module:
    """Build the class Net of a file with this text."""
    file = folder / "network.py"
    file.write_text(text)
    return load_class(file, "Net").builder(**arguments)


def in_words(words: str, shape: tuple[int, int, int], classes: int, arguments: dict[str, Any]) -> nn.Module:
    return build_model(words, arguments, suggested={"in_channels": shape[0], "classes": classes})


@given(rows(), st.booleans(), st.sampled_from([0.0, 0.1]), st.integers(2, 12), st.integers(0, 99))
@settings(max_examples=25)
def test_it_is_the_network_of_its_words(tmp_path_factory, words, gain, dropout, classes, seed):
    arguments = {"gain": gain, "dropout": dropout}
    text = network_file(words, classes=classes, arguments=arguments)
    torch.manual_seed(seed)
    given_words = in_words(words, (1, 28, 28), classes, arguments)
    torch.manual_seed(seed)
    written = built(text, tmp_path_factory.mktemp("file"))
    pairs = list(zip(given_words.state_dict().values(), written.state_dict().values(), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs)
    counts = [sum(parameter.numel() for parameter in one.parameters()) for one in (given_words, written)]
    assert counts[0] == counts[1] and f"Net: {counts[0]:,} parameters" in text
    images = torch.rand(3, 1, 28, 28)
    for mode in (True, False):
        outputs = []
        for network in (given_words.train(mode), written.train(mode)):
            torch.manual_seed(seed)
            outputs.append(network(images))
        assert torch.equal(*outputs)
    assert max(map(len, text.splitlines())) <= 120


def test_a_comment_that_makes_a_line_too_long_stands_above_it():
    text = network_file("words:S1 g h", classes=10, arguments={"gain": False})
    assert max(map(len, text.splitlines())) <= 120 and text.count("# 28x28") == 2


@pytest.mark.parametrize("form", STAGES)
def test_every_word_can_be_written(form, tmp_path):
    word = form.replace("N", "1" if form == "zN" else "4").replace("R", "2")
    words = f"words:c4 {word} g h" if form != "h" else "words:c4 h g"
    network, written = in_words(words, (1, 28, 28), 10, {}), built(network_file(words), tmp_path)
    assert [tuple(p.shape) for p in network.parameters()] == [tuple(p.shape) for p in written.parameters()]


def test_colour_images_and_other_classes(tmp_path):
    words = "words:S6 p e8 q h"
    text = network_file(words, shape=(3, 32, 32), classes=7)
    assert "input_shapes: ClassVar = ((3, 32, 32),)" in text
    assert "nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)" in text
    assert built(text, tmp_path).eval()(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    assert built(text, tmp_path, classes=4).eval()(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    given_words = in_words(words, (3, 32, 32), 7, {})
    assert len(given_words.state_dict()) == len(built(text, tmp_path).state_dict())


def test_sizes_stand_at_the_end_of_the_lines():
    text = network_file("words:c8 s16 p x16t2 g h", costs=Costs(2_345, 67_890, 3_456, 4_567), found="Found somewhere.")
    for line in (
        "nn.Conv2d(in_channels, 8, 3, bias=False),  # 26x26, receptive field 3",
        "nn.Conv2d(8, 8, 3, groups=8, bias=False),  # 24x24, 5",
        "self.pool = nn.MaxPool2d(2)                    # 12x12, 6",
        "self.residual = Repeated(16, 2, residual=True)  # 12x12, 14",
        "self.mean = nn.AdaptiveAvgPool2d(1)  # 1x1, the whole image",
        "2,345 parameters, 67,890 multiply-accumulates per image.",
        "C code (int8): RAM 3,456 bytes, flash 4,567 bytes.",
        "In words: words:c8 s16 p x16t2 g h",
        "Found somewhere.",
    ):
        assert " ".join(line.split()) in " ".join(text.split()), line
    places = {line.index("# ") for line in text.splitlines() if "self." in line and "# " in line}
    assert len(places) == 1
    assert "import torch.nn.functional" in text and "import torch\n" not in text and "GainlessNorm" not in text


def test_a_text_from_outside_cannot_leave_the_docstring():
    evil = 'by `search --out "x"""` \\ \n    import os\n'
    tree = ast.parse(network_file("words:c4 g h", found=evil))
    assert [type(part).__name__ for part in tree.body] == ["Expr", "ImportFrom", "ImportFrom", "ImportFrom", "ClassDef"]
    assert "search --out" in ast.get_docstring(tree.body[-1])


def test_an_unknown_word_is_refused():
    with pytest.raises(ModelError, match="word 2 'y8'"):
        network_file("words:c4 y8 g h")


def test_it_trains_as_its_words_do(tmp_path, monkeypatch):
    words = "words:c4 p s6 g h"
    settings = {"training.epochs": 1, "training.batch_size": 64, "training.engine": "torch",
                "training.precision": "float32", "data.dataset": "digits"}
    (tmp_path / "network.py").write_text(network_file(words))
    monkeypatch.chdir(tmp_path)
    runs = [featherweight.train(model=model, out=tmp_path / f"run{n}", settings=settings, quiet=True, device="cpu")
            for n, model in enumerate((words, "network.py:Net"))]
    assert runs[0].result["test"] == runs[1].result["test"]
    assert [line["train_loss"] for line in runs[0].history] == [line["train_loss"] for line in runs[1].history]
