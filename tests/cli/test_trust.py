"""A run of somebody else at the command line: refused in a line, --trust, and the question at a terminal."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import featherweight
from featherweight.cli import main
from featherweight.shipping import make_bundle
from featherweight.user_code import trust


@pytest.fixture(scope="module")
def trained(digits_recipe, tmp_path_factory):
    """A run of a network of one's own."""
    return featherweight.train(digits_recipe(), tmp_path_factory.mktemp("runs") / "own", device="cpu")


@pytest.fixture
def theirs(trained, tmp_path, monkeypatch):
    """The run's folder as somebody else finds it, and a picture."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(trust, "unwritten", set())
    monkeypatch.chdir(tmp_path)
    picture = np.zeros((28, 28), dtype=np.uint8)
    picture[4:24, 13:15] = 255      # a one
    Image.fromarray(picture).save(tmp_path / "a.png")
    return shutil.copytree(trained.path, tmp_path / "theirs")


COMMANDS = [
    ["evaluate", "theirs", "--device", "cpu"],
    ["predict", "theirs", "a.png"],
    ["report", "theirs", "--out", "out.html"],
    ["plot", "graph", "theirs", "--out", "out.png"],
    ["plot", "confusion", "theirs", "--out", "out.png"],
    ["export", "theirs", "--to", "onnx", "--out", "shipped"],
    ["serve", "theirs", "--port", "0"],
    ["summary", "theirs"],
    ["summary", "theirs/network/tiny.py"],
    ["summary", "theirs/network/tiny.py:Tiny"],
    ["train", "--from", "theirs", "--out", "run"],
    ["train", "theirs/recipe.toml", "--out", "run"],
    ["train", "session7-model2", "--data", "digits", "--set", "distillation.teacher=theirs", "--out", "run"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_refused_in_one_line(theirs, refused, tmp_path, command):
    before = sorted(path.name for path in tmp_path.iterdir())
    refused(*command, words=["network' holds a network of its own, which is a program", "--trust"])
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", [each for each in COMMANDS if each[0] not in ("report", "export", "serve")],
                         ids=" ".join)
def test_trust_is_given_once(theirs, run_command, command):
    short = ["--set", "training.epochs=1", "--no-report"] if command[0] == "train" else []
    code, _, said = run_command(*command, *short, "--trust")
    assert code == 0, said
    again = ["--force"] if command[0] in ("train", "plot") else []
    code, _, said = run_command(*command, *short, *again)
    assert code == 0, said


def test_trust_of_one_call_is_not_that_of_the_next(theirs, run_command, refused):
    """The option lasts for one call of a process; what it remembered is this source alone."""
    assert run_command("predict", "theirs", "a.png", "--trust")[0] == 0
    trust.store().unlink()
    refused("predict", "theirs", "a.png", words=["--trust"])


def test_a_bundle_is_made_of_what_is_trusted(theirs, tmp_path):
    with pytest.raises(featherweight.FeatherweightError, match="holds a network of its own"):
        make_bundle(theirs, tmp_path / "bundle")
    featherweight.Run(theirs).trust()
    assert make_bundle(theirs, tmp_path / "bundle")


def test_a_store_that_cannot_be_written(theirs, run_command, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    code, out, said = run_command("evaluate", "theirs", "--device", "cpu", "--trust")
    assert code == 0 and "class" in out, said


def at_a_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """Run a command line in a process of its own at a terminal, and answer its question: (exit code, screen)."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "featherweight", *arguments]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, close_fds=True)
    os.close(its)
    os.write(ours, f"{answer}\n".encode())
    screen = b""
    signal.alarm(120)       # a question that is asked for ever
    try:
        while part := os.read(ours, 4096):
            screen += part
    except OSError:         # the process closed its end
        pass
    finally:
        signal.alarm(0)
        os.close(ours)
    return process.wait(), screen.decode()


@pytest.mark.parametrize(("answer", "code", "words", "remembered"), [
    ("y", 0, "class", True), ("n", 2, "open it with --trust", False),
])  # fmt: skip
def test_question_at_a_terminal(theirs, answer, code, words, remembered):
    found, screen = at_a_terminal(answer, "evaluate", str(theirs), "--device", "cpu")
    assert "holds a network of its own, which is a program. Run it? [y/N]" in " ".join(screen.split()), screen
    assert (found, words in " ".join(screen.split())) == (code, True), screen
    assert bool(trust.known()) is remembered and "Traceback" not in screen


def test_a_yes_is_asked_for_once_where_it_cannot_be_remembered(theirs, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    found, screen = at_a_terminal("y", "evaluate", str(theirs), "--device", "cpu")
    assert found == 0 and screen.count("Run it?") == 1, screen


def test_without_a_terminal_nothing_is_asked(theirs, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(theirs)])
    assert stop.value.code == 2 and "Run it?" not in capsys.readouterr().err
