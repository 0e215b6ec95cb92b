"""Code that ends, loops, prints or kills its process gives one line, and other targets are still examined."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from featherweight.doctor import consult
from featherweight.doctor.alone import examined_alone
from featherweight.doctor.options import Options
from featherweight.errors import ModelError, UnknownName, Untrusted

HEAD = "import ctypes, os, sys, time\nimport torch.nn as nn\n"
SECONDS = 3     # of computing
FORWARD = "class Net(nn.Module):\n    def forward(self, x):\n        "
BUILD = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        "


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("text", "words"), [
    (f"{BUILD}sys.exit(3)\n", "exits Python"),
    (f"{BUILD}os._exit(0)\n", "ended its process with exit code 0"),
    (f"{FORWARD}os.kill(os.getpid(), 9)\n", "killed by signal 9 (SIGKILL)"),
    (f"{FORWARD}ctypes.string_at(0)\n", "killed by signal 11 (SIGSEGV)"),
    (f"{FORWARD}return x @ x[:, :, :3]\n", "does not run"),
    (f"{BUILD}\n        while True: pass\n", "does not end within 3 s"),
], ids=["exit", "_exit", "kill", "segfault", "error", "loop"])
def test_code_that_does_not_run_is_one_line(text, words):
    Path("net.py").write_text(HEAD + text)
    with pytest.raises(ModelError, match=re.escape(words)) as fault:
        examined_alone("net.py:Net", Options(), SECONDS)
    assert "\n" not in str(fault.value) and "net.py" in str(fault.value)


def test_prints_and_changed_streams_do_not_disturb_the_report(capfd):
    Path("net.py").write_text(f"{HEAD}{BUILD}self.fc = nn.Linear(784, 10)\n        os.write(1, b'noise')\n"
                              "        print('noise', file=sys.stderr); sys.stdout.close()\n"
                              "    def forward(self, x):\n        return self.fc(x.flatten(1))\n")
    report = examined_alone("net.py:Net", Options(classes=10))
    assert report.levels == ("probe",) and "7,850 parameters" in report.checked[0] and report.count("error") == 0
    assert capfd.readouterr() == ("", "")


def test_other_targets_are_examined_beside_code_that_kills_its_process():
    Path("net.py").write_text(f"{HEAD}{BUILD}os._exit(1)\n")
    report = consult(["net.py:Net", "session1"])
    assert [one.code for one in report.findings if one.severity == "error"] == ["FW101"]
    (line,) = report.unread
    assert "net.py:Net" in line and "exit code 1" in line


def test_a_fault_of_the_other_process_is_told():
    Path("net.py").write_text(HEAD)
    with pytest.raises((ModelError, UnknownName), match="Net"):
        examined_alone("net.py:Net", Options())


def test_the_network_of_somebody_else_is_not_executed(digits_recipe, tmp_path, monkeypatch):
    import featherweight

    run = featherweight.train(digits_recipe(), tmp_path / "run", device="cpu")
    source = run.source
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "stranger"))
    with pytest.raises(Untrusted):
        examined_alone(f"{run.source_folder / source.entry}:{source.attribute}", Options())
    report = consult([str(run.path)])
    assert "probe" not in report.levels and any("--trust" in line or ".trust()" in line for line in report.unchecked)


def test_the_process_has_no_module_of_the_working_folder(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit\n")
    Path("net.py").write_text(f"{HEAD}class Net(nn.Sequential):\n    def __init__(self):\n"
                              "        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n")
    assert examined_alone("net.py:Net", Options()).levels == ("probe",)
