"""Calls: functions of the file are followed inside, networks run their forward, library calls have known effects."""

from __future__ import annotations

import ast

from featherweight.doctor.flow.library import call_library
from featherweight.doctor.flow.losses import applied_loss, loss_tensor, united
from featherweight.doctor.flow.methods import call_method, looks_like_model
from featherweight.doctor.flow.networks import Networks, is_loss_name
from featherweight.doctor.flow.operations import escape
from featherweight.doctor.flow.roles import sources_of, words_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import (
    INPUT,
    LABEL,
    Bound,
    Class,
    Constant,
    Criterion,
    Dataset,
    Function,
    Instance,
    Items,
    Iteration,
    Library,
    Loader,
    Module,
    Number,
    Optimizer,
    Partial,
    Table,
    Tensor,
    Transform,
    Unknown,
    Value,
    known,
    modules_in,
)


class Calls(Networks):
    """Follows calls. Subclasses execute statements."""

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
        if isinstance(owner, Instance) and owner.cls is not None and not isinstance(owner, Module):
            self.trace.add("watch", call.spot, owner, call.first(), text=owner.cls.definition.name)
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
        if call.name == "optimize" and isinstance(objective := call.first(), Function):      # of Optuna
            self.trace.add("objective", call.spot, objective, self.inline(objective, [Unknown(label="trial")], {}))
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
        if call.name == "__init__" and isinstance(owner, Module):       # of Sequential
            owner.children += [module for value in call.everything() for module in modules_in(value)]
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
                is_open = is_open or value.open
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
        if isinstance(function, Partial):
            return self.call_value(known(function.function), Call(
                call.name, call.spot, [*function.arguments, *call.arguments], function.keywords | call.keywords,
                self.trace, call.open))
        if isinstance(function, Bound):
            return self.call_of_method(function.owner, Call(
                function.name, call.spot, call.arguments, call.keywords, self.trace, call.open))
        if isinstance(function, Transform):
            normed = any(name == "Normalize" for name, _, _ in function.steps)
            return Tensor(spot=call.spot, meaning=INPUT, normed=normed, origin=sources_of(call.first()),
                          prepared=function)
        if isinstance(function, Instance):
            method = function.cls.method("__call__") if function.cls else None
            if method is not None and function.cls is not None:
                bound = Function(definition=method, scope=function.cls.scope, owner=function)
                self.trace.add("watch", call.spot, function, call.first(), text=function.cls.definition.name)
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
        if name == "functools.partial" and (function := call.first()) is not None:
            return Partial(spot=call.spot, function=function, arguments=call.arguments[1:], keywords=call.keywords)
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


def is_batch(value: Value) -> bool:
    """True for images of a loader."""
    value = known(value)
    return (isinstance(value, Tensor) and value.meaning == INPUT) or (isinstance(value, Items) and bool(value.origin))


def label_is_transform(label: str) -> bool:
    """True for a function that prepares images."""
    return bool(set(words_of(label)) & {"transform", "transforms", "preprocess", "augment", "normalize", "print",
                                        "show",
                                        "plot", "imshow", "collate", "prepare", "batch", "mixup", "cutmix", "encode"})
