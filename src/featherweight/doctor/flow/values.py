"""Abstract values: one object for each tensor, layer, optimizer or data set that the source creates.

Identity matters. An optimizer refers to the very Module whose parameters it received.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from featherweight.doctor.source import Source

WEIGHTED, ACTIVATION, DROPOUT, NORM, POOL = "weighted", "activation", "dropout", "norm", "pool"
LOGITS, LOG_PROBABILITIES, PROBABILITIES, SIGMOID = "logits", "log-probabilities", "probabilities", "sigmoid"
INPUT, LABEL, LOSS, HITS, PREDICTION, OUTPUT = "input", "label", "loss", "hits", "prediction", "output"


@dataclass(frozen=True)
class Spot:
    """A node of the syntax tree and the file that holds it."""

    source: Source
    node: ast.AST

    @property
    def line(self) -> int:
        """Line in the text of the file."""
        return getattr(self.node, "lineno", 1)

    @property
    def where(self) -> str:
        """The line in words: "line 48", or "line 3 of cell 5" in a notebook."""
        place = self.source.place(self.line)
        return f"line {place.line}" + (f" of cell {place.cell}" if place.cell is not None else "")


@dataclass(frozen=True)
class Op:
    """One operation since the last layer with weights. kind: WEIGHTED, ACTIVATION, DROPOUT, NORM or POOL.

    outputs: of a layer with weights, or of the classifier of a library, if they are known.
    unsure: it is applied under a condition that is not known.
    """

    kind: str
    name: str
    spot: Spot
    made: Spot | None = None        # the line that builds the layer, if it is a module
    outputs: int | None = None
    unsure: bool = False


@dataclass(frozen=True)
class Geometry:
    """Receptive field and jump in pixels, and channels where known.

    size: pixels along one side, if known. image: the same of the network's input.
    """

    field: int = 1
    jump: int = 1
    channels: int | None = None
    size: int | None = None
    image: int | None = None


@dataclass(eq=False, kw_only=True)
class Value:
    """Base of all values. label: the name that was first bound to the value. origin: data sets it depends on.

    double: the place where the value became float64 numbers, or None. copies: the place where rows were repeated.
    """

    spot: Spot | None = None
    label: str = ""
    escaped: bool = False
    origin: tuple[Value, ...] = ()
    double: Spot | None = None
    copies: Spot | None = None


@dataclass(eq=False, kw_only=True)
class Unknown(Value):
    """A value of unknown kind, such as a parameter. `becomes` is set once its use reveals its kind."""

    becomes: Value | None = None
    parameter: bool = False
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Constant(Value):
    """A number, text, truth value or None that the source states."""

    value: Any = None


@dataclass(eq=False, kw_only=True)
class Library(Value):
    """A name of a library, such as torch.nn.functional.relu."""

    name: str


@dataclass(eq=False, kw_only=True)
class Function(Value):
    """A function, method or lambda of the file. owner: the instance of a bound method."""

    definition: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope
    owner: Value | None = None


@dataclass(eq=False, kw_only=True)
class Class(Value):
    """A class of the file. bases: its base classes, as values. attributes: those that were looked up or set."""

    definition: ast.ClassDef
    scope: Scope
    bases: list[Value] = field(default_factory=list)
    attributes: dict[str, Value] = field(default_factory=dict)

    def lineage(self) -> Iterator[Class]:
        """Yield the class and its base classes in the file."""
        waiting, seen = [self], set[int]()
        while waiting:
            found = waiting.pop(0)
            if id(found) not in seen:
                seen.add(id(found))
                yield found
                waiting += [base for base in found.bases if isinstance(base, Class)]

    def method(self, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """Return the method of this name, from the class or a base class in the file."""
        for cls in self.lineage():
            for node in cls.definition.body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                    return node
        return None

    def fields(self) -> dict[str, ast.expr | None]:
        """Names that the body of the class or of a base class in the file binds, with their expressions."""
        found: dict[str, ast.expr | None] = {}
        for cls in reversed(list(self.lineage())):
            for node in cls.definition.body:
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    found[node.target.id] = node.value
                elif isinstance(node, ast.Assign):
                    found |= {one.id: node.value for one in node.targets if isinstance(one, ast.Name)}
        return found

    def library_bases(self) -> list[str]:
        """Names of the library classes from which the class inherits."""
        return [base.name for cls in self.lineage() for base in cls.bases if isinstance(base, Library)]

    @property
    def is_module(self) -> bool:
        """True for a network or a layer."""
        return any(name.endswith((".Module", "LightningModule", ".Sequential")) for name in self.library_bases())


@dataclass(eq=False, kw_only=True)
class Instance(Value):
    """An object of a class of the file."""

    cls: Class | None = None
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Module(Instance):
    """A network or a layer. name: its library class. cls: its class in the file. Both are empty if unknown.

    unsure: it was added to a list under a condition that is not known. open: it may hold more children.
    """

    name: str = ""
    arguments: dict[str, Value] = field(default_factory=dict)
    children: list[Value] = field(default_factory=list)
    output: Tensor | None = None        # result of the first call, reused by later calls
    unsure: bool = False
    open: bool = False

    def parts(self) -> Iterator[Module]:
        """Yield the module and all modules inside."""
        waiting, seen = [self], set[int]()
        while waiting:
            found = waiting.pop()
            if id(found) in seen:
                continue
            seen.add(id(found))
            yield found
            waiting += [part for value in (*found.children, *found.attributes.values()) for part in modules_in(value)]


@dataclass(eq=False, kw_only=True)
class Tensor(Value):
    """A tensor. Never changed in place; use `but`.

    meaning: LOGITS, LABEL and so on, or "" if unknown. trail: operations since the last layer with weights.
    reduction: of a loss, "mean", "sum", "none" or "". models: the networks it passed.
    maybe: True if it depends on a condition that is not known. shift: number that was added to labels.
    prepared: the transform that made it of a picture.
    """

    meaning: str = ""
    trail: tuple[Op, ...] = ()
    attached: bool = False
    reduction: str = ""
    scaled: bool = False
    normed: bool | None = None
    models: tuple[Value, ...] = ()
    geometry: Geometry | None = None
    maybe: bool = False
    detached: Spot | None = None
    axes: int | None = None         # number of axes, if known
    criterion: str = ""
    shift: int = 0
    prepared: Value | None = None

    def but(self, **changes: Any) -> Tensor:
        """Return a copy with other properties."""
        return replace(self, **changes)


@dataclass(eq=False, kw_only=True)
class Number(Value):
    """A Python number that was computed.

    unit: "images", "batches", "batch" (images of one batch), "full-batches", "mean-loss", "sum-loss", "hits",
    "mean-accuracy", "rate" (a result), "index", or "" if unknown. summed: True if added up over a loop.
    of: the loader or data set that a count belongs to.
    """

    unit: str = ""
    summed: bool = False
    of: Value | None = None
    added: Spot | None = None


@dataclass(eq=False, kw_only=True)
class Optimizer(Value):
    """An optimizer. models: the modules whose parameters it received."""

    name: str = ""
    models: tuple[Value, ...] = ()
    arguments: dict[str, Value] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Scheduler(Value):
    """A learning-rate scheduler."""

    name: str = ""
    optimizer: Value | None = None
    arguments: dict[str, Value] = field(default_factory=dict)
    steps: int = 0


@dataclass(eq=False, kw_only=True)
class Criterion(Value):
    """A loss function. name: such as CrossEntropyLoss, or "" if unknown."""

    name: str = ""
    reduction: str = ""


@dataclass(eq=False, kw_only=True)
class Dataset(Value):
    """A data set. role: "train", "validation", "test" or "". certain: the role follows from an argument, not a name.

    images: number of images, if the source states it. tensors: of a TensorDataset. parts: of a ConcatDataset.
    split: argument of this name. shift: the number that target_transform adds to the labels, None if not known.
    """

    name: str = ""
    role: str = ""
    certain: bool = False
    transform: Value | None = None
    parent: Value | None = None
    images: int | None = None
    split: str = ""
    shift: int | None = 0
    tensors: tuple[Value, ...] = ()
    parts: tuple[Value, ...] = ()


@dataclass(eq=False, kw_only=True)
class Loader(Value):
    """A data loader. `dataset` is None if unknown."""

    dataset: Value | None = None
    role: str = ""
    arguments: dict[str, Value] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Transform(Value):
    """A transform of images. steps: library names with their arguments, in order."""

    steps: list[tuple[str, dict[str, Value], Spot]] = field(default_factory=list)


@dataclass(eq=False, kw_only=True)
class Items(Value):
    """A list or tuple. open: more items may follow."""

    items: list[Value] = field(default_factory=list)
    open: bool = False
    is_list: bool = False


@dataclass(eq=False, kw_only=True)
class Table(Value):
    """A dictionary with known keys. open: it may hold more keys."""

    items: dict[Any, Value] = field(default_factory=dict)
    open: bool = False


@dataclass(eq=False, kw_only=True)
class Parameters(Value):
    """The parameters of modules, as optimizers receive them."""

    models: tuple[Value, ...] = ()


@dataclass(eq=False, kw_only=True)
class Weights(Value):
    """The result of model.state_dict(). It refers to the tensors of the model. copied: it has its own."""

    model: Module
    copied: bool = False


@dataclass(eq=False, kw_only=True)
class Bound(Value):
    """A method of a value that is not of the file, such as optimizer.step."""

    owner: Value
    name: str


@dataclass(eq=False, kw_only=True)
class Partial(Value):
    """functools.partial(function, ...)."""

    function: Value
    arguments: list[Value] = field(default_factory=list)
    keywords: dict[str, Value] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Iteration(Value):
    """An iterable that wraps others.

    kind: "enumerate", "zip", "range", or "yields" of a function that reads a loader: the loader, then what it yields.
    """

    kind: str
    inner: list[Value] = field(default_factory=list)


@dataclass(eq=False)
class Scope:
    """Names of a module, function or class body, with the enclosing scope."""

    source: Source
    names: dict[str, Value] = field(default_factory=dict)
    outer: Scope | None = None

    def find(self, name: str) -> Value | None:
        """Return the value of a name, or None."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None


def known(value: Value | None) -> Value:
    """Return the value that an Unknown turned out to be, or the value itself."""
    while isinstance(value, Unknown) and value.becomes is not None:
        value = value.becomes
    return value or Unknown()


def modules_in(value: Value | None) -> list[Module]:
    """Modules that a value is or holds."""
    value = known(value)
    if isinstance(value, Module):
        return [value]
    if isinstance(value, Items):
        return [module for item in value.items for module in modules_in(item)]
    if isinstance(value, Table):
        return [module for item in value.items.values() for module in modules_in(item)]
    return []


def constant(value: Value | None, default: Any = None) -> Any:
    """Return the Python value of a Constant, or of a tuple of Constants; else `default`."""
    value = known(value)
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, Items) and not value.open and value.items:
        found = [known(item) for item in value.items]
        if all(isinstance(item, Constant) for item in found):
            return tuple(item.value for item in found if isinstance(item, Constant))
    return default
