"""Statements that bind names: assignments, attributes, items, functions and classes."""

from __future__ import annotations

import ast

from featherweight.doctor.flow.arithmetic import accumulated, combined
from featherweight.doctor.flow.calls import Calls
from featherweight.doctor.flow.iteration import meaning_by_name
from featherweight.doctor.flow.labels import shift_in
from featherweight.doctor.flow.roles import role_in, words_of
from featherweight.doctor.flow.trace import over_batches
from featherweight.doctor.flow.values import (
    INPUT,
    LABEL,
    Class,
    Constant,
    Dataset,
    Function,
    Instance,
    Items,
    Loader,
    Module,
    Number,
    Optimizer,
    Scheduler,
    Table,
    Tensor,
    Unknown,
    Value,
    constant,
    known,
)


class Binding(Calls):
    """Binds names to values. Subclasses execute the other statements."""

    def assignment(self, node: ast.Assign) -> None:
        """Execute a = b = value."""
        value = self.evaluate(node.value)
        if isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.Add):
            value = self.sum_into(node.targets[0], node.value, value)
        for target in node.targets:
            self.assign(target, value)

    def sum_into(self, target: ast.expr, node: ast.BinOp, value: Value) -> Value:
        """Treat `total = total + loss` as `total += loss`."""
        text = ast.dump(target).replace("Store()", "Load()")
        for side, other in ((node.left, node.right), (node.right, node.left)):
            if ast.dump(side) == text:
                before, added = self.evaluate(side), self.evaluate(other)
                self.trace.add("add", self.at(node), before, added, text=ast.unparse(target))
                return accumulated(before, added, self.at(node), bool(self.trace.loops))
        return value

    def annotated(self, node: ast.AnnAssign) -> None:
        """Execute name: kind = value."""
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value))

    def augmented(self, node: ast.AugAssign) -> None:
        """Execute total += value, and record sums and divisions."""
        before, value, spot = self.evaluate(as_load(node.target)), self.evaluate(node.value), self.at(node)
        if isinstance(node.op, ast.Add):
            self.trace.add("add", spot, before, value, text=ast.unparse(node.target))
            full = isinstance(value, Constant) and self.counts_full_batches(node.value)
            result = Number(spot=spot, unit="full-batches", summed=True) if full else accumulated(
                before, value, spot, bool(self.trace.loops))
        else:
            if isinstance(node.op, ast.Div):
                self.trace.add("divide", spot, before, value)
            result = combined(node.op, before, value, spot)
        if isinstance(before, Items) and isinstance(value, Items):
            before.items += value.items[:50]
            return
        self.assign(node.target, result)

    def counts_full_batches(self, node: ast.expr) -> bool:
        """True if `count += batch_size` counts each batch as a full one, in a loop over a loader that keeps the last.

        node: what is added.
        """
        loop = over_batches(self.trace.loops)
        if loop is None or not isinstance(loop.over, Loader) or not isinstance(node, ast.Name | ast.Attribute):
            return False
        words, given = words_of(ast.unparse(node)), loop.over.arguments.get("batch_size")
        named = {"batch", "size"} <= set(words) or (given is not None and known(given) is self.evaluate(node))
        return named and constant(loop.over.arguments.get("drop_last")) is not True

    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind a target: a name, an attribute, an item, or several of them."""
        value = known(value)
        if isinstance(target, ast.Name):
            if value.origin and role_in(target.id):
                self.trace.add("named", self.at(target), value, text=target.id)
            if isinstance(value, Tensor) and value.geometry is not None and value.geometry.size is not None:
                self.trace.add("sized", self.at(target), value=value, text=target.id)
            self.bind(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            self.unpack(target.elts, value)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, Items(items=[value], open=True))
        elif isinstance(target, ast.Attribute):
            self.assign_attribute(target, value)
        elif isinstance(target, ast.Subscript):
            self.assign_item(target, value)

    def bind(self, name: str, value: Value) -> None:
        """Bind a name. The first name becomes the label of the value."""
        value.label = value.label or name
        if isinstance(value, Dataset | Loader) and not value.role:
            value.role = role_in(name)
        if name in self.frames[-1].global_names:
            scope = self.scope
            while scope.outer is not None:
                scope = scope.outer
            scope.names[name] = value
        self.scope.names[name] = value

    def unpack(self, targets: list[ast.expr], value: Value) -> None:
        """Bind several targets to the parts of a value. Parts of a batch get their meaning from place and name."""
        parts = [known(item) for item in value.items] if isinstance(value, Items) else []
        is_batch = isinstance(value, Items) and bool(value.origin)
        for index, target in enumerate(targets):
            part = parts[index] if index < len(parts) else self.part_of(value)
            if is_batch and isinstance(target, ast.Name):
                meaning = meaning_by_name(target.id, index, len(targets))
                part = Tensor(meaning=meaning, origin=value.origin, axes={INPUT: 4, LABEL: 1}.get(meaning),
                              maybe=index > 1, shift=shift_in(value.origin) if meaning == LABEL else 0)
            elif isinstance(value, Tensor):
                part = value.but()
            self.assign(target, part)

    def part_of(self, value: Value) -> Value:
        """Return a part of a value with unknown parts."""
        if isinstance(value, Items) and value.items and value.open and not value.origin:
            return known(value.items[-1])
        return Unknown(origin=value.origin)

    def assign_attribute(self, target: ast.Attribute, value: Value) -> None:
        """Bind owner.name."""
        owner = self.evaluate(target.value)
        if isinstance(owner, Tensor) and target.attr == "grad":
            if isinstance(value, Constant) and value.value is None:
                self.trace.add("zero_grad", self.at(target), Items(items=list(owner.models)))
            return
        if isinstance(owner, Tensor) and target.attr == "requires_grad":
            self.trace.add("requires-grad", self.at(target), owner, value)
            return
        if isinstance(owner, Class):
            owner.attributes[target.attr] = value
        if isinstance(owner, Dataset) and target.attr == "transform":
            self.trace.add("transform", self.at(target), owner, value)
        if isinstance(owner, Dataset) and target.attr == "dataset":
            owner.parent = value
        if isinstance(owner, Instance | Unknown):
            before = owner.attributes.get(target.attr)
            value.label = value.label or target.attr
            if isinstance(value, Dataset | Loader) and not value.role:
                value.role = role_in(target.attr)
            owner.attributes[target.attr] = value
            if not isinstance(owner, Module) or not isinstance(value, Optimizer | Scheduler):
                self.trace.add("attribute", self.at(target), owner, value, before, text=target.attr)
        if isinstance(value, Optimizer | Scheduler) and not isinstance(owner, Instance):
            value.escaped = True

    def assign_item(self, target: ast.Subscript, value: Value) -> None:
        """Bind owner[key]."""
        owner, key = self.evaluate(target.value), self.evaluate(target.slice)
        if isinstance(owner, Table) and isinstance(key, Constant) and isinstance(key.value, str | int | float):
            owner.items[key.value] = value
            value.label = value.label or str(key.value)
        elif isinstance(owner, Table):
            owner.items[f"[{ast.unparse(target.slice)}]"] = value       # results[lr, decay] = accuracy
        elif isinstance(owner, Items) and isinstance(key, Constant) and isinstance(key.value, int):
            if -len(owner.items) <= key.value < len(owner.items):
                owner.items[key.value] = value
        elif isinstance(owner, Unknown):
            owner.attributes[f"[{getattr(key, 'value', None)!r}]"] = value
        if isinstance(value, Optimizer | Scheduler):
            value.escaped = True

    def declare_global(self, node: ast.Global | ast.Nonlocal) -> None:
        """Bind names in the module from now on."""
        self.frames[-1].global_names |= set(node.names)

    def define_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Bind a function."""
        self.scope.names[node.name] = Function(
            definition=node, scope=self.scope, label=node.name, spot=self.at(node))

    def define_class(self, node: ast.ClassDef) -> None:
        """Bind a class."""
        bases = [self.evaluate(base) for base in node.bases]
        self.scope.names[node.name] = Class(
            definition=node, scope=self.scope, bases=bases, label=node.name, spot=self.at(node))


def as_load(node: ast.expr) -> ast.expr:
    """Return a target as an expression; evaluation does not look at its context."""
    return node
