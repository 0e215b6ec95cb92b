"""The user's line and the phrase that an error message is made of."""

import importlib.util
import json

import pytest
import torch

from featherweight.blame import at, in_one_line, is_users, user_line

NETWORK = """import json
import torch

def misses():
    return torch.zeros(2) + torch.zeros(3)

def reads():
    return json.loads("{")

def undefined():
    return drop_value
"""


def fault_of(function):
    try:
        function()
    except Exception as fault:
        return fault
    raise AssertionError("nothing was raised")


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(NETWORK)
    spec = importlib.util.spec_from_file_location("net_of_a_user", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "place"), [("misses", "net.py:5"), ("reads", "net.py:8"), ("undefined", "net.py:11")])
def test_the_innermost_line_of_the_user_is_found_below_torch_and_the_library(own, name, place):
    assert user_line(fault_of(getattr(own, name))) == place


def test_a_syntax_error_is_at_the_line_that_cannot_be_read():
    assert user_line(fault_of(lambda: compile("x = 1\nx = = 2", "/home/me/net.py", "exec"))) == "net.py:2"


def test_an_exception_that_was_never_raised_has_no_line():
    assert user_line(ValueError("no")) == ""


@pytest.mark.parametrize("file", [torch.__file__, json.__file__, pytest.__file__, in_one_line.__code__.co_filename,
                                  "<frozen importlib._bootstrap>", "<eval_with_key>.0"])
def test_libraries_are_not_the_users(file):
    assert not is_users(file)


def test_a_cell_and_typed_code_are_the_users():
    cell = "/tmp/ipykernel_7/123.py"
    assert is_users(cell)
    assert at((cell, 8)) == "line 8 of a notebook cell"
    assert is_users("<stdin>")
    assert at(("<stdin>", 3)) == "line 3"


@pytest.mark.parametrize(("fault", "text"), [
    (RuntimeError("mat1 and mat2 do not fit.\nmore"), "mat1 and mat2 do not fit"),
    (RuntimeError("Error(s) in loading state_dict for Net:\n\tMissing key(s): \"a\"."),
     'Error(s) in loading state_dict for Net: Missing key(s): "a"'),
    (NameError("name 'drop' is not defined"), "name 'drop' is not defined"),
    (KeyError("head"), "KeyError: 'head'"),
    (AssertionError(), "AssertionError"),
    (IndexError("list index out of range"), "IndexError: list index out of range"),
    (ValueError("x"), "ValueError: x"),
    (SyntaxError("invalid syntax"), "SyntaxError: invalid syntax"),
])
def test_a_message_is_one_phrase(fault, text):
    assert in_one_line(fault) == text
