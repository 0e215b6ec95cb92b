"""Files of recipes: those of the package, a user's own, and those of runs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from featherweight.documents import parse_toml
from featherweight.errors import RecipeError, UnknownName
from featherweight.files import plain_file
from featherweight.outside import shortened
from featherweight.user_code import ENDINGS, MANIFEST, SOURCE_FOLDER, Source


def recipe_names() -> list[str]:
    """Return the names of the recipes in the package, sorted."""
    files = package_folder().iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def find_recipe(name_or_path: str | Path) -> Path:
    """Return the file of a recipe, which is given as a path ending in .toml or as a name of the package.

    Raises RecipeError if the file does not exist, UnknownName for an unknown name.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        if not Path(text).is_file():
            raise RecipeError(f"recipe file {text!r} does not exist. See: featherweight recipes")
        return Path(text)
    if text not in recipe_names():
        raise UnknownName("recipe", text, recipe_names(), "See: featherweight recipes, or give a .toml file.")
    return Path(str(package_folder() / f"{text}.toml"))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a recipe file. Raise RecipeError if the file is not TOML or cannot be read."""
    try:
        return parse_toml(plain_file(path).read_text(encoding="utf-8"))
    except ValueError as fault:
        raise RecipeError(
            f"{path.name} is not TOML: {shortened(fault)}. Compare it with: featherweight recipes"
        ) from fault
    except OSError as fault:
        raise RecipeError(f"{path} cannot be read: {fault.strerror}.") from fault


def as_then(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a run's recipe.toml with data.fit, in place. Runs of earlier versions stretch images."""
    if isinstance(data := content.setdefault("data", {}), dict):
        data.setdefault("fit", "stretch")
    return content


def beside(folder: Path, name: str) -> str:
    """Return "FILE:Class" with a path relative to the working folder, for a network whose file is in `folder`.

    folder: the folder of the recipe. A copy that a run keeps in it is preferred. Any other name is returned unchanged.
    """
    if kept := kept_copy(folder):
        return kept
    file, _, attribute = name.rpartition(":")
    return f"{folder / file}:{attribute}" if file.endswith(ENDINGS) and (folder / file).is_file() else name


def kept_copy(folder: Path) -> str | None:
    """Return "FILE:Class" of the network's source that a run folder holds, or None if it holds no source."""
    if not (folder / SOURCE_FOLDER / MANIFEST).is_file():
        return None
    source = Source.read(folder / SOURCE_FOLDER)
    return f"{folder / SOURCE_FOLDER / source.entry}:{source.attribute}"


def package_folder() -> Any:
    """Return the folder of the package's recipes."""
    return resources.files("featherweight") / "recipes"
