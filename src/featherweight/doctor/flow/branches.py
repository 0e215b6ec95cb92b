"""Statements that branch and repeat: if, for, while, try, match and return."""

from __future__ import annotations

import ast

from featherweight.doctor.flow.contexts import Contexts
from featherweight.doctor.flow.expressions import joined_arms
from featherweight.doctor.flow.iteration import turns_of
from featherweight.doctor.flow.trace import Arm, Loop
from featherweight.doctor.flow.values import (
    Constant,
    Items,
    Optimizer,
    Scheduler,
    Tensor,
    Value,
    known,
)


class Branches(Contexts):
    """Executes branches and loops. Subclasses execute the other statements."""

    def branch(self, node: ast.If) -> bool:
        """Execute the arm that the test selects, or both arms if the test is not known."""
        test = self.evaluate(node.test)
        self.note_choice(node)
        if isinstance(test, Constant):
            return self.execute_all(node.body if test.value else node.orelse)
        before = dict(self.scope.names)
        ended, after = [], []
        for side, body in enumerate((node.body, node.orelse)):
            self.scope.names = dict(before)
            self.trace.arms.append(Arm(node, side))
            ended.append(self.execute_all(body))
            self.trace.arms.pop()
            after.append(self.scope.names)
        if ended[0] or ended[1]:
            self.scope.names = after[1] if ended[0] else after[0]
            return ended[0] and ended[1]
        self.scope.names = merged(before, after[0], after[1])
        return False

    def note_choice(self, node: ast.If) -> None:
        """Record the event "choose" for `if accuracy > best: best = accuracy`."""
        test = node.test
        for part in test.values if isinstance(test, ast.BoolOp) else [test]:
            if isinstance(part, ast.Compare) and len(part.comparators) == 1 and isinstance(
                    part.ops[0], ast.Gt | ast.Lt | ast.GtE | ast.LtE):
                sides = (part.left, part.comparators[0])
                assigned = {name for inner in node.body for one in ast.walk(inner) for name in changed(one)}
                for best, measured in (sides, sides[::-1]):
                    table = ast.unparse(best.value) if isinstance(best, ast.Subscript) else ""
                    if {ast.unparse(best), table} & assigned and not isinstance(measured, ast.Constant):
                        self.trace.add("choose", self.at(part), self.evaluate(measured), self.evaluate(best),
                                       text=f"{ast.unparse(best)}|{ast.unparse(measured)}")

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        """Execute a loop for the turns that are followed."""
        iterable = self.evaluate(node.iter)
        turns = turns_of(iterable, node.target, node.iter)
        guesses = [] if turns.exact and not leaves(node.body) else [node]
        self.trace.guesses += guesses
        for turn, element in enumerate(turns.elements[: 1 if leaves(node.body) else None]):
            self.trace.loops.append(Loop(node, turns.kind, turn, turns.over))
            self.trace.add("turn", self.at(node))
            self.assign(node.target, element)
            self.execute_all(node.body)
            self.trace.loops.pop()
        del self.trace.guesses[len(self.trace.guesses) - len(guesses):]
        self.execute_all(node.orelse)

    def repeat(self, node: ast.While) -> None:
        """Execute a while loop twice."""
        self.trace.guesses.append(node)
        for turn in range(1 if leaves(node.body) else 2):
            self.evaluate(node.test)
            self.trace.loops.append(Loop(node, "other", turn))
            self.execute_all(node.body)
            self.trace.loops.pop()
        self.trace.guesses.pop()

    def attempt(self, node: ast.Try) -> None:
        """Execute try, its handlers as alternatives, else and finally."""
        self.execute_all(node.body)
        for side, handler in enumerate(node.handlers):
            before = dict(self.scope.names)
            self.trace.arms.append(Arm(node, side + 1))
            self.execute_all(handler.body)
            self.trace.arms.pop()
            self.scope.names = self.scope.names | before
        self.execute_all(node.orelse)
        self.execute_all(node.finalbody)

    def match(self, node: ast.Match) -> None:
        """Execute each case as an alternative."""
        self.evaluate(node.subject)
        for side, case in enumerate(node.cases):
            self.trace.arms.append(Arm(node, side))
            self.execute_all(case.body)
            self.trace.arms.pop()

    def leave(self, node: ast.Return) -> bool:
        """Keep the returned value."""
        value = self.evaluate(node.value) if node.value is not None else Constant(value=None)
        if isinstance(value, Optimizer | Scheduler):
            value.escaped = True
        for inner in value.items if isinstance(value, Items) else ():
            if isinstance(known(inner), Optimizer | Scheduler):
                known(inner).escaped = True
        self.frames[-1].returns.append(value)
        return True


def changed(node: ast.AST) -> list[str]:
    """Return the sources of what a node assigns: a and b of `a, b = ...`, and table of `table.update(...)`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
        return [ast.unparse(node.func.value)]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [ast.unparse(one) for target in targets
            for one in (target.elts if isinstance(target, ast.Tuple | ast.List) else [target])]


def merged(before: dict[str, Value], first: dict[str, Value], second: dict[str, Value]) -> dict[str, Value]:
    """Return the names after a branch with an unknown condition."""
    result = dict(second)
    for name, value in first.items():
        other = second.get(name)
        if other is None:
            result[name] = value.but(maybe=True) if isinstance(value, Tensor) else value
        elif other is not value:
            result[name] = joined_arms(value, other)
    return result


def leaves(body: list[ast.stmt]) -> bool:
    """True if a loop ends in its first turn, by a return or break that no condition guards."""
    return any(isinstance(statement, ast.Return | ast.Break | ast.Raise) for statement in body)
