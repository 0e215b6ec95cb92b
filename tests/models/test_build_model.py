"""The one door: names, files of a user's own, and every way in which they can be wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import nn

from featherweight.errors import FeatherweightError, ModelError, UnknownName
from featherweight.models import build_model, find_builder, input_shapes
from featherweight.models.session6 import Session6

OWN = """
from torch import nn

class Net(nn.Module):
    def __init__(self, in_channels=1, width=4):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3)
    def forward(self, x):
        return self.conv(x).flatten(1)

def make(**anything):
    return nn.Linear(len(anything) + 1, 1)

class Broken(nn.Module):
    def __init__(self):
        raise RuntimeError("no weights today")

class NotANetwork:
    pass

NUMBER = 3
"""
Write = Callable[[str], str]


def line(fault: pytest.ExceptionInfo[BaseException]) -> str:
    """The message, which is one line."""
    text = str(fault.value)
    assert "\n" not in text
    return text


def test_a_name_of_the_catalogue() -> None:
    assert isinstance(build_model("session6"), Session6)
    assert find_builder("session6") is Session6


def test_a_class_in_a_file(network_file: Write) -> None:
    model = build_model(f"{network_file(OWN)}:Net", {"width": 7})
    assert type(model).__name__ == "Net"
    assert model(torch.zeros(2, 1, 5, 5)).shape == (2, 63)


def test_a_file_may_say_what_goes_in(network_file: Write) -> None:
    own = "from torch import nn\nclass Net(nn.Identity):\n    input_shapes = [(3, 8, 8), [4]]\n"
    assert input_shapes(build_model(f"{network_file(own)}:Net")) == ((3, 8, 8), (4,))
    assert input_shapes(nn.Identity()) == ((1, 28, 28),)


def test_suggestions_are_used_only_where_the_signature_names_them(network_file: Write) -> None:
    suggested = {"in_channels": 3, "classes": 26}
    assert build_model("session6", suggested=suggested).fc.out_features == 26
    assert build_model(f"{network_file(OWN)}:Net", suggested=suggested).conv.in_channels == 3


def test_arguments_win_over_suggestions() -> None:
    assert build_model("session6", {"classes": 5}, suggested={"classes": 26}).fc.out_features == 5


def test_a_function_that_takes_anything_gets_its_arguments_and_no_suggestions(network_file: Write) -> None:
    model = build_model(f"{network_file(OWN)}:make", {"a": 1, "b": 2}, suggested={"classes": 10})
    assert model.in_features == 3


def test_given_arguments_are_left_alone() -> None:
    arguments = {"classes": 5}
    build_model("session6", arguments, suggested={"in_channels": 3})
    assert arguments == {"classes": 5}


def test_an_unknown_name() -> None:
    with pytest.raises(UnknownName) as fault:
        build_model("sesion6")
    assert line(fault).startswith("unknown model 'sesion6'. Did you mean 'session6'? See: featherweight models")


def test_an_unknown_argument_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownName) as fault:
        build_model("session6", {"drop": 0.1})
    assert "'drop'" in line(fault)
    assert "Did you mean 'dropout'?" in line(fault)


def test_an_argument_of_the_wrong_kind() -> None:
    with pytest.raises(ModelError) as fault:
        build_model("session6", {"dropout": 2})
    assert re.match(r"model 'session6' cannot be built with \{'dropout': 2\}: ValueError: ", line(fault))


def test_a_file_without_its_class(network_file: Write) -> None:
    file = network_file(OWN)
    with pytest.raises(ModelError) as fault:
        build_model(file)
    assert f"Write '{file}:Class'" in line(fault)


def test_a_file_that_is_not_there(tmp_path: object) -> None:
    with pytest.raises(ModelError) as fault:
        build_model(f"{tmp_path}/none.py:Net")
    assert "none.py' does not exist" in line(fault)


@pytest.mark.parametrize(
    ("text", "words"),
    [("def (", "SyntaxError"), ("import nothing_of_this_name", "ModuleNotFoundError"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_file_that_cannot_be_imported(text: str, words: str, network_file: Write) -> None:
    with pytest.raises(ModelError) as fault:
        build_model(f"{network_file(text)}:Net")
    assert f"cannot be imported: {words}: " in line(fault)


def test_a_class_that_is_not_in_the_file(network_file: Write) -> None:
    with pytest.raises(UnknownName) as fault:
        build_model(f"{network_file(OWN)}:Nett")
    assert "'Nett'" in line(fault)
    assert "Did you mean 'Net'?" in line(fault)


def test_a_name_of_the_file_that_is_no_class(network_file: Write) -> None:
    with pytest.raises(UnknownName) as fault:
        build_model(f"{network_file(OWN)}:NUMBER")
    assert "'NUMBER'" in line(fault)


def test_a_class_whose_building_fails(network_file: Write) -> None:
    with pytest.raises(ModelError) as fault:
        build_model(f"{network_file(OWN)}:Broken")
    assert "cannot be built with {}: RuntimeError: no weights today" in line(fault)


def test_a_class_that_is_no_network(network_file: Write) -> None:
    with pytest.raises(ModelError) as fault:
        build_model(f"{network_file(OWN)}:NotANetwork")
    assert "gave a NotANetwork, not a torch.nn.Module" in line(fault)


def test_a_class_whose_signature_cannot_be_read(network_file: Write) -> None:
    """A few built-in callables tell no signature; that is no reason for a traceback."""
    with pytest.raises(FeatherweightError):
        build_model(f"{network_file('Net = dict.fromkeys')}:Net")
