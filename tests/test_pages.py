"""The generated pages are current, and all that they show is allowed."""

from __future__ import annotations

import importlib.util
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from featherweight.cli import app
from featherweight.cli.examples import EXAMPLES
from featherweight.recipe import Recipe, Section

DOCS = Path(__file__).resolve().parents[1] / "docs"
MINIMAL = {"name": "mine", "model": {"name": "session6"}}


@pytest.fixture(scope="module")
def make_pages() -> Any:
    spec = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["recipe.md", "commands.md", "operations.md"])
def test_a_generated_page_is_current(name: str, make_pages: Any) -> None:
    assert (DOCS / name).read_text() == make_pages.pages()[name], "run: make docs"


def test_the_table_of_operations_and_consumers(make_pages: Any) -> None:
    """`pytest -s` prints the table."""
    found = make_pages.operations()
    print(f"\n{'operation':28}field  MACs   grad   C      int8")
    for name, answers in found.items():
        print(f"{name:28}" + "".join(f"{'yes' if one else 'no':7}" for one in answers))
    assert len(found) > 200
    in_c = [name for name, (*_, c, _int8) in found.items() if c]
    assert len(in_c) > 100 and {"add", "gelu", "group_norm", "conv_transpose2d", "cat", "getitem"} <= set(in_c)
    without_field = [name for name in in_c if not found[name][0]]
    assert without_field == ["one_hot"]      # a number has no place on the image
    page = make_pages.operations_page()
    assert all(f"`{name}`" in page for name in found)


def test_every_key_has_a_meaning_and_an_example(make_pages: Any) -> None:
    texts = make_pages.key_texts()
    models = {model.__name__: model for model in (Recipe, *Section.__subclasses__()) if model.__name__ in texts}
    keys = [(name, key) for name, model in models.items() for key, field in model.model_fields.items()
            if name != "Recipe" or field.annotation.__name__ not in models]
    assert len(keys) == 66 and len(models) == 10
    for name, key in keys:
        meaning, example = texts[name][key]
        assert meaning.endswith(".") and example, f"{name}.{key}"


def test_the_examples_make_one_recipe(make_pages: Any) -> None:
    texts = make_pages.key_texts()
    lines = [f"{key} = {example}" for key, (_, example) in texts["Recipe"].items()]
    for section, field in Recipe.model_fields.items():
        if field.annotation.__name__ in texts:
            examples = texts[field.annotation.__name__]
            lines += [f"[{section}]", *(f"{key} = {example}" for key, (_, example) in examples.items())]
    content = tomllib.loads("\n".join(lines))
    assert Recipe.from_dict(content).to_toml()
    for section, value in content.items():      # those that need another key beside them are few
        if section not in ("evaluation", "data", "training"):
            assert Recipe.from_dict(MINIMAL | {section: value})


@pytest.mark.parametrize(("schema", "words"), [
    ({"type": "number"} | {"minimum": 0, "maximum": 1}, "number, 0 to 1"),
    ({"type": "number"} | {"minimum": 0, "exclusiveMaximum": 1}, "number, 0 or more and below 1"),
    ({"type": "number"} | {"exclusiveMinimum": 0}, "number above 0"),
    ({"type": "number"} | {"exclusiveMinimum": 0, "maximum": 1}, "number above 0, at most 1"),
    ({"type": "integer"} | {"exclusiveMinimum": 1, "maximum": 2**53}, "whole number, 2 or more"),
    ({"type": "integer"} | {"minimum": 4, "maximum": 512}, "whole number, 4 to 512"),
    ({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}, "whole number, 0 or more"),
    ({"type": "string", "enum": ["sgd", "adam"]}, '`"sgd"`, `"adam"`'),
])  # fmt: skip
def test_limits_in_words(schema: dict[str, Any], words: str, make_pages: Any) -> None:
    assert make_pages.allowed(schema) == words


def test_every_command_has_an_example_that_its_options_allow(make_pages: Any) -> None:
    found = dict(make_pages.commands(typer.main.get_command(app), ""))
    assert sorted(found) == sorted(EXAMPLES) and len(found) == 21
    for name, command in found.items():
        words = shlex.split(EXAMPLES[name])
        path = ["featherweight", *name.split()]
        assert words[: len(path)] == path
        if name != "data":      # parsed, a group without a command prints its help
            command.make_context(" ".join(path), words[len(path) :]).close()
