"""The commands budget, summary with a goal, and summary --watch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

NET = """from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, {n}, 3), nn.ReLU(), nn.Flatten(), nn.Linear({n} * 676, 10))
"""


def test_a_page_of_eighty_columns(run_command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run_command("budget", "words:c8 s16 p s22 g h", "--max-parameters", 1400)
    assert code == 0 and max(map(len, out.splitlines())) <= 80
    assert "1,090 of 1,400" in out and "310 left" in out and "c8 s16 p s33 g h" in out
    code, every, _ = run_command("budget", "words:c8 s16 p s22 g h", "--max-parameters", 1400, "--all")
    assert len(every.splitlines()) > len(out.splitlines()) and " more: " in out and " more: " not in every


def test_json_has_all_edits_in_both_forms(run_command):
    code, out, _ = run_command("budget", "feather-1k", "--max-parameters", 1000, "--max-ram", 30_000, "--form", "float",
                               "--json")
    found = json.loads(out)
    assert code == 0 and found["fits"]
    assert found["left"] == {"parameters": 12, "ram": 30_000 - found["used"]["ram_float"]}
    assert found["limits"]["max_macs"] is None and len(found["edits"]) > 5
    for edit in found["edits"]:
        assert edit["after"]["ram_int8"] - found["used"]["ram_int8"] == edit["changes"]["ram_int8"]
        assert (edit["line"] or edit["kind"] == "pool") and edit["after"]["parameters"] <= 1000


@pytest.mark.parametrize(("arguments", "words"), [
    (["sesion6", "--max-parameters", "9"], "Did you mean 'session6'"),
    (["session6"], "--max-parameters"),
    (["session6", "--max-parameters", "0"], "--max-parameters is 0"),
    (["session6", "--max-parameters", "-5"], "--max-parameters is -5"),
    (["session6", "--max-parameters", "many"], "many"),
    (["session6", "--max-parameters", "9", "--max-ram", "0"], "--max-ram is 0"),
    (["session6", "--max-parameters", "9", "--form", "int4"], "unknown form 'int4'"),
    (["session6", "--max-parameters", "9", "--input", "3,28,28"], "3"),
    (["words:c8 y g h", "--max-parameters", "9"], "word 2 'y'"),
])
def test_bad_input_gets_one_line(run_command, arguments, words):
    code, out, fault = run_command("budget", *arguments)
    assert (code, out) == (2, "") and fault.startswith("featherweight: ") and fault.count("\n") == 1
    assert words in fault


def test_summary_of_a_recipe_shows_its_budget(run_command, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('name = "mine"\n[model]\nname = "words:c8 g h"\n[goal]\nmax_parameters = 150\n')
    code, out, _ = run_command("summary", recipe)
    assert code == 0 and out.endswith("Budget of the goal: 178 of 150 parameters, 28 over\n")
    assert run_command("summary", "feather-8k")[1].endswith("7,878 of 7,999 parameters, 121 left\n")
    assert "Budget" not in run_command("summary", "words:c8 g h")[1]
    assert json.loads(run_command("summary", recipe, "--json")[1])["max_parameters"] == 150
    code, _, fault = run_command("summary", tmp_path / "none.toml")
    assert code == 2 and "does not exist" in fault


def test_watch_needs_a_file(run_command, tmp_path):
    for model in ("session6", tmp_path / "gone.py:Net"):
        code, _, fault = run_command("summary", model, "--watch")
        assert code == 2 and "--watch needs a file" in fault and fault.count("\n") == 1
    assert run_command("summary", "session6", "--watch", "--json")[0] == 2


def test_watch_prints_again_on_every_save(tmp_path):
    file, printed = tmp_path / "net.py", tmp_path / "printed.txt"
    file.write_text(NET.format(n=2))
    with printed.open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "featherweight", "summary", "net.py:Net", "--watch"],
                                   cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT,
                                   env=os.environ | {"PYTHONUNBUFFERED": "1"})
        try:
            wait_for(printed, "Total params: 13,550")
            file.write_text(NET.format(n="2 +"))
            wait_for(printed, "featherweight: ")
            file.write_text(NET.format(n=4))
            wait_for(printed, "Total params: 27,090")
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
    text = printed.read_text()
    assert code == 130 and text.count("Total params") == 2 and "Traceback" not in text
    assert len([line for line in text.splitlines() if line.startswith("featherweight: ") and "net.py" in line]) == 1


def wait_for(file, words):
    for _ in range(600):
        if words in file.read_text():
            return
        time.sleep(0.2)
    raise AssertionError(file.read_text())
