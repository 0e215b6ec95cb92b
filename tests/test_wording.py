"""The names of options: Python's by default, the command line's where it speaks."""

from __future__ import annotations

import pytest

import featherweight
from featherweight.cli import main
from featherweight.errors import RunError
from featherweight.wording import call, command_line, option


@pytest.mark.parametrize(("name", "value", "python", "shell"), [
    ("force", None, "force=True", "--force"),
    ("out", None, "out=", "--out"),
    ("data-dir", None, "data_dir=", "--data-dir"),
    ("device", "auto", "device='auto'", "--device auto"),
    ("set", "training.epochs=1", "settings=['training.epochs=1']", "--set training.epochs=1"),
    ("seeds", 5, "seeds=range(1, 6)", "--seeds 5"),
])
def test_an_option_is_named_as_it_is_given(name, value, python, shell):
    assert option(name, value) == python
    with command_line():
        assert option(name, value) == shell
    assert option(name, value) == python


def test_a_command_is_a_call_in_python():
    made = [call("train", "RECIPE", out="runs/a", resume=True), call("train", "session6", seeds=5, out="t")]
    assert made == ["featherweight.train(RECIPE, out='runs/a', resume=True)",
                    "featherweight.train_seeds('session6', seeds=range(1, 6), out='t')"]
    with command_line():
        assert call("train", "RECIPE", out="runs/a", resume=True) == "featherweight train RECIPE --out runs/a --resume"


def test_the_same_fault_speaks_to_each_in_its_words(tmp_path, capsys):
    with pytest.raises(RunError, match=r"Make one with: featherweight\.train\(RECIPE, out="):
        featherweight.Run.open(tmp_path)
    with pytest.raises(SystemExit):
        main(["evaluate", str(tmp_path)])
    assert f"Make one with: featherweight train RECIPE --out {tmp_path}\n" in capsys.readouterr().err
    with pytest.raises(RunError, match=r"featherweight\.train"):     # the command line left no trace
        featherweight.Run.open(tmp_path)
