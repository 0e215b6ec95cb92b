"""Values that an in-place activation overwrites before their last use."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.layers import KINDS, key_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import ACTIVATION, Class, Module, Spot, Value, constant, known
from featherweight.doctor.rules.network import own_modules

SHAPES = frozenset(("shape", "size", "device", "dtype", "dim", "ndim", "new_zeros", "new_ones", "numel"))


def overwritten(trace: Trace) -> Iterator[Draft]:
    """Find a value that forward uses again, such as for a shortcut, after an in-place activation changed it."""
    for module, cls in own_modules(trace):
        method = cls.method("forward")
        for call, name, use in reused(method.body, module) if method is not None else ():
            yield draft(cls, call, name, use)


def draft(cls: Class, call: ast.Call, name: str, use: ast.Name) -> Draft:
    """Return the finding for one call that changes the value of a name, and its later use."""
    spot, later = Spot(cls.scope.source, call), Spot(cls.scope.source, use).where
    return Draft("FW119", spot, f"`{text_of(spot)}` overwrites `{name}`, which {later} uses again.",
                 f"The activation works in place, so {later} gets its output and not the value before it.",
                 "Use inplace=False here.")


def reused(body: Sequence[ast.stmt], module: Module) -> Iterator[tuple[ast.Call, str, ast.Name]]:
    """Yield (call, name, later use) for each value of a block of statements that is overwritten and used again."""
    for place, statement in enumerate(body):
        for inner in (getattr(statement, field, []) for field in ("body", "orelse")):
            yield from reused(inner, module)
        if isinstance(statement, ast.Expr | ast.If | ast.For | ast.While | ast.With):
            continue            # a call whose result is not used is meant to change its argument
        for call in [node for node in ast.walk(statement) if isinstance(node, ast.Call)]:
            name = call.args[0].id if call.args and isinstance(call.args[0], ast.Name) else ""
            if name and changes_its_input(call, module):
                use = next((one for one in uses(name, statement) if one is not call.args[0]), None)
                if use is None and name not in stored(statement):
                    use = next_use(name, body[place + 1:])
                if use is not None:
                    yield call, name, use


def changes_its_input(call: ast.Call, module: Module) -> bool:
    """True for F.relu(x, inplace=True), torch.relu_(x), and a layer of `self` that begins with such an activation."""
    called = ast.unparse(call.func)
    last = called.rpartition(".")[2]
    if called.startswith("self."):
        value = known(module.attributes.get(last)) if called.count(".") == 1 else None
        return works_in_place(value)
    plain = KINDS.get(key_of(last)) == ACTIVATION
    stated = any(one.arg == "inplace" and isinstance(one.value, ast.Constant) and one.value.value is True
                 for one in call.keywords)
    return plain and (stated or last.endswith("_"))


def works_in_place(value: Value | None) -> bool:
    """True for an activation with inplace=True, and for a Sequential that begins with one."""
    while isinstance(value, Module) and value.cls is None and value.children and not value.open:
        value = known(value.children[0])
    return isinstance(value, Module) and KINDS.get(key_of(value.name)) == ACTIVATION and not value.unsure and (
        constant(value.arguments.get("inplace")) is True)


def uses(name: str, node: ast.AST) -> Iterator[ast.Name]:
    """Yield the places that read a name, except where only its shape or device is asked."""
    asked = {id(one.value) for one in ast.walk(node) if isinstance(one, ast.Attribute) and one.attr in SHAPES}
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Load) and id(one) not in asked:
            yield one


def next_use(name: str, rest: Sequence[ast.stmt]) -> ast.Name | None:
    """Return the first place that reads a name before it is bound again, or None."""
    for statement in rest:
        use = next(uses(name, statement), None)
        if use is not None or name in stored(statement):
            return use
    return None


def stored(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds."""
    return {one.id for one in ast.walk(statement) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


RULES = (overwritten,)
