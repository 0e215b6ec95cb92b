"""Values of expressions."""

from __future__ import annotations

import ast
import builtins
import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from featherweight.doctor.flow.arithmetic import combined, compared, length_of
from featherweight.doctor.flow.iteration import turns_of
from featherweight.doctor.flow.parts import attribute_of_data, item_of, part_of
from featherweight.doctor.flow.roles import sources_of
from featherweight.doctor.flow.signatures import canonical
from featherweight.doctor.flow.trace import Arm, Loop, Trace
from featherweight.doctor.flow.values import (
    LOSS,
    Bound,
    Class,
    Constant,
    Dataset,
    Function,
    Instance,
    Items,
    Library,
    Loader,
    Module,
    Scope,
    Spot,
    Table,
    Tensor,
    Unknown,
    Value,
    constant,
    known,
)

COMMON = {      # names that notebooks and star imports usually mean
    "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "optim": "torch.optim", "np": "numpy",
    "transforms": "torchvision.transforms", "datasets": "torchvision.datasets", "tqdm": "tqdm.tqdm",
    "DataLoader": "torch.utils.data.DataLoader", "T": "torchvision.transforms", "torchvision": "torchvision",
}
STATED = {f"string.{name}": getattr(string, name) for name in ("ascii_uppercase", "ascii_lowercase", "digits")}
BUILTINS = frozenset(dir(builtins))
MOST_NODES = 40_000     # expressions and statements that are followed in one file, about half a second


MOST_TURNS = 8          # of a comprehension


class TooLarge(Exception):
    """The file needs more steps than MOST_NODES."""


class Expressions(ABC):
    """Evaluates expressions in the current scope. Subclasses know statements and calls."""

    def __init__(self, scope: Scope, trace: Trace) -> None:
        self.scope, self.trace, self.left = scope, trace, MOST_NODES

    @abstractmethod
    def call(self, node: ast.Call) -> Value:
        """Return the value of a call."""

    @abstractmethod
    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind the names of a target to a value."""

    @abstractmethod
    def property_of(self, owner: Instance, name: str) -> Value | None:
        """Return the value of a method or property of an instance, or None."""

    def at(self, node: ast.AST) -> Spot:
        """Return the spot of a node of the current file."""
        return Spot(self.scope.source, node)

    def spend(self) -> None:
        """Count one step. Raise TooLarge after MOST_NODES steps."""
        self.left -= 1
        if self.left < 0:
            raise TooLarge

    def evaluate(self, node: ast.expr | None) -> Value:
        """Return the value of an expression."""
        self.spend()
        method = EVALUATIONS.get(type(node)) if node is not None else None
        if node is None or method is None:
            for child in ast.iter_child_nodes(node) if node is not None else ():
                if isinstance(child, ast.expr):
                    self.evaluate(child)
            return Unknown()
        return known(method(self, node))

    def evaluate_all(self, nodes: Sequence[ast.expr]) -> list[Value]:
        """Return the values of several expressions. A starred list gives its items, else an Unknown."""
        values: list[Value] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                inner = self.evaluate(node.value)
                values += inner.items if isinstance(inner, Items) else [Unknown(spot=self.at(node))]
            else:
                values.append(self.evaluate(node))
        return values

    def constant_node(self, node: ast.Constant) -> Value:
        """Return a constant."""
        return Constant(spot=self.at(node), value=node.value)

    def name(self, node: ast.Name) -> Value:
        """Return the value of a name."""
        found = self.scope.find(node.id)
        if found is not None:
            return found
        if node.id in COMMON:
            return Library(name=COMMON[node.id])
        if node.id in BUILTINS:
            return Library(name=f"builtins.{node.id}")
        made = Unknown(label=node.id, spot=self.at(node))
        self.scope.names[node.id] = made
        return made

    def attribute_node(self, node: ast.Attribute) -> Value:
        """Return the value of owner.name."""
        return self.attribute(self.evaluate(node.value), node.attr, node)

    def attribute(  # noqa: PLR0911  one return for each kind of value
        self, owner: Value, name: str, node: ast.AST
    ) -> Value:
        """Return an attribute of a value."""
        owner = known(owner)
        if isinstance(owner, Library):
            full = canonical(f"{owner.name}.{name}")
            return Constant(spot=self.at(node), value=STATED[full]) if full in STATED else Library(name=full)
        if isinstance(owner, Instance):
            return self.attribute_of_instance(owner, name, node)
        if isinstance(owner, Tensor):
            return self.attribute_of_tensor(owner, name, node)
        if isinstance(owner, Loader | Dataset):
            return attribute_of_data(owner, name, self.at(node))
        if isinstance(owner, Class):
            method = owner.method(name)
            return Function(definition=method, scope=owner.scope) if method else self.attribute_of_class(owner, name)
        if isinstance(owner, Unknown):
            if name == "dataset":
                owner.becomes = Loader(label=owner.label, spot=owner.spot)
                return attribute_of_data(owner.becomes, name, self.at(node))
            if name not in owner.attributes:
                owner.attributes[name] = Unknown(label=name, origin=owner.origin, spot=self.at(node),
                                                 copies=owner.copies,
                                                 double=owner.double if name in TABLES else None)
            return owner.attributes[name]
        return Bound(owner=owner, name=name)

    def attribute_of_instance(self, owner: Instance, name: str, node: ast.AST) -> Value:
        """Return an attribute, a bound method or a property of an instance."""
        if name in owner.attributes:
            return owner.attributes[name]
        found = self.property_of(owner, name)
        if found is not None:
            return found
        if isinstance(owner, Module) and name in MODULE_METHODS:
            return Bound(owner=owner, name=name)
        stated = owner.cls is not None and name in owner.cls.fields()
        owner.attributes[name] = self.attribute_of_class(owner.cls, name) if owner.cls is not None and stated else (
            Unknown(label=name, spot=self.at(node)))
        return owner.attributes[name]

    def attribute_of_class(self, owner: Class, name: str) -> Value:
        """Return what the body of a class binds to a name."""
        if name not in owner.attributes:
            outer, self.scope = self.scope, Scope(owner.scope.source, owner.attributes, owner.scope)
            stated = owner.fields().get(name)
            owner.attributes[name] = self.evaluate(default_in(stated)) if stated is not None else Unknown(label=name)
            self.scope = outer
        return owner.attributes[name]

    def attribute_of_tensor(self, owner: Tensor, name: str, node: ast.AST) -> Value:
        """Return tensor.data, tensor.grad, tensor.shape or a method."""
        if name == "data":
            cut = owner.meaning not in ("parameter", "gradient")
            return owner.but(attached=False, detached=owner.detached or (self.at(node) if cut else None))
        if name in ("T", "mT", "real"):
            return owner
        if name == "grad":
            return Tensor(meaning="gradient", models=owner.models, spot=self.at(node))
        if name == "loss" and owner.models:         # networks of transformers compute it from the labels
            return owner.but(meaning=LOSS, reduction="mean", trail=(), spot=self.at(node))
        if name in ("logits", "last_hidden_state", "pooler_output"):
            return owner.but(meaning=owner.meaning, spot=self.at(node))
        return Bound(owner=owner, name=name)

    def subscript(self, node: ast.Subscript) -> Value:  # noqa: PLR0911  one return for each kind of value
        """Return owner[index]."""
        owner = self.evaluate(node.value)
        if isinstance(node.slice, ast.Slice) and isinstance(owner, Items):
            return self.part_of_list(owner, node.slice)
        index = self.evaluate(node.slice)
        position = index.value if isinstance(index, Constant) else None
        if isinstance(owner, Bound) and owner.name == "shape":
            return length_of(owner.owner, self.at(node)) if position == 0 else Unknown()
        if isinstance(owner, Items):
            return item_of(owner, position)
        if isinstance(owner, Table):
            return owner.items.get(position, Unknown(label=str(position or "")))
        if isinstance(owner, Tensor):
            return part_of(owner, position, self.at(node))
        if isinstance(owner, Module) and owner.children and isinstance(position, int):
            return owner.children[position] if -len(owner.children) <= position < len(owner.children) else Unknown()
        if isinstance(owner, Unknown):
            key = f"[{position!r}]"
            if key not in owner.attributes:
                label = position if isinstance(position, str) else owner.label
                owner.attributes[key] = Unknown(label=str(label), origin=owner.origin, spot=self.at(node),
                                                double=owner.double)
            return owner.attributes[key]
        return Unknown(origin=sources_of(owner), label=str(position or ""))

    def part_of_list(self, owner: Items, node: ast.Slice) -> Items:
        """Return owner[a:b:c], or all items if a bound is not known."""
        bounds = [constant(self.evaluate(one), "unknown") if one is not None else None
                  for one in (node.lower, node.upper, node.step)]
        stated = all(bound is None or isinstance(bound, int) for bound in bounds)
        items = owner.items[slice(*bounds)] if stated and not owner.origin else owner.items
        return Items(items=items, open=owner.open or not stated, is_list=owner.is_list, origin=owner.origin)

    def binary(self, node: ast.BinOp) -> Value:
        """Return left operator right, and record divisions."""
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if isinstance(node.op, ast.Div | ast.FloorDiv):
            self.trace.add("divide", self.at(node), left, right)
        return combined(node.op, left, right, self.at(node))

    def unary(self, node: ast.UnaryOp) -> Value:
        """Return -x, +x, not x or ~x."""
        value = self.evaluate(node.operand)
        if isinstance(value, Constant):
            if isinstance(node.op, ast.Not):
                return Constant(spot=self.at(node), value=not value.value)
            if isinstance(node.op, ast.USub) and isinstance(value.value, int | float):
                return Constant(spot=self.at(node), value=-value.value)
        if isinstance(value, Tensor) and isinstance(node.op, ast.USub):
            self.trace.add("negate", self.at(node), value)
            return value.but(meaning=value.meaning if value.meaning == "loss" else "", trail=())
        return Unknown(origin=value.origin)

    def boolean(self, node: ast.BoolOp) -> Value:
        """Return `a and b`, `a or b`. Constants are decided."""
        values = [self.evaluate(value) for value in node.values]
        stop = isinstance(node.op, ast.Or)
        for value in values:
            if not isinstance(value, Constant):
                break
            if bool(value.value) == stop:
                return value
        else:
            return values[-1]
        return next((value for value in values if not isinstance(value, Constant | Unknown)), Unknown())

    def compare(self, node: ast.Compare) -> Value:
        """Return the value of a comparison, and record thresholds."""
        left, right = self.evaluate(node.left), [self.evaluate(one) for one in node.comparators]
        if len(right) == 1:
            self.trace.add("compare", self.at(node), left, right[0])
            return compared(node.ops[0], left, right[0], self.at(node))
        return Unknown()

    def conditional(self, node: ast.IfExp) -> Value:
        """Return `a if test else b`; an unknown test gives the arm that is known."""
        test = self.evaluate(node.test)
        if isinstance(test, Constant):
            return self.evaluate(node.body if test.value else node.orelse)
        found = []
        for side, arm in enumerate((node.body, node.orelse)):
            self.trace.arms.append(Arm(node, side))
            found.append(self.evaluate(arm))
            self.trace.arms.pop()
        return joined_arms(found[0], found[1])

    def sequence(self, node: ast.List | ast.Tuple | ast.Set) -> Value:
        """Return a list or tuple."""
        is_open = any(isinstance(item, ast.Starred) for item in node.elts)
        return Items(spot=self.at(node), items=self.evaluate_all(node.elts), open=is_open,
                     is_list=isinstance(node, ast.List))

    def table(self, node: ast.Dict) -> Value:
        """Return a dictionary; keys that are not constants are left out."""
        made = Table(spot=self.at(node))
        for key, value in zip(node.keys, node.values, strict=True):
            found = self.evaluate(value)
            name = self.evaluate(key) if key is not None else None
            if isinstance(name, Constant) and isinstance(name.value, str | int | float | bool | None):
                made.items[name.value] = found
                if isinstance(name.value, str) and not found.label:
                    found.label = name.value
            elif key is None and isinstance(found, Table):
                made.items.update(found.items)
        return made

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Value:
        """Return the list of a comprehension, followed for its first turns."""
        before = dict(self.scope.names)
        items: list[Value] = []
        self.follow_generators(node.generators, node.elt, items)
        self.scope.names = before
        return Items(spot=self.at(node), items=items, open=True, is_list=isinstance(node, ast.ListComp))

    def follow_generators(self, generators: list[ast.comprehension], element: ast.expr, items: list[Value]) -> None:
        """Append the element's value for each turn of the generators."""
        first, *rest = generators
        turns = turns_of(self.evaluate(first.iter), first.target, first.iter)
        guesses = [] if turns.exact and len(turns.elements) <= MOST_TURNS and not first.ifs else [element]
        self.trace.guesses += guesses
        for turn, value in enumerate(turns.elements[:MOST_TURNS]):
            loops = [Loop(first, turns.kind, turn, turns.over)] if turns.kind == "batches" else []
            self.trace.loops += loops
            self.assign(first.target, value)
            for test in first.ifs:
                self.evaluate(test)
            if rest:
                self.follow_generators(rest, element, items)
            else:
                items.append(self.evaluate(element))
            del self.trace.loops[len(self.trace.loops) - len(loops):]
        del self.trace.guesses[len(self.trace.guesses) - len(guesses):]

    def table_comprehension(self, node: ast.DictComp) -> Value:
        """Return the dictionary of a comprehension over constants."""
        made = Table(spot=self.at(node))
        before = dict(self.scope.names)
        first = node.generators[0]
        for value in turns_of(self.evaluate(first.iter), first.target, first.iter).elements[:MOST_TURNS]:
            self.assign(first.target, value)
            key, found = self.evaluate(node.key), self.evaluate(node.value)
            if isinstance(key, Constant) and isinstance(key.value, str | int | float):
                made.items[key.value] = found
                found.label = found.label or str(key.value)
        self.scope.names = before
        return made

    def function(self, node: ast.Lambda) -> Value:
        """Return a lambda."""
        return Function(spot=self.at(node), definition=node, scope=self.scope)

    def named(self, node: ast.NamedExpr) -> Value:
        """Return the value of name := value."""
        value = self.evaluate(node.value)
        self.assign(node.target, value)
        return value

    def inner(self, node: ast.Await | ast.Starred) -> Value:
        """Return the value inside."""
        return self.evaluate(node.value)


TABLES = ("values", "iloc", "loc", "T")       # attributes of a table of pandas that hold its numbers
MODULE_METHODS = frozenset((
    "eval", "train", "to", "cuda", "cpu", "half", "float", "double", "parameters", "named_parameters", "zero_grad",
    "state_dict", "load_state_dict", "modules", "children", "apply", "append", "add_module", "requires_grad_",
    "register_buffer", "named_modules", "register_parameter", "compile", "share_memory",
))


def joined_arms(first: Value, second: Value) -> Value:
    """Return the value of a name after a branch with an unknown condition."""
    first, second = known(first), known(second)
    if first is second:
        return first
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        same = (first.meaning, [op.name for op in first.trail]) == (second.meaning, [op.name for op in second.trail])
        return first.but(maybe=not same, scaled=first.scaled or second.scaled,
                         models=first.models or second.models, attached=first.attached or second.attached,
                         reduction=first.reduction if first.reduction == second.reduction else "")
    empty = Unknown | Constant
    if isinstance(first, Tensor) or isinstance(second, Tensor):
        tensor = first if isinstance(first, Tensor) else second
        assert isinstance(tensor, Tensor)
        return tensor.but(maybe=True)
    if isinstance(first, Table) and isinstance(second, Table):
        return first if first.items else second
    if isinstance(first, Constant) and isinstance(second, Constant):
        return first if first.value == second.value else Unknown(origin=())
    return second if isinstance(first, empty) and not isinstance(second, empty) else first


def default_in(node: ast.expr) -> ast.expr:
    """Return the default of a field of a dataclass: x of field(default=x), f() of field(default_factory=f)."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "field":
        for keyword in node.keywords:
            if keyword.arg == "default":
                return keyword.value
            if keyword.arg == "default_factory":
                return ast.copy_location(ast.Call(keyword.value, [], []), node)
    return node


EVALUATIONS: dict[type[ast.expr], Callable[..., Value]] = {
    ast.Constant: Expressions.constant_node, ast.Name: Expressions.name, ast.Attribute: Expressions.attribute_node,
    ast.Subscript: Expressions.subscript, ast.BinOp: Expressions.binary, ast.UnaryOp: Expressions.unary,
    ast.BoolOp: Expressions.boolean, ast.Compare: Expressions.compare, ast.IfExp: Expressions.conditional,
    ast.List: Expressions.sequence, ast.Tuple: Expressions.sequence, ast.Set: Expressions.sequence,
    ast.Dict: Expressions.table, ast.ListComp: Expressions.comprehension, ast.GeneratorExp: Expressions.comprehension,
    ast.SetComp: Expressions.comprehension, ast.DictComp: Expressions.table_comprehension,
    ast.Lambda: Expressions.function, ast.NamedExpr: Expressions.named, ast.Await: Expressions.inner,
    ast.Starred: Expressions.inner, ast.Call: lambda self, node: self.call(node),
}
