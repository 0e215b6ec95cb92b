"""The plan of a compiled network while the calls of a record are read: the meaning of each recorded value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from featherweight.graph.plain import Shape
from featherweight.graph.record import Call, Record, Value, name_of
from featherweight.training.compiled.stages import Conv, Input, Join, Part, Plan, Softmax, Stage


class NotCompiled(Exception):
    """A network, a recipe or a machine for which training cannot be compiled. The text says why, in a few words."""


@dataclass(frozen=True)
class Seen:
    """A recorded value in the plan: the view of a stage, with zeros around it, and perhaps in the middle of a formula.

    pads: rows above, columns left, rows below, columns right; negative ones are cut off.
    formula: operations of a root mean square so far, "square", "mean" or "plus". added: the summand under the root.
    """

    stage: int
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    formula: str = ""
    added: float = 0.0


class Reading:
    """The plan while the calls of a record are read, one after the other."""

    def __init__(self, record: Record, originals: Mapping[int, Tensor], training: bool) -> None:
        self.record, self.originals, self.training = record, originals, training
        self.plan = Plan()
        self.seen: dict[Value, Seen] = {}
        self.uses = Counter(value for call in record.calls for value in set(call.sources))
        self.uses.update(record.outputs)
        self.heads = set(record.outputs)
        self.call: Call
        self.given: dict[str, Any] = {}

    # --- the call that is read

    def open(self, call: Call) -> None:
        """Begin to read a call. Raise NotCompiled unless all that it reads is known."""
        self.call = call
        self.given = call.given
        self.require(not call.aliased)
        self.require(all(value in self.seen for value in call.sources))
        self.require(all(value.shape[:1] == (self.record.batch,) for value in (*call.sources, *call.outputs)))

    def require(self, holds: bool) -> None:
        """Raise NotCompiled, with the layer of the call, unless `holds`."""
        if not holds:
            path = name_of(self.call.path)
            where = f" in {path}" if path else ""
            raise NotCompiled(f"{self.call.operation}{where} has no compiled form")

    @property
    def source(self) -> Value:
        """The only value that the call reads."""
        self.require(len(self.call.sources) == 1)
        return self.call.sources[0]

    def original(self, key: str) -> Tensor | None:
        """Return the parameter or buffer of the network that an argument is. Raise NotCompiled if it is computed."""
        value = self.given.get(key)
        if value is None:
            return None
        self.require(isinstance(value, Value) and id(value.constant) in self.originals)
        found = self.originals[id(value.constant)]
        self.require(found.dtype in (torch.float32, torch.int64))
        return found

    # --- the stages

    def finish(self, seen: Seen, output: int = 0) -> None:
        """Make `seen` the value of an output of the call."""
        value = self.call.outputs[output]
        self.seen[value] = seen = self.flat(seen) if value in self.heads else seen
        if self.uses[value] > 1 or value in self.heads:
            self.plan.stages[seen.stage].frozen = True

    def add(self, made: Conv | Join | Softmax | Input, sources: tuple[int, ...], shape: Shape) -> Seen:
        """Add a stage and return its value."""
        self.plan.stages.append(Stage(made, sources, shape))
        return Seen(len(self.plan.stages) - 1)

    def shape(self, seen: Seen) -> Shape:
        """Shape of one image of a value."""
        channels, height, width = self.plan.stages[seen.stage].view
        top, left, bottom, right = seen.pads
        return channels, height + top + bottom, width + left + right

    def flat(self, seen: Seen) -> Seen:
        """Return the value without zeros around it, as a copy if it has some."""
        self.require(not seen.formula)
        return seen if not any(seen.pads) else self.joined([(seen, 0)], self.shape(seen))

    def joined(self, parts: list[tuple[Seen, int]], shape: Shape) -> Seen:
        """Add a join of values, each from a channel on."""
        self.require(not any(seen.formula for seen, _ in parts))
        made = Join(tuple(Part(first, seen.pads[0], seen.pads[1]) for seen, first in parts))
        return self.add(made, tuple(seen.stage for seen, _ in parts), shape)

    def open_stage(self, value: Value, fits: Callable[[Stage], bool]) -> tuple[Seen, Stage]:
        """Return a value and its stage, to which the next operation is added; a copy if it cannot be added there."""
        seen = self.flat(self.seen[value])
        stage = self.plan.stages[seen.stage]
        if stage.frozen or isinstance(stage.made, Input) or not fits(stage):
            seen = self.joined([(seen, 0)], self.shape(seen))
            stage = self.plan.stages[seen.stage]
        return seen, stage
