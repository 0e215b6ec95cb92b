"""The help of every command, as an 80-column terminal shows it, and what the shell completes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import typer

from featherweight.cli import app
from featherweight.cli.completion import KINDS
from featherweight.recipe import recipe_names
from featherweight.report import drawing

ROOT = typer.main.get_command(app)
COMMANDS = [[], *([name] for name in ROOT.commands), ["data", "get"], ["data", "show"]]
QUIET_ONES = {"summary", "train", "demo", "search", "evaluate", "predict", "export", "report", "plot", "byhand"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_whole_and_in_words(run_command, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, said = run_command(*command, "--help")
    assert (code, said) == (0, "") and out == run_command(*command, "-h")[1]
    assert max(map(len, out.splitlines())) <= 80
    assert not re.search(r"<|>|\{|[a-z]\.\.\.$|[a-z]-$", out, re.M), out       # no Python type, no cut or broken word
    assert "-h, --help" in out and ("Example:" in out or not command)


def test_every_result_is_there_as_json_and_every_note_can_be_left_out():
    for name, command in ROOT.commands.items():
        options = {option for one in command.params for option in one.opts}
        assert ("--json" in options) is (name != "serve"), name
        assert ("--quiet" in options and "-q" in options) is (name in QUIET_ONES), name


def test_names_are_completed():
    def completed(words):
        environment = {**os.environ, "_FEATHERWEIGHT_COMPLETE": "complete_bash", "COMP_WORDS": words,
                       "COMP_CWORD": str(words.count(" "))}
        program = "import sys; from featherweight.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        program += "assert 'torch' not in sys.modules"
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert completed("featherweight train feather-2") == ["feather-20k", "feather-2k"]
    assert completed("featherweight plot ca") == ["calibration", "cam"]
    assert tuple(drawing.KINDS) == KINDS and "feather-2k" in recipe_names()
