"""Calls: functions of the file are followed inside, networks run their forward, library calls have known effects."""

from __future__ import annotations

import ast
from abc import abstractmethod
from dataclasses import dataclass, field

from featherweight.doctor.flow.expressions import Expressions, joined_arms
from featherweight.doctor.flow.layers import applied, is_operation, key_of
from featherweight.doctor.flow.library import CONTAINERS, call_library, escape
from featherweight.doctor.flow.losses import applied_loss, loss_tensor, united
from featherweight.doctor.flow.methods import call_method, looks_like_model
from featherweight.doctor.flow.roles import role_in, sources_of, words_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import (
    INPUT,
    LABEL,
    OUTPUT,
    Bound,
    Class,
    Constant,
    Criterion,
    Dataset,
    Function,
    Geometry,
    Instance,
    Items,
    Iteration,
    Library,
    Loader,
    Module,
    Number,
    Optimizer,
    Scheduler,
    Scope,
    Table,
    Tensor,
    Transform,
    Unknown,
    Value,
    known,
)

DEEPEST = 12                # calls inside calls
MOST_ENTRIES = 12           # times that one function is followed
RECURRENT = ("lstm", "gru", "rnn", "lstmcell", "multiheadattention")
ANNOTATIONS: dict[str, type[Value]] = {"Module": Module, "DataLoader": Loader, "Optimizer": Optimizer,
                                       "LRScheduler": Scheduler,
               "_LRScheduler": Scheduler}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Suspended(Exception):
    """A context manager's function reached its yield."""


@dataclass
class Frame:
    """One function call that is being followed: its return values and its global names."""

    returns: list[Value] = field(default_factory=list)
    global_names: set[str] = field(default_factory=set)
    suspends: bool = False


class Calls(Expressions):
    """Follows calls. Subclasses execute statements."""

    def __init__(self, scope: Scope, trace: Trace) -> None:
        super().__init__(scope, trace)
        self.frames = [Frame()]
        self.entered: dict[int, int] = {}
        self.instances: dict[int, Instance] = {}

    @abstractmethod
    def execute_all(self, body: list[ast.stmt]) -> bool:
        """Execute statements. Return True if a return, break or similar ends them."""

    def call(self, node: ast.Call) -> Value:
        """Return the value of a call."""
        if isinstance(node.func, ast.Attribute):
            owner = self.evaluate(node.func.value)
            function = self.method_of(owner, node.func.attr, node.func)
        else:
            owner, function = None, self.evaluate(node.func)
        if isinstance(function, Library) and function.name == "builtins.super":
            return Bound(owner=self.scope.find("self") or Unknown(), name="super")
        arguments = self.evaluate_all(node.args)
        keywords, is_open = self.keywords_of(node)
        is_open = is_open or any(isinstance(one, ast.Starred) for one in node.args)
        if owner is not None and function is None:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            return self.call_of_method(owner, Call(name, self.at(node), arguments, keywords, self.trace, is_open))
        call = Call("", self.at(node), arguments, keywords, self.trace, is_open)
        return known(self.call_value(known(function), call))

    def method_of(  # noqa: PLR0911  one return for each kind of value
        self, owner: Value, name: str, node: ast.Attribute
    ) -> Value | None:
        """Return the function that owner.name is, or None if the method is known by its name only."""
        if isinstance(owner, Library | Class):
            return self.attribute(owner, name, node)
        if isinstance(owner, Bound) and owner.name == "super":
            return None
        if isinstance(owner, Module) and name in ("forward", "__call__"):
            return owner
        if isinstance(owner, Unknown) and name == "forward":
            owner.becomes = Module(label=owner.label, spot=owner.spot)
            return owner.becomes
        if isinstance(owner, Instance):
            if name in owner.attributes:
                return owner.attributes[name]
            found = self.property_of(owner, name)
            return found if isinstance(found, Function) or not isinstance(owner, Module) else None
        if isinstance(owner, Unknown) and owner.attributes.get(name) is not None:
            return owner.attributes[name]
        if isinstance(owner, Unknown) and (looks_like_model(name) or is_loss_name(name)) and name != "model_dump":
            return self.attribute(owner, name, node)
        return None

    def call_of_method(self, owner: Value, call: Call) -> Value:
        """Return the value of a method that is known by its name."""
        if isinstance(owner, Bound) and owner.name == "super":
            return self.call_super(owner.owner, call)
        if isinstance(owner, Instance) and not isinstance(owner, Module):
            escape(call)
            self.trace.add("call", call.spot, owner, call.first(), text=call.name)
            return Unknown(spot=call.spot, origin=united(*(sources_of(one) for one in call.everything())))
        if isinstance(owner, Optimizer) and call.name == "step":
            for value in call.everything():
                if isinstance(value, Function):
                    self.inline(value, [], {})
        return call_method(owner, call)

    def call_super(self, owner: Value, call: Call) -> Value:
        """Follow super().method(...) into the base class of the file."""
        owner = known(owner)
        if isinstance(owner, Instance) and owner.cls is not None:
            current = self.trace.calls[-1] if self.trace.calls else None
            classes = list(owner.cls.lineage())
            holders = [cls for cls in classes if current in cls.definition.body]
            later = classes[classes.index(holders[0]) + 1:] if holders else classes[1:]
            for cls in later:
                method = cls.method(call.name)
                if method is not None:
                    return self.inline(Function(definition=method, scope=cls.scope, owner=owner), call.arguments,
                                       call.keywords)
        if call.name in ("train", "eval") and isinstance(owner, Module):
            return call_method(owner, call)
        return Unknown(spot=call.spot)

    def keywords_of(self, node: ast.Call) -> tuple[dict[str, Value], bool]:
        """Return the keyword arguments, and True if **kwargs holds more."""
        found: dict[str, Value] = {}
        is_open = False
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is not None:
                found[keyword.arg] = value
            elif isinstance(value, Table):
                found |= {key: one for key, one in value.items.items() if isinstance(key, str)}
            else:
                is_open = True
        return found, is_open

    def call_value(self, function: Value, call: Call) -> Value:  # noqa: PLR0911  one return for each kind of value
        """Return the value of calling a value."""
        if isinstance(function, Function):
            return self.inline(function, call.arguments, call.keywords, call)
        if isinstance(function, Class):
            return self.instantiate(function, call)
        if isinstance(function, Module):
            return self.apply_module(function, call)
        if isinstance(function, Criterion):
            return applied_loss(function, call)
        if isinstance(function, Library):
            return self.call_of_library(function.name, call)
        if isinstance(function, Bound):
            return self.call_of_method(function.owner, Call(
                function.name, call.spot, call.arguments, call.keywords, self.trace, call.open))
        if isinstance(function, Transform):
            normed = any(name == "Normalize" for name, _, _ in function.steps)
            return Tensor(spot=call.spot, meaning=INPUT, normed=normed, origin=sources_of(call.first()))
        if isinstance(function, Instance):
            method = function.cls.method("__call__") if function.cls else None
            if method is not None and function.cls is not None:
                bound = Function(definition=method, scope=function.cls.scope, owner=function)
                return self.inline(bound, call.arguments, call.keywords, call)
        nothing = isinstance(function, Constant) and function.value is None     # a gap that a student fills
        if isinstance(function, Constant | Number | Iteration | Optimizer | Loader | Dataset | Items) and not nothing:
            self.trace.add("not-callable", call.spot, function, call.first())
        return self.call_unknown(function, call)

    def call_of_library(self, name: str, call: Call) -> Value:
        """Return the value of a library call."""
        call.name = name
        if name in ("builtins.enumerate", "builtins.zip", "builtins.range", "itertools.product", "tqdm.trange",
                    "tqdm.notebook.trange"):
            kind = "range" if "range" in name else name.rpartition(".")[2].replace("product", "zip")
            return Iteration(kind=kind, inner=call.arguments, spot=call.spot)
        if name == "builtins.next":
            first = call.first()
            return call_method(first, Call("next", call.spot, [], {}, self.trace)) if first else Unknown()
        if name == "builtins.getattr":
            return self.get_attribute(call)
        if name == "builtins.setattr" and len(call.arguments) > 2:
            owner, key = known(call.arguments[0]), known(call.arguments[1])
            if isinstance(owner, Instance) and isinstance(key, Constant):
                owner.attributes[str(key.value)] = call.arguments[2]
        return call_library(call)

    def get_attribute(self, call: Call) -> Value:
        """Return getattr(owner, name)."""
        if len(call.arguments) > 1:
            key = known(call.arguments[1])
            if isinstance(key, Constant) and isinstance(key.value, str):
                return self.attribute(known(call.arguments[0]), key.value, call.spot.node)
        return Unknown(spot=call.spot)

    def call_unknown(self, function: Value, call: Call) -> Value:
        """Return the value of calling something unknown: a network if it gets a batch, a loss if it gets labels too."""
        values = call.everything()
        label = function.label
        has_label = any(isinstance(value, Tensor) and value.meaning == LABEL for value in values)
        outputs = [value for value in values if isinstance(value, Tensor) and value.models]
        batch = any(is_batch(value) for value in values[:1])
        self.trace.add("call", call.spot, function, values[0] if values else None, text=label)
        fed = batch and not has_label and not outputs and not label_is_transform(label)
        if isinstance(function, Unknown) and (looks_like_model(label) or fed):
            function.becomes = Module(label=label, spot=function.spot)
            return self.apply_module(function.becomes, call)
        if len(values) >= 2 and (is_loss_name(label) or (has_label and outputs and isinstance(function, Unknown)
                                                         and function.parameter)):
            if isinstance(function, Unknown) and is_loss_name(label):
                function.becomes = Criterion(label=label, spot=function.spot)
                return applied_loss(function.becomes, call)
            return loss_tensor(values, call.spot, "", "", self.trace.grad[-1]).but(meaning="")
        escape(call)
        origin = united(function.origin, *(sources_of(value) for value in values))
        if outputs and any(tensor.attached for tensor in outputs):
            return Tensor(spot=call.spot, attached=True, origin=origin, maybe=True,
                          models=united(*(tensor.models for tensor in outputs)))
        return Unknown(spot=call.spot, origin=origin)

    # ---- functions and classes of the file ----

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

    def run(self, definition: Definition, scope: Scope) -> Value:
        """Execute a function's body in a scope. Return the value that it returns."""
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
            self.execute_all(definition.body)
        except Suspended:
            return Unknown(label="context")
        finally:
            self.trace.calls.pop()
            self.frames.pop()
            self.scope = outer
            if not frame.suspends:
                del self.trace.grad[grad:]
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
            found[parameters.kwarg.arg] = Unknown(label=parameters.kwarg.arg)
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
            return Dataset(spot=call.spot, name=label, transform=transform_in(call), parent=parent,
                           role=role_in(label) or next((role_in(text) for text in texts_in(call)), ""))
        is_loss = cls.is_module and (label.endswith("Loss") or any(base.endswith("Loss") for base in bases))
        made: Instance = Module(cls=cls, spot=call.spot) if cls.is_module else Instance(cls=cls, spot=call.spot)
        self.instances.setdefault(id(cls.definition), made)
        method = cls.method("__init__")
        if method is not None:
            self.inline(Function(definition=method, scope=cls.scope, owner=made), call.arguments, call.keywords, call)
        elif any(base.endswith(".Sequential") for base in bases) and isinstance(made, Module):
            made.children = call.everything()
        if cls.is_module:
            self.trace.add("network", call.spot, made)
        if is_loss:
            made.label = "loss"
        return made

    # ---- networks ----

    def apply_module(self, module: Module, call: Call) -> Value:
        """Return the output of a network or layer, and record the event "forward"."""
        tensors = [as_tensor(value) for value in call.everything()]
        tensor = next((one for one in tensors if one is not None), Tensor(meaning=INPUT))
        top = self.trace.nested == 0
        if module.cls is not None and module.label == "loss" and top:
            return applied_loss(Criterion(name=module.cls.definition.name, spot=module.spot), call)
        if module.cls is None and not module.name and len(call.arguments) > 1 and is_loss_name(module.label):
            return applied_loss(Criterion(label=module.label, spot=module.spot), call)
        if top:
            self.trace.add("forward", call.spot, module, tensor)
            tensor = tensor.but(meaning=INPUT, trail=(), geometry=Geometry())
        self.trace.nested += 1
        try:
            output = self.output_of(module, tensor, call)
        finally:
            self.trace.nested -= 1
        return self.at_the_end(output, module, tensors, call) if top else output

    def output_of(  # noqa: PLR0911  one return for each kind of layer
        self, module: Module, tensor: Tensor, call: Call
    ) -> Value:
        """Return the output of a module inside a network."""
        if module.cls is not None:
            return self.forward(module, tensor, call)
        if module.name.rpartition(".")[2] == "Sequential" or (module.children and not module.name):
            output: Value = tensor
            for child in map(known, module.children):
                step = Call("", call.spot, [output], {}, self.trace)
                output = self.apply_module(child, step) if isinstance(child, Module) else Tensor()
                output = first_tensor(output) or Tensor()
            return output
        if is_operation(module.name):
            self.trace.add("layer", call.spot, module, tensor)
            after = applied(module.name, tensor, module.arguments, call.spot, module.spot)
            self.trace.add("after", call.spot, module, after)
            return after
        if key_of(module.name) in RECURRENT:
            return Items(items=[tensor.but(meaning="", trail=(), geometry=None), Unknown()])
        if key_of(module.name) == "embedding":
            return tensor.but(meaning="", trail=(), geometry=None)
        twin = self.only_network() if not module.name and not module.children else None
        if twin is not None and twin.output is not None and self.trace.nested == 1:
            return twin.output.but(geometry=None)
        known_layer = module.name.startswith("torch.nn.") and module.name.rpartition(".")[2] not in CONTAINERS
        return tensor.but(meaning="" if known_layer else OUTPUT, trail=(), geometry=None, axes=None)

    def only_network(self) -> Module | None:
        """Return the only network of the file that no other network contains, or None if there are several."""
        found = [one for one in self.instances.values() if isinstance(one, Module) and one.label != "loss"
                 and one.cls is not None and one.cls.method("forward") is not None]
        inner = {id(part) for one in found for part in one.parts() if part is not one}
        inner_classes = {id(part.cls) for one in found for part in one.parts() if part is not one}
        roots = [one for one in found if id(one) not in inner and id(one.cls) not in inner_classes]
        return roots[0] if len(roots) == 1 else None

    def forward(self, module: Module, tensor: Tensor, call: Call) -> Value:
        """Follow the forward method of a network of the file. A second call reuses the first result."""
        assert module.cls is not None
        method = module.cls.method("forward")
        if method is None:
            if module.children:
                return self.output_of(Module(children=module.children), tensor, call)
            return tensor.but(meaning=OUTPUT, trail=(), geometry=None)
        if module.output is not None:
            return module.output.but(geometry=None)
        arguments = [tensor if as_tensor(value) is not None and index == 0 else value
                     for index, value in enumerate(call.arguments)] or [tensor]
        function = Function(definition=method, scope=module.cls.scope, owner=module)
        before = self.entered.get(id(method), 0)
        self.entered[id(method)] = 0
        output = known(self.inline(function, arguments, call.keywords))
        self.entered[id(method)] = max(1, before)
        if isinstance(output, Tensor):
            module.output = output
            self.trace.add("returned", call.spot, module, output)
        return output

    def at_the_end(self, output: Value, module: Module, tensors: list[Tensor | None], call: Call) -> Value:
        """Return a network's output with its network, its data and its place in autograd's graph."""
        inputs = [one for one in tensors if one is not None]
        origin = united(*(one.origin for one in inputs))
        models = united((module,), *(one.models for one in inputs if one.attached))
        grad = self.trace.grad[-1]

        def dressed(value: Value) -> Value:
            value = known(value)
            if isinstance(value, Tensor):
                return value.but(models=models, origin=united(origin, value.origin), attached=grad, spot=call.spot,
                                 label="")
            if isinstance(value, Items):
                return Items(items=[dressed(item) for item in value.items], open=value.open)
            return Tensor(meaning="", models=models, origin=origin, attached=grad, spot=call.spot)

        result = dressed(output)
        for value in result.items if isinstance(result, Items) else [result]:
            self.trace.add("output", call.spot, module, value)
        return result


def decorated(definition: Definition, name: str) -> bool:
    """True if a function has a decorator of this name."""
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


def as_tensor(value: Value) -> Tensor | None:
    """Return the tensor that a network receives: a tensor, or the first one of a batch."""
    value = known(value)
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Items) and value.items and isinstance(known(value.items[0]), Tensor):
        return first_tensor(value)
    if isinstance(value, Unknown):
        return Tensor(meaning=INPUT, origin=value.origin, label=value.label)
    return None


def first_tensor(value: Value) -> Tensor | None:
    """Return a tensor, or the first tensor of a tuple."""
    value = known(value)
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Items):
        return next((item for item in map(known, value.items) if isinstance(item, Tensor)), None)
    return None


def is_batch(value: Value) -> bool:
    """True for images of a loader."""
    value = known(value)
    return (isinstance(value, Tensor) and value.meaning == INPUT) or (isinstance(value, Items) and bool(value.origin))


def is_loss_name(label: str) -> bool:
    """True for a name such as criterion or loss_fn."""
    words = words_of(label)
    return bool(set(words) & {"criterion", "loss", "lossfn", "objective", "crit", "lossfunction", "criteria",
                              "lossfunc"}) or any(word.startswith("criterion") for word in words)


def label_is_transform(label: str) -> bool:
    """True for a function that prepares images."""
    return bool(set(words_of(label)) & {"transform", "transforms", "preprocess", "augment", "normalize", "print",
                                        "show",
                                        "plot", "imshow", "collate", "prepare", "batch", "mixup", "cutmix", "encode"})


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


