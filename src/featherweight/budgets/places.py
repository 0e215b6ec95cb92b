"""The line of a file where each layer is made, noted while the network is built."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from featherweight.models import Blueprint


@contextmanager
def noted_lines(file: Path | None) -> Iterator[dict[int, int]]:
    """Note the line of `file` for each layer with weights that is made inside the block: {id of the layer: line}.

    It is the outermost line: for layers that a function of the file makes, the line that calls the function.
    """
    found: dict[int, int] = {}

    def note(module: nn.Module, name: str, parameter: Any) -> None:
        line = outermost_line(str(file))
        if line is not None:
            found[id(module)] = line

    handle = register_module_parameter_registration_hook(note) if file else None
    try:
        yield found
    finally:
        if handle:
            handle.remove()


def outermost_line(file: str) -> int | None:
    """Return the line of the outermost running call in a file, or None."""
    frame, line = inspect.currentframe(), None
    while frame is not None:
        if frame.f_code.co_filename == file:
            line = frame.f_lineno
        frame = frame.f_back
    return line


def build_with_lines(blueprint: Blueprint, arguments: Mapping[str, Any]) -> tuple[nn.Module, dict[str, int]]:
    """Build a network. Return it with the line of each layer, by the layer's path."""
    with noted_lines(file_of(blueprint)) as lines:
        module = blueprint.build(arguments)
    return module, {path: lines[id(part)] for path, part in module.named_modules() if id(part) in lines}


def file_of(blueprint: Blueprint) -> Path | None:
    """Return the file of a network's class, or None if it is not in a Python file."""
    if blueprint.user_class is not None:
        return blueprint.user_class.file.resolve()
    builder: Callable[..., Any] = blueprint.builder
    source = sys.modules.get(getattr(builder, "__module__", ""))
    name = getattr(source, "__file__", None)
    return Path(name) if name and inspect.isclass(builder) else None
