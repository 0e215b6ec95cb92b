"""JSON and TOML of anybody: what can be written again comes back, everything else is a ValueError."""

from __future__ import annotations

import json

import pytest

from featherweight.documents import DEEPEST, parse_json, parse_toml


def test_a_document_comes_back() -> None:
    content = {"a": [1, -2.5, True, None, "ü \U0001f600"], "b": {"c": {}}}
    assert parse_json(json.dumps(content)) == content
    assert parse_toml('a = [1, 2.5]\n[b]\nc = "ü"') == {"a": [1, 2.5], "b": {"c": "ü"}}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1),
        "1" * 10_000,
        "NaN", "[-Infinity]", "1e999",
        r'["\ud800"]', r'{"\udfff": 1}',
        "", "{", "\ufeff{}",
    ],
)
def test_what_is_no_json_or_cannot_be_written_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_json(text)


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 100_000, "a = " + "[" * 200 + "]" * 200, ".".join("a" * 2000) + " = 1", "a = " + "1" * 10_000, "a"],
)
def test_what_is_no_toml_or_too_deep_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_toml(text)
