"""README and docs are short, in short sentences, and their links and anchors lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INDEX = ROOT / "docs" / "README.md"
DOCS = sorted(INDEX.parent.glob("*.md"))
OTHERS = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md", "lessons/README.md")]
PAGES = [ROOT / "README.md", *DOCS, *OTHERS]

LINES, PARAGRAPH, SENTENCE = 150, 60, 30        # at most: lines of README, words of a paragraph, words of a sentence
CODE = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)]+)\)")
NO_PROSE = re.compile(r"\||#|!\[")              # a table's row, a heading, a picture
of_each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= LINES


@of_each_page
def test_paragraphs_and_sentences_are_short(page):
    found = paragraphs(page.read_text())
    assert found
    assert [text for text in found if words(text) > PARAGRAPH] == []
    assert [text for paragraph in found for text in sentences(paragraph) if words(text) > SENTENCE] == []


@of_each_page
def test_links_and_anchors_resolve(page):
    for _, target in LINK.findall(CODE.sub("", page.read_text())):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def test_the_index_leads_to_every_page():
    reached, waiting = set(), [INDEX]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.exists():
            reached.add(page)
            waiting += [(page.parent / target.partition("#")[0]).resolve()
                        for _, target in LINK.findall(page.read_text()) if target.partition("#")[0].endswith(".md")]
    assert set(DOCS) <= reached
    assert {target for _, target in LINK.findall(INDEX.read_text())} >= {page.name for page in DOCS} - {INDEX.name}


@pytest.mark.parametrize(("text", "count"), [
    ("One two. Three `four five` six; seven!", [2, 3, 1]),
    ("At 99.5 % of [the images](a.md) it stops.", [7]),
])
def test_words_of_sentences_are_counted(text, count):
    assert [words(sentence) for sentence in sentences(text)] == count


# ---- pure functions ----

def paragraphs(markdown: str) -> list[str]:
    """Return paragraphs and list items without code blocks, tables, headings and pictures."""
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", CODE.sub("\n", markdown))
    return [" ".join(block.split()) for block in blocks if block.strip() and not NO_PROSE.match(block.strip())]


def sentences(paragraph: str) -> list[str]:
    """Split at full stops, semicolons, exclamation and question marks. Inline code counts as one word."""
    plain = LINK.sub(r"\1", re.sub(r"`[^`]*`", "code", paragraph)).replace("**", "")
    return [sentence for sentence in re.split(r"(?<=[.!?;])\s+", plain) if sentence]


def words(text: str) -> int:
    """Number of words: pieces between spaces that hold a letter or a digit."""
    plain = re.sub(r"`[^`]*`", "code", text)
    return sum(any(letter.isalnum() for letter in piece) for piece in plain.split())


def anchors(markdown: str) -> set[str]:
    """Names by which links reach the headings: lower case, without punctuation, with `-` for each space."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", markdown), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
