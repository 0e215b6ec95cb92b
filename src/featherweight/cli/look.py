"""The commands that only read: models, recipes, summary."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from featherweight.cli.options import InputShapes, Json, ModelArguments, Quiet, Trust, parse_shape
from featherweight.cli.output import console, note, show, show_json, table
from featherweight.cli.subjects import open_subject
from featherweight.words import percent

WIDE = 110      # columns of a terminal from which `recipes` also shows the networks


def models(as_json: Json = False) -> None:
    """List the networks in the catalogue."""
    from featherweight.models import CATALOGUE, build_model, input_shapes

    found: list[dict[str, Any]] = []
    for name in CATALOGUE:
        model = build_model(name)
        count = sum(p.numel() for p in model.parameters())
        shapes = [list(shape) for shape in input_shapes(model)]
        source = (type(model).__doc__ or "").partition("Source: ")[2].partition(".")[0].partition(":")[0]
        found.append({"name": name, "parameters": count, "inputs": shapes, "source": source})
    if as_json:
        return show_json(found)
    rows = [
        [m["name"], f"{m['parameters']:,}", " + ".join("x".join(map(str, s)) for s in m["inputs"]), m["source"]]
        for m in found
    ]
    show(table("model", "parameters", "input", "source", rows=rows, right=(1,)))
    return None


def recipes(as_json: Json = False) -> None:
    """List the recipes that come with the package."""
    from featherweight.recipe import Recipe, recipe_names

    found = [Recipe.load(name) for name in recipe_names()]
    if as_json:
        return show_json([recipe.model_dump(mode="json") for recipe in found])
    rows = [
        [
            recipe.name,
            str(recipe.training.epochs),
            percent(recipe.goal.accuracy) if recipe.goal.accuracy else "-",
            recipe.goal.target,
            recipe.model.name,
        ]
        for recipe in found
    ]
    headings = ["recipe", "epochs", "goal", "target", "model"][: 5 if console().width >= WIDE else 4]
    cells = [row[: len(headings)] for row in rows]
    show(table(*headings, rows=cells, right=(1, 2), whole=(0, 1, 2)))
    return None


def summary(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|RUN",
            help='Network: a name from `featherweight models`, net.py, net.py:Class, '
            'package.module:Class or "words:c8 s16 p g h". Or a finished run.',
        ),
    ],
    input: InputShapes = None,
    set: ModelArguments = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check each receptive field, pixel by pixel, against the gradient.")
    ] = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Print a table of all layers of a network.

    Each line shows a layer's shapes, parameters, costs and receptive field.
    """
    from featherweight.anatomy import checks_text, summarize
    from featherweight.anatomy import verify as verify_fields

    subject = open_subject(model, set or [], tuple(parse_shape(text) for text in input or ()))
    network, shapes = subject.network, subject.shapes
    if subject.guessed:
        note(f"input {'x'.join(map(str, shapes[0]))}, as the first layer takes it; --input gives another")
    described = summarize(network, shapes, name=subject.name)
    checks = verify_fields(network, shapes) if verify else []
    if as_json:
        extra = {"verified": [check.to_dict() for check in checks]} if verify else {}
        return show_json(described.to_dict() | extra)
    show(described)
    if verify:
        show("")
        show(checks_text(checks, console().width).rstrip())
    if any(check.equal is False for check in checks):
        raise typer.Exit(1)
    return None


COMMANDS = (models, recipes, summary)
