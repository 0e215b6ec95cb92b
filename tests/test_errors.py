"""The tree of exceptions is the one that is drawn, and a wrong name gets its nearest right one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from featherweight import errors
from featherweight.errors import (
    LONGEST_LINE,
    FeatherweightError,
    MissingExtra,
    TrainingInterrupted,
    UnknownName,
    did_you_mean,
)


def test_the_drawing_names_every_exception_and_no_other() -> None:
    drawn = set(re.findall(r"^[│├└─ ]*([A-Z]\w+) {2,}\S", errors.__doc__ or "", flags=re.MULTILINE))
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert drawn == defined


def test_an_interruption_is_no_fault_and_everything_else_is() -> None:
    defined = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert not issubclass(TrainingInterrupted, FeatherweightError)
    assert all(issubclass(value, FeatherweightError) for value in defined if value is not TrainingInterrupted)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sesion6", "Did you mean 'session6'?"),
        ("SESSION6", "Did you mean 'session6'?"),
        ("digitsum", "Did you mean 'Digit-Sum'?"),
        ("resnet", "Allowed: session6, Digit-Sum."),
    ],
)
def test_the_nearest_name_whatever_its_case_or_else_all_names(name: str, hint: str) -> None:
    assert did_you_mean(name, ["session6", "Digit-Sum"]) == hint


def test_nothing_is_allowed_nothing_is_said() -> None:
    assert did_you_mean("anything", []) == ""


def test_unknown_name_is_one_line_of_value_hint_and_next_move() -> None:
    fault = UnknownName("model", "sesion6", ["session6"], "See: featherweight models.")
    assert str(fault) == "unknown model 'sesion6'. Did you mean 'session6'? See: featherweight models."


def test_a_missing_extra_gives_the_install_command() -> None:
    """In a clone: a command that works there, from any folder."""
    clone = Path(__file__).resolve().parents[1]
    assert str(MissingExtra("onnx", "ship")).endswith(f'{sys.executable} -m pip install -e "{clone}[ship]"')


def test_an_interruption_carries_its_signal() -> None:
    fault = TrainingInterrupted(15, "go on with ...")
    assert (fault.signal_number, str(fault)) == (15, "go on with ...")


def test_a_long_line_keeps_its_begin_and_its_end() -> None:
    text = str(FeatherweightError(f"first: {'x' * 5000}. Give another.", f"second: {'y' * 5000}!"))
    first, second = text.split("\n")
    assert first.startswith("first: xxx") and first.endswith("xxx. Give another.") and " ... " in first
    assert second.startswith("  second: yyy") and second.endswith("yyy!")
    assert len(first) < 820 and len(second) < 820
    assert str(FeatherweightError("x" * LONGEST_LINE)) == "x" * LONGEST_LINE
