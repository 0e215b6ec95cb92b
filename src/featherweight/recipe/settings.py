"""Settings such as "training.epochs=1", applied to the content of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featherweight.documents import parse_toml
from featherweight.errors import RecipeError
from featherweight.wording import option


def apply_setting(content: dict[str, Any], setting: str) -> None:
    """Apply a setting such as "training.epochs=1" to nested dictionaries, in place.

    The value is parsed as TOML; a value that is not TOML is taken as text. Raises RecipeError for a malformed setting.
    """
    key, equals, text = setting.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise RecipeError(f"{option('set', setting)} is not section.key=value, such as training.epochs=1.")
    try:
        parsed = parse_toml(f"value = {text}")
    except ValueError:
        parsed = {"value": text.strip()}
    if len(parsed) > 1:
        raise RecipeError(f"{option('set', setting)} holds more than one value. Give each by itself.")
    set_value(content, key.strip(), parsed["value"])


def set_value(content: dict[str, Any], key: str, value: Any) -> None:
    """Write a value under "section.key" into nested dictionaries, in place.

    Raises RecipeError if a part of the key before the last is not a section.
    """
    *sections, last = key.split(".")
    for part in sections:
        content = content.setdefault(part, {})
        if not isinstance(content, dict):
            raise RecipeError(f"{option('set', key)}: {part!r} is not a section.")
    content[last] = value


def keep_goal_data(before: Mapping[str, Any], now: dict[str, Any]) -> None:
    """Write goal.dataset into `now`, in place, if settings changed the data set and left the goal's accuracy.

    before: content of the recipe without the settings.
    """
    written, wanted = (content.get("data", {}).get("dataset", "mnist") for content in (before, now))
    goal = now.get("goal")
    if not isinstance(goal, dict) or goal != before.get("goal") or written == wanted:
        return
    if goal.get("accuracy") is not None and not goal.get("dataset"):
        now["goal"] = {**goal, "dataset": written}
