"""build_model: a catalogue name or path/to/file.py:Class, and one line for everything that can be wrong with it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featherweight.errors import FeatherweightError, ModelError, UnknownName
from featherweight.models import build_model, find_builder, input_shapes

OWN = """
from torch import nn

class Wide(nn.Linear):
    input_shapes = ((7,),)

    def __init__(self, width=3, classes=10):
        super().__init__(width, classes)

class Plain(nn.Identity):
    def __init__(self):
        super().__init__()

class Open(nn.Identity):
    def __init__(self, width=3, **others):
        super().__init__()
        self.others = others

class Choosy(nn.Identity):
    def __init__(self, width=3):
        raise ValueError(f"width {width} is odd")

class NoModule:
    pass

def make(classes=4):
    return nn.Linear(2, classes)

NUMBER = 5
"""


@pytest.fixture
def own(network_file):
    """own("Class") -> the name of a network in a file of the user's."""
    path = network_file(OWN)
    return lambda attribute: f"{path}:{attribute}"


def message_of(kind, *arguments, **keywords):
    """The text of the one-line fault that build_model raises."""
    with pytest.raises(kind) as fault:
        build_model(*arguments, **keywords)
    text = str(fault.value)
    assert text
    assert "\n" not in text
    return text


class TestOwnNetworks:
    def test_a_class_of_a_file(self, own):
        model = build_model(own("Wide"))
        assert isinstance(model, nn.Linear)
        assert (model.in_features, model.out_features) == (3, 10)

    def test_with_arguments(self, own):
        assert build_model(own("Wide"), {"width": 5}).in_features == 5

    def test_a_function_will_do(self, own):
        assert build_model(own("make")).out_features == 4

    def test_their_input_shapes_or_else_a_grey_28x28_image(self, own):
        assert input_shapes(build_model(own("Wide"))) == ((7,),)
        assert input_shapes(build_model(own("Plain"))) == ((1, 28, 28),)

    def test_a_path_with_a_colon_and_dots(self, tmp_path):
        folder = tmp_path / "odd:name.v2"
        folder.mkdir()
        (folder / "net.v1.py").write_text(OWN)
        assert isinstance(build_model(f"{folder}/net.v1.py:Plain"), nn.Identity)

    def test_a_file_may_hold_a_dataclass_with_postponed_annotations(self, network_file):
        text = "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom torch import nn\n"
        text += "@dataclass\nclass Sizes:\n    width: int = 3\n"
        text += "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(Sizes().width, 2)\n"
        assert build_model(network_file(text) + ":Net").in_features == 3


class TestSuggestedArguments:
    """in_channels and classes of the data set: used where the signature names them and nobody said otherwise."""

    def test_taken_where_named(self, own):
        assert build_model(own("Wide"), suggested={"classes": 4, "in_channels": 3}).out_features == 4

    def test_left_out_where_not_named(self, own):
        assert isinstance(build_model(own("Plain"), suggested={"classes": 4, "in_channels": 3}), nn.Identity)

    def test_never_over_explicit_ones(self, own):
        assert build_model(own("Wide"), {"classes": 7}, suggested={"classes": 4}).out_features == 7

    def test_not_forced_on_open_keywords(self, own):
        assert build_model(own("Open"), {"depth": 2}, suggested={"classes": 4}).others == {"depth": 2}

    def test_catalogue(self):
        model = build_model("session7-model2", suggested={"in_channels": 3, "classes": 4}).eval()
        assert model(torch.zeros(1, 3, 28, 28)).shape == (1, 4)
        assert build_model("digit-sum", suggested={"in_channels": 1, "classes": 10}) is not None


class TestFaults:
    def test_unknown_name(self):
        text = message_of(UnknownName, "session7-modle2")
        assert "session7-modle2" in text
        assert "Did you mean 'session7-model2'?" in text
        assert "featherweight models" in text

    def test_missing_file(self, tmp_path):
        text = message_of(ModelError, f"{tmp_path}/none.py:Net")
        assert "none.py" in text
        assert "does not exist" in text

    def test_file_without_class(self, own):
        text = message_of(ModelError, own("Wide").removesuffix(":Wide"))
        assert "without its class" in text
        assert "own.py:Class" in text

    def test_missing_class_with_the_nearest(self, own):
        text = message_of(UnknownName, own("Wied"))
        assert "'Wied'" in text
        assert "Did you mean 'Wide'?" in text

    def test_missing_class_with_all_of_the_file(self, own):
        text = message_of(UnknownName, own("Zzz"))
        assert "Allowed: Wide, Plain, Open, Choosy, NoModule" in text

    def test_a_name_that_is_no_class(self, own):
        assert "'NUMBER'" in message_of(UnknownName, own("NUMBER"))

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("from no_such_package import Net", "No module named 'no_such_package'"),
         ("from no_such_package import Base\nclass Net(Base): pass", "No module named 'no_such_package'"),
         ("Net = 1 / 0", "division by zero"), ("raise SystemExit\nclass Net(:", "SyntaxError")],
    )
    def test_file_that_cannot_be_imported(self, network_file, text, reason):
        message = message_of(ModelError, network_file(text) + ":Net")
        assert "cannot be imported" in message
        assert reason in message

    def test_constructor_that_refuses(self, own):
        text = message_of(ModelError, own("Choosy"), {"width": 5})
        assert "{'width': 5}" in text
        assert "ValueError: width 5 is odd" in text

    @pytest.mark.parametrize("place", ["class Net:\n    def __init__(self):\n        ", "def Net():\n    "])
    def test_a_reason_of_several_lines_becomes_one(self, network_file, place):
        """torch's own messages are often that long, e.g. those of load_state_dict."""
        text = message_of(ModelError, network_file(f"{place}raise RuntimeError('Error(s):\\n\\tmissing key')") + ":Net")
        assert "missing key" in text

    def test_missing_argument(self, network_file):
        text = "from torch import nn\nclass Net(nn.Identity):\n    def __init__(self, width):\n        pass\n"
        assert "'width'" in message_of(ModelError, network_file(text) + ":Net")

    def test_no_module(self, own):
        text = message_of(ModelError, own("NoModule"))
        assert "NoModule, not a torch.nn.Module" in text

    def test_unknown_argument(self, own):
        text = message_of(UnknownName, own("Wide"), {"widht": 3})
        assert "'widht'" in text
        assert "Did you mean 'width'?" in text

    def test_unknown_argument_of_the_catalogue(self):
        assert "Allowed: in_channels, dropout." in message_of(UnknownName, "digit-sum", {"classes": 10})

    def test_argument_of_the_wrong_kind(self):
        assert "session6" in message_of(ModelError, "session6", {"classes": "ten"})


def test_find_builder_gives_the_class_itself(own):
    assert find_builder(own("Wide")).__name__ == "Wide"
    assert find_builder("session6").__name__ == "Session6"


def test_a_class_whose_signature_cannot_be_read(tmp_path):
    """A few built-in callables tell no signature; that is no reason for a traceback."""
    (tmp_path / "own.py").write_text("Net = dict.fromkeys")
    with pytest.raises(FeatherweightError):
        build_model(f"{tmp_path / 'own.py'}:Net")
