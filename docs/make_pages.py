"""Write the three pages that are generated.

recipe.md comes from the models of a recipe, commands.md from the commands' help, operations.md from tables of rules.

    python docs/make_pages.py

`make docs` runs it. A test fails if a page is not current.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from featherweight.anatomy.cost import MACS
from featherweight.anatomy.rules import RULES
from featherweight.anatomy.surrogate import Surrogate
from featherweight.cli import app
from featherweight.cli.examples import EXAMPLES
from featherweight.graph import calls
from featherweight.graph.lowering import FLOAT_ONLY, LOWERING
from featherweight.recipe import LARGEST, Recipe, sections
from featherweight.recipe import recipe as whole

DOCS = Path(__file__).resolve().parent
NOTICE = "<!-- Written by docs/make_pages.py. Do not edit this page: change {} and run `make docs`. -->\n"

RECIPE_HEAD = '''# All keys of a recipe

```toml mine.toml
# mine.toml
name = "mine"

[data]
dataset = "digits"

[model]
name = "words:c8 s16 p s22 g h"

[training]
batch_size = 32
```

```console
$ featherweight train mine.toml --set optimizer.lr=0.05 --set training.epochs=2 --out runs/mine --no-report
model    words:c8 s16 p s22 g h, 1,090 parameters
...
run folder: runs/mine
```

| where | how a key is set |
| --- | --- |
| in a file | `epochs = 15` under `[training]` |
| on the command line | `--set training.epochs=15` |
| in Python | `featherweight.Recipe.load("mine.toml", ["training.epochs=15"])` |

Only `name` and `model.name` are required. Every other key has a default. The run folder's `recipe.toml` holds all keys.

All faults of a recipe are reported at once:

```console
$ featherweight train mine.toml --set optimizer.lr=-0.1 --set schedule.name=cosin
featherweight: mine.toml has 2 faults:
  optimizer.lr: -0.1 is not greater than 0
  schedule.name: 'cosin' is not one of constant, step, plateau, one-cycle, cosine. Did you mean 'cosine'?
```

Whole numbers are at most 2^53, seeds at most 2^63 - 1. Networks of your own: [own-networks.md](own-networks.md).
'''

COMMANDS_HEAD = '''# All commands

`featherweight COMMAND --help` prints the same. Keys for `--set`: [recipe.md](recipe.md).

{index}

Exit codes of all commands:

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | done, but the goal was missed under `--strict`, or a check of the command failed |
| 2 | bad input or usage, with one line that says what is wrong, what is allowed and what to do |
| 130, 143 | stopped by Ctrl-C or by SIGTERM |

```console
$ featherweight train sesion6
featherweight: unknown recipe 'sesion6'. Did you mean 'session6'? See: featherweight recipes, or give a .toml file.
```

`--json` prints one JSON document on standard output. Progress and messages go to standard error. `--quiet` leaves them
out. `-h` is short for `--help`. `featherweight --install-completion` lets the shell complete commands, options, recipes
and kinds of pictures.
'''


OPERATIONS_HEAD = '''# What can be done with each operation

An operation is a torch function under its plain name: `relu` stands for `nn.ReLU`, `F.relu`, `torch.relu_` and
`x.relu()`. A summary and a drawing show every operation of torch, with its shapes. These tables tell what is known
beyond that.

| column | yes | otherwise |
| --- | --- | --- |
| field | the receptive field follows a rule | `-` from there on |
| MACs | multiply-accumulates are counted | 0 |
| gradient | `--verify` replaces it, so that no pixel is hidden | runs as it is |
| C | goes to C in float | refused with the name of its layer, before a file is written |
| int8 | goes to C and ONNX in 8 bits | refused in the same way |

In int8, some settings have no exact rule: of `interpolate` only the nearest value has one. [export.md](export.md) shows
how to export, and [architecture.md](architecture.md) how the tables are used.

```python
from torch import nn
from featherweight.anatomy import receptive_field

for layer in receptive_field(nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU(), nn.Upsample(scale_factor=2))):
    print(layer.label, layer.receptive_field, layer.macs)
```

```text
Conv2d-1 3 24336
GELU-2 3 0
Upsample-3 3 0
```
'''

FAMILIES = (    # operations with the same answers, in this order
    ("convolution", calls.CONVOLUTIONS | calls.TRANSPOSED | {"linear", "matmul", "mm", "addmm"}),
    ("pool and reduction", calls.POOLS | calls.ADAPTIVE_POOLS | calls.REDUCTIONS),
    ("normalisation", frozenset({"batch_norm", "group_norm", "instance_norm", "layer_norm"})),
    ("arithmetic", calls.ARITHMETIC),
    ("function of one number", calls.POINTWISE),
    ("move of values", calls.MOVES | {"cat", "concat", "concatenate", "stack", "pad", "interpolate", "pixel_shuffle",
                                      "pixel_unshuffle"}),
)


def main() -> int:
    """Write both pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text)
    return 0


def pages() -> dict[str, str]:
    """Return the generated pages: name of the file -> text."""
    return {"recipe.md": recipe_page(), "commands.md": commands_page(), "operations.md": operations_page()}


def recipe_page() -> str:
    """Return the page of all keys, one table for each section of a recipe."""
    schema, texts = Recipe.model_json_schema(), key_texts()
    parts = [NOTICE.format("src/featherweight/recipe/sections.py"), RECIPE_HEAD, "## Above all sections", ""]
    parts += table(schema, texts["Recipe"])
    for key, field in Recipe.model_fields.items():
        section: Any = field.annotation
        if section.__name__ in texts:
            words = " ".join((inspect.getdoc(section) or "").partition("\n\n")[0].split())
            parts += ["", f"## `[{key}]`", "", words, "", *table(schema["$defs"][section.__name__],
                                                                  texts[section.__name__])]
    return "\n".join(parts) + "\n"


def table(schema: Mapping[str, Any], texts: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield the table of a section. schema: its JSON schema; texts: key -> (meaning, example)."""
    yield from ("| key | type and allowed values | default | meaning | example |", "| --- | --- | --- | --- | --- |")
    for key, (meaning, example) in texts.items():
        described = schema["properties"][key]
        default = "required" if key in schema.get("required", ()) else default_of(described)
        yield f"| `{key}` | {allowed(described)} | {default} | {meaning} | `{key} = {example}` |"


def key_texts() -> dict[str, dict[str, tuple[str, str]]]:
    """Return class -> key -> (meaning, example), from the text below each key of the recipe's models."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for model in [*ast.parse(inspect.getsource(sections)).body, *ast.parse(inspect.getsource(whole)).body]:
        if isinstance(model, ast.ClassDef):
            for key, below in zip(model.body, model.body[1:], strict=False):
                match key, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                        meaning, _, example = " ".join(text.split()).partition(" Example: `")
                        found.setdefault(model.name, {})[name] = meaning, example.removesuffix("`.")
    return found


def allowed(schema: Mapping[str, Any]) -> str:
    """Return the type and the allowed values of a key in words."""
    schema = next((one for one in schema.get("anyOf", []) if one["type"] != "null"), schema)
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    match schema["type"]:
        case "boolean":
            return "`true`, `false`"
        case "array":
            return f"two values, each a {allowed(schema['prefixItems'][0])}"
        case "integer":
            return f"whole number{limits(schema, step=1)}"
        case "number":
            return f"number{limits(schema, step=0)}"
        case kind:
            return {"string": "text", "object": "table"}[kind]


def limits(schema: Mapping[str, Any], step: int) -> str:
    """Return the limits of a number as the end of a phrase. step: 1 for whole numbers, 0 for others."""
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum", LARGEST), schema.get("exclusiveMaximum", LARGEST)
    if step and above is not None:
        low, above = above + step, None
    begin = f" above {above:g}" if above is not None else f", {low:g}"
    if high < LARGEST:
        return f"{begin}, at most {high:g}" if low is None else f"{begin} to {high:g}"
    if below < LARGEST:
        return f"{begin} or more and below {below:g}"
    return begin if low is None else f"{begin} or more"


def default_of(schema: Mapping[str, Any]) -> str:
    """Return a key's default as a recipe writes it."""
    value = schema.get("default", {})       # arguments of a model: an empty table
    return "not set" if value is None else f"`{json.dumps(value)}`"


def commands_page() -> str:
    """Return the page of all commands."""
    root = typer.main.get_command(app)
    context: Any = root.make_context("featherweight", ["models"])
    found = dict(commands(root, ""))
    index = ["| command | what it does |", "| --- | --- |"]
    for name, command in found.items():
        index.append(f"| [`{name}`](#featherweight-{name.replace(' ', '-')}) | {in_line(command)} |")
    parts = [NOTICE.format("the commands in src/featherweight/cli"), COMMANDS_HEAD.format(index="\n".join(index))]
    for name, command in found.items():
        parts += command_section(name, command, type(context)(command, info_name=f"featherweight {name}"))
    return "\n".join(parts)


def commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield (name, command) of all commands below a group, "data get" for a command of a command."""
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")


def command_section(name: str, command: Any, context: Any) -> Iterator[str]:
    """Yield the lines of one command: what it does, usage, arguments and options, an example."""
    yield from (f"## featherweight {name}", "", in_line(command), "", "```")
    yield from (command.get_usage(context).removeprefix("Usage: "), "```", "")
    shown = [one for one in command.params if not one.hidden]
    if shown:
        yield from ("| argument or option | meaning | default |", "| --- | --- | --- |")
        yield from (row(one, context) for one in shown)
        yield ""
    yield from ("Example:", "", "```", EXAMPLES[name], "```", "")


def operations_page() -> str:
    """Return the page of all operations: a table for each family, a row for operations with the same answers."""
    parts = [NOTICE.format("the rules in src/featherweight/anatomy and src/featherweight/graph"), OPERATIONS_HEAD]
    left = operations()
    for title, names in (*FAMILIES, ("other", frozenset(left))):
        rows: dict[tuple[bool, ...], list[str]] = {}
        for name in sorted(names & set(left)):
            rows.setdefault(left.pop(name), []).append(f"`{name}`")
        parts += [f"## {title.capitalize()}", "", "| operations | field | MACs | gradient | C | int8 |",
                  "| --- | --- | --- | --- | --- | --- |"]
        parts += [f"| {' '.join(found)} | {' | '.join('yes' if one else 'no' for one in answers)} |"
                  for answers, found in sorted(rows.items(), reverse=True)]
        parts.append("")
    return "\n".join(parts)


def operations() -> dict[str, tuple[bool, ...]]:
    """Return for each operation that some table knows: field, MACs, gradient, C, int8."""
    fields, replaced = set(RULES) | calls.MOVES, Surrogate().replaced
    return {name: (name in fields, name in MACS, name in replaced, name in LOWERING,
                   name in LOWERING and name not in FLOAT_ONLY)
            for name in sorted(fields | set(MACS) | replaced | set(LOWERING))}


def in_line(command: Any) -> str:
    """Return a command's help text as one line."""
    return " ".join(command.help.split())


def row(parameter: Any, context: Any) -> str:
    """Return an argument or option as a row of the table."""
    written = parameter.get_help_record(context)[0] if parameter.opts[0].startswith("-") else parameter.metavar
    bounds = f" From {parameter.min} to {parameter.max}." if parameter.min is not None else ""
    default = "" if parameter.default in (None, False) else f"`{parameter.default}`"
    cells = f"`{written}`", f"{parameter.help}{bounds}", "required" if parameter.required else default
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.exit(main())
