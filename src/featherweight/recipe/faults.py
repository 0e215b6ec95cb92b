"""Faults of a recipe in words: the key, its value, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from featherweight.outside import shortened
from featherweight.recipe.values import shown


def in_words(error: Any, root: type[BaseModel]) -> str:
    """Return one pydantic error as "key: what is wrong and what is allowed". root: the model of the whole recipe."""
    key = shortened(".".join(str(part) for part in error["loc"]))
    value, context = shortened(shown(error["input"]), 60), error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key.{nearest(str(error['loc'][-1]), siblings(error['loc'], root), 'Keys')}"
        case "literal_error":
            allowed = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"{key}: {value} is not one of {', '.join(allowed)}.{nearest(value, allowed)}"
        case "missing":
            return f"{key}: is missing."
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"{key}: {value} is not {error['msg'].removeprefix('Input should be ')}"
        case "value_error":
            return f"{key}: {context['error']}" if key else str(context["error"])
        case _:
            return f"{key}: {value}: {error['msg'].removeprefix('Input ')}"


def siblings(location: Sequence[int | str], root: type[BaseModel]) -> Iterable[str]:
    """Return the allowed keys of the section in which an unknown key was found."""
    section: Any = root
    for part in location[:-1]:
        section = section.model_fields[part].annotation
    return list(section.model_fields)


def nearest(name: str, allowed: Iterable[str], otherwise: str = "") -> str:
    """Return a sentence with the allowed name most like a wrong one, or with all of them after `otherwise`."""
    names = list(allowed)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" {otherwise}: {', '.join(names)}." if otherwise else ""
