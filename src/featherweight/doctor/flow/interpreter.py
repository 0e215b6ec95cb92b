"""Statements, branches, loops and imports; `follow` gives the trace of a file."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

from featherweight.doctor.flow.branches import Branches
from featherweight.doctor.flow.expressions import TooLarge
from featherweight.doctor.flow.functions import Suspended
from featherweight.doctor.flow.methods import looks_like_model
from featherweight.doctor.flow.signatures import Call, canonical
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import (
    INPUT,
    Class,
    Constant,
    Function,
    Instance,
    Library,
    Loader,
    Module,
    Scope,
    Tensor,
    Value,
)
from featherweight.doctor.source import Source, read
from featherweight.doctor.syntax import argument, called
from featherweight.errors import SourceError

MOST_MODULES = 8            # files beside the examined one that are followed
LARGEST_NEIGHBOUR = 200_000
STOPS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
PURE = frozenset((              # operations that return a new tensor
    "relu", "leaky_relu", "gelu", "elu", "sigmoid", "tanh", "softmax", "log_softmax", "max_pool2d", "avg_pool2d",
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "dropout", "dropout2d", "flatten", "view", "reshape", "permute",
    "transpose", "squeeze", "unsqueeze", "interpolate", "normalize", "to", "cuda", "float", "clamp",
))


class Interpreter(Branches):
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

    def expression(self, node: ast.Expr) -> None:
        """Execute an expression statement."""
        if isinstance(node.value, ast.Yield | ast.YieldFrom):
            value, frame = self.evaluate(node.value.value), self.frames[-1]
            if frame.suspends:
                raise Suspended(value)
            loop = self.trace.loops[-1] if self.trace.loops else None
            if loop is not None and isinstance(loop.over, Loader):
                frame.yields.append(value)
                frame.over = loop.over
        else:
            value = self.evaluate(node.value)
            if isinstance(value, Tensor) and is_pure(node.value) and not self.scope.source.is_notebook:
                self.trace.add("unused", self.at(node.value), value)

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


def is_pure(node: ast.expr) -> bool:
    """True for a call that only returns a new tensor, of a function of torch or of a name's method."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or called(node) not in PURE:
        return False
    owner = node.func.value
    if not isinstance(owner, ast.Name | ast.Attribute) or looks_like_model(ast.unparse(owner).rpartition(".")[2]):
        return False
    return argument(node, 99, "inplace", "out") is None


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
