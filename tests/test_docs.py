"""Every file, command and piece of Python in README and docs/ is executed and prints what stands there."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from featherweight.cli import main

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
BLOCK = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.M | re.S)       # kind, name of a file, content


def test_there_are_pages():
    assert [page.stem for page in PAGES] == [
        "README", "README", "architecture", "backpropagation", "budget", "cluster", "commands", "data", "doctor",
        "experiments", "export", "glossary", "operations", "own-networks", "picture", "python", "recipe", "reliability",
        "results", "search", "see", "serve", "speed", "train",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_a_page_says_what_is_printed(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)     # where a page has its files and its runs
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    blocks = [block for block in BLOCK.findall(page.read_text()) if block[0]]
    assert any(kind in ("console", "python") for kind, _, _ in blocks)
    names = {}
    for (kind, file, content), (after, _, said) in pairwise([*blocks, ("", "", "")]):
        if file:
            Path(file).write_text(content)
        elif kind == "console":
            check_command(content, capsys)
        elif kind == "python":
            assert after == "text", content
            exec(compile(content, str(page), "exec"), names)
            assert capsys.readouterr().out == said


def check_command(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the block's first line; each line below it is printed, and `...` stands for others. A fault exits with 2."""
    command, *lines = block.splitlines()
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(command.removeprefix("$ featherweight ")))
    captured = capsys.readouterr()
    printed = [line.rstrip() for line in (captured.out + captured.err).splitlines()]
    assert [line for line in lines if line != "..." and line.rstrip() not in printed] == [], printed
    assert stop.value.code == (2 if lines[0].startswith("featherweight: ") else 0), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_pictures_and_links_exist_and_say_what_they_show(page):
    links = re.findall(r"(!?)\[([^\]]*)\]\(([^)#]+)[^)]*\)", page.read_text())
    assert links
    for picture, words, target in links:
        assert target.startswith("https://") or (page.parent / target).exists(), target
        assert not picture or len(words) > 20, f"{target} has no text for those who cannot see it"
