"""Places of layers in the source of a user's network: the line that builds a layer."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torch import nn

from featherweight.doctor.source import Source, read
from featherweight.errors import SourceError


@dataclass(frozen=True)
class Places:
    """Lines of a network's layers. Without a source, all lines are 0.

    file: path of the source, or "". attribute: the class. module: the network.
    """

    file: str = ""
    attribute: str = ""
    module: nn.Module | None = None
    cell: int | None = field(default=None)

    @classmethod
    def of_name(cls, name: str, module: nn.Module) -> Places:
        """Return the places of a network named "net.py:Net"; without lines for any other name."""
        file, _, attribute = name.rpartition(":")
        return cls(file, attribute, module) if file and Path(file).is_file() else cls()

    @cached_property
    def source(self) -> Source | None:
        """The parsed script, or None for a notebook, for an unreadable file and for a network without a file."""
        if not self.file.endswith(".py"):
            return None
        try:
            return read(Path(self.file))
        except SourceError:
            return None

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Name -> definition of each class of the file."""
        found = self.source.nodes if self.source else ()
        return {node.name: node for node in found if isinstance(node, ast.ClassDef)}

    def of(self, layer: str) -> tuple[int, int]:
        """Return (line, column) of the call that builds a layer, of the class for "", and (0, 0) if unknown."""
        node: ast.AST | None = self.classes.get(self.attribute)
        owner, call = self.module, None
        for part in layer.split(".") if layer else ():
            call = built_by(self.classes.get(type(owner).__name__), call, part)
            node, owner = call or node, getattr(owner, part, None)
        return (node.lineno, node.col_offset + 1) if isinstance(node, (ast.ClassDef, ast.expr)) else (0, 0)

    def ignored(self, code: str, line: int) -> str | None:
        """Return the reason of an ignore comment on the line, or None."""
        return self.source.ignored(code, [line]) if self.source and line else None

    def lines(self) -> dict[str, int]:
        """Name -> line of each layer that the network's class assigns to an attribute exactly once."""
        definition = self.classes.get(self.attribute)
        found = assignments(definition) if definition else {}
        return {name: calls[0].lineno for name, calls in found.items() if len(calls) == 1}


def built_by(definition: ast.ClassDef | None, call: ast.expr | None, part: str) -> ast.expr | None:
    """Return the expression that builds `part`: an assignment in the class, or an argument of the Sequential `call`."""
    if definition is not None:
        return next(iter(assignments(definition).get(part, [])), None)
    if not isinstance(call, ast.Call) or not part.isdigit():
        return call
    given = call.args[0].elts if call.args and isinstance(call.args[0], (ast.List, ast.Tuple)) else call.args
    plain = not any(isinstance(one, ast.Starred) for one in given)
    return given[int(part)] if plain and int(part) < len(given) else call


def assignments(definition: ast.ClassDef) -> dict[str, list[ast.expr]]:
    """Return attribute -> values of all `self.attribute = value` in a class."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(definition):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                found.setdefault(target.attr, []).append(node.value)
    return found
