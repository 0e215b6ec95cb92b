"""The lessons: notebooks agree with their sources, have all their parts, and their checks know right from wrong.

They are not executed here; `python lessons/execute.py --check` does that.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

LESSONS = Path(__file__).resolve().parents[1] / "lessons"
SOURCES = sorted(LESSONS.glob("[0-9]*.py"))
MARK = re.compile(r'^# %%(?P<markdown> \[markdown\])?(?: tags=\["(?P<tag>\w+)"\])?$')


def dense(*, off_in_evaluation: bool = True, axis: int = 1, dropout: float = 0.5) -> type[nn.Module]:
    """A network that lesson 9 asks for, or one with a fault."""

    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(784, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = F.dropout(x.flatten(1), dropout, training=self.training or not off_in_evaluation)
            return F.log_softmax(self.dense(x), dim=axis)

    return Dense


RIGHT_AND_WRONG: dict[str, tuple[Any, list[Any]]] = {
    "1-first-network": ([0.74, 0, 0.16], [[0.74, -0.9, 0.16], [0.67, 0, 0.16], [0.74, 0], 0.74]),
    "2-backpropagation-by-hand": (0.668307, [0.55, 0.431693, 0.6]),
    "3-receptive-fields": ([3, 4, 8, 10, 26], [[3, 6, 8, 16, 18], [3, 4, 8, 10, 18], [3, 4], 26]),
    "4-a-bigger-network": (320_050, [204_850, 320_000, 12_850]),
    "5-a-budget": (7_624, [7_524, 7_604]),
    "6-99.47": (0.0265, [0.12, 0.09, 0.0]),
    "7-two-inputs": (0.1, [1 / 19, 0.01, 1.0]),
    "8-honest-numbers": (0.089, [0.8, 0.00089, 0.0]),
    "10-a-search": (0.28, [0.11, 0.0, 1.0]),
    "9-your-own-network": (dense(), [dense(off_in_evaluation=False), dense(axis=0), dense(dropout=0.0)]),
}
PUBLIC = ("featherweight", *(f"featherweight.{name}" for name in ("anatomy", "byhand", "plots", "statistics")))
lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def cells_of(source: Path) -> list[tuple[str, str, str | None]]:
    """(kind, text, tag) of each cell of a percent-format file, as a notebook holds them."""
    found: list[tuple[str, list[str], str | None]] = []
    for line in source.read_text(encoding="utf-8").splitlines():
        mark = MARK.match(line)
        if mark:
            found.append(("markdown" if mark["markdown"] else "code", [], mark["tag"]))
        elif found:
            found[-1][1].append(line)
    cells = []
    for kind, lines, tag in found:
        shown = [line.removeprefix("#").removeprefix(" ") for line in lines] if kind == "markdown" else lines
        text = "\n".join(shown).strip("\n")
        cells.append((kind, re.sub(r"^# %(?=\w)", "%", text, flags=re.M), tag))
    return cells


def notebook_of(source: Path) -> dict[str, Any]:
    return json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))


def check_cell(source: Path) -> str:
    return next(text for kind, text, tag in cells_of(source) if kind == "code" and tag == "check")


def test_there_are_ten() -> None:
    assert len(SOURCES) == 10
    assert [source.stem for source in SOURCES] == sorted(RIGHT_AND_WRONG)
    assert {file.stem for file in LESSONS.glob("*.ipynb")} == set(RIGHT_AND_WRONG)


@lesson
def test_a_lesson_uses_public_names_alone(source: Path) -> None:
    text = "\n".join(text for kind, text, _ in cells_of(source) if kind == "code")
    tree = ast.parse("\n".join(line for line in text.splitlines() if not line.startswith("%")))
    taken = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import)]
    modules = {name.name for node in taken if isinstance(node, ast.Import) for name in node.names}
    assert {name for name in modules if name.startswith("featherweight")} <= {"featherweight"}
    for node in taken:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("featherweight"):
            assert node.module in PUBLIC
            assert {name.name for name in node.names} <= set(importlib.import_module(node.module).__all__)


@lesson
def test_notebook_and_source_are_the_same(source: Path) -> None:
    stored = [
        (cell["cell_type"], "".join(cell["source"]), next(iter(cell["metadata"].get("tags", [])), None))
        for cell in notebook_of(source)["cells"]
    ]
    assert stored == cells_of(source), f"make it again: python lessons/execute.py {source.stem}"


@lesson
def test_every_lesson_has_its_parts(source: Path) -> None:
    cells = cells_of(source)
    tags = [(kind, tag) for kind, _, tag in cells if tag]
    assert tags == [("markdown", "question"), ("markdown", "exercise"), ("code", "answer"), ("code", "check")]
    assert cells[0][2] == "question"
    assert "**Question:" in cells[0][1]
    assert cells[1][1].startswith("**Budget.**")
    headings = [text for kind, text, _ in cells if kind == "markdown" and text.startswith("## ")]
    assert any("## What it means" in text for text in headings)
    assert headings[-1].startswith("## Exercise")


@lesson
def test_a_notebook_holds_outputs_pictures_and_no_error(source: Path) -> None:
    notebook = notebook_of(source)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert all(output.get("name") != "stderr" for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    said = "".join(code[-1]["outputs"][0]["text"])
    assert said.startswith("Not yet"), "the answer cell is to be left for the reader"


@lesson
def test_nothing_of_a_machine_is_in_it(source: Path) -> None:
    for file in (source, source.with_suffix(".ipynb")):
        text = file.read_text(encoding="utf-8")
        found = re.findall(r"(?<![\w.])/(?:home|root|work|tmp|Users|usr|opt|mnt|var)/\S*", text)
        assert not found, found
    notebook = notebook_of(source)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert "version" not in notebook["metadata"]["language_info"]
    assert not any("execution" in cell["metadata"] for cell in notebook["cells"])


@lesson
def test_the_check_knows_right_from_wrong(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong = RIGHT_AND_WRONG[source.stem]
    code = compile(check_cell(source), source.name, "exec")
    for answer in [right, *wrong]:
        exec(code, {"answer": answer})
        said = capsys.readouterr().out
        assert said.startswith("Right" if answer == right else "Not yet"), (answer, said)


@lesson
def test_the_preset_answer_is_not_right(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(next(text for _, text, tag in cells_of(source) if tag == "answer"), names)
    exec(check_cell(source), names)
    assert capsys.readouterr().out.startswith("Not yet")
