"""Layers of a network that a pass never called, and parameters that it never used."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from featherweight.graph.twin import CONTAINERS, filled, kind_of


@dataclass(frozen=True)
class Unused:
    """A layer that was never called, with the number of its parameters.

    With the kind "Parameter": a single parameter that no row uses.
    """

    name: str
    kind: str
    parameters: int

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {"name": self.name, "kind": self.kind, "parameters": self.parameters}


def unused_in(module: nn.Module, called: Collection[int], used: Collection[int]) -> list[Unused]:
    """List the outermost layers that were never called, and unused single parameters of the other layers.

    called: ids of the modules that ran. used: ids of the parameters that a row counts.
    A parameter that two unused layers share is counted at the first.
    """
    return list(_below(module, "", called, used, set(used)))


def _below(
    module: nn.Module, name: str, called: Collection[int], used: Collection[int], counted: set[int]
) -> Iterator[Unused]:
    """Yield the unused parts of `module`, a part of the network called `name`.

    counted: ids of the parameters that were used or listed already. Parameters are added as they are listed.
    """
    if name and not _has_part(module, called, used):
        new = {id(parameter): parameter for parameter in filled(module) if id(parameter) not in counted}
        counted.update(new)
        if new or not isinstance(module, CONTAINERS):
            yield Unused(name, kind_of(module), sum(parameter.numel() for parameter in new.values()))
        return
    whole = type(module).__module__.startswith("torch.") and not isinstance(module, CONTAINERS)
    for own, parameter in module.named_parameters(name, recurse=whole):     # attention's children are not layers
        if id(parameter) not in counted and not is_lazy(parameter):
            counted.add(id(parameter))
            yield Unused(own, "Parameter", parameter.numel())
    for child_name, child in () if whole else module.named_children():
        yield from _below(child, f"{name}.{child_name}" if name else child_name, called, used, counted)


def _has_part(module: nn.Module, called: Collection[int], used: Collection[int]) -> bool:
    """Return True if the module or one of its descendants ran, or a row counts one of its parameters."""
    return any(id(p) in used for p in module.parameters()) or any(id(part) in called for part in module.modules())
