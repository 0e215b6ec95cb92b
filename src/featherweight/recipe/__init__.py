"""Recipe: one experiment as data, written in TOML and validated before anything is loaded.

Only experiment.py and the layers above it know a Recipe; the code below it takes plain values.
"""

from featherweight.recipe.files import find_recipe, recipe_names
from featherweight.recipe.recipe import Recipe
from featherweight.recipe.sections import LARGEST, Section
from featherweight.recipe.settings import apply_setting, keep_goal_data, set_value

__all__ = [
    "LARGEST", "Recipe", "Section", "apply_setting", "find_recipe", "keep_goal_data", "recipe_names", "set_value",
]
