"""Docstrings and comments obey the language rule: imperative or noun phrase first, short sentences, plain words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("src", "benchmarks", "docs", "lessons")
LONGEST = 25        # words in a sentence
CEILING = 0         # faults; may only fall

RELATIVE = re.compile(r"(What|Whether|Where|When|How|Who|Whoever|Whose|Which|Why|That)\b")
VAGUE = re.compile(
    r"(It|They|This|These|Those|Them|There|All of|Each of|Everything|Anything|Nothing|Something|To|Of|As|Such|So|Or|And"
    r"|But)\b"
)
RIDDLES = re.compile(
    r"\b(so many|is none\b|are none\b|that is no\b|of one make|go(?:ne|es)? on with|what is said|what it is given"
    r"|at hand|as (?:it is|they are) asked|by heart|ask(?:s|ed|ing)? (?:nothing|torch|onnx)|told apart|none of them all"
    r"|there is one that|before that|whoever|whatever|wherever|thereof|hereafter|of which|in whose|of whose)",
)
CODE = re.compile(r"``[^`]*``|`[^`]*`|'[^'\n]*'|\"[^\"\n]*\"|\([^()]*\)|\[[^\]]*\]|https?://\S+")

FAULTY = {
    "What one epoch gave.": "begins with 'What'",
    "All of these as one: each with its row.": "begins with 'All of'",
    "Return the steps. Whether they are many is not said.": "a sentence begins with 'Whether'",
    "Return one seed, or one gone on with.": "says 'gone on with'",
    "Return " + "a very " * 12 + "long sentence.": "words in a sentence",
}


def test_docstrings_and_comments_obey_the_rule() -> None:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) if "runs" not in path.parts]
    faults = [fault for path in paths for fault in faults_of(path)]
    assert len(faults) <= CEILING, "\n".join(faults)


@pytest.mark.parametrize(("text", "fault"), FAULTY.items())
def test_a_faulty_docstring_is_found(text: str, fault: str) -> None:
    assert any(fault in found for found in faults_in(text))


def test_a_plain_docstring_passes() -> None:
    assert not list(faults_in("Steps in all epochs before `epoch`. With `epoch == epochs`, the total."))


def faults_of(path: Path) -> Iterator[str]:
    """Yield one line for each sentence of the file's docstrings and comments that breaks the rule."""
    source = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT)
    for line, text in docstrings(ast.parse(source)):
        for fault in faults_in(text):
            yield f"{name}:{line}: {fault}"
    for line, text in comments(source):
        for found in RIDDLES.finditer(text):
            yield f"{name}:{line}: comment says {found[0]!r}"


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every string that is a statement: docstrings of modules, classes, functions, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each comment."""
    for number, line in enumerate(source.splitlines(), 1):
        if found := re.search(r"(?:^|\s{2})# (.*)", line):
            yield number, found[1]


def faults_in(text: str) -> Iterator[str]:
    """Yield a phrase for each fault of a docstring."""
    for number, sentence in enumerate(sentences_of(text)):
        found = RELATIVE.match(sentence)
        if number == 0 and (first := found or VAGUE.match(sentence)):
            yield f"begins with {first[0]!r}: {sentence[:80]}"
        elif found and found[0] not in ("When", "Where", "That") and not sentence.endswith("?"):
            yield f"a sentence begins with {found[0]!r}: {sentence[:80]}"
        if found := RIDDLES.search(sentence):
            yield f"says {found[0]!r}: {sentence[:80]}"
        if (count := len(CODE.sub("x", sentence).split())) > LONGEST:
            yield f"{count} words in a sentence: {sentence[:80]}"


def sentences_of(text: str) -> list[str]:
    """Split a docstring into sentences. Blank lines, bullets and indented lines also end a sentence."""
    text = re.sub(r"(?m)^ {0,4}(?=\S)", "", text.strip())
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:- |\* |\w+: ))|\n(?=\s{4,})", text)
    joined = [" ".join(paragraph.split()) for paragraph in paragraphs]
    return [part for one in joined for part in re.split(r"(?<=[.!?:;])\s+(?=[A-Z(`])|(?<=;)\s+", one) if part]
