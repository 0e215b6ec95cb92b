"""Arithmetic on abstract values: sums of losses, counts of images and batches, and comparisons."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from featherweight.doctor.flow.losses import united
from featherweight.doctor.flow.roles import number_of_images, role_in, sources_of
from featherweight.doctor.flow.values import (
    HITS,
    INPUT,
    LABEL,
    LOGITS,
    LOSS,
    OUTPUT,
    PREDICTION,
    PROBABILITIES,
    Constant,
    Dataset,
    Geometry,
    Items,
    Loader,
    Module,
    Number,
    Parameters,
    Spot,
    Tensor,
    Unknown,
    Value,
    known,
)

PRODUCTS = {
    frozenset(("mean-loss", "batch")): "sum-loss", frozenset(("mean-accuracy", "batch")): "hits",
    frozenset(("batches", "batch-size")): "full-batches", frozenset(("batches", "batch")): "full-batches",
    frozenset(("mean-loss", "batch-size")): "full-sum-loss",
}
QUOTIENTS = {
    ("hits", "batch"): "mean-accuracy", ("sum-loss", "batch"): "mean-loss", ("images", "batch-size"): "batches",
    ("hits", "batch-size"): "mean-accuracy", ("none-loss", "batch"): "mean-loss",
}
MOST_ITEMS = 20
FOLDED: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}


def folded(kind: ast.operator, left: Constant, right: Constant, spot: Spot) -> Value:
    """Return the result of arithmetic on two constants. Texts and large powers give Unknown, except a sum of texts."""
    a, b = left.value, right.value
    numbers = all(isinstance(one, int | float) for one in (a, b))
    small = numbers and abs(a) < 1e12 and abs(b) < (64 if isinstance(kind, ast.Pow) else 1e12)
    texts = isinstance(kind, ast.Add) and isinstance(a, str) and isinstance(b, str) and len(a) + len(b) < 1000
    if type(kind) not in FOLDED or not (small or texts):
        return Unknown(spot=spot)
    try:
        return Constant(spot=spot, value=FOLDED[type(kind)](a, b))
    except (ArithmeticError, ValueError, TypeError):
        return Unknown(spot=spot)


def combined(  # noqa: PLR0911  one return for each kind of values
    kind: ast.operator, left: Value, right: Value, spot: Spot
) -> Value:
    """Return the value of `left operator right`."""
    if isinstance(left, Constant) and isinstance(right, Constant):
        return folded(kind, left, right, spot)
    if isinstance(left, Parameters) or isinstance(right, Parameters):
        return Parameters(spot=spot, models=united(models_of(left), models_of(right)))
    if isinstance(left, Items) and isinstance(right, Items) and isinstance(kind, ast.Add):
        return Items(spot=spot, items=[*left.items, *right.items], open=left.open or right.open, is_list=left.is_list)
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return of_tensors(kind, left, right, spot)
    if isinstance(left, Number) or isinstance(right, Number):
        return of_numbers(kind, left, right, spot)
    if isinstance(left, Items) and isinstance(kind, ast.Mult) and isinstance(right, Constant):
        return repeated(left, right, spot)
    return Unknown(spot=spot, origin=united(sources_of(left), sources_of(right)), double=left.double or right.double)


def repeated(items: Items, times: Constant, spot: Spot) -> Value:
    """Return `[item] * times`: the same items several times. At most MOST_ITEMS are kept."""
    if not isinstance(times.value, int) or times.value < 1:
        return Unknown(spot=spot)
    return Items(spot=spot, items=(items.items * times.value)[:MOST_ITEMS], open=items.open, is_list=items.is_list)


def models_of(value: Value) -> tuple[Value, ...]:
    """Return the modules whose parameters a value holds."""
    return value.models if isinstance(value, Parameters) else ()


def of_tensors(  # noqa: PLR0911  one return for each kind of values
    kind: ast.operator, left: Value, right: Value, spot: Spot
) -> Value:
    """Return the tensor of an operation with at least one tensor."""
    a, b = (left, right) if isinstance(left, Tensor) else (right, left)
    assert isinstance(a, Tensor)
    if (moved := shifted(kind, left, right, spot)) is not None:
        return moved
    scaling = isinstance(kind, ast.Mult | ast.Div)
    if scaling and a is left and isinstance(b, Number) and b.unit in ("batch", "batch-size"):
        return scaled_by_batch(a, b, kind, spot)
    if not isinstance(b, Tensor):
        if a.meaning in (HITS, PREDICTION):
            return Tensor(spot=spot, origin=a.origin)
        kept = scaling or a.meaning == LOSS or (isinstance(b, Constant) and b.value == 0)
        keeps = a.but(spot=spot, scaled=a.scaled or scaling, origin=united(a.origin, b.origin),
                      detached=a.detached if a.models else None)
        return keeps if kept else keeps.but(meaning="", trail=())
    both = united(a.models, b.models)
    made = Tensor(
        spot=spot, attached=a.attached or b.attached, models=both, origin=united(a.origin, b.origin),
        maybe=a.maybe or b.maybe, scaled=a.scaled and b.scaled, geometry=wider(a.geometry, b.geometry), axes=a.axes,
        double=a.double or b.double,
        detached=a.detached if a.detached and b.detached and (a.models or b.models) else None,
    )
    meanings = {a.meaning, b.meaning}
    if LOSS in meanings and isinstance(kind, ast.Add | ast.Sub | ast.Mult):
        same = a.reduction if a.reduction == b.reduction else ""
        return made.but(meaning=LOSS, reduction=same)
    if isinstance(kind, ast.Add) and meanings <= {PROBABILITIES, "zeros"} and PROBABILITIES in meanings:
        return made.but(meaning=PROBABILITIES)
    return made


def shifted(kind: ast.operator, left: Value, right: Value, spot: Spot) -> Tensor | None:
    """Return the labels of `labels + 1` or `labels - 1`, or None for another operation."""
    if not isinstance(left, Tensor) or left.meaning != LABEL or not isinstance(kind, ast.Add | ast.Sub):
        return None
    if not isinstance(right, Constant) or type(right.value) is not int:
        return None
    return left.but(spot=spot, shift=left.shift + (right.value if isinstance(kind, ast.Add) else -right.value))


def scaled_by_batch(tensor: Tensor, number: Number, kind: ast.operator, spot: Spot) -> Value:
    """Return a loss that is multiplied or divided by the number of images in its batch."""
    if isinstance(kind, ast.Mult):
        reduction = "sum" if tensor.reduction == "mean" and number.unit == "batch" else ""
    else:
        reduction = "mean" if tensor.reduction == "sum" else ""
    return tensor.but(spot=spot, reduction=reduction, scaled=True)


def wider(a: Geometry | None, b: Geometry | None) -> Geometry | None:
    """Return the geometry of a sum of two tensors: the larger receptive field."""
    if a is None or b is None or a.jump != b.jump:
        return None
    return a if a.field >= b.field else b


def of_numbers(kind: ast.operator, left: Value, right: Value, spot: Spot) -> Value:
    """Return the number of an operation with at least one computed number."""
    origin = united(sources_of(left), sources_of(right))
    units = unit_of(left), unit_of(right)
    unit, of = "", None
    if isinstance(kind, ast.Mult):
        unit = PRODUCTS.get(frozenset(units), "")
        if "constant" in units and not unit:
            other = units[0] if units[1] == "constant" else units[1]
            unit = "full-batches" if other == "batches" and not is_percent(left, right) else other
        of = next((one.of for one in (left, right) if isinstance(one, Number) and one.of is not None), None)
    elif isinstance(kind, ast.Div | ast.FloorDiv):
        unit = QUOTIENTS.get(units, "rate" if units[0] in RATED or units[0] == "rate" else "")
        if units == ("mean-loss", "constant"):
            unit = "rate" if divides_by_images(left, right) else ""
    elif isinstance(kind, ast.Add | ast.Sub):
        rest = set(units) - {"constant"}
        unit = rest.pop() if len(rest) == 1 else ""
        of = next((one.of for one in (left, right) if isinstance(one, Number) and one.of is not None), None)
    summed = any(isinstance(one, Number) and one.summed for one in (left, right))
    return Number(spot=spot, unit=unit, summed=summed, of=of, origin=origin)


RATED = ("hits", "mean-loss", "sum-loss", "mean-accuracy", "full-sum-loss")


def is_percent(left: Value, right: Value) -> bool:
    """True if one of two factors is 100."""
    return any(isinstance(one, Constant) and one.value == 100 for one in (left, right))


def divides_by_images(number: Value, divisor: Value) -> bool:
    """True if a constant divisor is the number of images of the data set behind a number."""
    counts = [number_of_images(one) for one in sources_of(number)]
    return isinstance(divisor, Constant) and divisor.value in [count for count in counts if count]


def unit_of(value: Value) -> str:
    """Return the unit of a number, "constant", or ""."""
    if isinstance(value, Number):
        return value.unit
    if isinstance(value, Constant) and isinstance(value.value, int | float) and not isinstance(value.value, bool):
        return "constant"
    if isinstance(value, Unknown) and value.label.lower() in ("batch_size", "bs", "batchsize", "batch_sz"):
        return "batch-size"
    return ""


def accumulated(before: Value, added: Value, spot: Spot, in_loop: bool) -> Value:
    """Return the value of `before += added`."""
    if isinstance(added, Number):
        fresh = isinstance(before, Constant | Unknown) or (isinstance(before, Tensor) and before.meaning == "zeros")
        unit = added.unit if fresh or (isinstance(before, Number) and before.unit == added.unit) else ""
        unit = "images" if unit == "batch" and in_loop else unit
        if isinstance(before, Number) and before.unit == "images" and added.unit == "batch":
            unit = "images"
        origin = united(sources_of(before), sources_of(added))
        return Number(spot=spot, unit=unit, summed=in_loop, origin=origin, added=added.added or spot, of=added.of)
    return combined(ast.Add(), before, added, spot)


def number_from(tensor: Tensor, spot: Spot) -> Value:
    """Return the Python number of a tensor with one element, as .item() gives it."""
    if tensor.meaning == LOSS:
        unit = {"mean": "mean-loss", "sum": "sum-loss"}.get(tensor.reduction, "")
        unit = "" if tensor.scaled and unit == "mean-loss" else unit
        return Number(spot=spot, unit=unit, origin=tensor.origin, added=tensor.spot)
    return Number(spot=spot, origin=tensor.origin)


def length_of(value: Value, spot: Spot) -> Value:
    """Return len(value) or value.size(0)."""
    if isinstance(value, Loader):
        return Number(spot=spot, unit="batches", of=value, origin=())
    if isinstance(value, Dataset):
        return Number(spot=spot, unit="images", of=value)
    if isinstance(value, Tensor) and value.meaning in (INPUT, LABEL, LOGITS, OUTPUT, PREDICTION, HITS):
        return Number(spot=spot, unit="batch", of=value.origin[0] if value.origin else None)
    count = len(value.items) if isinstance(value, Items) and not value.open else None
    count = len(value.value) if isinstance(value, Constant) and isinstance(value.value, str) else count
    if count is not None:
        return Constant(spot=spot, value=count)
    if isinstance(value, Unknown) and role_in(value.label) and "loader" in value.label.lower():
        return Number(spot=spot, unit="batches", of=value)
    return Unknown(spot=spot)


def compared(kind: ast.cmpop, left: Value, right: Value, spot: Spot) -> Value:
    """Return the value of a comparison."""
    if isinstance(left, Constant) and isinstance(right, Constant | Items):
        found = decided(kind, left, right)
        if found is not None:
            return Constant(spot=spot, value=found)
    meanings = {side.meaning for side in (left, right) if isinstance(side, Tensor)}
    if isinstance(kind, ast.Eq) and (LABEL in meanings or PREDICTION in meanings):
        return Tensor(spot=spot, meaning=HITS, origin=united(left.origin, right.origin))
    if isinstance(left, Tensor):
        return Tensor(spot=spot, meaning=PREDICTION if left.models else "", origin=left.origin, axes=left.axes,
                      trail=left.trail if left.models else ())
    if isinstance(left, Module) and isinstance(right, Constant) and right.value is None:
        return Constant(spot=spot, value=isinstance(kind, ast.IsNot | ast.NotEq))
    return Unknown(spot=spot, origin=united(left.origin, right.origin))


def decided(kind: ast.cmpop, left: Constant, right: Value) -> bool | None:
    """Return the truth of a comparison of constants, or None if it cannot be told."""
    if isinstance(right, Items):
        options = [item.value for one in right.items if isinstance(item := known(one), Constant)]
        if right.open or len(options) != len(right.items):
            return None
        if isinstance(kind, ast.In):
            return left.value in options
        return left.value not in options if isinstance(kind, ast.NotIn) else None
    assert isinstance(right, Constant)
    if isinstance(kind, ast.Eq | ast.Is):
        return bool(left.value == right.value)
    if isinstance(kind, ast.NotEq | ast.IsNot):
        return bool(left.value != right.value)
    return None
