"""A network that fails is told by its layer, the user's line and the next move; so are its warnings."""

import importlib.util
import subprocess
import sys
import warnings

import pytest
from torch import nn

from featherweight.anatomy import autograd_graph, data_flow, receptive_field, summarize, verify
from featherweight.errors import ModelError

NETWORKS = '''import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(16, 8, 3)
        self.tail = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(99, 10))

class WrongChannels(Net):
    def forward(self, x):
        x = F.relu(self.conv1(x))
        return self.conv2(x)

class UnequalSum(Net):
    def forward(self, x):
        return x + self.conv1(x)

class Undefined(Net):
    def forward(self, x):
        return F.dropout(self.conv1(x), dropout_value)

class Renamed(Net):
    def forward(self, x):
        return super(WrongChannels, self).forward(self.conv1(x))

class WrongLinear(Net):
    def forward(self, x):
        return self.tail(self.conv1(x))

class WrongView(Net):
    def forward(self, x):
        return self.conv1(x).view(-1, 700)

class Colour(Net):
    def forward(self, x):
        return self.conv1(torch.cat([x, x, x], 1) if x.shape[1] == 3 else x[:, :3].repeat(1, 2, 1, 1))

class TwoInputs(Net):
    def forward(self, x, digit):
        return self.conv1(x)

class NoForward(Net):
    pass

class ForCifar(Net):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(7200, 10)
    def forward(self, x):
        return self.fc(self.conv1(x).flatten(1))

class Implicit(Net):
    def forward(self, x):
        return F.log_softmax(self.conv1(x).flatten(1))
'''
MESSAGES = {
    "WrongChannels": "layer conv2 (Conv2d), net.py:15: Given groups=1, weight of size [8, 16, 3, 3], expected "
    "input[2, 8, 26, 26] to have 16 channels, but got 8 channels instead. Mend the layer or that line",
    "UnequalSum": "net.py:19: The size of tensor a (28) must match the size of tensor b (26) at non-singleton "
    "dimension 3. Mend that line",
    "Undefined": "net.py:23: name 'dropout_value' is not defined. Define or import it above that line",
    "Renamed": "net.py:27: super(type, obj): obj must be an instance or subtype of type. Mend that line",
    "WrongLinear": "layer tail.2 (Linear), net.py:31: mat1 and mat2 shapes cannot be multiplied (2x5408 and 99x10). "
    "Mend the layer or that line",
    "WrongView": "net.py:35: shape '[-1, 700]' is invalid for input of size 10816. Mend that line",
    "Colour": "layer conv1 (Conv2d), net.py:39: Given groups=1, weight of size [8, 1, 3, 3], expected "
    "input[2, 2, 28, 28] to have 1 channels, but got 2 channels instead. Give its shape with input_shapes=(C, H, W)",
    "TwoInputs": "TwoInputs.forward() missing 1 required positional argument: 'digit'. "
    "Give a shape for each input: input_shapes=((C, H, W), (N,))",
    "NoForward": 'Module [NoForward] is missing the required "forward" function. Mend its code',
    "ForCifar": "layer fc (Linear), net.py:53: mat1 and mat2 shapes cannot be multiplied (2x5408 and 7200x10). "
    "It runs on (1, 32, 32): give that with input_shapes=(1, 32, 32)",
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("own") / "net.py"
    file.write_text(NETWORKS)
    return file


@pytest.fixture(scope="module")
def networks(file):
    spec = importlib.util.spec_from_file_location("networks_that_fail", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("look", [summarize, receptive_field, verify, data_flow, autograd_graph])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_failure_has_a_place(networks, name, look):
    with pytest.raises(ModelError) as fault:
        look(getattr(networks, name)())
    assert str(fault.value) == f"{name} does not run on input (1, 28, 28): {MESSAGES[name]}"


def test_a_module_that_fails_inside_of_a_try_is_not_blamed_later():
    class Tries(nn.Module):
        def __init__(self):
            super().__init__()
            self.wrong, self.right = nn.Linear(3, 3), nn.Conv2d(1, 1, 3)

        def forward(self, x):
            try:
                x = self.wrong(x)
            except RuntimeError:
                x = self.right(x)
            return self.none(x)

    with pytest.raises(ModelError, match=r": test_faults\.py:\d+: 'Tries' object has no attribute 'none'\. Mend that"):
        summarize(Tries())


@pytest.mark.parametrize("look", [summarize, verify, data_flow, autograd_graph])
def test_a_warning_stands_at_the_users_line(networks, file, look):
    with pytest.warns(UserWarning, match="name the dimension") as found:
        look(networks.Implicit())
    (warning,) = found
    assert str(warning.message) == "log_softmax without dim: name the dimension"
    assert (warning.filename, warning.lineno) == (str(file), 57)


def test_a_warning_without_a_line_names_the_layer():
    with pytest.warns(UserWarning, match="name the dimension") as found:
        summarize(nn.Sequential(nn.Flatten(), nn.Softmax()))
    (warning,) = found
    assert str(warning.message) == "layer 1 (Softmax): softmax without dim: name the dimension"
    assert warning.filename == __file__


def test_a_warning_that_is_ignored_stays_ignored(networks):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("ignore")
        summarize(networks.Implicit())
    assert found == []


def test_the_command_line_prints_a_warning_once_and_plainly(file):
    command = [sys.executable, "-m", "featherweight", "summary", f"{file}:Implicit", "--verify", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "net.py:57: log_softmax without dim: name the dimension\n"
