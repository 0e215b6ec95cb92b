"""Statements, branches, loops and imports; `follow` gives the trace of a file."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

from featherweight.doctor.flow.arithmetic import accumulated, combined
from featherweight.doctor.flow.calls import Calls, Suspended
from featherweight.doctor.flow.expressions import TooLarge, joined_arms
from featherweight.doctor.flow.iteration import meaning_by_name, turns_of
from featherweight.doctor.flow.roles import role_in
from featherweight.doctor.flow.signatures import Call, canonical
from featherweight.doctor.flow.trace import Arm, Loop, Trace
from featherweight.doctor.flow.values import (
    INPUT,
    Class,
    Constant,
    Dataset,
    Function,
    Instance,
    Items,
    Library,
    Loader,
    Module,
    Optimizer,
    Scheduler,
    Scope,
    Table,
    Tensor,
    Unknown,
    Value,
    known,
)
from featherweight.doctor.source import Source, read
from featherweight.errors import SourceError

MOST_MODULES = 8            # files beside the examined one that are followed
LARGEST_NEIGHBOUR = 200_000
STOPS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
NO_GRAD = ("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad")


class Interpreter(Calls):
    """Executes statements on abstract values."""

    def __init__(self, source: Source) -> None:
        scope = Scope(source, {"__name__": Constant(value="__main__")})
        super().__init__(scope, Trace())
        self.modules: dict[Path, Instance] = {source.path.resolve(): Instance(attributes=scope.names)}
        self.sources = [source]

    def execute_all(self, body: list[ast.stmt]) -> bool:
        """Execute statements in order. Return True if one of them leaves the block."""
        return any(self.execute(statement) for statement in body)

    def execute(self, node: ast.stmt) -> bool:
        """Execute one statement. Return True if it leaves the block."""
        self.spend()
        method = STATEMENTS.get(type(node))
        if method is not None:
            return bool(method(self, node))
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.evaluate(child)
        return isinstance(node, STOPS)

    # ---- binding ----

    def expression(self, node: ast.Expr) -> None:
        """Execute an expression statement."""
        if isinstance(node.value, ast.Yield | ast.YieldFrom):
            self.evaluate(node.value.value)
            if self.frames[-1].suspends:
                raise Suspended
        else:
            self.evaluate(node.value)

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
            result = accumulated(before, value, spot, bool(self.trace.loops))
        else:
            if isinstance(node.op, ast.Div):
                self.trace.add("divide", spot, before, value)
            result = combined(node.op, before, value, spot)
        if isinstance(before, Items) and isinstance(value, Items):
            before.items += value.items[:50]
            return
        self.assign(node.target, result)

    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind a target: a name, an attribute, an item, or several of them."""
        value = known(value)
        if isinstance(target, ast.Name):
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
                part = Tensor(meaning=meaning, origin=value.origin, axes=4 if meaning == INPUT else None,
                              maybe=index > 1)
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
        if isinstance(owner, Instance | Unknown):
            value.label = value.label or target.attr
            if isinstance(value, Dataset | Loader) and not value.role:
                value.role = role_in(target.attr)
            owner.attributes[target.attr] = value
            if not isinstance(owner, Module) or not isinstance(value, Optimizer | Scheduler):
                self.trace.add("attribute", self.at(target), owner, value, text=target.attr)
        if isinstance(value, Optimizer | Scheduler) and not isinstance(owner, Instance):
            value.escaped = True

    def assign_item(self, target: ast.Subscript, value: Value) -> None:
        """Bind owner[key]."""
        owner, key = self.evaluate(target.value), self.evaluate(target.slice)
        if isinstance(owner, Table) and isinstance(key, Constant) and isinstance(key.value, str | int | float):
            owner.items[key.value] = value
            value.label = value.label or str(key.value)
        elif isinstance(owner, Items) and isinstance(key, Constant) and isinstance(key.value, int):
            if -len(owner.items) <= key.value < len(owner.items):
                owner.items[key.value] = value
        elif isinstance(owner, Unknown):
            owner.attributes[f"[{getattr(key, 'value', None)!r}]"] = value
        if isinstance(value, Optimizer | Scheduler):
            value.escaped = True

    # ---- branches and loops ----

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
                assigned = {ast.unparse(target) for inner in node.body for one in ast.walk(inner)
                            if isinstance(one, ast.Assign) for target in one.targets}
                for best, measured in (sides, sides[::-1]):
                    if ast.unparse(best) in assigned and not isinstance(measured, ast.Constant):
                        self.trace.add("choose", self.at(part), self.evaluate(measured), self.evaluate(best),
                                       text=f"{ast.unparse(best)}|{ast.unparse(measured)}")

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        """Execute a loop for the turns that are followed."""
        iterable = self.evaluate(node.iter)
        turns = turns_of(iterable, node.target, node.iter)
        for turn, element in enumerate(turns.elements[: 1 if leaves(node.body) else None]):
            self.trace.loops.append(Loop(node, turns.kind, turn, turns.over))
            self.trace.add("turn", self.at(node))
            self.assign(node.target, element)
            self.execute_all(node.body)
            self.trace.loops.pop()
        self.execute_all(node.orelse)

    def repeat(self, node: ast.While) -> None:
        """Execute a while loop twice."""
        for turn in range(1 if leaves(node.body) else 2):
            self.evaluate(node.test)
            self.trace.loops.append(Loop(node, "other", turn))
            self.execute_all(node.body)
            self.trace.loops.pop()

    def context(self, node: ast.With | ast.AsyncWith) -> bool:
        """Execute a with block. no_grad and its relatives switch gradients off inside."""
        depth = len(self.trace.grad)
        for item in node.items:
            value = self.evaluate(item.context_expr)
            grad = self.grad_of(item.context_expr, value)
            if grad is not None:
                self.trace.grad.append(grad)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value if not isinstance(value, Constant) else Unknown())
        ended = self.execute_all(node.body)
        del self.trace.grad[depth:]
        return ended

    def grad_of(self, node: ast.expr, value: Value) -> bool | None:
        """Return False for a context without gradients, True for one with, None for others."""
        if not isinstance(node, ast.Call):
            return False if isinstance(value, Library) and value.name in NO_GRAD else None
        function = self.evaluate(node.func)
        name = function.name if isinstance(function, Library) else ""
        if name in NO_GRAD or name.endswith((".no_grad", ".inference_mode")):
            off = node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value is False
            return bool(off)
        if name == "torch.enable_grad":
            return True
        if name == "torch.set_grad_enabled" and node.args:
            flag = self.evaluate(node.args[0])
            return bool(flag.value) if isinstance(flag, Constant) else True
        return None

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

    def declare_global(self, node: ast.Global | ast.Nonlocal) -> None:
        """Bind names in the module from now on."""
        self.frames[-1].global_names |= set(node.names)

    # ---- definitions and imports ----

    def define_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Bind a function."""
        self.scope.names[node.name] = Function(
            definition=node, scope=self.scope, label=node.name, spot=self.at(node))

    def define_class(self, node: ast.ClassDef) -> None:
        """Bind a class."""
        bases = [self.evaluate(base) for base in node.bases]
        self.scope.names[node.name] = Class(
            definition=node, scope=self.scope, bases=bases, label=node.name, spot=self.at(node))

    def import_names(self, node: ast.Import) -> None:
        """Bind imported modules."""
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.partition(".")[0]
            self.scope.names[alias.asname or name] = self.neighbour(alias.name, 0) or Library(name=canonical(name))

    def import_from(self, node: ast.ImportFrom) -> None:
        """Bind names imported from a module, of the library or of a file beside this one."""
        module = self.neighbour(node.module or "", node.level)
        for alias in node.names:
            if alias.name == "*":
                if module is not None:
                    self.scope.names |= {k: v for k, v in module.attributes.items() if not k.startswith("_")}
                continue
            inner = module.attributes.get(alias.name) if module is not None else None
            if inner is None and (node.level or not node.module):
                inner = self.neighbour(f"{node.module or ''}.{alias.name}".strip("."), node.level)
            self.scope.names[alias.asname or alias.name] = inner or Library(
                name=canonical(f"{node.module or '.'}.{alias.name}"))

    def neighbour(self, name: str, level: int) -> Instance | None:
        """Return the names of a module that lies beside the file, executed once; None for other modules."""
        folder = self.scope.source.path.parent
        for _ in range(level - 1):
            folder = folder.parent
        if not name or name.partition(".")[0] in ("torch", "torchvision", "numpy", "os", "sys"):
            return None
        path = folder / (name.replace(".", "/") + ".py")
        try:
            if not path.is_file() or path.stat().st_size > LARGEST_NEIGHBOUR:
                return None
        except (OSError, ValueError):
            return None
        return self.open(path)

    def open(self, path: Path) -> Instance | None:
        """Follow a module beside the file."""
        key = path.resolve()
        if key not in self.modules and len(self.modules) <= MOST_MODULES:
            try:
                source = read(path)
            except SourceError:
                return None
            scope = Scope(source, {"__name__": Constant(value=path.stem)})
            self.modules[key] = Instance(attributes=scope.names, label=path.stem)
            self.sources.append(source)
            outer, self.scope = self.scope, scope
            self.frames.append(type(self.frames[0])())
            self.execute_all(source.tree.body)
            self.frames.pop()
            self.scope = outer
            self.modules[key].attributes = scope.names
        return self.modules.get(key)


def follow(source: Source) -> tuple[Trace, list[Source]]:
    """Return the trace of a file, and the files that it follows: itself and modules beside it.

    Functions and classes that the file itself never uses are followed last, with unknown arguments.
    """
    interpreter = Interpreter(source)
    try:
        interpreter.execute_all(source.tree.body)
        interpreter.trace.alone = True
        for definition in unused(source.tree):
            follow_alone(interpreter, definition)
    except TooLarge:
        interpreter.trace.missing.append("the code after the first 40,000 steps was not followed: split the file")
    except RecursionError:
        interpreter.trace.missing.append("expressions are nested too deep to follow")
    return interpreter.trace, interpreter.sources


def follow_alone(interpreter: Interpreter, definition: ast.stmt) -> None:
    """Follow a function or class with unknown arguments, unless it was followed already."""
    scope = interpreter.scope
    if isinstance(definition, ast.ClassDef):
        cls = scope.names.get(definition.name)
        if isinstance(cls, Class):
            follow_class(interpreter, cls)
    elif isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef) and id(definition) not in interpreter.entered:
        function = scope.names.get(definition.name)
        if isinstance(function, Function) and function.definition is definition:
            interpreter.inline(function, [], {})


def follow_class(interpreter: Interpreter, cls: Class) -> None:
    """Follow the methods of a class that nothing has called."""
    spot = interpreter.at(cls.definition)
    instance: Value | None = interpreter.instances.get(id(cls.definition))
    if instance is None:
        instance = interpreter.instantiate(cls, Call("", spot, [], {}, interpreter.trace))
    forward = cls.method("forward")
    fresh = forward is not None and id(forward) not in interpreter.entered
    if isinstance(instance, Module) and instance.output is None and fresh:
        interpreter.apply_module(instance, Call("", spot, [Tensor(meaning=INPUT)], {}, interpreter.trace))
    if not isinstance(instance, Instance):
        return
    for node in cls.definition.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and id(node) not in interpreter.entered:
            interpreter.inline(Function(definition=node, scope=cls.scope, owner=instance), [], {})


def unused(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Return classes, then functions of the file: those that nothing names first, as they call the others."""
    found: list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef] = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    found += [inner for node in tree.body if isinstance(node, ast.If | ast.Try) for inner in node.body
              if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}     # model.train names no function
    networks = {id(node) for node in found if isinstance(node, ast.ClassDef) and is_network(node)}
    return sorted(found, key=lambda node: (id(node) not in networks, node.name in names))


def is_network(node: ast.ClassDef) -> bool:
    """True for a class that has a forward method."""
    return any(isinstance(one, ast.FunctionDef) and one.name == "forward" for one in node.body)


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


def as_load(node: ast.expr) -> ast.expr:
    """Return a target as an expression; evaluation does not look at its context."""
    return node


STATEMENTS: dict[type[ast.stmt], Callable[..., bool | None]] = {
    ast.Expr: Interpreter.expression, ast.Assign: Interpreter.assignment, ast.AnnAssign: Interpreter.annotated,
    ast.AugAssign: Interpreter.augmented, ast.If: Interpreter.branch, ast.For: Interpreter.loop,
    ast.AsyncFor: Interpreter.loop, ast.While: Interpreter.repeat, ast.With: Interpreter.context,
    ast.AsyncWith: Interpreter.context, ast.Try: Interpreter.attempt, ast.Match: Interpreter.match,
    ast.Return: Interpreter.leave, ast.Global: Interpreter.declare_global, ast.Nonlocal: Interpreter.declare_global,
    ast.FunctionDef: Interpreter.define_function, ast.AsyncFunctionDef: Interpreter.define_function,
    ast.ClassDef: Interpreter.define_class, ast.Import: Interpreter.import_names,
    ast.ImportFrom: Interpreter.import_from,
}
