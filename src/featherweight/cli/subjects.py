"""A network that a command is about: a network by name, or a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from featherweight.cli.options import parse_arguments

if TYPE_CHECKING:
    from torch import nn

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Subject:
    """A built network, its name for people, and the shapes of its inputs. guessed: True if nothing states them."""

    name: str
    network: nn.Module
    shapes: Shapes
    guessed: bool


def is_run(subject: str) -> bool:
    """True for a run folder."""
    return (Path(subject) / "recipe.toml").is_file()


def arguments_for(subject: str, settings: Sequence[str]) -> dict[str, object]:
    """Return the arguments of --set. Raises typer.BadParameter for a run, whose recipe holds its arguments."""
    if settings and is_run(subject):
        raise typer.BadParameter(f"--set is about a MODEL; {subject!r} is a run, which has its arguments.")
    return parse_arguments(settings)


def open_subject(subject: str, settings: Sequence[str], shapes: Shapes) -> Subject:
    """Build a network by name, or load that of a finished run. shapes: those of --input, which win."""
    from featherweight.models import build_model, full_name

    arguments = arguments_for(subject, settings)
    if is_run(subject):
        from featherweight.networks import load_network, shapes_of
        from featherweight.runs import Run

        run = Run.open(subject)
        name = f"{subject} ({run.recipe.model.name})"
        return Subject(name, load_network(run), shapes or shapes_of(run.recipe), guessed=False)
    name = full_name(subject)
    return subject_of(name, build_model(name, arguments), shapes)


def subject_of(name: str, network: nn.Module, shapes: Shapes) -> Subject:
    """Return a built network with the shapes of its inputs. shapes: those of --input, which win."""
    from featherweight.models import input_shapes

    found = shapes or input_shapes(network)
    guessed = not shapes and found != ((1, 28, 28),) and not hasattr(network, "input_shapes")
    return Subject(name, network, found, guessed)
