"""What a terminal of 80 columns is shown while something trains, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest


@pytest.fixture
def in_terminal(tmp_path):
    """Run a command with standard error on a terminal; its text with control sequences, and its exit code."""

    def run(*arguments):
        ours, theirs = pty.openpty()
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "featherweight", *map(str, arguments)], cwd=tmp_path, env=environment,
            stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs,
        )
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:     # Linux says that the other end is closed
            pass
        os.close(ours)
        return text.decode(), process.wait()

    return run


def test_bars_of_a_teacher_and_of_its_pupil(in_terminal, digits_recipe, teachers, tmp_path):
    recipe = digits_recipe(distillation={"teacher": str(teachers)}, training={"epochs": 2, "batch_size": 2})
    (tmp_path / "pupil.toml").write_text(recipe.to_toml())
    for more in ([], ["--seeds", "1,2"]):
        text, code = in_terminal("train", "pupil.toml", "--device", "cpu", "--no-report", *more)
        shown = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text))
        assert code == 0 and any("2 networks predict every training image" in line for line in shown)
        bars = [line for line in shown if re.match(r"teacher  |epoch \d/\d [ ━╸]|\d/\d seeds", line)]
        assert any(re.fullmatch(r"teacher .* 0 of 1,437 images *", line) for line in bars)
        assert any(re.match("[01]/2 seeds" if more else "epoch 1/2", line) and line.endswith(" left") for line in bars)
        assert all(len(line) <= 80 for line in bars)
