"""What is said of a network before it is trained, and what is refused; the network stays as it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from featherweight.data import load_dataset, resized
from featherweight.errors import ModelError
from featherweight.models import CATALOGUE, build_model, input_shapes
from featherweight.tasks import build_task
from featherweight.training.fit import check_fit, needed_classes

CLASSES, SUM = build_task("classification"), build_task("digit-sum")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


class Plain(nn.Module):
    """Two convolutions to one place and a dense layer; the tests change its forward."""

    def __init__(self, outputs=10):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, stride=3), nn.BatchNorm2d(4)
        self.last, self.drop = nn.Conv2d(4, outputs, 9), nn.Dropout(0.3)

    def maps(self, x):
        return self.last(self.drop(F.relu(self.norm(self.conv(x)))))

    def forward(self, x):
        return self.maps(x).flatten(1)


class OverTheBatch(Plain):
    def forward(self, x):
        return F.log_softmax(super().forward(x), dim=0)


class BatchStatistics(Plain):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)


class LessTheMean(Plain):
    def forward(self, x):
        x = super().forward(x)
        return x - x.mean(dim=0)


class FirstOfTheBatch(Plain):
    def forward(self, x):
        return super().forward(x) + x[:1].flatten(1)[:, :10].detach() * 5 + x[:1].mean()


class ActiveDropout(Plain):
    def forward(self, x):
        x = F.dropout(x, 0.2)       # marked: the line that is named
        return super().forward(x)


class Noise(Plain):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))         # noise: the line that is named


class Squeezed(Plain):
    def forward(self, x):
        return self.maps(x).squeeze()


class SqueezedLog(Plain):
    def forward(self, x):
        return F.log_softmax(self.maps(x).squeeze(), dim=1)


class Softmax(Plain):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


class LogSoftmax(Plain):
    def forward(self, x):
        return super().forward(x).log_softmax(dim=1)


class Unused(Plain):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 7)
        self.more = nn.ModuleList(nn.Linear(2, 1, bias=False) for _ in range(4))


class TwoInputs(Plain):
    def forward(self, x, number):
        return super().forward(x) + number


class TwoHeads(Plain):
    def forward(self, x):
        return super().forward(x), super().forward(x)


class Maps(Plain):
    def forward(self, x):
        return self.maps(x)


class Whole(Plain):
    def forward(self, x):
        return super().forward(x).argmax(dim=1)


class Words(Plain):
    def forward(self, x):
        return "digit"


class Crossed(Plain):
    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(5, 10, 9)


class Detached(Plain):
    def forward(self, x):
        return super().forward(x).detach()


class Counting(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


class Loud(Plain):
    def forward(self, x):
        print("shape", tuple(x.shape))
        return super().forward(x)


def line_of(words):
    """The number of this file's line with a comment."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if f"# {words}:" in line)


def test_a_sound_network_is_met_with_silence(digits):
    assert check_fit(Plain(), CLASSES, digits) == check_fit(LogSoftmax(), CLASSES, digits) == []


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_the_catalogue_is_met_with_silence(digits, name):
    model = build_model(name)
    channels, side, _ = input_shapes(model)[0]
    data = digits if channels == 1 else resized(digits, channels, side)
    assert check_fit(model, SUM if name == "digit-sum" else CLASSES, data) == []


@pytest.mark.parametrize(("model", "words"), [
    (Squeezed, ["for a single image the network drops the batch axis, as squeeze() does", "flatten(1)"]),
    (SqueezedLog, ["for a single image the network drops the batch axis"]),
    (Softmax, ["head 'class' ends in a softmax, and the loss applies another one", "Return the logits"]),
    (lambda: Plain(12), ["head 'class' has 12 outputs for 10 classes. Give its last layer 10 outputs"]),
    (Unused, ["50 parameters are never trained, as forward does not use them: head.weight, head.bias, more.0.weight, "
              "more.1.weight, more.2.weight and 1 more."]),
    (ActiveDropout, ["F.dropout is active in evaluation (test_fit.py:", "write F.dropout(x, 0.2, self.training)",
                     "Until then answers change from one call to the next"]),
    (Noise, ["randn_like draws random numbers in evaluation (test_fit.py:", "call it only if self.training"]),
])  # fmt: skip
def test_what_is_said(digits, model, words):
    notes = check_fit(model(), CLASSES, digits)
    assert len(notes) == 1 and all(word in notes[0] for word in words), notes
    assert "\n" not in notes[0] and notes[0].endswith(".")


@pytest.mark.parametrize(("model", "words"), [(ActiveDropout, "marked"), (Noise, "noise")])
def test_the_line_is_that_of_the_call(digits, model, words):
    assert f"(test_fit.py:{line_of(words)})" in check_fit(model(), CLASSES, digits)[0]


def test_several_things_are_said_one_by_one(digits):
    class Many(Unused):
        def forward(self, x):
            return F.dropout(self.maps(x), 0.5).squeeze().softmax(-1)

    notes = check_fit(Many(), CLASSES, digits)
    kinds = ("F.dropout", "for a single image", "ends in a softmax", "50 parameters")
    assert len(notes) == 4 and all(kind in note for kind, note in zip(kinds, notes, strict=True)), notes


@pytest.mark.parametrize(("model", "words"), [
    (OverTheBatch, ["depends on the other images of its batch", "dim=0"]),
    (BatchStatistics, ["depends on the other images of its batch", "track_running_stats=False"]),
    (LessTheMean, ["depends on the other images of its batch", "mean over dim 0"]),
    (FirstOfTheBatch, ["depends on the other images of its batch"]),
    (lambda: Plain(7), ["head 'class' gives (2, 7) of torch.float32 for two images of digits", "shape (2, 10)"]),
    (Maps, ["head 'class' gives (2, 10, 1, 1)", "shape (2, 10)"]),
    (Whole, ["head 'class' gives (2,) of torch.int64", "floating-point"]),
    (Words, ["head 'class' gives a str for two images of digits"]),
    (TwoHeads, ["the network has 2 outputs, but task 'classification' has the heads ('class',)"]),
    (TwoInputs, ["does not run on (1, 28, 28) images of digits", "task = 'digit-sum' alone"]),
    (Crossed, ["does not run on (1, 28, 28) images of digits", "layer last", "test_fit.py:"]),
    (Detached, ["the network cannot be trained: its outputs carry no gradient"]),
    (nn.Flatten, ["the network has no parameters to train."]),
    (lambda: Plain().requires_grad_(False), ["the network has no parameters to train."]),
])  # fmt: skip
def test_what_is_refused(digits, model, words):
    with pytest.raises(ModelError) as fault:
        check_fit(model(), CLASSES, digits)
    assert all(word in str(fault.value) for word in words) and "\n" not in str(fault.value), str(fault.value)


def test_the_second_input_and_head_of_digit_sum(digits):
    with pytest.raises(ModelError, match="the network has 1 outputs, but task 'digit-sum' has the heads"):
        check_fit(TwoInputs(), SUM, digits)
    with pytest.raises(ModelError, match=r"does not run on \(1, 28, 28\) images of digits for task 'digit-sum'"):
        check_fit(Plain(), SUM, digits)


def test_classes_that_are_needed(digits):
    assert needed_classes(CLASSES, digits) == [10] and needed_classes(SUM, digits) == [10, 19]
    assert needed_classes(CLASSES, replace(digits, classes=("a", "b"))) == [2]


@pytest.mark.parametrize("model", [
    Plain, Unused, ActiveDropout, Counting, SqueezedLog, OverTheBatch, Crossed, Detached,
])  # fmt: skip
@pytest.mark.parametrize("training", [True, False])
def test_the_network_stays_as_it_was(digits, model, training):
    made = model().train(training)
    made.drop.train(not training)       # modes may differ within
    before, attributes = copy.deepcopy(made.state_dict()), list(vars(made))
    modes, drawn = [part.training for part in made.modules()], torch.get_rng_state()
    try:
        check_fit(made, CLASSES, digits)
    except ModelError:
        assert model in (OverTheBatch, Crossed, Detached)
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())
    assert [part.training for part in made.modules()] == modes and list(vars(made)) == attributes
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in made.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in made.modules())


def test_prints_are_shown_once(digits, capsys):
    check_fit(Loud(), CLASSES, digits)
    assert capsys.readouterr().out == "shape (2, 1, 28, 28)\n"
