"""The documentation's numbers: every command and every piece of Python in docs/ is run, and gives what stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from featherweight.cli import main

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def test_there_are_pages():
    assert [page.name for page in PAGES] == ["backpropagation.md", "experiments.md", "python.md", "shipping.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_print_what_the_page_says(page, capsys):
    blocks = BLOCK.findall(page.read_text())
    commands = [block for kind, block in blocks if kind == "console"]
    assert commands or any(kind == "python" for kind, _ in blocks)
    for block in commands:
        command, *lines = block.splitlines()
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command.removeprefix("$ featherweight ")))
        printed = capsys.readouterr().out.splitlines()
        assert stop.value.code == 0
        assert [line for line in lines if line != "..." and line not in printed] == [], command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_prints_what_the_page_says(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)     # where a page writes its runs
    names = {}
    blocks = [(kind, block) for kind, block in BLOCK.findall(page.read_text()) if kind in ("python", "text")]
    assert [kind for kind, _ in blocks] == ["python", "text"] * (len(blocks) // 2)
    for (_, code), (_, said) in zip(blocks[::2], blocks[1::2], strict=True):
        exec(compile(code, str(page), "exec"), names)
        assert capsys.readouterr().out == said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pictures_and_links_exist_and_say_what_they_show(page):
    links = re.findall(r"(!?)\[([^\]]*)\]\(([^)#]+)\)", page.read_text())
    assert links
    for picture, words, target in links:
        assert target.startswith("https://") or (page.parent / target).exists(), target
        assert not picture or len(words) > 20, f"{target} has no text for those who cannot see it"
