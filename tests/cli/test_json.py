"""With --json, standard output holds one document, whatever a network prints."""

from __future__ import annotations

import json
import sys

import pytest

from featherweight.cli.output import only_documents, show_json

LOUD = """from torch import nn

LEVEL = print("loud at import") or 10


class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(784, LEVEL)

    def forward(self, x):
        print("loud in forward")
        return self.layer(x.flatten(1))
"""


@pytest.fixture
def loud(network_file):
    return f"{network_file(LOUD)}:Loud"


@pytest.fixture
def recipe(loud, tmp_path):
    file = tmp_path / "loud.toml"
    file.write_text(f'name = "loud"\n[data]\ndataset = "digits"\n[model]\nname = "{loud}"\n')
    return file


def test_a_network_that_prints_leaves_the_summary_json(run_command, loud):
    code, out, said = run_command("summary", loud, "--json")
    assert code == 0 and json.loads(out)["total_parameters"] == 7850
    assert "loud at import" in said and "loud in forward" in said


def test_a_network_that_prints_leaves_training_and_evaluation_json(run_command, recipe, tmp_path):
    train = ["train", recipe, "--out", tmp_path / "run", "--device", "cpu", "--no-report"]
    code, out, said = run_command(*train, "--json")
    result = json.loads(out)
    assert code == 0 and result["epochs"] == 1 and "loud in forward" in said
    code, out, said = run_command("evaluate", tmp_path / "run", "--json")
    assert code == 0 and json.loads(out)["test"] == result["test"] and "loud at import" in said


def test_without_json_prints_stay_where_they_are(run_command, loud):
    code, out, _ = run_command("summary", loud)
    assert code == 0 and out.startswith("loud at import") and "7,850" in out


def test_after_the_block_standard_output_is_as_before(capsys):
    before = sys.stdout
    with only_documents():
        print("beside")
        show_json({"of": 1})
    assert sys.stdout is before
    show_json({"of": 2})
    captured = capsys.readouterr()
    assert captured.err == "beside\n" and captured.out == '{\n  "of": 1\n}\n{\n  "of": 2\n}\n'
