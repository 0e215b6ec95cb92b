"""The catalogue of networks, and build_model, which builds a network by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from featherweight.models.blueprint import Blueprint as Blueprint
from featherweight.models.blueprint import find_blueprint as find_blueprint
from featherweight.models.catalogue import CATALOGUE as CATALOGUE
from featherweight.models.given import blueprint_of as blueprint_of
from featherweight.models.naming import full_name as full_name
from featherweight.models.shapes import image_shape as image_shape
from featherweight.models.shapes import input_shapes as input_shapes


def build_model(
    name: str, arguments: Mapping[str, Any] | None = None, *, suggested: Mapping[str, Any] | None = None
) -> nn.Module:
    """Build a network by catalogue name, by "path/to/file.py:Class" or by "words:c8 s16 p s22 g h".

    arguments: passed to the builder unchanged.
    suggested: in_channels and classes of the data. Used only if the builder's signature names them and `arguments`
    does not set them.
    Raises UnknownName for an unknown name, ModelError for a file, class or argument that does not work.
    """
    return find_blueprint(name).build(arguments, suggested)


def find_builder(name: str) -> Callable[..., nn.Module]:
    """Return the callable that builds the network of this name."""
    return find_blueprint(name).builder
