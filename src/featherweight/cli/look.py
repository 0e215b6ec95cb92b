"""Commands that only look: models, recipes, summary."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from featherweight.cli.output import console, note, only_documents, show, show_json, table
from featherweight.cli.trusting import Trust


def keep_clean(context: typer.Context, value: bool) -> bool:
    """With --json, keep standard output free of everything but the document until the command ends."""
    if value:
        context.with_resource(only_documents())
    return value


Json = Annotated[
    bool, typer.Option("--json", callback=keep_clean, help="Print one JSON document and nothing else.")
]


def models(as_json: Json = False) -> None:
    """List the networks of the catalogue."""
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
            recipe.model.name,
            str(recipe.training.epochs),
            f"{100 * recipe.goal.accuracy:.2f} %" if recipe.goal.accuracy else "-",
            recipe.goal.target,
        ]
        for recipe in found
    ]
    show(table("recipe", "model", "epochs", "goal", "target", rows=rows, right=(2, 3)))
    return None


def summary(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help='A catalogue name, path/to/file.py:Class, or "words:c8 s16 p g h".')
    ],
    input: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="C,H,W", help="Shape of one input without the batch axis; repeat for more."),
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An argument of the model; repeatable.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check each receptive field against the gradient, to the pixel.")
    ] = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Print every layer of a network: shapes, parameters, costs, receptive fields."""
    from featherweight.anatomy import checks_text, summarize
    from featherweight.anatomy import verify as verify_fields
    from featherweight.models import build_model, input_shapes

    network = build_model(model, parse_arguments(set or []))
    shapes = tuple(parse_shape(text) for text in input) if input else input_shapes(network)
    if not input and shapes != ((1, 28, 28),) and not hasattr(network, "input_shapes"):
        note(f"input {'x'.join(map(str, shapes[0]))}, as the first layer takes it; --input gives another")
    described = summarize(network, shapes, name=model)
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


def parse_shape(text: str) -> tuple[int, ...]:
    """ "1,28,28" -> (1, 28, 28); a usage fault for anything else."""
    parts = text.replace("x", ",").split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"--input {text!r} is no shape of positive whole numbers such as 1,28,28.")
    return tuple(int(part) for part in parts)


def parse_arguments(settings: list[str]) -> dict[str, object]:
    """ ["dropout=0.1"] -> {"dropout": 0.1}."""
    from featherweight.recipe import apply_setting

    arguments: dict[str, object] = {}
    for setting in settings:
        apply_setting(arguments, setting)
    return arguments


COMMANDS = (models, recipes, summary)
