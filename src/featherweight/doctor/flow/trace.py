"""The trace of a file: events of training and evaluation in the order in which they happen."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from featherweight.doctor.flow.values import Loader, Spot, Value
from featherweight.doctor.source import Source


@dataclass(frozen=True)
class Loop:
    """One pass through a loop. kind: "batches", "epochs", "values" or "other". over: the value that is iterated."""

    node: ast.AST
    kind: str
    turn: int
    over: Value | None = None


@dataclass(frozen=True)
class Arm:
    """One arm of a branch whose condition is not known."""

    node: ast.AST
    side: int


def over_batches(loops: Sequence[Loop]) -> Loop | None:
    """Return the innermost loop over batches."""
    return next((loop for loop in reversed(loops) if loop.kind == "batches"), None)


@dataclass(frozen=True)
class Event:
    """One action of the file, such as a forward, a backward or a step.

    - kind: a word such as "forward", by which rules select events.
    - subject, value, other: the values that take part, such as the network and its input.
    - loops, arms, calls: the loops, branches and functions around it, outermost first.
    """

    kind: str
    spot: Spot
    index: int
    subject: Value | None = None
    value: Value | None = None
    other: Value | None = None
    loops: tuple[Loop, ...] = ()
    arms: tuple[Arm, ...] = ()
    calls: tuple[ast.AST, ...] = ()
    grad: bool = True
    guesses: tuple[ast.AST, ...] = ()   # the loops around it whose number of turns is not known
    nested: bool = False        # inside a network's forward
    alone: bool = False         # in a function that nothing in the file calls
    text: str = ""

    def excludes(self, other: Event) -> bool:
        """True if both events lie in different arms of the same branch."""
        return any(a.node is b.node and a.side != b.side for a in self.arms for b in other.arms)

    def batch_loop(self) -> Loop | None:
        """Return the innermost loop over batches."""
        return over_batches(self.loops)

    def inside(self, loop: Loop) -> bool:
        """True if the event happens in any turn of a loop."""
        return any(one.node is loop.node for one in self.loops)

    def same_turn(self, other: Event, loop: Loop | None) -> bool:
        """True if `other` happens in the same turn of `loop`."""
        return loop is None or any(one.node is loop.node and one.turn == loop.turn for one in other.loops)

    @property
    def loader(self) -> Loader | None:
        """The loader of the innermost loop over batches."""
        loop = self.batch_loop()
        return loop.over if loop and isinstance(loop.over, Loader) else None


@dataclass
class Trace:
    """Events of one file, and the reasons why parts were not followed."""

    events: list[Event] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    arms: list[Arm] = field(default_factory=list)
    calls: list[ast.AST] = field(default_factory=list)
    guesses: list[ast.AST] = field(default_factory=list)
    grad: list[bool] = field(default_factory=lambda: [True])
    nested: int = 0
    alone: bool = False
    missing: list[str] = field(default_factory=list)

    def add(
        self, kind: str, spot: Spot, subject: Value | None = None, value: Value | None = None,
        other: Value | None = None, text: str = "",
    ) -> None:
        """Append an event that happens now."""
        self.events.append(Event(
            kind, spot, len(self.events), subject, value, other, tuple(self.loops), tuple(self.arms),
            tuple(self.calls), self.grad[-1], tuple(self.guesses), self.nested > 0, self.alone, text,
        ))

    def of(self, *kinds: str) -> list[Event]:
        """Events of the kinds, in order."""
        return [event for event in self.events if event.kind in kinds]

    def sources(self, *kinds: str) -> list[Source]:
        """Return each file in which an event of the kinds stands, or any event if no kind is given."""
        events = self.of(*kinds) if kinds else self.events
        return list({id(event.spot.source): event.spot.source for event in events}.values())
