"""The commands that only read: models, recipes, summary, budget."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from featherweight.cli.options import InputShapes, Json, ModelArguments, Quiet, Trust, parse_arguments, parse_shape
from featherweight.cli.output import console, note, show, show_json, table
from featherweight.cli.subjects import Shapes, Subject, open_subject, subject_of
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


ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help='Network: a catalogue name, path/to/file.py:Class, or "words:c8 s16 p g h".'),
]
ModelOrRecipe = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|RUN",
        help='Network: a name from `featherweight models`, net.py, net.py:Class, package.module:Class or '
        '"words:c8 s16 p g h". Or a finished run, or a recipe: NAME or FILE.toml.',
    ),
]


def summary(
    model: ModelOrRecipe,
    input: InputShapes = None,
    set: ModelArguments = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check each receptive field, pixel by pixel, against the gradient.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Print the table again each time the file of MODEL is saved, until Ctrl-C.")
    ] = False,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Print a table of all layers of a network.

    Each line shows a layer's shapes, parameters, costs and receptive field. For a recipe with goal.max_parameters, a
    last line shows what is left of that budget.
    """
    if watch:
        if as_json:
            raise typer.BadParameter("--watch prints again and again, --json one document. Give one of them.")
        from featherweight.cli.watching import on_every_save

        return on_every_save(model, lambda: summarise(model, input, set, verify, as_json=False))
    if not summarise(model, input, set, verify, as_json=as_json):
        raise typer.Exit(1)
    return None


def summarise(
    model: str, input: list[str] | None, set: list[str] | None, verify: bool, *, as_json: bool
) -> bool:
    """Print the table once. Return False if a receptive field differs from the gradient."""
    from featherweight.anatomy import checks_text, summarize
    from featherweight.anatomy import verify as verify_fields

    subject, limit = with_goal(model, set or [], tuple(parse_shape(text) for text in input or ()))
    network, shapes = subject.network, subject.shapes
    if subject.guessed:
        note(f"input {'x'.join(map(str, shapes[0]))}, as the first layer takes it; --input gives another")
    described = summarize(network, shapes, name=subject.name)
    checks = verify_fields(network, shapes) if verify else []
    if as_json:
        extra = {"verified": [check.to_dict() for check in checks]} if verify else {}
        goal = {} if limit is None else {"max_parameters": limit}
        show_json(described.to_dict() | goal | extra)
        return all(check.equal is not False for check in checks)
    show(described)
    if limit is not None:
        show(budget_line(described.total_parameters, limit))
    if verify:
        show("")
        show(checks_text(checks, console().width).rstrip())
    return all(check.equal is not False for check in checks)


def with_goal(model: str, settings: list[str], shapes: Shapes) -> tuple[Subject, int | None]:
    """Return the network of a model, a run or a recipe, and the most parameters of the recipe's goal."""
    from featherweight.models import build_model
    from featherweight.recipe import recipe_names

    if not model.endswith(".toml") and model not in recipe_names():
        return open_subject(model, settings, shapes), None
    name, arguments, limit, suggested = goal_of(model)
    network = build_model(name, arguments | parse_arguments(settings), suggested=suggested)
    return subject_of(name, network, shapes), limit


def goal_of(model: str) -> tuple[str, dict[str, Any], int | None, dict[str, Any]]:
    """Return the name of a network, its arguments, the most parameters of its goal, and properties of the data.

    model: a recipe, FILE.toml or a name. A catalogue network has the goal of the recipe of its name.
    """
    from featherweight.models import CATALOGUE
    from featherweight.recipe import Recipe

    recipe = Recipe.load(model)
    if model in CATALOGUE:
        return model, {}, recipe.goal.max_parameters if recipe.model.name == model else None, {}
    suggested = {"in_channels": recipe.data.channels}
    return recipe.model.name, dict(recipe.model.arguments), recipe.goal.max_parameters, suggested


def budget_line(used: int, limit: int) -> str:
    """Return the line with the budget of a recipe's goal."""
    rest = f"{limit - used:,} left" if used <= limit else f"{used - limit:,} over"
    return f"Budget of the goal: {used:,} of {limit:,} parameters, {rest}"


def budget(
    model: ModelName,
    max_parameters: Annotated[int, typer.Option("--max-parameters", metavar="N", help="Most parameters.")],
    max_macs: Annotated[
        int | None, typer.Option("--max-macs", metavar="N", help="Most multiply-accumulates per image.")
    ] = None,
    max_ram: Annotated[
        int | None, typer.Option("--max-ram", metavar="BYTES", help="Most static memory of the C code.")
    ] = None,
    max_flash: Annotated[
        int | None, typer.Option("--max-flash", metavar="BYTES", help="Most bytes of constants of the C code.")
    ] = None,
    form: Annotated[
        str, typer.Option("--form", metavar="FORM", help="C code whose RAM and flash count: int8 or float.")
    ] = "int8",
    input: InputShapes = None,
    set: ModelArguments = None,
    all: Annotated[bool, typer.Option("--all", help="Show all edits, not only the first of each kind.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a network uses of a budget, and the edits that fit.

    Each edit was built and counted. For a network over budget: the smallest edits that bring it under.
    """
    from featherweight.budgets import budget as budget_of
    from featherweight.budgets.budget import SHOWN

    found = budget_of(
        model, max_parameters=max_parameters, max_macs=max_macs, max_ram=max_ram, max_flash=max_flash, form=form,
        arguments=parse_arguments(set or []), input_shapes=[parse_shape(text) for text in input] if input else None,
        shown=None if all else SHOWN,
    )
    if as_json:
        return show_json(found.to_dict())
    show(found)
    return None


COMMANDS = (models, recipes, summary, budget)
