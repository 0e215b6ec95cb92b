"""Elements of a loop: batches of a loader, constants of a list, layers of a ModuleList."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from featherweight.doctor.flow.methods import batch_of
from featherweight.doctor.flow.roles import role_in, sources_of, words_of
from featherweight.doctor.flow.values import (
    INPUT,
    LABEL,
    Constant,
    Dataset,
    Items,
    Iteration,
    Loader,
    Module,
    Number,
    Parameters,
    Table,
    Tensor,
    Unknown,
    Value,
    known,
)

DATA_WORDS = frozenset(("loader", "dataloader", "data", "dataset", "batches", "dl", "iter", "iterator", "generator",
                        "trainloader", "testloader", "valloader", "loaders", "microbatches", "episodes"))
LABEL_WORDS = frozenset(("y", "label", "labels", "target", "targets", "lbl", "gt", "truth", "yb", "tgt", "ys",
                         "classes"))
INPUT_WORDS = frozenset(("x", "image", "images", "img", "imgs", "input", "inputs", "data", "xb", "features", "sample"))
NO_DATA = ("items", "named_parameters", "named_modules", "findall", "finditer", "iterrows")
MOST_UNROLLED = 40      # layers of a ModuleList that are followed one by one
TURNS = 2               # turns of an ordinary loop, so that effects on the next turn are seen


@dataclass(frozen=True)
class Turns:
    """Elements of a loop, one for each turn that is followed. kind and over: as in trace.Loop.

    exact: True if these are all turns of the loop.
    """

    kind: str
    elements: list[Value]
    over: Value | None = None
    exact: bool = False


def turns_of(  # noqa: PLR0911  one return for each kind of value
    value: Value, target: ast.expr, iterable: ast.expr
) -> Turns:
    """Return the turns of `for target in iterable`."""
    value = known(value)
    if isinstance(value, Iteration):
        return of_iteration(value, target, iterable)
    if isinstance(value, Unknown) and is_data(value, target, iterable):
        value.becomes = Loader(label=value.label, role=role_in(value.label), spot=value.spot)
        value = value.becomes
    if isinstance(value, Dataset):
        value = Loader(dataset=value, role=value.role, label=value.label)
    if isinstance(value, Loader):
        return Turns("batches", [batch_of(value) for _ in range(TURNS)], value)
    if isinstance(value, Parameters):
        one = Tensor(meaning="parameter", models=value.models, label="parameter")
        element = Items(items=[Unknown(), one]) if isinstance(target, ast.Tuple) else one
        return Turns("parameters", [element], value)
    if isinstance(value, Items):
        return of_items(value)
    if isinstance(value, Table):
        return Turns("values", list[Value](Constant(value=key) for key in value.items)[:6], value)
    if isinstance(value, Module) and value.children:
        return Turns("layers", list(value.children)[:MOST_UNROLLED], value, len(value.children) <= MOST_UNROLLED)
    return Turns("other", [Unknown(origin=sources_of(value)) for _ in range(TURNS)], value)


def of_iteration(value: Iteration, target: ast.expr, iterable: ast.expr) -> Turns:
    """Return the turns over enumerate, zip or range."""
    if value.kind == "yields":
        return Turns("batches", value.inner[1:], value.inner[0])
    if value.kind == "range":
        kind = "epochs" if isinstance(target, ast.Name) and "epoch" in target.id.lower() else "range"
        return Turns(kind, [Number(unit="index", label="index") for _ in range(TURNS)], value)
    parts = target.elts if isinstance(target, ast.Tuple) and len(target.elts) >= 2 else [target, target]
    if value.kind == "enumerate":
        inner = turns_of(value.inner[0], parts[1], iterable) if value.inner else Turns("other", [Unknown()])
        return Turns(inner.kind, [Items(items=[Number(unit="index", label="index"), one]) for one in inner.elements],
                     inner.over, inner.exact)
    padded = [*parts, *(target for _ in value.inner)]
    found = [turns_of(one, part, iterable) for one, part in zip(value.inner, padded, strict=False)]
    if not found:
        return Turns("other", [Unknown()] * TURNS)
    count = max(TURNS, *(len(turns.elements) for turns in found)) if len(found) > 0 else TURNS
    rows: list[Value] = [
        Items(items=[turns.elements[min(row, len(turns.elements) - 1)] if turns.elements else Unknown()
                     for turns in found])
        for row in range(min(count, MOST_UNROLLED))
    ]
    main = next((turns for turns in found if turns.kind == "batches"), found[0])
    alike = len({len(turns.elements) for turns in found}) == 1
    return Turns(main.kind, rows, main.over, alike and all(turns.exact for turns in found))


def of_items(value: Items) -> Turns:
    """Return the turns over a list: each item if the list is known, else two turns."""
    items = [known(item) for item in value.items]
    if items and not value.open and len(items) <= MOST_UNROLLED:
        few = all(isinstance(item, Constant) for item in items)
        return Turns("values" if few else "items", items[:6] if few else items, value, not few or len(items) <= 6)
    if items:
        return Turns("items", (items * TURNS)[:3], value)
    return Turns("other", [Unknown(), Unknown()], value)


def is_data(value: Unknown, target: ast.expr, iterable: ast.expr) -> bool:
    """True if an unknown iterable gives batches: by its name, or because each element is unpacked into several."""
    words = set(words_of(value.label))
    if words & DATA_WORDS or role_in(value.label):
        return True
    if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Attribute) and iterable.func.attr in NO_DATA:
        return False
    names = names_in(target)
    return len(names) >= 2 and bool({word for name in names for word in words_of(name)} & (LABEL_WORDS | INPUT_WORDS))


def names_in(target: ast.expr) -> list[str]:
    """Names of an assignment's target."""
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]


def meaning_by_name(name: str, position: int, count: int) -> str:
    """Return the meaning of one part of a batch, judged by its place and its name."""
    words = set(words_of(name))
    if words & LABEL_WORDS and not (position == 0 and words & INPUT_WORDS):
        return LABEL
    if words & INPUT_WORDS or position == 0:
        return INPUT
    return LABEL if count == 2 else ""
