"""Text from outside: visible in a terminal, harmless in Markdown, short in messages, refused as a name."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import featherweight
from featherweight.cli.output import fail, note, plain_warnings, show, status, table
from featherweight.data import as_dataset
from featherweight.data.folders import list_folder
from featherweight.errors import DataError, FeatherweightError, RecipeError, RunError
from featherweight.inference.bundle import read_card
from featherweight.inference.card import Card
from featherweight.outside import in_markdown, name_fault, say, shortened, visible
from featherweight.recipe import Recipe
from featherweight.shipping.c_text import comment
from featherweight.specification import PictureSpecification

HOSTILE = "a\x1b[31m\x07\u202eb\n\u2028\u200b\x9b\x7f\ud800c"
SHOWN = r"a\x1b[31m\x07\u202eb\n\u2028\u200b\x9b\x7f\ud800c"
LETTERS = "مرحبا שלום 你好 ไทย é 😀 ½ `<b>|*"


def test_what_cannot_be_seen_is_written_out_and_letters_stay():
    assert visible(HOSTILE) == SHOWN and visible(visible(HOSTILE)) == SHOWN
    assert visible("a\nb\tc", lines=True) == "a\nb\\tc"
    assert visible(LETTERS) == LETTERS


@given(st.text(st.characters()))
def test_any_text_is_one_line_that_xml_and_utf8_can_hold(text):
    line = visible(text)
    assert len(line.splitlines()) <= 1
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", line)
    line.encode()


@pytest.mark.parametrize(("text", "written"), [
    ("<b>&", "&lt;b&gt;&amp;"), ("a|b", r"a\|b"), ("![x](http://y)", r"!\[x\](http&#58;//y)"),
    ("`c` *d* _e_", r"\`c\` \*d\* \_e\_"),
    ("# x", r"\# x"), ("1. x", r"1\. x"), ("- x", r"\- x"), ("a\nb", r"a\\nb"),
    ("WWW.x.org a@b", "www&#46;x.org a&#64;b"),
    ("session7-model2", "session7-model2"), ("net.py:Net", "net.py:Net"), ("0", "0"),
])
def test_a_value_in_markdown_is_text(text, written):
    assert in_markdown(text) == written


def test_a_librarys_message_is_cut_and_a_long_line_keeps_its_ends():
    assert shortened("x" * 3000) == "x" * 197 + "..." and shortened("a\n  b\x00") == r"a b\x00"
    said = str(FeatherweightError("begin " + "x" * 5000 + " end"))
    assert len(said) < 820 and said.startswith("begin x") and said.endswith("x end")


def test_a_fault_is_one_line_and_those_of_a_recipe_are_as_many_as_they_are():
    assert str(RunError(f"run {HOSTILE}")) == f"run {SHOWN}"
    with pytest.raises(RecipeError) as fault:
        Recipe.from_dict({"name": "a\nb", "model": {"name": "x\x1b.py:Net"}, "training": {"epochs": "\n\x07" * 999}})
    lines = str(fault.value).split("\n")
    assert len(lines) == 4 and all(len(line) < 300 and line.isprintable() for line in lines)


def test_all_ways_to_print_are_visible(capsys):
    say(HOSTILE, HOSTILE)
    show(table(HOSTILE, rows=[[HOSTILE], ["[/red] :smile:"]]))
    show(HOSTILE)
    fail(HOSTILE)
    note(HOSTILE)
    with status(f"{HOSTILE} [/red]"):
        pass
    with plain_warnings():
        warnings.showwarning(UserWarning(HOSTILE), UserWarning, "library.py", 1)
    printed = "".join(capsys.readouterr())
    assert printed.count("\\x1b[31m") >= 6 and "[/red] :smile:" in printed
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e\ud800-\udfff]", printed)


def test_nothing_prints_but_what_makes_text_visible():
    """print() stands in outside.py, and in cli/output.py for JSON, which is ASCII."""
    found = []
    for file in Path(featherweight.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            printers = ("print", "sys.stderr.write", "sys.stdout.write", "Console", "typer.echo")
            if isinstance(node, ast.Call) and ast.unparse(node.func) in printers:
                found.append((file.name, ast.unparse(node.func)))
    assert sorted(found) == [("output.py", "print"), ("outside.py", "print")]


def test_json_is_ascii(capsys):
    from featherweight.cli.output import show_json

    show_json({HOSTILE: HOSTILE})
    printed = capsys.readouterr().out
    assert re.fullmatch(r"[\n -~]*", printed) and json.loads(printed) == {HOSTILE: HOSTILE}


@pytest.mark.parametrize(("name", "fault"), [
    ("x" * 101, "has 101 characters, at most 100 are allowed"), ("", "is empty"), (" ", "is empty"),
    (7, "is of type int"),
    ("a\x1b", r"holds '\x1b'"), ("a\nb", r"holds '\n'"), ("\u202e", r"holds '\u202e'"), ("\ud800", r"holds '\ud800'"),
])
def test_names_are_limited(name, fault):
    assert fault in name_fault(name)
    assert name_fault(LETTERS) == name_fault("x" * 100) == ""


@pytest.mark.parametrize("name", ["x" * 101, "a\x1b[31m", "a\nb", "\u202eb"])
def test_class_names_are_limited_where_data_are_read(tmp_path, name):
    for each in (name, "plain"):
        (tmp_path / each).mkdir()
    with pytest.raises(DataError, match=r"class folder '.*(holds|at most 100).*Rename the folder"):
        list_folder(tmp_path)
    labels = np.array([name, "plain"] * 4)
    with pytest.raises(DataError, match=r"the class '.*(holds|at most 100).*Rename it"):
        as_dataset((np.zeros((8, 8, 8), np.uint8), labels))


CARD = Card("r", "m", 1, "digits", {"class": ("a", "b")}, False, (0.1,), (0.3,), {"class": 0.5}, PictureSpecification())


@pytest.mark.parametrize(("key", "value"), [
    ("recipe", "\x1b"), ("model", "m" * 1001), ("heads", {"class": ["a\nb"]}), ("heads", {"class": []}), ("heads", 7),
    ("heads", {"class": [7]}), ("parameters", "9"), ("mean", ["x"]), ("std", []), ("accuracy", {}), ("takes_number", 1),
    ("picture", {"size": "28"}), ("picture", {"size": 10**9}), ("picture", {"kind": "<b>"}),
    ("picture", {"span": [1, 1]}),
])
def test_a_card_of_other_types_is_one_line(tmp_path, key, value):
    (tmp_path / "card.json").write_text(json.dumps(CARD.to_dict() | {key: value}))
    with pytest.raises(RunError, match="is no card of a bundle") as fault:
        read_card(tmp_path)
    assert str(fault.value).isprintable() and len(str(fault.value)) < 500


def test_a_comment_of_c_ends_where_it_ends():
    said = comment("*/ /*/ ????/ \x1b \n 你好/ \\")
    assert "*/" not in said and "/*" not in said and "??" not in said and said.isascii() and said.isprintable()


def test_a_console_that_is_given_anything_prints_it_visibly():
    from rich.panel import Panel

    from featherweight.terminal import text_console

    file = io.StringIO()
    text_console(file, 80).print(Panel(HOSTILE, title=HOSTILE))
    assert "\x1b" not in file.getvalue() and r"\x1b" in file.getvalue() and sys.stdout is not file
