"""featherweight doctor as a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import featherweight
from featherweight.doctor import CODES

SCRIPT = """import torch
import torch.nn.functional as F

model = torch.nn.Linear(784, 10)
optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
for images, labels in train_loader:
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)


def test_a_report_fits_80_columns_and_says_what_was_checked(run_command):
    code, out, said = run_command("doctor", "train.py")
    assert (code, said) == (0, "")
    assert "train.py:8:5 error FW301" in out and "  +    optimizer.zero_grad()" in out
    assert "1 error, 1 warning, 1 note" in out
    assert "checked: train.py: 1 loss, 1 optimizer" in out and "not checked: the built network" in out
    assert max(map(len, out.splitlines())) <= 80


def test_json_holds_every_property(run_command):
    code, out, _ = run_command("doctor", "train.py", "--json")
    content = json.loads(out)
    assert code == 0 and [one["code"] for one in content["findings"]] == ["FW601", "FW604", "FW301"]
    assert content["findings"][2] | {"what": "", "why": ""} == {
        "code": "FW301", "severity": "error", "file": "train.py", "cell": None, "line": 8, "column": 5, "what": "",
        "why": "", "how": "Clear them before line 8.", "corrected": "optimizer.zero_grad()",
    }
    assert content["checked"] and content["unread"] == [] and content["ignored"] == []


def test_sarif_names_rules_places_and_suppressions(run_command, tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT.replace("lr=0.5)", "lr=0.5)  # doctor: ignore[FW604] on purpose"))
    code, _, _ = run_command("doctor", "train.py", "--sarif", "found.sarif")
    content = json.loads((tmp_path / "found.sarif").read_text())
    (run,) = content["runs"]
    assert code == 0 and content["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["FW301", "FW601", "FW604"]
    results = {result["ruleId"]: result for result in run["results"]}
    assert results["FW301"]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "train.py"}, "region": {"startLine": 8, "startColumn": 5}}
    assert results["FW604"]["suppressions"] == [{"kind": "inSource", "justification": "on purpose"}]


def test_codes_are_selected_and_left_out(run_command):
    assert "FW301" in run_command("doctor", "train.py", "--select", "fw3")[1]
    out = run_command("doctor", "train.py", "--select", "FW3,FW604", "--ignore", "FW301")[1]
    assert "FW604" in out and "FW301" not in out and "FW601" not in out


def test_strict_exits_with_1_if_an_error_stands(run_command):
    assert run_command("doctor", "train.py", "--strict")[0] == 1
    assert run_command("doctor", "train.py", "--strict", "--ignore", "FW301")[0] == 0


def test_a_broken_file_is_one_line_and_the_others_are_examined(run_command, tmp_path):
    (tmp_path / "old.py").write_text("print 'torch'\n")
    code, out, said = run_command("doctor", ".")
    assert code == 2 and "FW301" in out and said.count("\n") == 1 and "old.py:1 is no Python 3" in said


@pytest.mark.parametrize(("arguments", "words"), [
    (("missing.py",), ("missing.py", "does not exist", "Give a .py script")),
    (("train.py", "--select", "FX9"), ("FX9", "is no code")),
    (("session1", "--data", "mnits"), ("mnits", "Did you mean 'mnist'")),
    (("train.py", "--sarif", "out.txt"), ("out.txt", ".sarif")),
    (("train.py", "--sarif", "train.sarif"), ("train.sarif", "--force")),
])
def test_bad_input_is_one_line(refused, tmp_path, arguments, words):
    (tmp_path / "train.sarif").write_text("kept")
    refused("doctor", *arguments, words=words)
    assert (tmp_path / "train.sarif").read_text() == "kept"


def test_control_characters_of_a_name_are_escaped(run_command, tmp_path):
    (tmp_path / "a\x1b[31m.py").write_text(SCRIPT)
    code, out, _ = run_command("doctor", tmp_path / "a\x1b[31m.py")
    assert code == 0 and "\x1b" not in out


def test_python_returns_the_report_and_shows_a_table():
    report = featherweight.doctor("train.py", select=["FW3"])
    assert [finding.code for finding in report.findings] == ["FW301"]
    assert "<table>" in report._repr_html_() and "optimizer.zero_grad()" in report._repr_html_()
    assert "1 error" in report.verdict()


def test_names_of_the_code_are_escaped_in_html(tmp_path):
    (tmp_path / "b.py").write_text(SCRIPT.replace("import torch\n", "import torch  # <script>\n", 1).replace(
        "loss.backward()", "loss.backward(*['<b>'])"))
    assert "<b>" not in featherweight.doctor("b.py")._repr_html_()


def test_doctor_needs_no_torch_and_can_be_called_after_its_parts_are_imported():
    program = ("import sys, featherweight, featherweight.doctor.finding; report = featherweight.doctor('train.py'); "
               "print(report.count('error'), [m for m in ('torch', 'numpy') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1 []\n"


def test_every_code_has_a_severity_and_a_family():
    assert len(CODES) >= 50 and all(code[:3] in {f"FW{family}" for family in range(1, 10)} for code in CODES)


def test_other_targets_are_examined_beside_a_broken_one(run_command):
    text = "import torch.nn as nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x.nothing\n"
    Path("net.py").write_text(text)
    code, out, said = run_command("doctor", "net.py:Net", "session1")
    assert code == 2 and "session1 conv7 error FW101" in out and said.count("\n") == 1 and "net.py" in said


def test_the_command_takes_networks_beside_scripts(run_command):
    code, out, said = run_command("doctor", "train.py", "session1", "--strict")
    assert (code, said) == (1, "") and "session1 conv7 error FW101" in out
    assert "only source was read" in " ".join(out.split()) and "networks ran on random images" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    assert run_command("doctor", "session1", "--strict", "--ignore", "FW101")[0] == 0


def test_json_and_sarif_name_the_layer(run_command):
    code, out, _ = run_command("doctor", "session1", "--json", "--sarif", "found.sarif", "--select", "FW101")
    (found,) = json.loads(out)["findings"]
    assert code == 0 and (found["file"], found["line"], found["layer"]) == ("session1", 0, "conv7")
    (result,) = json.loads(Path("found.sarif").read_text())["runs"][0]["results"]
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "session1"}},
                                    "logicalLocations": [{"name": "conv7", "kind": "member"}]}]
