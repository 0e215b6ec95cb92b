"""Names that the shell completes. Nothing heavy is imported: the shell waits for them."""

from __future__ import annotations

from importlib import resources

KINDS = (   # of the command plot; the same as in report/drawing.py, which is slow to import
    "curves", "confusion", "mistakes", "by-class", "calibration", "kernels", "activations", "cam",
    "receptive-field", "graph",
)


def recipe_names(incomplete: str) -> list[str]:
    """Return the recipes of the package that begin with the typed text. The shell adds files by itself."""
    files = (resources.files("featherweight") / "recipes").iterdir()
    names = (file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))
    return sorted(name for name in names if name.startswith(incomplete))


def kinds(incomplete: str) -> list[str]:
    """Return the kinds of pictures that begin with the typed text."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]
