"""Functions and classes of the file: each call is followed inside."""

from __future__ import annotations

import ast
from abc import abstractmethod
from dataclasses import dataclass, field

from featherweight.doctor.flow.expressions import Expressions, joined_arms
from featherweight.doctor.flow.losses import united
from featherweight.doctor.flow.roles import role_in, sources_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import (
    Class,
    Constant,
    Dataset,
    Function,
    Instance,
    Items,
    Iteration,
    Loader,
    Module,
    Optimizer,
    Scheduler,
    Scope,
    Table,
    Transform,
    Unknown,
    Value,
    known,
)

DEEPEST = 12                # calls inside calls
MOST_ENTRIES = 12           # times that one function is followed
ANNOTATIONS: dict[str, type[Value]] = {"Module": Module, "DataLoader": Loader, "Optimizer": Optimizer,
                                       "LRScheduler": Scheduler,
               "_LRScheduler": Scheduler}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Suspended(Exception):
    """A context manager's function reached its yield. Its argument is the value that is yielded."""


@dataclass(eq=False, kw_only=True)
class Managed(Value):
    """The context that a function with a yield manages. scope: its names at the yield."""

    definition: ast.FunctionDef | ast.AsyncFunctionDef
    scope: Scope
    yielded: Value


@dataclass
class Frame:
    """One function call that is being followed: its return values and its global names."""

    returns: list[Value] = field(default_factory=list)
    global_names: set[str] = field(default_factory=set)
    suspends: bool = False
    yields: list[Value] = field(default_factory=list)
    over: Value | None = None       # the loader around a yield


class Functions(Expressions):
    """Follows functions, and builds instances of classes. Subclasses follow networks and all other calls."""

    def __init__(self, scope: Scope, trace: Trace) -> None:
        super().__init__(scope, trace)
        self.frames = [Frame()]
        self.entered: dict[int, int] = {}
        self.instances: dict[int, Instance] = {}

    @abstractmethod
    def execute_all(self, body: list[ast.stmt]) -> bool:
        """Execute statements. Return True if a return, break or similar ends them."""

    def inline(
        self, function: Function, arguments: list[Value], keywords: dict[str, Value], call: Call | None = None
    ) -> Value:
        """Follow a function of the file with its arguments. Return the value that it returns."""
        definition = function.definition
        count = self.entered.get(id(definition), 0)
        if definition in self.trace.calls or len(self.trace.calls) >= DEEPEST or count >= MOST_ENTRIES:
            return Unknown(origin=united(*(sources_of(value) for value in arguments)))
        self.entered[id(definition)] = count + 1
        scope = Scope(function.scope.source, self.bound_names(function, arguments, keywords), function.scope)
        if call is not None:
            self.trace.add("enter", call.spot, function, Table(items=dict(scope.names)))
        return self.run(definition, scope)

    def run(self, definition: Definition, scope: Scope, rest: list[ast.stmt] | None = None) -> Value:
        """Execute a function's body in a scope, or the rest of it. Return the value that it returns."""
        outer, grad = self.scope, len(self.trace.grad)
        frame = Frame(suspends=decorated(definition, "contextmanager"))
        self.scope = scope
        self.frames.append(frame)
        self.trace.calls.append(definition)
        if decorated(definition, "no_grad") or decorated(definition, "inference_mode"):
            self.trace.grad.append(False)
        try:
            if isinstance(definition, ast.Lambda):
                return self.evaluate(definition.body)
            self.execute_all(definition.body if rest is None else rest)
        except Suspended as stop:
            assert not isinstance(definition, ast.Lambda)
            return Managed(definition=definition, scope=scope, yielded=stop.args[0])
        finally:
            self.trace.calls.pop()
            self.frames.pop()
            self.scope = outer
            if not frame.suspends:
                del self.trace.grad[grad:]
        if frame.over is not None:
            return Iteration(kind="yields", inner=[frame.over, *frame.yields])
        return result_of(frame.returns)

    def bound_names(
        self, function: Function, arguments: list[Value], keywords: dict[str, Value]
    ) -> dict[str, Value]:
        """Return parameter name -> value. Missing parameters get their default, or an Unknown."""
        parameters = function.definition.args
        names = [one.arg for one in (*parameters.posonlyargs, *parameters.args)]
        values = ([function.owner] if function.owner is not None and not decorated(function.definition, "staticmethod")
                  else []) + arguments
        found = dict(zip(names, values, strict=False))
        for name, value in keywords.items():
            if name in names or name in [one.arg for one in parameters.kwonlyargs]:
                found[name] = value
        defaults = dict(zip(reversed(names), reversed(parameters.defaults), strict=False))
        defaults |= {one.arg: default for one, default in
                     zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True) if default is not None}
        for one in (*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs):
            if one.arg not in found:
                found[one.arg] = self.default_of(function, one, defaults.get(one.arg))
        if parameters.vararg:
            found[parameters.vararg.arg] = Items(items=values[len(names):], open=not values[len(names):])
        if parameters.kwarg:
            more = {name: value for name, value in keywords.items() if name not in found}
            found[parameters.kwarg.arg] = Table(items=dict(more)) if more or not self.trace.alone else Unknown(
                label=parameters.kwarg.arg)
        return found

    def default_of(self, function: Function, parameter: ast.arg, default: ast.expr | None) -> Value:
        """Return the value of a parameter without argument."""
        if default is not None and (not self.trace.alone or is_setting(default)):
            outer, self.scope = self.scope, function.scope
            value = self.evaluate(default)
            self.scope = outer
            value.label = value.label or parameter.arg
            return value
        annotation = parameter.annotation
        kind = None
        if annotation is not None:
            text = ast.unparse(annotation).rpartition(".")[2].strip("'\"")
            kind = ANNOTATIONS.get(text)
            cls = function.scope.find(text)
            if isinstance(cls, Class) and decorated(cls.definition, "dataclass") and self.trace.alone:
                return self.instantiate(cls, Call("", self.at(parameter), [], {}, self.trace))
        spot = self.at(parameter)
        if kind is Loader:
            return Loader(label=parameter.arg, role=role_in(parameter.arg), spot=spot)
        if kind is not None:
            return kind(label=parameter.arg, spot=spot)
        return Unknown(label=parameter.arg, parameter=True, spot=spot)

    def property_of(self, owner: Instance, name: str) -> Value | None:
        """Return a bound method, the value of a property, or None."""
        method = owner.cls.method(name) if owner.cls is not None else None
        if method is None or owner.cls is None:
            return None
        function = Function(definition=method, scope=owner.cls.scope, owner=owner, label=name)
        return self.inline(function, [], {}) if decorated(method, "property") else function

    def instantiate(self, cls: Class, call: Call) -> Value:
        """Return a new instance of a class of the file, after its __init__."""
        label = cls.definition.name
        bases = cls.library_bases()
        if any(base.endswith("Dataset") for base in bases) or (label.endswith("Dataset") and not cls.is_module):
            parent = next((value for value in call.everything() if isinstance(value, Dataset)), None)
            data = Dataset(spot=call.spot, name=label, transform=transform_in(call), parent=parent,
                           tensors=self.items_of_dataset(cls, call),
                           role=role_in(label) or next((role_in(text) for text in texts_in(call)), ""))
            self.trace.add("dataset", call.spot, data)
            return data
        is_loss = cls.is_module and (label.endswith("Loss") or any(base.endswith("Loss") for base in bases))
        made: Instance = Module(cls=cls, spot=call.spot) if cls.is_module else Instance(cls=cls, spot=call.spot)
        self.instances.setdefault(id(cls.definition), made)
        method = cls.method("__init__")
        if method is not None:
            self.inline(Function(definition=method, scope=cls.scope, owner=made), call.arguments, call.keywords, call)
        elif any(base.endswith(".Sequential") for base in bases) and isinstance(made, Module):
            made.children = call.everything()
        else:       # a dataclass, or a class of constants
            given = dict(zip(cls.fields(), call.arguments, strict=False)) | call.keywords
            unknown = {name: Unknown(label=name) for name in cls.fields()} if call.open else {}
            made.attributes |= unknown | given
        if cls.is_module:
            self.trace.add("network", call.spot, made)
        if is_loss:
            made.label = "loss"
        return made


    def items_of_dataset(self, cls: Class, call: Call) -> tuple[Value, ...]:
        """Return what __getitem__ of a data set of the file returns. Its events are not recorded."""
        method, start = cls.method("__getitem__"), cls.method("__init__")
        if method is None or len(self.trace.calls) >= DEEPEST:
            return ()
        before, entered = self.trace, dict(self.entered)
        self.trace, owner = Trace(calls=list(before.calls)), Instance(cls=cls, spot=call.spot)
        try:
            if start is not None:
                self.inline(Function(definition=start, scope=cls.scope, owner=owner), call.arguments, call.keywords)
            found = known(self.inline(Function(definition=method, scope=cls.scope, owner=owner), [], {}))
        finally:
            self.trace, self.entered = before, entered
        return tuple(map(known, found.items)) if isinstance(found, Items) else ()


def decorated(definition: Definition | ast.ClassDef, name: str) -> bool:
    """True if a function or class has a decorator of this name."""
    if isinstance(definition, ast.Lambda):
        return False
    return any(name in ast.unparse(decorator) for decorator in definition.decorator_list)


def result_of(returns: list[Value]) -> Value:
    """Return the value of a function with several return statements."""
    values = [known(value) for value in returns]
    values = [value for value in values if not (isinstance(value, Constant) and value.value is None)] or values
    if not values:
        return Constant(value=None)
    result = values[0]
    for value in values[1:]:
        result = joined_arms(result, value)
    return result


def transform_in(call: Call) -> Value | None:
    """Return the transform among the arguments of a data set of the file."""
    return next((value for value in call.everything() if isinstance(value, Transform)), None)


def is_setting(default: ast.expr) -> bool:
    """True for a default that is a number or text: it holds also if the caller is not known."""
    return isinstance(default, ast.Constant) and isinstance(default.value, int | float | str) and not isinstance(
        default.value, bool)


def texts_in(call: Call) -> list[str]:
    """Return the texts among the arguments."""
    return [str(value.value) for value in call.everything() if isinstance(value, Constant) and
            isinstance(value.value, str)]
